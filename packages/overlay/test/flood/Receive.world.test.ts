/** What a node does with what comes in: SCP messages, transactions, addresses. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { xdr } from "@stellar/stellar-base"
import { Effect, Fiber } from "effect"
import { toHex } from "../../src/internal/bytes.ts"
import { Transport } from "../../src/Transport.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { FloodAdvert, Peers, type StellarMessage, TxSet } from "../../src/wire/StellarMessage.ts"
import { hashOf, hexOf, hexOfAny, quorumSet, scpMessage, sha256, transaction, txSet } from "./messages.ts"
import { copies, dropsOf, hashesIn, inWorld, MemoryHost, type Node, start, Tap } from "./network.ts"
import { dial } from "./scripted.ts"

/** Waits as a peer that is called, at an address of its own, until the node has dialled it and both are authenticated. */
const called = Effect.fnUntraced(function*(node: Node, n: number) {
  const ip = `10.${200 + n}.0.1`
  const transport = yield* Effect.provide(Transport, LoopbackTransport.layerAt(ip))
  const listener = yield* transport.listen({ host: ip, port: 11625 })
  const accepting = yield* Effect.forkScoped(ScriptedPeer.accept(listener, { seed: `called ${n}` }))
  const dialling = yield* Effect.forkScoped(node.overlay.connect(PeerAddress.make(ip, 11625)))
  const peer = yield* Fiber.join(accepting)
  yield* peer.handshake()
  yield* Fiber.join(dialling)
  peer.script.answersPings = true
  return peer
})

