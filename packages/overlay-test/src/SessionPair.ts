/**
 * Two `Session`s joined back to back: protocol stories without Effect, sockets or real time.
 *
 * Bytes one side writes reach the other when `settle` runs, time moves when `advance` says so, and every message is
 * consumed at once unless a side is told not to. What a story needs to see is on the two ends: drop reasons, events,
 * delivered messages, counters.
 *
 * @since 0.1.0
 */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import { type Admission, admitAll, type Role } from "@stellar-overlay/overlay/protocol/Handshake"
import type { Batch } from "@stellar-overlay/overlay/protocol/Inbox"
import type { LedgerContext } from "@stellar-overlay/overlay/protocol/LedgerContext"
import { PeerAuth, type PeerAuthOptions } from "@stellar-overlay/overlay/protocol/PeerAuth"
import type { Now } from "@stellar-overlay/overlay/protocol/Primitives"
import { Session, type SessionEvent, type SessionOptions } from "@stellar-overlay/overlay/protocol/Session"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Result from "effect/Result"
import * as TestCrypto from "./TestCrypto.ts"

/**
 * What a side of a pair may differ in.
 *
 * @category models
 * @since 0.1.0
 */
export interface EndOptions {
  /** Differences from the configuration of the `standalone` preset. */
  readonly config?: Partial<OverlayConfig.Values> | undefined
  /** Replaces parts of what the configuration derives; for values that a configuration refuses. */
  readonly session?: Partial<SessionOptions> | undefined
  /** 32 bytes; each side has its own by default. */
  readonly seed?: Uint8Array | undefined
  readonly admission?: Partial<Admission> | undefined
  readonly auth?: PeerAuthOptions | undefined
  readonly ledger?: LedgerContext | undefined
  /** Leave received batches untaken until `take`. */
  readonly idle?: boolean | undefined
}

/**
 * One side.
 *
 * @category models
 * @since 0.1.0
 */
export class End {
  readonly session: Session
  readonly crypto: TestCrypto.CountedCrypto
  readonly auth: PeerAuth
  readonly id: NodeId.NodeId
  /** Everything delivered to the consumer so far, each owning its bytes. */
  readonly received: Array<StellarMessage> = []
  readonly events: Array<SessionEvent> = []
  /** Chunks this side wrote which the other has not seen. */
  readonly outgoing: Array<Uint8Array> = []
  /** What is written while corked stays in `outgoing`. */
  corked = false
  /** Batches are left untaken. */
  idle: boolean
  /** The other side ended and this side has been told. */
  ended = false

  constructor(name: string, role: Role, remote: PeerAddress, options: EndOptions, now: Now) {
    const config = Result.getOrThrow(OverlayConfig.make({ ...OverlayConfig.standalone, ...options.config }))
    this.crypto = TestCrypto.make(name)
    const { primitives } = this.crypto
    const seed = options.seed ?? primitives.sha256(new TextEncoder().encode(name))
    const networkId = primitives.sha256(new TextEncoder().encode(config.networkPassphrase))
    this.id = NodeId.fromBytes(primitives.ed25519PublicKey(seed))
    this.auth = new PeerAuth(primitives, networkId, seed, options.auth)
    this.idle = options.idle ?? false
    this.session = new Session({
      role,
      remote,
      handshake: {
        networkId,
        id: this.id,
        ledgerVersion: config.ledgerVersion,
        overlayVersion: config.overlayVersion,
        overlayMinVersion: config.overlayMinVersion,
        version: config.versionString,
        listeningPort: config.peerPort
      },
      auth: this.auth,
      crypto: primitives,
      admission: { ...admitAll, ...options.admission },
      nonce: primitives.randomBytes(32),
      pingSecret: primitives.randomBytes(32),
      ...OverlayConfig.derive(config).session,
      ledger: options.ledger ?? {
        maxTxSetSize: 1000,
        minRememberedSlot: 1,
        checkpointSlot: 1,
        maxTransactionSize: config.maxTransactionSizeBytes
      },
      answers: "decline",
      scpStateFrom: 0,
      ...options.session
    }, now)
  }

  /** Why this side ended, or undefined. */
  get dropped(): DropReason.DropReason | undefined {
    return this.session.dropReason
  }

  /** The text of that reason, as core words it. */
  get dropText(): string | undefined {
    return this.dropped && DropReason.text(this.dropped)
  }

  /** The delivered messages of a tag. */
  messages<Tag extends StellarMessage["_tag"]>(tag: Tag): Array<Extract<StellarMessage, { readonly _tag: Tag }>> {
    return this.received.filter((m): m is Extract<StellarMessage, { readonly _tag: Tag }> => m._tag === tag)
  }

