/** One option for all of core's behaviour: what each part of a node does with it. */
import { assert, describe, it } from "@effect/vitest"
import { BanList } from "@stellar-overlay/overlay/BanList"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import { Peers } from "@stellar-overlay/overlay/Peers"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Context, Effect, Layer } from "effect"

const start = (options: NodeOverlay.NodeOptions = {}) =>
  Effect.map(Layer.build(NodeOverlay.layerNode({ network: "standalone", listen: false, ...options })), (services) => {
    const bans = Context.get(services, BanList)
    const sinner = NodeId.fromBytes(new Uint8Array(32).fill(7))
    return {
      config: Context.get(services, OverlayConfig.OverlayConfig),
      limits: Context.get(services, Peers).registry.limits,
      /** Whether gossip about an address that no node can have is believed. */
      believes: () => {
        const from = PeerAddress.make("8.8.8.8", 11_625)
        return Context.get(services, PeerManager).receivePeers([PeerAddress.make("224.0.0.1", 11_625)], from).added ===
          1
      },
      /** Whether a thousand violations of one node are as good as none. */
      forgives: () => {
        for (let i = 0; i < 1000; i++) bans.recordDrop(sinner, DropReason.make("UnexpectedSendMore"))
        return !bans.isBanned(sinner)
      }
    }
  })

describe("preset core", () => {
  it.live("CFG-01 without it every part is stricter than core", () =>
    Effect.gen(function*() {
      const { believes, config, forgives, limits } = yield* start()
      assert.deepStrictEqual([config.strictCoreTimers, config.mutualDials], [false, "winner"])
      assert.deepStrictEqual([limits.evictPendingAfterMillis, limits.maxPendingPerAddress], [200, 4])
      assert.deepStrictEqual([believes(), forgives()], [false, false])
    }))

  it.live("CFG-01 with it configuration, admission, addresses and bans are core's", () =>
    Effect.gen(function*() {
      const { believes, config, forgives, limits } = yield* start({ preset: "core" })
      assert.deepInclude(config, OverlayConfig.core)
      assert.strictEqual(config.networkPassphrase, OverlayConfig.passphrases.standalone)
      assert.deepStrictEqual([limits.evictPendingAfterMillis, limits.maxPendingPerAddress], [Infinity, 0x7fffffff])
      assert.deepStrictEqual([believes(), forgives()], [true, true])
    }))

  it.live("CFG-01 what is given besides holds", () =>
    Effect.gen(function*() {
      const { believes, config, limits } = yield* start({
        preset: "core",
        strictCoreTimers: false,
        peers: { evictPendingAfterMillis: 1000 },
        peerManager: { routableOnly: true }
      })
      assert.deepStrictEqual([config.strictCoreTimers, config.mutualDials], [false, "core"])
      assert.strictEqual(limits.evictPendingAfterMillis, 1000)
      assert.isFalse(believes())
    }))
})