describe("what comes in", () => {
  it.effect("PEE-11 FLD-08 FLD-09 every copy of an SCP message goes to the host, unless one is with it; it is relayed once", () => {
    const tap = new Tap()
    return inWorld(
      6,
      { tap },
      Effect.gen(function*() {
        let received = 0
        let delay = 0
        const host = new MemoryHost({
          receiveScp: (messages) =>
            Effect.suspend(() => {
              received += messages.length
              return Effect.as(Effect.sleep(delay), messages.map(() => ({ _tag: "relay" as const })))
            })
        })
        const node = yield* start(0, { host })
        const peers = [yield* dial(node, 1), yield* dial(node, 2), yield* dial(node, 3)]
        const sayAll = (message: StellarMessage) => Effect.forEach(peers.slice(0, 2), (peer) => peer.say(message))
        for (const peer of peers.slice(0, 2)) {
          yield* peer.say(scpMessage(1))
          yield* peer.expectOpen(10)
        }
        assert.strictEqual(received, 2)
        delay = 100
        yield* sayAll(scpMessage(2))
        yield* peers[2]!.expectOpen(1000)
        assert.strictEqual(received, 3)
        assert.strictEqual(node.flood.stats.alreadyScheduled, 1)
        // The third peer was told of both; of the two that sent the second message neither was.
        const sent = (peer: number) =>
          tap.sent.filter(({ message, to }) => message._tag === "ScpMessage" && to === `10.${200 + peer}.0.1`).map((
            { message }
          ) => hexOfAny(message))
        assert.deepStrictEqual(sent(3), [scpMessage(1), scpMessage(2)].map(hexOfAny))
        assert.deepStrictEqual([sent(1), sent(2)], [[], [hexOfAny(scpMessage(1))]])
        assert.isTrue(
          [...copies(tap.sent.filter(({ from }) => from === node.ip), "ScpMessage").values()].every((n) => n === 1)
        )
      })
    )
  })

  it.effect("PEE-11 FLD-08 of a copy that the host knows it hears by a question; its sender counts as having it", () => {
    const tap = new Tap()
    return inWorld(
      6,
      { tap },
      Effect.gen(function*() {
        let received = 0
        const asked: Array<string> = []
        const host = new MemoryHost({
          receiveScp: (messages) =>
            Effect.sync(() => {
              received += messages.length
              return messages.map(() => ({ _tag: "relay" as const }))
            }),
          knowsScp: (message, from) => {
            asked.push(from)
            return received > 0 && message.slotNumber === 1
          }
        })
        const node = yield* start(0, { host })
        const peers = [yield* dial(node, 1), yield* dial(node, 2)]
        for (const peer of peers) {
          yield* peer.say(scpMessage(1))
          yield* peer.expectOpen(100)
        }
        assert.deepStrictEqual([received, asked.length, new Set(asked).size], [1, 2, 2])
        yield* peers[0]!.say(scpMessage(2))
        yield* peers[1]!.expectOpen(100)
        assert.strictEqual(received, 2)
        // Both sent the first message, one of them after it was told.
        const stats = node.overlay.peers.authenticated().find(({ address }) => address.host === "10.202.0.1")?.stats
        assert.deepStrictEqual(
          [stats?.uniqueFloodMessages, stats?.duplicateFloodMessages],
          [0, 1]
        )
        assert.lengthOf(
          node.flood.gate.getPeersKnows(sha256(scpMessage(1).bytes), node.overlay.peers.authenticated()),
          2
        )
      })
    )
  })

  it.effect("FLD-08 ITF-01 a copy of what waits for a set is not judged again; once nothing waits, it is", () =>
    inWorld(
      8,
      {},
      Effect.gen(function*() {
        let received = 0
        const host = new MemoryHost({
          receiveScp: (messages) =>
            Effect.sync(() => {
              received += messages.length
              return messages.map(() => ({ _tag: "hold" as const, txSets: [txSet(1).hash], quorumSets: [] }))
            })
        })
        const node = yield* start(0, { host })
        const peers = [yield* dial(node, 1), yield* dial(node, 2)]
        const sayAll = Effect.forEach(peers, (peer) => Effect.andThen(peer.say(scpMessage(5)), peer.expectOpen(100)))
        yield* sayAll
        assert.deepStrictEqual([received, node.fetcher.txSets.waiting], [1, 1])
        // Both may be asked for the set: the one that sent a copy as well.
        assert.lengthOf(
          node.flood.gate.getPeersKnows(sha256(scpMessage(5).bytes), node.overlay.peers.authenticated()),
          2
        )
        node.fetcher.stopOutsideRange(6, 10, 0)
        assert.strictEqual(node.fetcher.txSets.waiting, 0)
        yield* sayAll
        assert.deepStrictEqual([received, node.fetcher.txSets.waiting], [2, 1])
      })
    ))

  it.effect("PEE-11 FLD-04 what the host discards is forgotten, and told if it is said again", () =>
    inWorld(
      7,
      {},
      Effect.gen(function*() {
        let verdict: "discard" | "relay" = "discard"
        const host = new MemoryHost({
          receiveScp: (messages) => Effect.succeed(messages.map(() => ({ _tag: verdict })))
        })
        const node = yield* start(0, { host })
        const [from, to] = [yield* dial(node, 1), yield* dial(node, 2)]
        yield* from.say(scpMessage(1))
        yield* from.expectOpen(10)
        assert.deepStrictEqual([node.flood.gate.size, node.flood.stats.scpDiscarded], [0, 1])
        verdict = "relay"
        yield* from.say(scpMessage(1))
        yield* to.expect("ScpMessage", 10)
      })
    ))

  it.effect("PEE-11 FET-09 what is held goes to the host once more when all that it names has come, and is then relayed", () =>
    inWorld(
      8,
      {},
      Effect.gen(function*() {
        const [T, Q] = [txSet(1), quorumSet(1)]
        const have = new Set<string>()
        const from: Array<string | undefined> = []
        const missing = (hashes: ReadonlyArray<Uint8Array>) => hashes.filter((hash) => !have.has(toHex(hash)))
        const host = new MemoryHost({
          receiveScp: (messages, peer) =>
            Effect.sync(() =>
              messages.map(() => {
                from.push(peer)
                const needs = { txSets: missing([T.hash]), quorumSets: missing([Q.hash]) }
                return needs.txSets.length + needs.quorumSets.length === 0
                  ? { _tag: "relay" as const }
                  : { _tag: "hold" as const, ...needs }
              })
            ),
          receiveTxSet: (hash) => Effect.sync(() => (have.add(toHex(hash)), true)),
          receiveQuorumSet: (hash) => Effect.sync(() => (have.add(toHex(hash)), true))
        })
        const node = yield* start(0, { host })
        const [sender, other] = [yield* dial(node, 1), yield* dial(node, 2)]
        yield* sender.say(scpMessage(1))
        // The one that sent it is asked.
        yield* sender.expect("GetTxSet", 10)
        yield* sender.expect(
          (frame) => frame.message?._tag === "GetScpQuorumSet" && toHex(frame.message.hash) === toHex(Q.hash),
          10
        )
        yield* sender.say(T.message)
        yield* other.expectNone(1000, "ScpMessage")
        yield* sender.say(Q.message)
        assert.strictEqual(hexOfAny(yield* other.expect("ScpMessage", 10)), hexOfAny(scpMessage(1)))
        assert.deepStrictEqual(from, [sender.script.id, undefined, undefined])
        yield* other.expectNone(5000, "ScpMessage")
      })
    ))

  it.effect("PEE-12 a transaction reaches the host once while it has it; a rejected one is forgotten by the gate, a duplicate is not", () =>
    inWorld(
      9,
      {},
      Effect.gen(function*() {
        const verdicts: Array<"pending" | "duplicate" | "rejected" | "banned"> = [
          "pending",
          "duplicate",
          "rejected",
          "banned"
        ]
        let received = 0
        const messages = [1, 2, 3, 4].map((n) => transaction(n))
        const host = new MemoryHost({
          receiveTransactions: (messages) =>
            Effect.sync(() => (received += messages.length, messages.map((_, i) => verdicts[i % 4]!))),
          transaction: (hash) => toHex(hash) === hexOf(messages[0]!) ? messages[0] : undefined
        })
        const node = yield* start(0, { host })
        const [sender, other] = [yield* dial(node, 1), yield* dial(node, 2)]
        yield* sender.sayAll([...messages, messages[0]!])
        // In a round of 200 ms, and 100 ms for more hashes to come along.
        const advert = yield* other.expect("FloodAdvert", 350)
        assert.deepStrictEqual(hashesIn([advert]), [hexOf(messages[0]!)])
        assert.strictEqual(received, 4) // the fifth came while the first was with the host
        assert.strictEqual(node.flood.gate.size, 2)
        assert.deepStrictEqual([node.flood.demands.relevant, node.flood.demands.irrelevant], [1, 3])
      })
    ))

  // EXPERIMENTAL_TX_BATCH_MAX_SIZE of stellar-core's test builds: such a set is five transactions there.
  it.effect("OVM-17 FLC-040 a transaction set that test builds take for a batch is a set nobody asked for", () =>
    inWorld(
      31,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        const peer = yield* dial(node)
        const batch = TxSet.make({
          body: new xdr.TransactionSet({
            previousLedgerHash: Buffer.alloc(32, 1),
            txes: [1, 2, 3, 4, 5].map((n) => xdr.TransactionEnvelope.fromXDR(Buffer.from(transaction(n).envelope)))
          })
        })
        yield* peer.say(batch)
        yield* peer.expectOpen(1000)
        assert.deepStrictEqual([node.host.transactionsReceived, node.flood.gate.size], [0, 0])
        assert.strictEqual(node.fetcher.txSets.unsolicited, 1)
        assert.strictEqual(node.flood.records.uniqueFloodMessages, 0)
        assert.strictEqual(node.flood.records.uniqueFetchMessages, 1)
      })
    ))

  it.effect("PEE-09 P2 PEERS is taken from who was called, once: routable IPv4 addresses with a port, not this node", () =>
    inWorld(
      10,
      {},
      Effect.gen(function*() {
        const node = yield* start(0, {
          config: { allowPrivateAddressesForTesting: false, allowLocalhostForTesting: false }
        })
        const peer = yield* called(node, 1)
        const told = [
          "8.8.4.4:11625",
          "8.8.8.8:0",
          "10.9.9.9:11625",
          "127.0.0.1:11625",
          "224.0.0.1:11625",
          "[2001:db8::1]:11625",
          "9.9.9.9:1234"
        ]
        const address = (text: string) => {
          const at = text.lastIndexOf(":")
          return PeerAddress.make(text.slice(0, at).replace(/[[\]]/g, ""), Number(text.slice(at + 1)))
        }
        yield* peer.say(Peers.make({ addresses: told.map(address) }))
        yield* peer.expectOpen(100)
        const known = told.filter((text) => node.overlay.peerManager.get(address(text)) !== undefined)
        assert.deepStrictEqual(known, ["8.8.4.4:11625", "9.9.9.9:1234"])
        yield* peer.say(Peers.make({ addresses: [] }))
        yield* peer.expectClosed({ error: "silent" })
        const caller = yield* dial(node, 2)
        yield* caller.say(Peers.make({ addresses: [] }))
        yield* caller.expectClosed({ error: "silent" })
        assert.deepStrictEqual(dropsOf(node), ["TooManyPeersMessages", "ReceivedPeers"])
      })
    ))
})