  /** Takes the next batch without settling it. */
  take(): Batch | undefined {
    const batch = this.session.takeBatch()
    if (batch !== undefined) this.received.push(...batch.messages.map((message) => message.retain()))
    return batch
  }
}

/**
 * Most rounds `settle` takes: a story that does not come to rest by then has a livelock.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_ROUNDS = 100_000

/**
 * The pair. Both sides start at the same moment; `connect` lets the initiator speak.
 *
 * **Example** (A handshake)
 *
 * ```ts
 * import { StellarMessage } from "@stellar-overlay/overlay"
 * import { SessionPair } from "@stellar-overlay/overlay-test"
 *
 * const pair = SessionPair.connected()
 * pair.acceptor.session.isAuthenticated // true
 * pair.initiator.session.send(StellarMessage.GetScpState.make({ ledgerSeq: 7 }), pair.now)
 * pair.settle()
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class SessionPair {
  readonly initiator: End
  readonly acceptor: End
  /** The moment both sides are told. */
  now: Now
  readonly #unixStart: number

  constructor(options: SessionPairOptions = {}) {
    this.#unixStart = options.unixSeconds ?? 1_767_225_600
    this.now = { millis: 0, unixSeconds: this.#unixStart }
    const both = options.both ?? {}
    this.initiator = new End("initiator", "initiator", PeerAddress.make("127.0.0.1", 11627), {
      ...both,
      ...options.initiator
    }, this.now)
    this.acceptor = new End("acceptor", "acceptor", PeerAddress.make("127.0.0.1", 50000), {
      ...both,
      ...options.acceptor
    }, this.now)
  }

  /** The initiator's TCP connection stands; runs the handshake as far as it goes. */
  connect(): this {
    this.initiator.session.connected(this.now)
    return this.settle()
  }

  /** Moves bytes and consumes messages until nothing moves any more, or `rounds` is over. */
  settle(rounds = MAX_ROUNDS): this {
    for (let round = 0; round < rounds; round++) {
      const moved = [this.step(this.initiator, this.acceptor), this.step(this.acceptor, this.initiator)]
      if (!moved.includes(true)) return this
    }
    if (rounds === MAX_ROUNDS) throw new Error(`the pair did not come to rest in ${MAX_ROUNDS} rounds`)
    return this
  }

  /** Moves time in steps to every deadline on the way, settling at each. */
  advance(millis: number): this {
    const end = this.now.millis + millis
    while (this.now.millis < end) {
      const next = Math.min(end, ...this.ends.map(({ session }) => session.dropReason ? end : session.nextDeadline))
      this.now = { millis: next, unixSeconds: this.#unixStart + Math.floor(next / 1000) }
      for (const { session } of this.ends) if (session.nextDeadline <= next) session.tick(this.now)
      this.settle()
    }
    return this
  }

  get ends(): readonly [End, End] {
    return [this.initiator, this.acceptor]
  }

  /** One round of one side: write, deliver, consume. True when anything happened. */
  step(from: End, to: End): boolean {
    let moved = false
    for (let slab; !from.corked && (slab = from.session.nextWrite(this.now)) !== undefined; moved = true) {
      from.session.wrote(this.now)
      from.outgoing.push(slab)
    }
    if (!from.corked) {
      for (const chunk of from.outgoing.splice(0)) {
        to.session.receive(chunk, this.now)
        moved = true
      }
      if (from.dropped !== undefined && !to.ended) {
        to.ended = moved = true
        to.session.drop(to.session.readFailure(true, ""), this.now)
      }
    }
    if (to.session.hasBacklog && to.session.canRead) {
      to.session.process(this.now)
      moved = true
    }
    for (let batch; !to.idle && (batch = to.take()) !== undefined; moved = true) to.session.settle(batch, this.now)
    to.events.push(...to.session.events.splice(0))
    return moved
  }
}

/**
 * What a pair may differ in; `both` applies to each side first.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionPairOptions {
  readonly both?: EndOptions | undefined
  readonly initiator?: EndOptions | undefined
  readonly acceptor?: EndOptions | undefined
  /** Wall time at the start. */
  readonly unixSeconds?: number | undefined
}

/**
 * Makes a pair that has not connected yet.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: SessionPairOptions): SessionPair => new SessionPair(options)

/**
 * Makes a pair and runs its handshake.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connected = (options?: SessionPairOptions): SessionPair => make(options).connect()
