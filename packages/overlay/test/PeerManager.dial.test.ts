import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { PeerManagerShape } from "@stellar-overlay/overlay/PeerManager"
import { core } from "@stellar-overlay/overlay/PeerManagerConfig"
import { PeerType } from "@stellar-overlay/overlay/PeerStore"
import { defaultDialLimits } from "@stellar-overlay/overlay/protocol/DialLimiter"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { addressOf, keys, open, record } from "./peerFixtures.ts"

const { Inbound, Outbound, Preferred } = PeerType

const at = (host: string, port = 11625) => PeerAddress.make(host, port)
const from = at("8.8.8.8")

const failures = (peers: PeerManagerShape, address: PeerAddress) => peers.load(address).numFailures

describe("PeerManager, dialling", () => {
  it.effect("PMG-08 an attempt counts as a failure before it is made, and is not repeated within its back-off", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      peers.store(record({ address: addressOf(1), type: Outbound, lastSuccessMillis: 1 }))
      assert.isUndefined(peers.attemptStarted(addressOf(1)))
      assert.strictEqual(failures(peers, addressOf(1)), 1)
      const { nextAttemptMillis } = peers.load(addressOf(1))
      assert.isAtLeast(nextAttemptMillis, 1000)
      assert.isAtMost(nextAttemptMillis, 20_000)
      yield* TestClock.adjust(nextAttemptMillis - 1)
      assert.strictEqual(peers.attemptStarted(addressOf(1)), "NotDue")
      assert.strictEqual(failures(peers, addressOf(1)), 1, "a refused attempt is none")
      yield* TestClock.adjust(1)
      assert.isUndefined(peers.attemptStarted(addressOf(1)))
      assert.strictEqual(failures(peers, addressOf(1)), 2)
    }))

  it.effect("PMG-08 an address that was never heard of is stored by the attempt", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      assert.isUndefined(peers.attemptStarted(addressOf(1)))
      assert.deepStrictEqual([peers.load(addressOf(1)).type, failures(peers, addressOf(1))], [Inbound, 1])
    }))

  const fair: ReadonlyArray<readonly [what: string, reason: DropReason.DropReason]> = [
    ["a duplicate or a promotion, seen here", DropReason.make("AlreadyConnected", "GABCD")],
    ["a duplicate, as the peer says", DropReason.fromErrorMessage(2, "already-connected peer: GABCD")],
    ["ERR_LOAD from the peer", DropReason.fromErrorMessage(4, "peer rejected")],
    ["no slot of ours", DropReason.make("PeerRejected")],
    ["the losing half of a mutual dial", DropReason.make("MutualDialLost", "GABCD")],
    ["our shutdown", DropReason.make("Shutdown")]
  ]
  for (const [what, reason] of fair) {
    it.effect(`PMG-10 ${what} is not a failure: the counter is unchanged, the back-off stays`, () =>
      Effect.gen(function*() {
        const peers = yield* open()
        peers.store(record({ address: addressOf(1), numFailures: 5 }))
        peers.attemptStarted(addressOf(1))
        assert.strictEqual(failures(peers, addressOf(1)), 6)
        const { nextAttemptMillis } = peers.load(addressOf(1))
        peers.connectionEnded(addressOf(1), "initiator", reason)
        assert.strictEqual(failures(peers, addressOf(1)), 5)
        assert.isAtLeast(peers.load(addressOf(1)).nextAttemptMillis, nextAttemptMillis)
        peers.connectionEnded(addressOf(1), "initiator", reason)
        assert.strictEqual(failures(peers, addressOf(1)), 5, "taken back once")
        peers.updateBackoff(addressOf(1), "Increase")
        peers.connectionEnded(addressOf(1), "initiator", reason)
        assert.strictEqual(failures(peers, addressOf(1)), 6, "another failure is not of that attempt")
      }))
  }

  const unfair: ReadonlyArray<DropReason.DropReason> = [
    DropReason.make("ConnectionRefused", "ECONNREFUSED"),
    DropReason.make("ConnectTimeout", "5000 ms"),
    DropReason.make("HandshakeTimeout", 2000),
    DropReason.make("CertificateInvalid"),
    DropReason.fromErrorMessage(2, "wrong protocol version")
  ]
  for (const reason of unfair) {
    it.effect(`PMG-10 ${reason._tag} is a failure`, () =>
      Effect.gen(function*() {
        const peers = yield* open()
        peers.store(record({ address: addressOf(1), numFailures: 5 }))
        peers.attemptStarted(addressOf(1))
        peers.connectionEnded(addressOf(1), "initiator", reason)
        assert.strictEqual(failures(peers, addressOf(1)), 6)
        peers.attemptForgiven(addressOf(1))
        assert.strictEqual(failures(peers, addressOf(1)), 6, "the attempt is over")
      }))
  }

  it.effect("PMG-10 P7 what happens to a caller's connection says nothing about its address", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      peers.store(record({ address: addressOf(1), numFailures: 5 }))
      const before = peers.load(addressOf(1))
      for (const reason of [...unfair, ...fair.map(([, reason]) => reason)]) {
        peers.connectionEnded(addressOf(1), "acceptor", reason)
      }
      assert.deepStrictEqual(peers.load(addressOf(1)), before)
    }))

  it.effect("PMG-10 with the preset core every attempt counts until AUTH", () =>
    Effect.gen(function*() {
      const peers = yield* open(core)
      peers.attemptStarted(addressOf(1))
      peers.connectionEnded(addressOf(1), "initiator", DropReason.make("AlreadyConnected", "GABCD"))
      assert.strictEqual(failures(peers, addressOf(1)), 1)
    }))

  it.effect("PMG-10 failures of long ago count half for each day, in the next attempt", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      peers.store(record({ address: addressOf(1), numFailures: 40 }))
      yield* TestClock.adjust("2 days")
      assert.strictEqual(failures(peers, addressOf(1)), 40)
      peers.attemptStarted(addressOf(1))
      assert.strictEqual(failures(peers, addressOf(1)), 11)
      const strict = yield* open(core)
      strict.store(record({ address: addressOf(1), numFailures: 40 }))
      strict.attemptStarted(addressOf(1))
      assert.strictEqual(failures(strict, addressOf(1)), 41)
    }))

  it.effect("PMG-10 a peer that keeps having no room is dialled less and less, without a failure", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      const address = addressOf(1)
      peers.store(record({ address, type: Outbound }))
      let dials = 0
      for (let second = 0; second < 7200; second++) {
        if (peers.attemptStarted(address) === undefined) {
          dials++
          peers.helloReceived(address, "initiator")
          peers.authenticated(address, "initiator") // core sends AUTH before it refuses
          peers.connectionEnded(address, "initiator", DropReason.fromErrorMessage(4, "peer rejected"))
          assert.strictEqual(failures(peers, address), 0)
        }
        yield* TestClock.adjust("1 second")
      }
      // without the growing pause it would be one dial each 5.5 s on average: 1300
      assert.isBelow(dials, 30)
      yield* TestClock.adjust("3 hours")
      peers.attemptStarted(address)
      peers.authenticated(address, "initiator")
      peers.connectionEnded(address, "initiator", DropReason.make("RemoteClosed"))
      assert.isAtMost(peers.load(address).nextAttemptMillis, (7200 + 10_800 + 10) * 1000)
    }))

  it.effect("P8 an advertised host is dialled three times an hour, all its ports together", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      const victim = (port: number) => at("1.2.3.4", port)
      let dials = 0
      const minutes: Array<number> = []
      for (let minute = 0; minute < 180; minute++) {
        peers.receivePeers(Array.from({ length: 100 }, (_, i) => victim(2000 + 100 * minute + i)), from)
        for (let port = 2000; port < 20_000; port++) {
          if (peers.get(victim(port)) === undefined || peers.attemptStarted(victim(port)) !== undefined) continue
          dials++
          minutes.push(minute)
        }
        yield* TestClock.adjust("1 minute")
      }
      assert.strictEqual(dials, 9)
      assert.deepStrictEqual(minutes, [0, 0, 0, 60, 60, 60, 120, 120, 120])
    }))

  it.effect("P8 IPv6 hosts of one /48 share their dials", () =>
    Effect.gen(function*() {
      const peers = yield* open({ ipv6: true })
      const refusals = [1, 2, 3, 4].map((i) => peers.attemptStarted(at(`2a00:1450:1::${i}`)))
      assert.deepStrictEqual(refusals, [undefined, undefined, undefined, "HostLimit"])
      assert.isUndefined(peers.attemptStarted(at("2a00:1450:2::1")))
    }))

  it.effect("P8 ports below 1024 are refused, unless they are allowed or the operator says so", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      const low = at("1.2.3.4", 443)
      peers.helloReceived(low, "acceptor")
      assert.strictEqual(peers.attemptStarted(low), "Port")
      assert.strictEqual(failures(peers, low), 0)
      assert.isUndefined(peers.attemptStarted(at("1.2.3.4", 1024)))
      assert.isUndefined(peers.attemptStarted(low, { force: true }))
      peers.storeConfigPeers({ known: [low], preferred: [] }, { startup: true })
      assert.isUndefined(peers.attemptStarted(low))
      const knob = yield* open({ dials: { ...defaultDialLimits, allowedLowPorts: [443] } })
      assert.isUndefined(knob.attemptStarted(low))
    }))

  it.effect("P8 addresses that proved to be nodes, and configured ones, are limited by their back-off alone", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      const [proven, configured] = [addressOf(1), addressOf(2)]
      peers.store(record({ address: proven, type: Outbound, lastSuccessMillis: 1 }))
      peers.storeConfigPeers({ known: [configured], preferred: [] })
      let dials = 0
      for (let second = 0; second < 600; second++) {
        for (const address of [proven, configured]) if (peers.attemptStarted(address) === undefined) dials++
        yield* TestClock.adjust("1 second")
      }
      assert.isAbove(dials, 6)
    }))

  it.effect("P8 with the preset core nothing but the back-off limits dials", () =>
    Effect.gen(function*() {
      const peers = yield* open(core)
      for (let port = 1; port <= 50; port++) assert.isUndefined(peers.attemptStarted(at("1.2.3.4", port)))
    }))

  it.effect("OVM-04 OMG-008 configured peers are stored with their types, failures forgotten, due now", () =>
    Effect.gen(function*() {
      const peers = yield* open({ allowLocalhost: true })
      const known = [64_000, 64_001, 64_002].map((port) => at("127.0.0.1", port))
      const preferred = [2011, 2012, 2013, 2014].map((port) => at("127.0.0.1", port))
      peers.store(record({ address: known[0]!, numFailures: 50, nextAttemptMillis: 9_000 }))
      yield* TestClock.adjust("5 seconds")
      peers.storeConfigPeers({ known, preferred }, { startup: true, complete: true })
      assert.strictEqual(peers.size(), 7)
      for (const address of known) {
        assert.deepStrictEqual(peers.load(address), record({ address, type: Outbound, nextAttemptMillis: 5000 }))
        assert.isFalse(peers.isPreferred(address))
      }
      for (const address of preferred) {
        assert.deepStrictEqual(peers.load(address), record({ address, type: Preferred, nextAttemptMillis: 5000 }))
        assert.isTrue(peers.isPreferred(address))
      }
      assert.isTrue(peers.isPossiblyPreferred(at("127.0.0.1", 9)))
      assert.isFalse(peers.isPossiblyPreferred(at("127.0.0.2", 2011)))
    }))

  it.effect("OVM-04 OMG-010 a later round changes types but no back-off, and replaces the preferred set", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      peers.storeConfigPeers({ known: [addressOf(1)], preferred: [addressOf(2)] }, { startup: true })
      peers.attemptStarted(addressOf(1))
      const before = peers.load(addressOf(1))
      peers.storeConfigPeers({ known: [], preferred: [addressOf(1)] })
      assert.deepStrictEqual(peers.load(addressOf(1)), { ...before, type: Preferred })
      assert.deepStrictEqual([peers.isPreferred(addressOf(1)), peers.isPreferred(addressOf(2))], [true, false])
    }))

  it.effect("OVM-04 a peer taken out of the preferred list is outbound when all names are known, or when it is met", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      const old = record({ address: addressOf(1), type: Preferred })
      peers.store(old)
      peers.storeConfigPeers({ known: [addressOf(1)], preferred: [] }, { startup: true, complete: false })
      assert.strictEqual(peers.load(addressOf(1)).type, Preferred, "a missing name could still lead there")
      peers.storeConfigPeers({ known: [addressOf(1)], preferred: [] }, { complete: true })
      assert.strictEqual(peers.load(addressOf(1)).type, Outbound)
      const likeCore = yield* open(core)
      likeCore.store(old)
      likeCore.storeConfigPeers({ known: [addressOf(1)], preferred: [] }, { startup: true, complete: true })
      assert.strictEqual(likeCore.load(addressOf(1)).type, Preferred)
      likeCore.helloReceived(addressOf(1), "initiator")
      assert.strictEqual(likeCore.load(addressOf(1)).type, Outbound)
    }))

  it.effect("PMG-08 candidates are due, of the type asked for, accepted by the caller, and none twice", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      for (let i = 0; i < 40; i++) {
        peers.store(record({
          address: addressOf(i),
          type: i % 2 === 0 ? Outbound : Inbound,
          nextAttemptMillis: i < 30 ? 0 : 1000,
          numFailures: i < 20 ? 120 : 121
        }))
      }
      const accept = (address: PeerAddress) => address.key !== addressOf(4).key
      const found = peers.connectCandidates(Outbound, 50, { accept })
      assert.deepStrictEqual(keys(found), keys([0, 2, 6, 8, 10, 12, 14, 16, 18].map(addressOf)))
      assert.strictEqual(peers.connectCandidates(Outbound, 0, {}).length, 0)
      assert.strictEqual(peers.connectCandidates(Inbound, 3, {}).length, 3)
    }))

  it.effect("PMG-08 a row that changed since its batch was drawn is not handed out", () =>
    Effect.gen(function*() {
      const peers = yield* open()
      for (let i = 0; i < 100; i++) peers.store(record({ address: addressOf(i), type: Outbound }))
      assert.strictEqual(peers.connectCandidates(Outbound, 1, {}).length, 1)
      for (let i = 0; i < 33; i++) peers.attemptStarted(addressOf(i))
      for (let i = 33; i < 66; i++) peers.updateType(addressOf(i), Preferred, true)
      for (let i = 66; i < 100; i++) peers.remove(addressOf(i))
      assert.deepStrictEqual(peers.connectCandidates(Outbound, 1, {}), [])
    }))
})
