/**
 * A peer whose every byte the test decides, over any `Connection`: the loopback in a `World`, or real TCP.
 *
 * It is scoped: leaving the scope closes its end without a word. Every wait is bounded, in the time of the `Clock`, so
 * virtual time serves as well as real. What can be said and expected, and all levels from raw bytes to authenticated
 * messages, is in `PeerScript`; here the same verbs are Effects that fail with `ScriptFailure`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
 * import { SendMore } from "@stellar-overlay/overlay/wire/StellarMessage"
 *
 * // A node that listens at `address` drops a peer that says plain SEND_MORE, without a word.
 * const program = Effect.fnUntraced(function*(address: string) {
 *   const peer = yield* ScriptedPeer.connect(address)
 *   yield* peer.handshake()
 *   yield* peer.say(SendMore.make({ numMessages: 1 }))
 *   yield* peer.expectClosed({ error: "silent" })
 * }, Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import type { Now } from "@stellar-overlay/overlay/protocol/Primitives"
import { type Connection, type Listener, Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import type { MessageTag } from "@stellar-overlay/overlay/wire/MessageType"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type { ErrorMsg, StellarMessage, Tagged } from "@stellar-overlay/overlay/wire/StellarMessage"
import type { WireError } from "@stellar-overlay/overlay/wire/WireError"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { LoopbackConnection } from "./LoopbackTransport.ts"
import { type HandshakeStage, PeerScript, type What } from "./PeerScript.ts"
import { type Reply, type Script, ScriptFailure, type Step } from "./Script.ts"
import type { Ending, FrameOverrides, Heard, PeerScriptOptions } from "./ScriptedNode.ts"

/**
 * The verbs of `PeerScript` as Effects. Use one fiber per peer: a script is one voice.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScriptedPeer {
  /** Identity, keys, transcript. Its verbs are for `run`. */
  readonly script: PeerScript
  readonly connection: Connection
  /** Runs a script to its end: the way to share a story with `ScriptedSession`. */
  readonly run: <A>(script: (peer: PeerScript) => Script<A>) => Effect.Effect<A, ScriptFailure>

  readonly sayBytes: (bytes: Uint8Array) => Effect.Effect<boolean, ScriptFailure>
  readonly sayFrame: (body: Uint8Array, mark?: number) => Effect.Effect<boolean, ScriptFailure>
  readonly say: (
    message: StellarMessage | Uint8Array,
    overrides?: FrameOverrides
  ) => Effect.Effect<boolean, ScriptFailure>
  readonly sayAll: (messages: Iterable<StellarMessage>) => Effect.Effect<boolean, ScriptFailure>
  readonly handshake: (until?: HandshakeStage) => Effect.Effect<void, ScriptFailure>

  readonly expect: {
    <Tag extends MessageTag>(what: Tag, within?: number): Effect.Effect<Tagged<Tag>, ScriptFailure>
    (what: (heard: Heard) => boolean, within?: number): Effect.Effect<StellarMessage, ScriptFailure>
  }
  readonly expectNone: (millis: number, what?: What) => Effect.Effect<void, ScriptFailure>
  readonly expectOpen: (millis: number) => Effect.Effect<void, ScriptFailure>
  readonly expectClosed: (
    options?: { readonly within?: number; readonly error?: readonly [code: number, text: string] | "silent" }
  ) => Effect.Effect<Ending, ScriptFailure>
  readonly expectError: (code: ErrorMsg["code"], text: string, within?: number) => Effect.Effect<void, ScriptFailure>

  readonly stopReading: Effect.Effect<void>
  readonly resumeReading: Effect.Effect<void>
  /** Ends this direction in order. */
  readonly finish: Effect.Effect<void>
  /** Breaks the connection as an RST does, where the transport can; else ends it. */
  readonly reset: Effect.Effect<void>
}

/**
 * Options of a peer over a connection.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends PeerScriptOptions {
  /** How to break this connection; the `reset` of a loopback connection unless given. */
  readonly reset?: Effect.Effect<void> | undefined
}

const readNow = (clock: Clock.Clock): Now => ({
  millis: Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
  unixSeconds: Math.floor(clock.currentTimeMillisUnsafe() / 1000)
})

const isLoopback = (connection: Connection): connection is LoopbackConnection => "link" in connection

/** One connection and the script's state: what every step needs. */
class Runner {
  readonly script: PeerScript
  readonly connection: Connection
  readonly clock: Clock.Clock
  readonly breakConnection: Effect.Effect<void>
  /** Open when something was heard, or the end. */
  readonly news = Latch.makeUnsafe(false)
  /** Open while the connection is read. */
  readonly reading = Latch.makeUnsafe(true)

  constructor(script: PeerScript, connection: Connection, clock: Clock.Clock, reset: Effect.Effect<void> | undefined) {
    this.script = script
    this.connection = connection
    this.clock = clock
    this.breakConnection = reset ?? (isLoopback(connection) ? connection.reset : connection.end)
  }

