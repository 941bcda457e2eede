/**
 * Carries out one variant of an attack against one victim, and judges what came of it.
 *
 * `onSession` attacks a `Session` synchronously; `onTransport` attacks a real `Peer` over whatever `Transport` is there:
 * the loopback in a `World`, or TCP. Both fail when the wire does not show what the script expects. `judge` then looks at
 * what only the victim knows.
 *
 * @since 0.1.0
 */
import type { DropReason } from "@stellar-overlay/overlay/DropReason"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import type { PeerDropped } from "@stellar-overlay/overlay/OverlayError"
import { type OverlayEvent, OverlayEvents } from "@stellar-overlay/overlay/OverlayEvents"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import type { WireError } from "@stellar-overlay/overlay/wire/WireError"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { PeerScript } from "../PeerScript.ts"
import type { ScriptFailure } from "../Script.ts"
import * as ScriptedPeer from "../ScriptedPeer.ts"
import { ScriptedSession } from "../ScriptedSession.ts"
import { type CryptoCounts, TestCrypto } from "../TestCrypto.ts"
import type { Variant, VictimOptions } from "./Attack.ts"

/**
 * What a trial showed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Trial {
  /** The attacker: what it heard, how the connection ended for it. */
  readonly peer: PeerScript
  /** Why the victim had ended the connection when the script was over; undefined when it had not. */
  readonly reason: DropReason | undefined
  /** Every drop the victim reported, also after the attacker was gone. */
  readonly drops: ReadonlyArray<DropReason>
  /** Whether the victim ever held the attacker for authenticated. */
  readonly authenticated: boolean
  /** What reached the victim's consumer, in order. */
  readonly delivered: ReadonlyArray<StellarMessage>
  /** How much cryptography the victim did. */
  readonly crypto: CryptoCounts
}

/**
 * What may be chosen for a trial.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Decides the keys and the chance of both sides; 0 unless given. */
  readonly seed?: number | string | undefined
  /** Added to the upper bounds of time in the script, in milliseconds: for clocks that are real. */
  readonly slackMillis?: number | undefined
  /** How the attacker's writes are cut, where the variant does not say. */
  readonly chunking?: ((bytes: Uint8Array) => ReadonlyArray<Uint8Array>) | undefined
}

const attackerOptions = (variant: Variant, options: Options) => ({
  seed: `${options.seed ?? 0}`,
  chunking: options.chunking,
  slackMillis: options.slackMillis,
  ...variant.attacker
})

/**
 * Attacks a `Session`. Throws `ScriptFailure` when the wire shows something else than the script expects.
 *
 * @category running
 * @since 0.1.0
 */
export const onSession = (variant: Variant, options: Options = {}): Trial => {
  const { answers = "decline", config, idleMillis, prepare, sends } = variant.victim
  const wire = new ScriptedSession({
    peer: attackerOptions(variant, options),
    victim: {
      name: `victim/${options.seed ?? 0}`,
      config,
      session: { answers },
      auth: { maxFutureSeconds: config?.maxCertificateSeconds ?? OverlayConfig.defaults.maxCertificateSeconds }
    },
    idleMillis,
    sends: sends?.(),
    prepare
  })
  wire.run(variant.run)
  const reason = wire.dropped
  wire.run((peer) => peer.finish())
  const drops = wire.events.flatMap((event) => event._tag === "Dropped" ? [event.reason] : [])
  return {
    peer: wire.peer,
    reason,
    drops,
    authenticated: wire.events.some((event) => event._tag === "Authenticated"),
    delivered: wire.victim.received,
    crypto: wire.victim.crypto.counts()
  }
}

/** The services of a victim of its own, built once for a trial. */
const victimLayer = (options: VictimOptions, seed: string) =>
  LocalNode.layer.pipe(
    Layer.provide(NodeIdentity.layerRandom),
    Layer.provideMerge(TestCrypto.layer(`victim/${seed}`)),
    Layer.provide(OverlayConfig.OverlayConfig.layer({ ...OverlayConfig.standalone, ...options.config })),
    Layer.fresh
  )

/** The victim's application: sends what it has to, takes nothing for a while, then everything until the end. */
const application = Effect.fnUntraced(function*(peer: Peer.Peer, options: VictimOptions, into: Array<StellarMessage>) {
  const { idleMillis = 0, sends } = options
  if (sends !== undefined) yield* Effect.forkScoped(Effect.ignore(peer.sendAll(sends())))
  if (idleMillis === Number.POSITIVE_INFINITY) return yield* peer.closed
  const idle = idleMillis - (yield* Clock.currentTimeMillis)
  if (idle > 0) yield* Effect.sleep(idle)
  return yield* Stream.runForEachArray(peer.messages, (messages) =>
    Effect.sync(() => {
      for (const message of messages) into.push(message.retain())
    }))
})

