/**
 * A stream that goes on: messages from several peers of a list, without repeats, while peers come, go, fill up, fall
 * silent or ask for another protocol version.
 *
 * For light clients that want what the network says and do not care who says it. A whole node uses `Overlay` instead.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as DropReason from "./DropReason.ts"
import { readMillis } from "./internal/peerRuntime.ts"
import { LocalNode } from "./LocalNode.ts"
import type { Received } from "./MessageHub.ts"
import type { PeerDropped } from "./OverlayError.ts"
import * as Peer from "./Peer.ts"
import type { Transport } from "./Transport.ts"
import type { MessageTag } from "./wire/MessageType.ts"
import { PeerAddress } from "./wire/PeerAddress.ts"
import type { Peers, StellarMessage, Tagged } from "./wire/StellarMessage.ts"

/**
 * Addresses kept, those told by peers included.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_CANDIDATES = 1000

/**
 * Messages remembered to leave out repeats, at most: several ledgers' worth of a large network. The last half of them at
 * least is remembered at any time.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_REMEMBERED = 65_536

/**
 * What to follow.
 *
 * @category models
 * @since 0.1.0
 */
export interface FollowOptions<Tag extends MessageTag> {
  /** Where to begin: addresses as text. Those that cannot be read are left out. */
  readonly addresses: ReadonlyArray<string>
  /** The messages wanted; SCP messages by default. */
  readonly tags?: ReadonlyArray<Tag> | undefined
  /** Connections held at once, 3 by default: one may lie or lag, and the others still tell. */
  readonly connections?: number | undefined
  /** A peer that sends nothing wanted for this long is exchanged; 30 s by default, 0 for never. */
  readonly staleMillis?: number | undefined
  /** Whether addresses from PEERS are tried when all others are in use or failing; yes by default. */
  readonly learnPeers?: boolean | undefined
  /** Told about every connection that ended or failed, with what was learned. */
  readonly onDrop?: ((dropped: PeerDropped) => void) | undefined
}

/** Waits between attempts at one address double from the first to the last of these. */
const FIRST_RETRY_MILLIS = 1000
const LAST_RETRY_MILLIS = 60_000

interface Candidate {
  readonly address: PeerAddress
  inUse: boolean
  failures: number
  notBefore: number
  versions: Peer.PeerOptions["versions"]
}

