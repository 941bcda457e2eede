/**
 * The lists by themselves: who gets a place, who loses it, and that no sequence of events loses count.
 */
import { assert, describe, it } from "@effect/vitest"
import * as World from "@stellar-overlay/overlay-test/World"
import type { DropTag } from "@stellar-overlay/overlay/DropReason"
import type { RemoteFacts, Role } from "@stellar-overlay/overlay/protocol/Handshake"
import {
  type Entry,
  type PeerLimits,
  PeerRegistry,
  type Preferences
} from "@stellar-overlay/overlay/protocol/PeerRegistry"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect } from "effect"

const idOf = (i: number): NodeId.NodeId => NodeId.fromBytes(new Uint8Array(32).fill(i))
const self = idOf(100)
const at = (i: number, port = 11625) => PeerAddress.make(`10.${i}.0.1`, port)

const roomy: PeerLimits = {
  maxInbound: 64,
  maxOutbound: 8,
  maxInboundPending: 444,
  maxOutboundPending: 56,
  possiblyPreferredExtra: 2,
  maxPendingPerAddress: 4,
  maxPendingPerSubnet24: 16,
  maxPendingPerSubnet16: 64,
  evictPendingAfterMillis: Infinity,
  preferredPeersOnly: false,
  mutualDials: "winner"
}

const make = (limits: Partial<PeerLimits> = {}, preferences: Partial<Preferences> = {}) => {
  const registry = new PeerRegistry(self, { ...roomy, ...limits }, {
    isExempt: () => false,
    isPreferredAddress: () => false,
    isPossiblyPreferred: () => false,
    isPreferredKey: () => false,
    dispensable: () => undefined,
    ...preferences
  })
  const drops: Array<readonly [number, DropTag]> = []
  const facts = (i: number, role: Role): RemoteFacts => ({
    role,
    id: idOf(i),
    address: at(i),
    ledgerVersion: 27,
    overlayVersion: 42,
    overlayMinVersion: 38,
    version: "",
    networkId: new Uint8Array(32),
    listeningPort: 11625,
    certificateExpiration: 0n
  })
  const reserve = (i: number, role: Role, now = 0): Entry | DropTag => {
    const entry = role === "initiator"
      ? registry.reserveOutbound(at(i), now)
      : registry.reserveInbound(at(i, 50_000), now)
    if ("_tag" in entry) return entry._tag
    entry.drop = (reason) => void drops.push([i, reason._tag])
    return entry
  }
  const hello = (i: number, role: Role): Entry => {
    const entry = reserve(i, role)
    assert.isObject(entry)
    assert.isUndefined(registry.hello(entry as Entry, facts(i, role)))
    return entry as Entry
  }
  /** A connection through its whole handshake: the entry, or why it was refused. */
  const connect = (i: number, role: Role): Entry | DropTag => {
    const entry = hello(i, role)
    const refused = registry.authenticate(entry)
    if (refused === undefined) return entry
    registry.release(entry)
    return refused._tag
  }
  return { registry, drops, facts, reserve, hello, connect }
}

