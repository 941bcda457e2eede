/**
 * What an overlay does every three seconds: follow the configuration, and find peers where some are missing.
 *
 * Implements protocol.md 9.1 to 9.4 (stellar-core: `OverlayManagerImpl::start`, `tick`).
 */
import * as Effect from "effect/Effect"
import type { BanList } from "../BanList.ts"
import * as DropReason from "../DropReason.ts"
import type { Values } from "../OverlayConfig.ts"
import type { OverlayHost } from "../OverlayHost.ts"
import type { Peer } from "../Peer.ts"
import type { PeerManager } from "../PeerManager.ts"
import * as PeerResolution from "../PeerResolution.ts"
import type { Peers } from "../Peers.ts"
import { OutOfSyncTimer } from "../protocol/OutOfSyncTimer.ts"
import { PeerType, REALLY_DEAD_FAILURES } from "../protocol/PeerBackoff.ts"
import type { PeerAddress } from "../wire/PeerAddress.ts"

export const START_DELAY_MILLIS = 2000
export const CANDIDATES_PER_TICK = 50
export const TARGET_WITHOUT_INBOUND = 3

export interface TickOptions {
  readonly config: Values
  readonly peers: Peers["Service"]
  readonly manager: PeerManager["Service"]
  readonly bans: BanList["Service"]
  readonly host: OverlayHost["Service"]
  /** Monotonic milliseconds. */
  readonly millis: () => number
  readonly followLedger: () => void
}

/** What a peer told that nobody had told before. */
const usefulMessages = ({ session: { stats } }: Peer): number => stats.uniqueFloodMessages + stats.uniqueFetchMessages

/** A step that failed is a bug, and no reason to stand still. */
const survive = (name: string) => (self: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.catchDefect(self, (defect) => Effect.logError(`A defect in the overlay's ${name}`, defect))

/** Starts after 2 s, and never ends. */
export const run = (options: TickOptions) => {
  const { bans, config, followLedger, host, manager, millis, peers } = options
  const { registry } = peers
  const outOfSync = new OutOfSyncTimer()
  /** Useful messages of a peer when the out-of-sync clock was last started. */
  const usefulBefore = new WeakMap<Peer, number>()

  const dialSome = (type: PeerType, most: number): number => {
    const outbound = registry.all().flatMap((entry) => entry.role === "initiator" ? [entry.address] : [])
    const promotion = type === PeerType.Inbound
    const candidates = manager.connectCandidates(type, Math.min(most, CANDIDATES_PER_TICK), {
      accept: (address) => {
        const existing = registry.find(address)
        return existing === undefined || (promotion && existing.role === "acceptor")
      },
      outbound
    })
    let started = 0
    for (const address of candidates) if (peers.dial(address, { promotion })) started++
    return started
  }

  /** 9.4. The only peer that told something new in the last minute stays: without it nothing would be left. */
  const rotate = (isFull: boolean): void => {
    const { since } = outOfSync
    if (outOfSync.shouldRotate(host.ledger().isTracking, isFull, millis())) {
      const useful = peers.authenticated().filter((peer) => usefulMessages(peer) > (usefulBefore.get(peer) ?? 0))
      const unlucky = peers.randomAuthenticated("initiator").find((peer) =>
        !peers.isPreferred(peer) && !(useful.length === 1 && useful[0] === peer)
      )
      if (unlucky !== undefined) peers.drop(unlucky.id, DropReason.make("OutOfSyncRotation"))
    }
    if (outOfSync.since === since) return
    for (const peer of peers.authenticated()) usefulBefore.set(peer, usefulMessages(peer))
  }

  /** 9.3, steps 4 to 9. Nothing in it waits: a dial is a fiber of its own. */
  const connectSome = (): void => {
    const { maxOutbound } = registry.limits
    let pending = registry.freeOutboundPending()
    if (pending === 0) return
    const free = () => {
      const isCalled = registry.authenticatedCount("acceptor") > 0
      const goal = isCalled ? maxOutbound : Math.min(TARGET_WITHOUT_INBOUND, maxOutbound)
      return Math.max(0, goal - registry.authenticatedCount("initiator"))
    }

    pending -= dialSome(PeerType.Preferred, Math.min(pending, free() + registry.nonPreferredCount("initiator")))
    rotate(free() === 0 && pending > 0)
    if (pending > 0 && free() > 0) {
      pending -= dialSome(PeerType.Outbound, pending > 1 ? Math.min(pending - 1, free()) : pending)
    }
    if (pending > 0) dialSome(PeerType.Inbound, pending)
  }

  /** Outbound peers, those that stayed longest first. */
  const anchors = (): Array<PeerAddress> => {
    const outbound = registry.authenticated("initiator").sort((a, b) => a.since - b.since)
    return outbound.map((entry) => entry.address)
  }

  const tick = (resolution: PeerResolution.PeerResolution): Effect.Effect<void> =>
    Effect.sync(() => {
      const resolved = resolution.take()
      if (resolved !== undefined) manager.storeConfigPeers(resolved, { complete: resolved.complete })
      bans.sweep()
      followLedger()
      connectSome()
      manager.rememberAnchors(anchors())
    })

  return Effect.gen(function*() {
    yield* Effect.sleep(START_DELAY_MILLIS)
    const { ipv6, knownPeers: known, preferredPeers: preferred } = config
    const resolution = yield* PeerResolution.make({ known, preferred, ipv6 })
    yield* survive("start")(Effect.sync(() => {
      manager.storeConfigPeers(resolution.initial, { startup: true, complete: resolution.initial.complete })
      manager.removePeersWithManyFailures(REALLY_DEAD_FAILURES)
    }))
    while (true) {
      yield* survive("tick")(tick(resolution))
      yield* Effect.sleep((config.peerAuthenticationTimeoutSeconds + 1) * 1000)
    }
  }).pipe(Effect.scoped)
}
