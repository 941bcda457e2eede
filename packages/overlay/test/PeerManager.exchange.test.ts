import { assert, describe, it } from "@effect/vitest"
import { core, type PeerManagerConfig } from "@stellar-overlay/overlay/PeerManagerConfig"
import { PeerType } from "@stellar-overlay/overlay/PeerStore"
import { encodeEntry, PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Random } from "effect"
import { addressOf, keys, local, makeRandom, open, record } from "./peerFixtures.ts"

const { Inbound, Outbound } = PeerType

/** Who tells us. */
const from = PeerAddress.make("8.8.8.8", 11625)

const at = (host: string, port = 11625) => PeerAddress.make(host, port)

describe("PeerManager, PEERS", () => {
  const requests: ReadonlyArray<
    readonly [title: string, rows: readonly [number, number, number, number], ReadonlyArray<readonly [number, number]>]
  > = [
    ["PDB-023 no peers", [0, 0, 0, 0], [[0, 0], [10, 0], [50, 0]]],
    ["PDB-024 less than requested, only inbound", [8, 0, 0, 0], [[10, 8], [50, 8]]],
    ["PDB-025 less than requested, only outbound", [0, 0, 8, 0], [[10, 8], [50, 8]]],
    ["PDB-026 less than requested, mixed", [4, 0, 4, 0], [[10, 8], [50, 8]]],
    ["PDB-027 as many as requested, only inbound", [8, 0, 0, 0], [[8, 8]]],
    ["PDB-028 as many as requested, only outbound", [0, 0, 8, 0], [[8, 8]]],
    ["PDB-029 as many as requested, mixed", [4, 0, 4, 0], [[8, 8]]],
    ["PDB-030 more than requested, only inbound", [50, 0, 0, 0], [[30, 30]]],
    ["PDB-031 more than requested, only outbound", [0, 0, 50, 0], [[30, 30]]],
    ["PDB-032 more than requested, mixed", [25, 0, 25, 0], [[30, 30]]],
    ["PDB-033 more than requested but half failed, only inbound", [25, 25, 0, 0], [[30, 25]]],
    ["PDB-034 more than requested but half failed, only outbound", [0, 0, 25, 25], [[30, 25]]],
    ["PDB-035 more than requested but half failed, mixed", [13, 12, 13, 12], [[30, 26]]]
  ]
  for (const [title, [inbound, inboundFailed, outbound, outboundFailed], sizes] of requests) {
    it.effect(`${title}: getPeersToSend`, () =>
      Effect.gen(function*() {
        const peers = yield* open({ allowLocalhost: true })
        let port = 1
        const add = (count: number, type: PeerType, numFailures: number) => {
          for (let i = 0; i < count; i++) peers.store(record({ address: local(port++), type, numFailures }))
        }
        add(inbound, Inbound, 0)
        add(inboundFailed, Inbound, 11)
        add(outbound, Outbound, 0)
        add(outboundFailed, Outbound, 11)
        for (const [size, expected] of sizes) {
          const sent = peers.getPeersToSend(size, at("127.0.0.255", 1))
          assert.strictEqual(sent.length, expected)
          assert.strictEqual(new Set(keys(sent)).size, expected, "no address twice")
          for (const address of sent) assert.isAtMost(peers.load(address).numFailures, 10)
        }
      }))
  }

  it.effect("PMG-07 outbound addresses go first; the receiver, private addresses and failures over 10 do not go", () =>
    Effect.gen(function*() {
      const peers = yield* open({ allowPrivate: false })
      for (let i = 0; i < 5; i++) peers.store(record({ address: addressOf(i), type: Outbound, numFailures: 10 }))
      for (let i = 5; i < 15; i++) peers.store(record({ address: addressOf(i) }))
      peers.store(record({ address: addressOf(20), type: Outbound, numFailures: 11 }))
      peers.store(record({ address: addressOf(21), numFailures: 11 }))
      for (const host of ["10.0.0.1", "172.16.0.1", "192.168.0.1"]) {
        peers.store(record({ address: at(host), type: Outbound }))
      }
      const five = peers.getPeersToSend(5, from)
      assert.deepStrictEqual(keys(five), keys([0, 1, 2, 3, 4].map(addressOf)))
      const all = peers.getPeersToSend(50, addressOf(3))
      const expected = Array.from({ length: 15 }, (_, i) => addressOf(i)).filter((address) =>
        address.key !== addressOf(3).key
      )
      assert.deepStrictEqual(keys(all), keys(expected))
      assert.deepStrictEqual(keys(all.slice(0, 4)), keys([0, 1, 2, 4].map(addressOf)))
    }))

  it.effect("PMG-07 an address leaves as core's test has it: 4 bytes, port 256, no failures", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      peers.store(record({ address: at("1.25.50.200", 256), numFailures: 7 }))
      const [address] = peers.getPeersToSend(50, from)
      assert.deepStrictEqual([...encodeEntry(address!)!], [0, 0, 0, 0, 1, 25, 50, 200, 0, 0, 1, 0, 0, 0, 0, 0])
    }))

  const refused: ReadonlyArray<readonly [what: string, address: PeerAddress]> = [
    ["private 10/8", at("10.1.2.3")],
    ["private 172.16/12", at("172.31.255.255")],
    ["private 192.168/16", at("192.168.1.2")],
    ["loopback", at("127.0.0.1")],
    ["another loopback", at("127.9.9.9")],
    ["unspecified", at("0.0.0.0")],
    ["0.0.0.0/8", at("0.1.2.3")],
    ["shared 100.64/10", at("100.64.0.1")],
    ["link-local", at("169.254.1.1")],
    ["multicast", at("224.0.0.1")],
    ["reserved", at("240.0.0.1")],
    ["broadcast", at("255.255.255.255")],
    ["IPv4-mapped private", at("::ffff:10.0.0.1")],
    ["IPv4-mapped loopback", at("::ffff:127.0.0.1")],
    ["IPv6 while off", at("2a00:1450::1")],
    ["port 0", at("1.2.3.4", 0)],
    ["a low port", at("1.2.3.4", 53)],
    ["no host", PeerAddress.make("", 11625)],
    ["a name", at("example.org")],
    ["the sender's host at our port, which is us", at("8.8.8.8", 11625)]
  ]
  for (const [what, address] of refused) {
    it.effect(`P1 PEERS with ${what}: not stored`, () =>
      Effect.gen(function*() {
        const peers = yield* open()
        assert.deepStrictEqual(peers.receivePeers([address], from), { added: 0, known: 0, refused: 1, full: 0 })
        assert.strictEqual(peers.size(), 0)
      }))
  }

  it.effect("P1 P7 good addresses are stored once as inbound, untried, due, whatever the sender says of them", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      const good = [at("1.2.3.4"), at("1.2.3.4", 11626), at("172.32.0.1"), at("8.8.8.8", 11626)]
      assert.deepStrictEqual(peers.receivePeers([...good, good[0]!], from), { added: 4, known: 1, refused: 0, full: 0 })
      for (const address of good) {
        assert.deepStrictEqual(peers.load(address), record({ address, source: "8.8.0.0/16" }))
      }
    }))

  it.effect("CFG-05 P1 IPv6 addresses are kept and passed on when enabled, but not those that lead nowhere", () =>
    Effect.gen(function*() {
      const peers = yield* open({ ipv6: true })
      const bad = ["::1", "fe80::1", "fc00::1", "ff02::1", "2001:db8::1", "::"].map((host) => at(host))
      assert.strictEqual(peers.receivePeers([at("2a00:1450::1"), ...bad], from).added, 1)
      assert.deepStrictEqual(keys(peers.getPeersToSend(50, from)), ["[2a00:1450::1]:11625"])
      const off = yield* open()
      off.store(record({ address: at("2a00:1450::1"), type: Outbound }))
      assert.deepStrictEqual(off.getPeersToSend(50, from), [])
    }))

  it.effect("P1 H10 the sender's host at the port the system chose for us is us, and at the usual port it is not", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      peers.listeningAt(40_123)
      const addresses = [at("8.8.8.8", 40_123), at("8.8.8.8", 11_625)]
      assert.deepStrictEqual(peers.receivePeers(addresses, from), { added: 1, known: 0, refused: 1, full: 0 })
    }))

  it.effect("P1 H10 an address that proved to be ourselves is not stored or dialled again, and 64 are remembered", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      peers.receivePeers([addressOf(1)], from)
      peers.rememberSelf(addressOf(1))
      assert.strictEqual(peers.size(), 0)
      assert.strictEqual(peers.receivePeers([addressOf(1)], from).refused, 1)
      assert.isFalse(peers.ensureExists(addressOf(1)))
      assert.strictEqual(peers.attemptStarted(addressOf(1)), "Self")
      for (let i = 2; i < 65; i++) peers.rememberSelf(addressOf(i))
      assert.strictEqual(peers.dialRefusal(addressOf(1)), "Self")
      peers.rememberSelf(addressOf(65))
      assert.isUndefined(peers.dialRefusal(addressOf(1)))
    }))

  it.effect("P1 with the preset core, what core refuses is refused and the rest is stored", () =>
    Effect.gen(function*() {
      const peers = yield* open(core)
      const all = [at("10.0.0.1"), at("127.0.0.1"), at("100.64.0.1"), at("224.0.0.1"), at("1.2.3.4", 53)]
      peers.receivePeers(all, from)
      assert.deepStrictEqual(keys(peers.all().map((row) => row.address)), [
        "1.2.3.4:53",
        "100.64.0.1:11625",
        "224.0.0.1:11625"
      ])
      const testing = yield* open({ ...core, allowLocalhost: true, allowPrivate: true })
      assert.strictEqual(testing.receivePeers(all, from).added, 5)
    }))

  it.effect("P1 no more than 100 addresses are taken from one message", () =>
    Effect.gen(function*() {
      const peers = yield* open({ ...core })
      assert.strictEqual(peers.receivePeers(Array.from({ length: 150 }, (_, i) => addressOf(i)), from).added, 100)
    }))

  const flood = (config: Partial<PeerManagerConfig>, sources: number) =>
    Effect.gen(function*() {
      const random = makeRandom()
      const peers = yield* open(config)
      for (let message = 0; message < 1000; message++) {
        const addresses = Array.from({ length: 100 }, () => {
          const part = () => Math.floor(random.service.nextDoubleUnsafe() * 256)
          return at(`${20 + (part() % 60)}.${part()}.${part()}.${part()}`, 1024 + part())
        })
        peers.receivePeers(addresses, at(`100.${message % sources}.3.4`))
      }
      return peers
    })

  it.effect("P4 PMG-09 100 000 gossiped addresses of one source subnet leave 64 rows", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* flood({}, 1)).size(), 64)
    }))

  it.effect("P4 PMG-09 100 000 gossiped addresses of many sources stay within every bound", () =>
    Effect.gen(function*() {
      const limits = { maxRows: 1000, maxRowsPerSource: 64, maxRowsPerTarget: 32 }
      const peers = yield* flood({ limits }, 60)
      assert.strictEqual(peers.size(), 1000)
      const bySource = new Map<string, number>()
      const byTarget = new Map<string, number>()
      for (const { address, source } of peers.all()) {
        bySource.set(source, (bySource.get(source) ?? 0) + 1)
        byTarget.set(address.subnet16, (byTarget.get(address.subnet16) ?? 0) + 1)
      }
      assert.isAtMost(Math.max(...bySource.values()), 64)
      assert.isAtMost(Math.max(...byTarget.values()), 32)
      // 1000 rows over 60 sources: nobody is more than one row ahead of somebody else
      assert.deepStrictEqual([Math.min(...bySource.values()), Math.max(...bySource.values())], [16, 17])
    }))

  it.effect("P4 PMG-09 100 000 gossiped addresses of 250 sources do not grow the table past 10 000 rows", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* flood({}, 250)).size(), 10_000)
    }))

  it.effect("P4 a caller that announces many ports has rows for one subnet's share of them", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      for (let port = 1024; port < 3024; port++) peers.helloReceived(at("1.2.3.4", port), "acceptor")
      assert.strictEqual(peers.size(), 32)
    }))

  it.effect("PMG-07 drawn addresses depend on the Random service alone", () =>
    Effect.gen(function*() {
      const draw = (seed: number) =>
        Effect.gen(function*() {
          const peers = yield* open()
          for (let i = 0; i < 200; i++) peers.ensureExists(addressOf(i))
          return peers.getPeersToSend(50, from).join()
        }).pipe(Effect.scoped, Random.withSeed(seed))
      assert.strictEqual(yield* draw(1), yield* draw(1))
      assert.notStrictEqual(yield* draw(1), yield* draw(2))
    }))
})