describe("PeerRegistry", () => {
  it("OVM-11 a full list refuses, and each direction has its own", () => {
    for (const role of ["initiator", "acceptor"] as const) {
      const { connect, registry } = make({ maxInbound: 2, maxOutbound: 2 })
      assert.isObject(connect(1, role))
      assert.isObject(connect(2, role))
      assert.strictEqual(connect(3, role), "PeerRejected")
      assert.isObject(connect(4, role === "initiator" ? "acceptor" : "initiator"))
      assert.strictEqual(registry.authenticatedCount(role), 2)
      assert.strictEqual(registry.authenticatedCount(), 3)
    }
  })

  it("OVM-11 PEE-05 a preferred peer evicts the first non-preferred one in the order of node ids", () => {
    const { connect, drops, registry } = make({ maxInbound: 3 }, {
      isPreferredKey: (id) => id === idOf(9) || id === idOf(1)
    })
    for (const i of [5, 1, 3]) connect(i, "acceptor")
    assert.isObject(connect(9, "acceptor"))
    assert.deepStrictEqual(drops, [[3, "PreferredPeerSelected"]])
    assert.deepStrictEqual(registry.authenticated("acceptor").map(({ remote }) => remote!.id), [1, 5, 9].map(idOf))
  })

  it("OVM-11 OVM-12 when only preferred peers are there, a preferred one is refused too", () => {
    const { connect, drops } = make({ maxInbound: 1 }, { isPreferredKey: () => true })
    connect(1, "acceptor")
    assert.strictEqual(connect(2, "acceptor"), "PeerRejected")
    assert.deepStrictEqual(drops, [])
  })

  it("OVM-12 preferred by address, by host and by key, with and without PREFERRED_PEERS_ONLY: the four combinations", () => {
    for (const preferredPeersOnly of [true, false]) {
      for (const isPreferred of [true, false]) {
        for (const by of [{ isPreferredAddress: () => isPreferred }, { isPreferredKey: () => isPreferred }]) {
          const { connect } = make({ preferredPeersOnly }, by)
          const result = connect(1, "acceptor")
          if (preferredPeersOnly && !isPreferred) assert.strictEqual(result, "PeerRejected")
          else assert.isObject(result)
        }
      }
    }
    // A caller is preferred by the address it announced, not by the one its socket has.
    const announced = make({}, { isPreferredAddress: ({ port }) => port === 11625 })
    const entry = announced.reserve(1, "acceptor") as Entry
    assert.isFalse(announced.registry.isPreferred(entry))
    announced.registry.hello(entry, announced.facts(1, "acceptor"))
    assert.isTrue(announced.registry.isPreferred(entry))
  })

  it("OVM-13 pending callers are let in exactly up to the limit, and two more from possibly preferred hosts", () => {
    const { registry, reserve } = make({ maxInboundPending: 5 }, {
      isPossiblyPreferred: ({ host }) => host === "10.77.0.1"
    })
    const entries = [1, 2, 3, 4, 5].map((i) => reserve(i, "acceptor") as Entry)
    assert.strictEqual(reserve(6, "acceptor"), "PendingInboundFull")
    assert.isObject(reserve(77, "acceptor"))
    assert.isObject(reserve(77, "acceptor"))
    assert.strictEqual(reserve(77, "acceptor"), "PendingInboundFull")
    assert.strictEqual(registry.pendingCount("acceptor"), 7)
    registry.release(entries[0]!)
    assert.strictEqual(reserve(6, "acceptor"), "PendingInboundFull", "the two extra places are no places for others")
  })

  it("OVM-13 OVM-14 a socket that is closing counts as pending until it is closed, whatever it was before", () => {
    const { connect, registry, reserve } = make({ maxInboundPending: 1 })
    const entry = connect(1, "acceptor") as Entry
    assert.isObject(connect(2, "acceptor"), "authenticated ones do not count")
    registry.close(entry)
    assert.deepStrictEqual([registry.authenticatedCount(), registry.closingCount, registry.size], [1, 1, 2])
    assert.strictEqual(reserve(3, "acceptor"), "PendingInboundFull")
    registry.release(entry)
    assert.deepStrictEqual([registry.closingCount, registry.size], [0, 1])
    assert.isObject(reserve(3, "acceptor"))
  })

  it("T1 H18 pending callers of one host, /24 and /16 are bounded, and places come back", () => {
    const { registry } = make()
    const call = (host: string) => registry.reserveInbound(PeerAddress.make(host, 1), 0)
    const entries = [1, 2, 3, 4].map(() => call("20.1.1.1"))
    const refused = (host: string) => {
      const result = call(host)
      return "_tag" in result ? result._tag : undefined
    }
    assert.strictEqual(refused("20.1.1.1"), "PerAddressLimit")
    for (let i = 2; i < 5; i++) for (let j = 0; j < 4; j++) assert.isUndefined(refused(`20.1.1.${i}`))
    assert.strictEqual(refused("20.1.1.9"), "PerSubnetLimit")
    for (let i = 2; i < 5; i++) for (let j = 0; j < 16; j++) assert.isUndefined(refused(`20.1.${i}.${j >> 2}`))
    assert.strictEqual(refused("20.1.9.9"), "PerSubnetLimit")
    assert.isUndefined(refused("20.2.0.1"))
    registry.release(entries[0] as Entry)
    assert.isUndefined(refused("20.1.1.1"))
    assert.strictEqual(refused("20.1.1.1"), "PerAddressLimit")
  })

  it("T1 in a full list the oldest silent caller of the largest subnet goes, if it had its time", () => {
    const { drops, facts, registry, reserve } = make({ maxInboundPending: 4, evictPendingAfterMillis: 200 })
    reserve(1, "acceptor", 0)
    const talking = reserve(2, "acceptor", 0) as Entry
    registry.hello(talking, facts(2, "acceptor"))
    for (const port of [1, 2]) {
      const entry = registry.reserveInbound(PeerAddress.make("10.3.0.9", port), 10) as Entry
      entry.drop = (reason) => void drops.push([300 + port, reason._tag])
    }
    assert.strictEqual(reserve(5, "acceptor", 200), "PendingInboundFull")
    assert.isObject(reserve(5, "acceptor", 211))
    assert.deepStrictEqual(drops, [[301, "PendingInboundFull"]])
    assert.strictEqual(registry.pendingCount("acceptor"), 4)
    drops.length = 0
    assert.isObject(reserve(6, "acceptor", 212))
    assert.isObject(reserve(7, "acceptor", 213))
    assert.deepStrictEqual(drops.map(([i]) => i), [302, 1], "the crowded subnet first, then the oldest")
    // Who has said HELLO has four times as long.
    assert.strictEqual(reserve(8, "acceptor", 214), "PendingInboundFull")
    assert.strictEqual(registry.size, 4 + 3, "three sockets are closing")
  })

  it("OVM-10 OVM-23 found by address: outbound before inbound, pending before authenticated, closing not at all", () => {
    const { connect, hello, registry } = make()
    const inbound = connect(1, "acceptor") as Entry
    assert.strictEqual(registry.find(at(1)), inbound)
    const promotion = registry.reserveOutbound(at(1), 0, true) as Entry
    assert.strictEqual(promotion.role, "initiator")
    assert.strictEqual(registry.find(at(1)), promotion)
    assert.property(registry.reserveOutbound(at(1), 0, true), "_tag")
    registry.close(promotion)
    assert.strictEqual(registry.find(at(1)), inbound)
    const pending = hello(2, "acceptor")
    assert.strictEqual(registry.find(at(2)), pending)
    assert.strictEqual(registry.find(at(2, 50_000)), pending)
    assert.deepStrictEqual(registry.connectionsWith(idOf(2)), [pending])
    registry.release(pending)
    assert.strictEqual(registry.find(at(2)), undefined)
    assert.deepStrictEqual(registry.connectionsWith(idOf(2)), [])
  })

  it("H11 HSK-10 an authenticated connection always stays; of two pending ones in one direction the acceptor keeps the first", () => {
    const { connect, drops, facts, hello, registry, reserve } = make()
    connect(1, "acceptor")
    const second = registry.reserveOutbound(at(1), 0, true) as Entry
    assert.strictEqual(registry.hello(second, facts(1, "initiator"))?._tag, "AlreadyConnected")
    hello(2, "acceptor")
    assert.strictEqual(registry.hello(reserve(2, "acceptor") as Entry, facts(2, "acceptor"))?._tag, "AlreadyConnected")
    assert.deepStrictEqual(drops, [])
  })

  it("H11 HSK-10 of two crossed dials the node with the greater id keeps its own, the other waits; core drops the later", () => {
    for (const [i, isGreater] of [[1, true], [200, false]] as const) {
      const { drops, facts, hello, registry } = make()
      hello(i, "acceptor")
      const own = registry.reserveOutbound(at(i), 0, true) as Entry
      assert.isUndefined(registry.hello(own, facts(i, "initiator")))
      assert.deepStrictEqual(drops, isGreater ? [[i, "MutualDialLost"]] : [])
      assert.strictEqual(registry.pendingCount("acceptor"), isGreater ? 0 : 1)
      const core = make({ mutualDials: "core" })
      core.hello(i, "acceptor")
      assert.strictEqual(
        core.registry.hello(core.registry.reserveOutbound(at(i), 0, true) as Entry, facts(i, "initiator"))?._tag,
        "AlreadyConnected"
      )
    }
  })

  it("OVM-22 OVM-23 CON-06 whatever the order of events, nobody is in two lists and every place comes back once, 60 seeds", () =>
    Effect.runSync(World.runSeeds(60, () =>
      Effect.gen(function*() {
        const draw = (yield* World.World).random("test")
        const below = (n: number) => draw.nextBelowUnsafe(n)
        const limits = {
          maxInbound: 3,
          maxOutbound: 2,
          maxInboundPending: 5,
          maxOutboundPending: 4,
          evictPendingAfterMillis: 5
        }
        const { facts, registry } = make(limits, { isPreferredKey: (id) => id === idOf(1) || id === idOf(2) })
        const alive = new Set<Entry>()
        const ends = new Map<Entry, number>()
        for (let step = 0; step < 200; step++) {
          const entries = [...alive]
          const entry = entries[below(entries.length)]
          const i = below(6) + 1
          switch (below(6)) {
            case 0:
            case 1: {
              const made = below(2) === 0
                ? registry.reserveOutbound(at(i), step, below(2) === 0)
                : registry.reserveInbound(at(i, 50_000 + step), step)
              if ("_tag" in made) break
              made.drop = () => {
                ends.set(made, (ends.get(made) ?? 0) + 1)
                registry.close(made)
              }
              alive.add(made)
              break
            }
            case 2:
              if (entry?.state !== "pending" || entry.remote !== undefined) break
              if (registry.hello(entry, facts(i, entry.role)) !== undefined) registry.close(entry)
              break
            case 3:
              if (entry?.state !== "pending" || entry.remote === undefined) break
              if (registry.authenticate(entry) !== undefined) registry.close(entry)
              break
            case 4:
              if (entry !== undefined) registry.close(entry)
              break
            case 5:
              if (entry === undefined) break
              registry.release(entry)
              registry.release(entry) // a second time changes nothing
              alive.delete(entry)
          }
          const byState = (state: Entry["state"], role?: Role) =>
            [...alive].filter((one) => one.state === state && (role === undefined || one.role === role)).length
          assert.strictEqual(registry.size, alive.size)
          assert.strictEqual(registry.closingCount, byState("closing"))
          for (const role of ["initiator", "acceptor"] as const) {
            assert.strictEqual(registry.pendingCount(role), byState("pending", role))
            assert.strictEqual(registry.pending(role).length, byState("pending", role))
            assert.strictEqual(registry.authenticatedCount(role), byState("authenticated", role))
          }
          assert.isAtMost(registry.authenticatedCount("acceptor"), 3)
          assert.isAtMost(registry.authenticatedCount("initiator"), 2)
          assert.isAtMost(registry.pendingCount("initiator"), 4)
          assert.isAtMost(byState("pending", "acceptor"), 5)
          const ids = registry.authenticated().map(({ remote }) => remote!.id)
          assert.strictEqual(new Set(ids).size, ids.length, "one connection with a node")
        }
        for (const count of ends.values()) assert.strictEqual(count, 1)
        for (const entry of alive) registry.release(entry)
        assert.strictEqual(registry.size, 0)
        for (let i = 0; i < 4; i++) assert.notProperty(registry.reserveOutbound(at(20 + i), 999), "_tag")
        for (let i = 0; i < 4; i++) assert.notProperty(registry.reserveInbound(at(9, 50_000 + i), 999), "_tag")
      }))))

  it("OVM-02 for shutdown: inbound first, then outbound", () => {
    const { connect, registry, reserve } = make()
    connect(1, "initiator")
    connect(2, "acceptor")
    reserve(3, "initiator")
    reserve(4, "acceptor")
    assert.deepStrictEqual(registry.all().map(({ role }) => role), ["acceptor", "acceptor", "initiator", "initiator"])
  })
})
