import { assert, describe, it } from "@effect/vitest"
import type { PeerManagerShape } from "@stellar-overlay/overlay/PeerManager"
import { core } from "@stellar-overlay/overlay/PeerManagerConfig"
import { makeMemory, PeerType } from "@stellar-overlay/overlay/PeerStore"
import { select } from "@stellar-overlay/overlay/protocol/PeerSelection"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Random } from "effect"
import { TestClock } from "effect/testing"
import { addressOf, keys, makeRandom, open, record } from "./peerFixtures.ts"

const { Inbound, Outbound } = PeerType

const at = (host: string, port = 11625) => PeerAddress.make(host, port)

/** What a tick does until all outbound slots are taken or nothing is left to try; every dial succeeds. */
const fill = (peers: PeerManagerShape, slots: number, type: PeerType): Array<PeerAddress> => {
  const outbound: Array<PeerAddress> = []
  for (let tick = 0; tick < 50 && outbound.length < slots; tick++) {
    const taken = new Set(keys(outbound))
    const accept = (address: PeerAddress) => !taken.has(address.key)
    for (const address of peers.connectCandidates(type, slots - outbound.length, { accept, outbound })) {
      assert.isUndefined(peers.attemptStarted(address))
      outbound.push(address)
    }
  }
  return outbound
}

const isAttacker = (address: PeerAddress) => address.host.startsWith("66.6.")

/** One /16 with 10 000 addresses, told by 200 of the attacker's nodes and by itself as a caller, and 40 honest nodes. */
const oneSubnet = (peers: PeerManagerShape) => {
  for (let i = 0; i < 10_000; i += 50) {
    const addresses = Array.from({ length: 50 }, (_, j) => at(`66.6.${(i + j) >> 8}.${(i + j) & 255}`))
    peers.receivePeers(addresses, at(`66.${i % 100}.0.1`))
    for (const address of addresses) peers.helloReceived(address, "acceptor")
  }
  peers.receivePeers(Array.from({ length: 40 }, (_, i) => addressOf(i)), at("8.8.8.8"))
}