/**
 * Follows the network. The stream never fails and never ends by itself: while no peer can be reached it waits and tries
 * again, and `onDrop` says why. Pulling it slowly slows all peers.
 *
 * **Example** (Externalized ledgers)
 *
 * ```ts
 * import { Console, Stream } from "effect"
 * import { Follow } from "@stellar-overlay/overlay"
 *
 * const ledgers = Follow.follow({ addresses: ["core-testnet1.stellar.org", "core-testnet2.stellar.org"] }).pipe(
 *   Stream.filter(({ message }) => message.statementType === "EXTERNALIZE"),
 *   Stream.runForEach(({ message }) => Console.log(message.slotIndex))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const follow = <Tag extends MessageTag = "ScpMessage">(
  options: FollowOptions<Tag>
): Stream.Stream<Received<Tagged<Tag>>, never, LocalNode | Transport> =>
  Stream.unwrap(Effect.gen(function*() {
    const { config, crypto } = yield* LocalNode
    const clock = yield* Clock.Clock
    const queue = yield* Effect.acquireRelease(Queue.bounded<Received<Tagged<Tag>>>(256), Queue.shutdown)
    const wanted = new Set<MessageTag>(options.tags ?? ["ScpMessage"])
    const isWanted = (message: StellarMessage): message is Tagged<Tag> => wanted.has(message._tag)
    const candidates = new Map<string, Candidate>()
    /** Messages seen: the newest, and before them as many older ones. */
    let seen = new Set<string>()
    let seenBefore = new Set<string>()
    const millis = () => readMillis(clock)

    const addCandidate = (address: PeerAddress): void => {
      if (candidates.has(address.key) || candidates.size >= MAX_CANDIDATES) return
      candidates.set(address.key, { address, inUse: false, failures: 0, notBefore: 0, versions: undefined })
    }
    for (const text of options.addresses) {
      const address = PeerAddress.parse(text, { ipv6: config.ipv6 })
      if (Result.isSuccess(address)) addCandidate(address.success)
    }

    const learn = (message: Peers): void => {
      if (options.learnPeers === false) return
      for (const address of message.addresses) {
        if (address.isRoutable || config.allowLocalhostForTesting) addCandidate(address)
      }
    }

    /** The free candidate that is due, or will be first; the one with fewest failures among those due. */
    const choose = (): Candidate | undefined => {
      let best: Candidate | undefined
      const now = millis()
      const rank = ({ failures, notBefore }: Candidate) => Math.max(0, notBefore - now) * 1000 + failures
      for (const candidate of candidates.values()) {
        if (!candidate.inUse && (best === undefined || rank(candidate) < rank(best))) best = candidate
      }
      return best
    }

    const isNew = (message: StellarMessage): boolean => {
      const key = String.fromCharCode(...crypto.sha256(message.bytes))
      if (seen.has(key) || seenBefore.has(key)) return false
      if (seen.size >= MAX_REMEMBERED / 2) {
        seenBefore = seen
        seen = new Set()
      }
      seen.add(key)
      return true
    }

    /** Hands on what a peer sends until it ends or goes stale. */
    const consume = (peer: Peer.Peer, candidate: Candidate) => {
      let lastUseful = millis()
      const forward = Stream.runForEachArray(peer.messages, (messages) => {
        const fresh: Array<Received<Tagged<Tag>>> = []
        for (const message of messages) {
          if (message._tag === "Peers") learn(message)
          if (!isWanted(message)) continue
          lastUseful = millis()
          candidate.failures = 0
          if (isNew(message)) {
            fresh.push({ message: message.retain(), peer: peer.id, receivedAt: clock.currentTimeMillisUnsafe() })
          }
        }
        return fresh.length === 0 ? Effect.void : Effect.asVoid(Queue.offerAll(queue, fresh))
      })
      const stale = options.staleMillis ?? 30_000
      if (stale === 0) return forward
      const watch = Effect.gen(function*() {
        while (true) {
          if (Queue.isFullUnsafe(queue)) lastUseful = millis() // it is the reader who is slow
          const left = lastUseful + stale - millis()
          if (left <= 0) break
          yield* Effect.sleep(Math.ceil(left))
        }
        candidate.failures++
        candidate.notBefore = millis() + stale
        yield* peer.drop(DropReason.make("Shutdown"))
      })
      return Effect.raceFirst(forward, Effect.andThen(watch, Effect.never))
    }

    const failed = (candidate: Candidate, dropped: PeerDropped): void => {
      options.onDrop?.(dropped)
      candidate.failures++
      const wait = Math.min(LAST_RETRY_MILLIS, FIRST_RETRY_MILLIS * 2 ** Math.min(candidate.failures - 1, 10))
      candidate.notBefore = millis() + wait
      const { remote } = dropped
      // A peer on newer versions only: announce what it asks for, as its own next release would, and see.
      if (remote !== undefined && remote.overlayMinVersion > config.overlayVersion) {
        const { overlayMinVersion } = config
        candidate.versions = { overlayVersion: remote.overlayMinVersion, overlayMinVersion }
      }
    }

    /** One of the connections: for ever from one candidate to the next. */
    const keepOne = Effect.gen(function*() {
      while (true) {
        const candidate = choose()
        const wait = candidate === undefined ? FIRST_RETRY_MILLIS : candidate.notBefore - millis()
        if (candidate === undefined || wait > 0) {
          yield* Effect.sleep(Math.min(FIRST_RETRY_MILLIS, Math.ceil(wait)))
          continue
        }
        candidate.inUse = true
        yield* Peer.connect(candidate.address, { versions: candidate.versions }).pipe(
          Effect.flatMap((peer) => consume(peer, candidate)),
          Effect.scoped,
          Effect.catchTag("PeerDropped", (dropped) => Effect.sync(() => failed(candidate, dropped))),
          // A bug, perhaps of `onDrop`, costs this connection and not all later ones.
          Effect.catchDefect((defect) => Effect.logError("A defect ended a connection", defect)),
          Effect.ensuring(Effect.sync(() => {
            candidate.inUse = false
            candidate.notBefore = Math.max(candidate.notBefore, millis() + FIRST_RETRY_MILLIS)
          }))
        )
      }
    })

    for (let i = options.connections ?? 3; i > 0; i--) yield* Effect.forkScoped(keepOne)
    return Stream.fromQueue(queue)
  }))
