/**
 * A `Session` with a scripted peer at the other end of its wire: protocol stories about misbehaviour, without Effect,
 * sockets or real time.
 *
 * The wire between them behaves as a socket: bytes wait while the session does not read, writes of the session wait once
 * `SOCKET_CAPACITY` bytes are not taken by the peer, an end is seen after all data. Time moves only when a script
 * listens, from deadline to deadline. Where a story goes wrong `run` throws a `ScriptFailure`.
 *
 * @since 0.1.0
 */
import type * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { Now } from "@stellar-overlay/overlay/protocol/Primitives"
import type { Session, SessionEvent } from "@stellar-overlay/overlay/protocol/Session"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { PeerScript } from "./PeerScript.ts"
import type { Reply, Script, Step } from "./Script.ts"
import type { PeerScriptOptions } from "./ScriptedNode.ts"
import { End, type EndOptions } from "./SessionPair.ts"

/**
 * Bytes that wait in each direction before a write does, and that one read of the session gives at most.
 *
 * @category constants
 * @since 0.1.0
 */
export const SOCKET_CAPACITY = 65_536

/**
 * Most rounds in which bytes move without time passing: beyond it there is a livelock.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_ROUNDS = 1_000_000

/**
 * Both ends of the story.
 *
 * @category options
 * @since 0.1.0
 */
export interface ScriptedSessionOptions {
  /** The scripted peer; the session has the other role. */
  readonly peer?: PeerScriptOptions | undefined
  /** The session under test; its name decides its keys. */
  readonly victim?: (EndOptions & { readonly name?: string | undefined }) | undefined
  /** Wall time at the start. */
  readonly unixSeconds?: number | undefined
  /** Monotonic milliseconds during which the consumer takes nothing, counted from the start. */
  readonly idleMillis?: number | undefined
  /** What the application behind the session sends as fast as the session lets it, once authenticated. */
  readonly sends?: Iterable<StellarMessage> | undefined
  /** Prepares the session before its first byte. */
  readonly prepare?: ((session: Session) => void) | undefined
}