describe("PeerManager, eclipse", () => {
  it.effect("P5 one /16 with 10 000 addresses gets at most one of 8 outbound connections, 30 seeds", () =>
    Effect.gen(function*() {
      let attackers = 0
      for (let seed = 0; seed < 30; seed++) {
        const peers = yield* Random.withSeed(open(), seed)
        oneSubnet(peers)
        const outbound = fill(peers, 8, Inbound)
        assert.strictEqual(outbound.length, 8)
        const count = outbound.filter(isAttacker).length
        assert.isAtMost(count, 1)
        attackers += count
      }
      assert.isBelow(attackers, 15, "one subnet of 41 is drawn in one start of five")
    }))

  it.effect("P5 with the preset core the same attacker gets most of them", () =>
    Effect.gen(function*() {
      const random = makeRandom()
      const peers = yield* Effect.provideService(open(core), Random.Random, random.service)
      oneSubnet(peers)
      assert.isAbove(fill(peers, 8, Inbound).filter(isAttacker).length, 6)
    }))

  it.effect(
    "P5 with a fifth of all subnets an attacker never takes all of 8 connections, 10 000 seeds",
    () =>
      Effect.gen(function*() {
        const peers = yield* open()
        // subnets 20.0 to 21.243: every fifth is the attacker's, who fills them as far as the bounds allow; the honest
        // rest has one node each
        const isHostile = (i: number) => i % 5 === 0
        for (let i = 0; i < 500; i++) {
          const host = (j: number) => at(`${20 + (i >> 8)}.${i & 255}.1.${j}`)
          const count = isHostile(i) ? 32 : 1
          peers.receivePeers(
            Array.from({ length: count }, (_, j) => host(j + 1)),
            at(`${100 + (i % 100)}.${i >> 2}.0.1`)
          )
        }
        const rows = peers.all().map((row) => ({ ...row, group: row.address.subnet16 }))
        const hostile = (address: PeerAddress) => {
          const [high, low] = address.host.split(".").map(Number)
          return isHostile(((high! - 20) << 8) + low!)
        }
        assert.isAbove(rows.filter((row) => hostile(row.address)).length, 3000)
        const random = makeRandom()
        const query = { due: true, maxFailures: 120, type: Inbound }
        let eclipsed = 0
        let taken = 0
        for (let seed = 0; seed < 10_000; seed++) {
          random.seed(seed)
          const drawn = select(rows, query, {
            size: 8,
            nowMillis: 0,
            mode: "diverse",
            draw: random.service.nextDoubleUnsafe,
            groupOf: (row) => row.group
          })
          const count = drawn.filter((row) => hostile(row.address)).length
          assert.strictEqual(new Set(drawn.map((row) => row.group)).size, 8)
          taken += count
          if (count === 8) eclipsed++
        }
        assert.strictEqual(eclipsed, 0)
        assert.approximately(taken / 10_000, 8 * 0.2, 0.05, "as many as its share of subnets, not of addresses")
      }),
    30_000
  )

  it.effect("P5 a second connection into a subnet waits for the first to end; configured peers do not count", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      const subnet = [1, 2, 3].map((i) => at(`1.2.3.${i}`))
      for (const address of subnet) peers.store(record({ address, type: Outbound }))
      assert.strictEqual(peers.connectCandidates(Outbound, 8, {}).length, 1)
      assert.deepStrictEqual(peers.connectCandidates(Outbound, 8, { outbound: [at("1.2.9.9")] }), [])
      assert.strictEqual(peers.connectCandidates(Outbound, 8, { outbound: [at("1.3.9.9")] }).length, 1)
      peers.storeConfigPeers({ known: subnet, preferred: [] }, { startup: true })
      assert.strictEqual(peers.connectCandidates(Outbound, 8, { outbound: [at("1.2.9.9")] }).length, 3)
    }))

  it.effect("P5 on a test network every loopback address is a subnet of its own", () =>
    Effect.gen(function*() {
      const peers = yield* open({ allowLocalhost: true })
      for (let port = 2000; port < 2100; port++) peers.ensureExists(at("127.0.0.1", port))
      assert.strictEqual(peers.size(), 100)
      assert.strictEqual(fill(peers, 8, Inbound).length, 8)
    }))

  it.effect("P6 outbound peers of the last run are tried first after a restart, whatever gossip filled the table", () =>
    Effect.gen(function*() {
      const store = makeMemory()
      const honest = [1, 2, 3].map((i) => addressOf(i))
      yield* Effect.scoped(Effect.gen(function*() {
        const peers = yield* open({}, store)
        for (const address of honest) {
          peers.attemptStarted(address)
          peers.helloReceived(address, "initiator")
          peers.authenticated(address, "initiator")
        }
        peers.rememberAnchors(honest)
        for (let i = 0; i < 2000; i++) {
          peers.store(record({ address: at(`${100 + (i % 100)}.${i >> 3}.0.1`), type: Outbound }))
        }
        peers.rememberAnchors([]) // everybody is gone, as at shutdown: the anchors stay
        assert.deepStrictEqual(keys(peers.anchors()), keys(honest))
      }))
      yield* TestClock.adjust("11 seconds") // longer than b(0)
      const peers = yield* open({}, store)
      assert.deepStrictEqual(keys(peers.anchors()), keys(honest))
      const first = peers.connectCandidates(Outbound, 8, {})
      assert.strictEqual(first.length, 8)
      assert.deepStrictEqual(keys(first.slice(0, 3)), keys(honest))
      for (const address of first) peers.attemptStarted(address)
      yield* TestClock.adjust("1 minute")
      const later = peers.connectCandidates(Outbound, 8, {})
      assert.notDeepEqual(keys(later.slice(0, 3)), keys(honest), "first, not always")
    }))

  it.effect("P6 anchors are of different subnets if possible, stay while connected, and are replaced by successors", () =>
    Effect.gen(function*() {
      const peers = yield* open({ maxAnchors: 2 })
      const [a, sameSubnet, b, c] = [at("1.2.0.1"), at("1.2.0.2"), at("3.4.0.1"), at("5.6.0.1")]
      for (const address of [a, sameSubnet, b, c]) peers.store(record({ address, type: Outbound }))
      peers.rememberAnchors([a, sameSubnet, b, c])
      assert.deepStrictEqual(keys(peers.anchors()), keys([a, b]))
      peers.rememberAnchors([c, b])
      assert.deepStrictEqual(keys(peers.anchors()), keys([b, c]))
      peers.rememberAnchors([c])
      assert.deepStrictEqual(keys(peers.anchors()), keys([b, c]))
      peers.rememberAnchors([a, sameSubnet])
      assert.deepStrictEqual(keys(peers.anchors()), keys([a, sameSubnet]))
      assert.deepStrictEqual(peers.all().filter((row) => row.anchor).length, 2)
      assert.strictEqual((yield* anchorsOf({ ...core })).length, 0)
    }))

  it.effect("P7 nothing that others say or do makes a proven address look worse", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      const honest = addressOf(1)
      peers.attemptStarted(honest)
      peers.authenticated(honest, "initiator")
      peers.helloReceived(honest, "initiator")
      const before = peers.load(honest)
      for (let i = 0; i < 200; i++) {
        peers.receivePeers([honest], at(`66.6.${i}.1`))
        peers.helloReceived(honest, "acceptor")
        peers.ensureExists(honest, at(`66.6.${i}.1`))
      }
      for (let i = 0; i < 100; i++) {
        peers.receivePeers(Array.from({ length: 100 }, (_, j) => at(`20.1.${i}.${j}`)), at(`66.${i}.0.1`))
      }
      assert.deepStrictEqual(peers.load(honest), before)
    }))
})

const anchorsOf = (config: Parameters<typeof open>[0]) =>
  Effect.map(open(config), (peers) => {
    peers.store(record({ address: addressOf(1), type: Outbound }))
    peers.rememberAnchors([addressOf(1)])
    return peers.anchors()
  })