describe("when something goes wrong", () => {
  it.effect("FLD-09 O5 a defect of the host ends the peer it happened with; what came with it is taken from others", () =>
    inWorld(
      20,
      {},
      Effect.gen(function*() {
        const T = txSet(1)
        const host = new MemoryHost({ receiveTxSet: () => Effect.die(new Error("the host fails")) })
        const node = yield* start(0, { host })
        const [bad, good] = [yield* dial(node, 1), yield* dial(node, 2)]
        const fetching = yield* Effect.forkScoped(node.overlay.fetchTxSet(T.hash), { startImmediately: true })
        yield* bad.expectOpen(10)
        yield* bad.sayAll([T.message, scpMessage(1)])
        yield* bad.expectClosed()
        yield* good.say(scpMessage(1))
        yield* good.expectOpen(100)
        // SCP messages go before the sets of their batch, so the host had it from both.
        assert.deepStrictEqual(host.scp, [hexOfAny(scpMessage(1)), hexOfAny(scpMessage(1))])
        assert.deepStrictEqual(dropsOf(node), ["Defect"])
        // Who only wanted the set has it.
        assert.strictEqual(hexOfAny(yield* Fiber.join(fetching)), hexOfAny(T.message))
      })
    ))

  it.effect("FLD-09 PEE-20 what the host was still busy with when the peer went is taken from others", () =>
    inWorld(
      21,
      {},
      Effect.gen(function*() {
        let received = 0
        const host = new MemoryHost({
          receiveScp: (messages) =>
            Effect.suspend(() => {
              received += messages.length
              return received === 1 ? Effect.never : Effect.succeed(messages.map(() => ({ _tag: "relay" as const })))
            }),
          receiveTransactions: () => Effect.never
        })
        const node = yield* start(0, { host })
        const [gone, good] = [yield* dial(node, 1), yield* dial(node, 2)]
        yield* gone.sayAll([scpMessage(1), transaction(1)])
        yield* gone.expectOpen(10)
        yield* good.say(scpMessage(1)) // a copy, while the first is with the host
        yield* good.expectOpen(10)
        assert.strictEqual(received, 1)
        yield* gone.reset
        yield* good.expectOpen(6000) // 5 s are given to the host
        yield* good.say(scpMessage(1))
        yield* good.expectOpen(10)
        assert.strictEqual(received, 2)
      })
    ))

  it.effect("A10 sixteen messages that nobody signed end a connection", () =>
    inWorld(
      22,
      {},
      Effect.gen(function*() {
        const host = new MemoryHost({
          receiveScp: (messages) =>
            Effect.succeed(
              messages.map((message) => ({ _tag: "discard" as const, badSignature: message.slotNumber !== 1000 }))
            )
        })
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        for (let slot = 1; slot <= 15; slot++) yield* peer.say(scpMessage(slot))
        for (let n = 0; n < 100; n++) yield* peer.say(scpMessage(1000, n)) // discarded for another reason
        yield* peer.expectOpen(1000)
        yield* peer.say(scpMessage(16))
        yield* peer.expectClosed({ error: "silent" })
        assert.deepStrictEqual(dropsOf(node), ["TooManyBadSignatures"])
      })
    ))

  it.effect("DEM-01 O5 a host that fails when it is asked about an advert does not stop the demands", () => {
    const tap = new Tap()
    return inWorld(
      23,
      { tap },
      Effect.gen(function*() {
        let fails = true
        const host = new MemoryHost({
          transactionStatus: () => {
            if (fails) throw new Error("the host fails")
            return "unknown"
          }
        })
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        yield* peer.say(FloodAdvert.make({ hashes: [hashOf(transaction(1))] }))
        yield* peer.expectOpen(1000)
        assert.strictEqual(tap.of("FloodDemand").length, 0)
        fails = false
        yield* peer.say(FloodAdvert.make({ hashes: [hashOf(transaction(2))] }))
        yield* peer.expect("FloodDemand", 250)
      })
    )
  })
})