/**
 * The session, the peer, and the wire between them.
 *
 * **Example** (A frame that claims too much)
 *
 * ```ts
 * import { ScriptedSession } from "@stellar-overlay/overlay-test/ScriptedSession"
 *
 * const wire = new ScriptedSession()
 * wire.run(function*(peer) {
 *   yield* peer.sayBytes(Uint8Array.of(0x80, 0, 0x10, 1))
 *   yield* peer.expectClosed({ error: "silent" })
 * })
 * wire.victim.dropped?._tag // "FrameTooLarge"
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class ScriptedSession {
  readonly peer: PeerScript
  readonly victim: End
  now: Now
  /** Every event of the session, in order. */
  readonly events: Array<SessionEvent> = []

  readonly #idleUntil: number
  #sends: Iterator<StellarMessage> | undefined
  /** Bytes on their way to the session. */
  readonly #toVictim: Array<Uint8Array> = []
  #toVictimBytes = 0
  /** Bytes on their way to the peer. */
  readonly #toPeer: Array<Uint8Array> = []
  #toPeerBytes = 0
  /** A write of the session waits for room. */
  #writing = false
  #reading = true
  #finished: "Eof" | "Reset" | undefined

  constructor(options: ScriptedSessionOptions = {}) {
    this.now = { millis: 0, unixSeconds: options.unixSeconds ?? 1_767_225_600 }
    this.peer = new PeerScript(options.peer ?? {}, this.now)
    const role = this.peer.role === "initiator" ? "acceptor" : "initiator"
    const { name = "victim", ...victim } = options.victim ?? {}
    this.victim = new End(name, role, PeerAddress.make("127.0.0.1", 50_000), victim, this.now)
    this.#idleUntil = options.idleMillis ?? 0
    this.#sends = options.sends?.[Symbol.iterator]()
    options.prepare?.(this.victim.session)
    this.victim.session.connected(this.now)
    this.#move()
  }

  /** Why the session ended, or undefined. */
  get dropped(): DropReason.DropReason | undefined {
    return this.victim.dropped
  }

  /** Runs a script to its end. */
  run<A>(script: (peer: PeerScript) => Script<A>): A {
    const story = script(this.peer)
    let result = story.next({ outcome: "done", now: this.now })
    while (result.done !== true) {
      const outcome = this.#perform(result.value)
      result = story.next({ outcome, now: this.now })
    }
    this.#move()
    return result.value
  }

  /** Lets time pass, and whatever it brings. */
  advance(millis: number): this {
    const end = this.now.millis + millis
    while (this.now.millis < end) this.#pass(end)
    return this
  }

  #perform(step: Step): Reply["outcome"] {
    switch (step._tag) {
      case "Write": {
        if (this.#finished !== undefined || this.peer.ending !== undefined) return "ended"
        for (let at = 0; at < step.bytes.length; at += SOCKET_CAPACITY) {
          this.#toVictim.push(step.bytes.subarray(at, at + SOCKET_CAPACITY))
        }
        this.#toVictimBytes += step.bytes.length
        this.#move()
        const end = this.now.millis + step.millis
        while (this.#toVictimBytes > SOCKET_CAPACITY && this.now.millis < end) this.#pass(end)
        return this.#toVictimBytes > SOCKET_CAPACITY ? "blocked" : "done"
      }
      case "Listen": {
        const end = this.now.millis + step.millis
        const news = () => this.peer.heard.length > step.seen || this.peer.ending !== undefined
        this.#move()
        while (!news() && this.now.millis < end) this.#pass(end)
        return this.peer.heard.length > step.seen ? "heard" : this.peer.ending !== undefined ? "ended" : "silence"
      }
      case "Reading":
        this.#reading = step.on
        break
      case "End":
        this.#finished ??= "Eof"
        break
      case "Reset":
        this.#finished = "Reset"
        this.peer.end("Reset", "by this side", this.now)
        break
    }
    this.#move()
    return "done"
  }

  /** Moves time to the next thing that can happen, `end` at the latest. */
  #pass(end: number): void {
    const { session } = this.victim
    const due = [end, session.nextDeadline, this.#idleUntil].filter((at) => at > this.now.millis)
    const passed = Math.min(...due) - this.now.millis
    const start = this.now
    const millis = start.millis + passed
    this.now = { millis, unixSeconds: start.unixSeconds + Math.floor(millis / 1000) - Math.floor(start.millis / 1000) }
    if (session.nextDeadline <= millis) session.tick(this.now)
    this.#move()
  }

  /** Moves bytes and messages until nothing moves any more. */
  #move(): void {
    for (let round = 0; this.#moveOnce(); round++) {
      if (round === MAX_ROUNDS) throw new Error(`the session did not come to rest in ${MAX_ROUNDS} rounds`)
    }
  }

  #moveOnce(): boolean {
    const moved = [this.#deliver(), this.#consume(), this.#write(), this.#application()]
    this.events.push(...this.victim.session.events.splice(0))
    return moved.includes(true)
  }

  #deliver(): boolean {
    const { session } = this.victim
    if (this.dropped !== undefined) {
      this.#toVictim.length = this.#toVictimBytes = 0
      return false
    }
    if (this.#finished === "Reset") {
      session.drop(session.readFailure(false, "ECONNRESET"), this.now)
      return true
    }
    if (!session.canRead) return false
    if (session.hasBacklog) {
      session.process(this.now)
      return true
    }
    const chunk = this.#toVictim.shift()
    if (chunk !== undefined) {
      this.#toVictimBytes -= chunk.length
      session.receive(chunk, this.now)
      return true
    }
    if (this.#finished === undefined) return false
    session.drop(session.readFailure(true, ""), this.now)
    return true
  }

  #consume(): boolean {
    if (this.victim.idle || this.now.millis < this.#idleUntil) return false
    const batch = this.victim.take()
    if (batch !== undefined) this.victim.session.settle(batch, this.now)
    return batch !== undefined
  }

  #write(): boolean {
    const { session } = this.victim
    let moved = false
    if (this.#reading) {
      for (const chunk of this.#toPeer.splice(0)) {
        if (this.#finished !== "Reset") this.peer.hear(chunk, this.now)
        moved = true
      }
      this.#toPeerBytes = 0
    }
    if (this.#writing && this.#toPeerBytes <= SOCKET_CAPACITY) {
      this.#writing = false
      session.wrote(this.now)
      moved = true
    }
    const slab = this.#writing ? undefined : session.nextWrite(this.now)
    if (slab !== undefined) {
      this.#toPeer.push(slab)
      this.#toPeerBytes += slab.length
      this.#writing = true
      return true
    }
    if (this.dropped !== undefined && !this.#writing && this.#toPeer.length === 0 && this.peer.ending === undefined) {
      this.peer.end("Eof", "", this.now)
    }
    return moved
  }

  #application(): boolean {
    const { session } = this.victim
    if (this.#sends === undefined || !session.isAuthenticated || session.isCongested) return false
    const next = this.#sends.next()
    if (next.done === true) {
      this.#sends = undefined
      return false
    }
    session.send(next.value, this.now)
    return true
  }
}