/**
 * Attacks a `Peer` over the transport that is there, on a port of 127.0.0.1, in either role.
 *
 * @category running
 * @since 0.1.0
 */
export const onTransport = Effect.fnUntraced(
  function*(
    variant: Variant,
    options: Options = {}
  ): Effect.fn.Return<
    Trial,
    ScriptFailure | TransportError | WireError | OverlayConfig.OverlayConfigError,
    Transport | Scope.Scope
  > {
    const transport = yield* Transport
    const started = yield* Clock.currentTimeMillis
    const { answers, idleMillis = 0, prepare } = variant.victim
    const services = yield* Layer.build(victimLayer(variant.victim, `${options.seed ?? 0}`))
    const events: Array<OverlayEvent> = []
    const delivered: Array<StellarMessage> = []
    const victim = { ...variant.victim, idleMillis: idleMillis === 0 ? 0 : started + idleMillis }
    const peerOptions: Peer.PeerOptions = { answers, onSession: prepare }
    const serve = <R>(peer: Effect.Effect<Peer.Peer, PeerDropped, R>) =>
      Effect.flatMap(peer, (peer) => application(peer, victim, delivered)).pipe(
        Effect.ignore, // every end is in the events
        Effect.scoped,
        Effect.provideContext(services),
        Effect.provideService(OverlayEvents, { publish: (event) => events.push(event), stream: Stream.empty })
      )

    const listener = yield* transport.listen({ host: "127.0.0.1", port: 0 })
    const attackerScope = yield* Scope.fork(yield* Effect.scope)
    const attacker = attackerOptions(variant, options)
    const gone = yield* Deferred.make<void>()
    let peer: ScriptedPeer.ScriptedPeer
    if (attacker.role === "initiator") {
      yield* Effect.forkScoped(
        listener.run((connection) =>
          Effect.ensuring(serve(Peer.accept(connection, peerOptions)), Deferred.succeed(gone, undefined))
        )
      )
      peer = yield* Scope.provide(ScriptedPeer.connect(listener.address, attacker), attackerScope)
    } else {
      const accepting = yield* Effect.forkScoped(
        Scope.provide(ScriptedPeer.accept(listener, attacker), attackerScope),
        { startImmediately: true }
      )
      yield* Effect.forkScoped(
        Effect.ensuring(serve(Peer.connect(listener.address, peerOptions)), Deferred.succeed(gone, undefined))
      )
      peer = yield* Fiber.join(accepting)
    }

    const dropsNow = () => events.flatMap((event) => event._tag === "PeerDropped" ? [event.reason] : [])
    yield* peer.run(variant.run)
    // What ended the script, a reset above all, may still be on its way to the victim.
    if (variant.drop !== undefined && dropsNow().length === 0) yield* Effect.sleep(1 + (options.slackMillis ?? 0))
    const [reason] = dropsNow()
    yield* Scope.close(attackerScope, Exit.void)
    if (idleMillis !== Number.POSITIVE_INFINITY) yield* Deferred.await(gone)
    return {
      peer: peer.script,
      reason,
      drops: dropsNow(),
      authenticated: events.some((event) => event._tag === "PeerAuthenticated"),
      delivered,
      crypto: yield* Effect.provideContext(TestCrypto.useSync((crypto) => crypto.counts()), services)
    }
  }
)

/**
 * What is wrong with how the victim took an attack, in words; empty when nothing is:
 *
 * - it ended the connection for the variant's reason, or bore it
 * - one connection, one drop (G6), whatever the attacker does
 * - what it wrote is right to the last frame: sequence numbers, MACs, valid messages
 * - nothing reached its consumer from an attacker that did not authenticate (H3)
 * - it verified one signature at most (H4)
 *
 * @category running
 * @since 0.1.0
 */
export const judge = (variant: Variant, trial: Trial): Array<string> => {
  const problems: Array<string> = []
  const { authenticated, crypto, delivered, drops, peer, reason } = trial
  if (reason?._tag !== variant.drop) {
    problems.push(
      `expected ${variant.drop ?? "no drop"}, got ${
        reason === undefined ? "none" : `${reason._tag} (${reason.detail})`
      }`
    )
  }
  if (drops.length > 1 || (variant.drop !== undefined && drops.length === 0)) {
    problems.push(`${drops.length} drops were reported: ${drops.map(({ _tag }) => _tag).join(", ")}`)
  }
  const wrong = peer.heard.filter(({ authentic }) => !authentic)
  if (wrong[0] !== undefined) {
    const { at, message } = wrong[0]
    problems.push(
      `${wrong.length} frames were not right, first a ${message?._tag ?? "frame without message"} at ${at} ms`
    )
  }
  if (!authenticated && delivered.length > 0) {
    problems.push(`${delivered.length} messages of an attacker that never authenticated were delivered`)
  }
  if (crypto.ed25519Verify > 1) problems.push(`${crypto.ed25519Verify} signatures were verified`)
  return problems
}