  readonly listen: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    while (true) {
      yield* this.reading.await
      const chunks = yield* this.connection.pull
      const now = readNow(this.clock)
      for (const chunk of chunks) this.script.hear(chunk, now)
      this.news.openUnsafe()
    }
  }).pipe(Effect.catch((error: TransportError) =>
    Effect.sync(() => {
      this.script.end(error.kind === "Eof" ? "Eof" : "Reset", error.detail, readNow(this.clock))
      this.news.openUnsafe()
    })
  ))

  run<A>(story: (peer: PeerScript) => Script<A>): Effect.Effect<A, ScriptFailure> {
    return Effect.suspend(() => this.resume(story(this.script), { outcome: "done", now: readNow(this.clock) }))
  }

  private resume<A>(story: Script<A>, reply: Reply): Effect.Effect<A, ScriptFailure> {
    return Effect.suspend(() => {
      try {
        const result = story.next(reply)
        return result.done === true
          ? Effect.succeed(result.value)
          : Effect.flatMap(
            this.perform(result.value),
            (outcome) => this.resume(story, { outcome, now: readNow(this.clock) })
          )
      } catch (error) {
        return error instanceof ScriptFailure ? Effect.fail(error) : Effect.die(error)
      }
    })
  }

  private perform(step: Step): Effect.Effect<Reply["outcome"]> {
    const { connection, script } = this
    switch (step._tag) {
      case "Write":
        return connection.write([step.bytes]).pipe(
          Effect.timeoutOption(step.millis),
          Effect.map((taken): Reply["outcome"] => Option.isSome(taken) ? "done" : "blocked"),
          Effect.catch(() => Effect.succeed<Reply["outcome"]>("ended"))
        )
      case "Listen":
        return Effect.suspend(() => {
          if (this.isNews(step.seen)) return Effect.succeed(this.heardOr("ended", step.seen))
          this.news.closeUnsafe()
          return Effect.map(
            Effect.timeoutOption(this.news.await, step.millis),
            () => this.heardOr(script.ending === undefined ? "silence" : "ended", step.seen)
          )
        })
      case "Reading":
        return Effect.as(step.on ? this.reading.open : this.reading.close, "done")
      case "End":
        return Effect.as(connection.end, "done")
      case "Reset":
        return Effect.as(this.breakConnection, "done")
    }
  }

  private isNews(seen: number): boolean {
    return this.script.heard.length > seen || this.script.ending !== undefined
  }

  private heardOr(otherwise: "silence" | "ended", seen: number): Reply["outcome"] {
    return this.script.heard.length > seen ? "heard" : otherwise
  }
}

/**
 * A scripted peer over a connection that stands; `role` says which side dialled.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*(connection: Connection, options: Options = {}): Effect.fn.Return<ScriptedPeer, never, Scope.Scope> {
    const clock = yield* Clock.Clock
    const runner = new Runner(new PeerScript(options, readNow(clock)), connection, clock, options.reset)
    yield* Effect.forkScoped(runner.listen, { startImmediately: true })
    const never = (effect: Effect.Effect<void, ScriptFailure>) => Effect.orDie(effect)

    function expect<Tag extends MessageTag>(what: Tag, within?: number): Effect.Effect<Tagged<Tag>, ScriptFailure>
    function expect(what: (heard: Heard) => boolean, within?: number): Effect.Effect<StellarMessage, ScriptFailure>
    function expect(
      what: MessageTag | ((heard: Heard) => boolean),
      within?: number
    ): Effect.Effect<StellarMessage, ScriptFailure> {
      return runner.run((peer) => typeof what === "string" ? peer.expect(what, within) : peer.expect(what, within))
    }

    return {
      script: runner.script,
      connection,
      run: (story) => runner.run(story),
      sayBytes: (bytes) => runner.run((peer) => peer.sayBytes(bytes)),
      sayFrame: (body, mark) => runner.run((peer) => peer.sayFrame(body, mark)),
      say: (message, overrides) => runner.run((peer) => peer.say(message, overrides)),
      sayAll: (messages) => runner.run((peer) => peer.sayAll(messages)),
      handshake: (until) => runner.run((peer) => peer.handshake(until)),
      expect,
      expectNone: (millis, what) => runner.run((peer) => peer.expectNone(millis, what)),
      expectOpen: (millis) => runner.run((peer) => peer.expectOpen(millis)),
      expectClosed: (closed) => runner.run((peer) => peer.expectClosed(closed)),
      expectError: (code, text, within) => runner.run((peer) => peer.expectError(code, text, within)),
      stopReading: never(runner.run((peer) => peer.stopReading())),
      resumeReading: never(runner.run((peer) => peer.resumeReading())),
      finish: never(runner.run((peer) => peer.finish())),
      reset: never(runner.run((peer) => peer.reset()))
    }
  }
)

/**
 * Dials a node and gives the scripted peer that dialled; nothing is said yet.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = Effect.fnUntraced(
  function*(
    target: string | PeerAddress,
    options: Options & { readonly timeoutMillis?: number | undefined } = {}
  ): Effect.fn.Return<ScriptedPeer, TransportError | WireError, Transport | Scope.Scope> {
    const transport = yield* Transport
    const address = typeof target === "string" ? yield* Effect.fromResult(PeerAddress.parse(target)) : target
    const connection = yield* transport.dial(address, { timeoutMillis: options.timeoutMillis ?? 5000 })
    return yield* make(connection, { ...options, role: "initiator" })
  }
)

/**
 * Waits for one connection of a listener and gives the scripted peer that was dialled. The connection closes with the
 * scope; further ones are closed at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const accept = Effect.fnUntraced(
  function*(listener: Listener, options: Options = {}): Effect.fn.Return<ScriptedPeer, never, Scope.Scope> {
    const accepted = yield* Deferred.make<Connection>()
    yield* Effect.forkScoped(listener.run((connection) =>
      Effect.flatMap(
        Deferred.succeed(accepted, connection),
        // The connection belongs to its handler, which must outlive the script.
        (first) => first ? Effect.never : Effect.void
      )
    ))
    return yield* make(yield* Deferred.await(accepted), { ...options, role: "acceptor" })
  }
)
