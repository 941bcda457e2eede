/** What a node says and hears when it floods and fetches, message by message, and what a program sees of it. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import { Effect, Fiber, Layer, Stream } from "effect"
import { toHex } from "../../src/internal/bytes.ts"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import { OverlayHost } from "../../src/OverlayHost.ts"
import { Transport } from "../../src/Transport.ts"
import { MessageType } from "../../src/wire/MessageType.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import {
  DontHave,
  FloodAdvert,
  FloodDemand,
  GetScpQuorumSet,
  GetTxSet,
  Peers,
  SendMore,
  type StellarMessage
} from "../../src/wire/StellarMessage.ts"
import {
  hashOf,
  hexOf,
  hexOfAny,
  manyTransactions,
  quorumSet,
  scpMessage,
  transaction,
  txSet,
  unknown
} from "./messages.ts"
import {
  connectAll,
  copies,
  dropsOf,
  hashesIn,
  inWorld,
  MemoryHost,
  type Node,
  start,
  startAll,
  Tap
} from "./network.ts"
import { dial, grant, granted, heard } from "./scripted.ts"

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

const tagsOf = (messages: ReadonlyArray<StellarMessage>): Array<string> => messages.map(({ _tag }) => _tag)

describe("the wire", () => {
  it.effect("PEE-19 ADV-02 DEM-01 PEE-12 an advert is demanded in the next run, what comes is advertised to others", () => {
    const tap = new Tap()
    return inWorld(
      1,
      { tap },
      Effect.gen(function*() {
        const node = yield* start(0)
        const [giver, taker] = [yield* dial(node, 1), yield* dial(node, 2)]
        const tx = transaction(1)
        yield* giver.say(FloodAdvert.make({ hashes: [hashOf(tx)] }))
        const said = giver.script.now.millis
        const demand = yield* giver.expect("FloodDemand", 250)
        assert.isAtMost(giver.script.now.millis - said, 200)
        assert.deepStrictEqual(hashesIn([demand]), [hexOf(tx)])
        yield* giver.say(tx)
        const advert = yield* taker.expect("FloodAdvert", 250)
        assert.deepStrictEqual(hashesIn([advert]), [hexOf(tx)])
        yield* taker.say(FloodDemand.make({ hashes: [hashOf(tx)] }))
        assert.deepStrictEqual((yield* taker.expect("Transaction", 100)).bytes, tx.bytes)
        // Who gave it hears nothing of it, and nobody is asked for it again.
        yield* giver.say(FloodAdvert.make({ hashes: [hashOf(tx)] }))
        yield* taker.say(FloodAdvert.make({ hashes: [hashOf(tx)] }))
        yield* giver.expectOpen(5000)
        assert.deepStrictEqual(hashesIn(tap.of("FloodDemand", { from: node })), [hexOf(tx)])
        assert.isFalse(tagsOf(heard(giver)).includes("FloodAdvert"))
        const { pulls, pullMillis } = node.flood.stats
        assert.strictEqual(pulls, 1)
        assert.isAtMost(pullMillis, 100)
      })
    )
  })

  it.effect("PEE-19 ADV-02 adverts leave after 100 ms, or at once when there are as many as fit", () =>
    inWorld(
      2,
      {},
      Effect.gen(function*() {
        const node = yield* start(0) // 1000 operations in 5 s: 20 hashes in 100 ms
        const peer = yield* dial(node)
        const before = peer.script.now.millis
        node.submit(transaction(1))
        yield* peer.expect("FloodAdvert")
        assert.strictEqual(peer.script.now.millis - before, 100)
        for (const message of manyTransactions(47, 100)) node.submit(message)
        yield* peer.expectOpen(1)
        yield* peer.expectOpen(98)
        const adverts = () => peer.script.messages("FloodAdvert").slice(1).map(({ count }) => count)
        assert.deepStrictEqual(adverts(), [20, 20])
        yield* peer.expectOpen(2)
        assert.deepStrictEqual(adverts(), [20, 20, 7])
      })
    ))

  it.effect("PEE-19 FET-09 DONT_HAVE makes it ask another at once, and the set that comes is not asked for again", () => {
    const tap = new Tap()
    return inWorld(
      3,
      { tap },
      Effect.gen(function*() {
        const node = yield* start(0)
        const peers = [yield* dial(node, 1), yield* dial(node, 2)]
        const T = txSet(1)
        const fetching = yield* Effect.forkScoped(node.fetcher.fetchTxSet(T.hash), { startImmediately: true })
        yield* peers[0]!.expectOpen(1)
        yield* peers[1]!.expectOpen(1)
        const asked = (peer: ScriptedPeer.ScriptedPeer) => peer.script.messages("GetTxSet").length
        const [first, second] = asked(peers[0]!) === 1 ? peers : [peers[1]!, peers[0]!]
        assert.deepStrictEqual([asked(first!), asked(second!)], [1, 0])
        yield* first!.say(DontHave.make({ itemType: MessageType.GeneralizedTxSet, hash: T.hash }))
        yield* second!.expect("GetTxSet", 10)
        yield* second!.say(T.message)
        assert.deepStrictEqual((yield* Fiber.join(fetching)).bytes, T.message.bytes)
        yield* first!.expectOpen(20_000)
        assert.strictEqual(tap.of("GetTxSet").length, 2)
      })
    )
  })

  it.effect("PEE-19 FLC-07 the first grant comes with authentication; plain SEND_MORE ends the connection", () =>
    inWorld(
      4,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        const peer = yield* dial(node)
        assert.deepStrictEqual(granted(peer), { messages: 200, bytes: 300_000 })
        yield* peer.say(SendMore.make({ numMessages: 1 }))
        yield* peer.expectClosed({ error: "silent" })
        assert.deepStrictEqual(dropsOf(node), ["UnexpectedSendMore"])
      })
    ))

  it.effect("PEE-19 flooding waits for credit, what is asked for does not", () =>
    inWorld(
      5,
      {},
      Effect.gen(function*() {
        const T = txSet(1)
        const node = yield* start(0, { host: new MemoryHost({ txSet: () => Effect.succeed(T.message) }) })
        const peer = yield* dial(node, 0, { grants: false })
        node.overlay.broadcast(scpMessage(1))
        node.submit(transaction(1))
        yield* peer.say(GetTxSet.make({ hash: T.hash }))
        yield* peer.expect("GeneralizedTxSet", 10)
        yield* peer.expectOpen(1000)
        assert.isFalse(heard(peer).some(({ _tag }) => _tag === "ScpMessage" || _tag === "FloodAdvert"))
        yield* grant(peer, 1)
        yield* peer.expect("ScpMessage", 10)
        yield* peer.expectOpen(1000)
        assert.isFalse(tagsOf(heard(peer)).includes("FloodAdvert"))
        yield* grant(peer, 1)
        yield* peer.expect("FloodAdvert", 10)
      })
    ))
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
        const host = new MemoryHost({
          receiveTransactions: (messages) =>
            Effect.sync(() => (received += messages.length, messages.map((_, i) => verdicts[i % 4]!)))
        })
        const node = yield* start(0, { host })
        const [sender, other] = [yield* dial(node, 1), yield* dial(node, 2)]
        const messages = [1, 2, 3, 4].map((n) => transaction(n))
        yield* sender.sayAll([...messages, messages[0]!])
        const advert = yield* other.expect("FloodAdvert", 200)
        assert.deepStrictEqual(hashesIn([advert]), [hexOf(messages[0]!)])
        assert.strictEqual(received, 4) // the fifth came while the first was with the host
        assert.strictEqual(node.flood.gate.size, 2)
        assert.deepStrictEqual([node.flood.demands.relevant, node.flood.demands.irrelevant], [1, 3])
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

describe("the program's side", () => {
  it.effect("PEE-18 one bundle: connect, peers, broadcast, send, streams, fetch, request, drop and ban", () =>
    inWorld(
      11,
      { latencyMillis: 5 },
      Effect.gen(function*() {
        const [T, Q] = [txSet(1), quorumSet(1)]
        const serving = new MemoryHost({
          txSet: (hash) => Effect.succeed(toHex(hash) === toHex(T.hash) ? T.message : undefined),
          quorumSet: (hash) => Effect.succeed(toHex(hash) === toHex(Q.hash) ? Q.message : undefined),
          scpState: () => Effect.succeed([scpMessage(9)])
        })
        const [a, b] = [yield* start(0), yield* start(1, { host: serving })]
        const { overlay } = a
        const peer = yield* overlay.connect(b.address)
        yield* Effect.sleep(100)
        assert.strictEqual(peer.id, b.id)
        assert.strictEqual(overlay.peers.get(b.id), peer)
        assert.deepStrictEqual(overlay.peers.authenticated().map(({ id }) => id), [b.id])

        const scp = yield* Effect.forkScoped(Stream.runHead(overlay.scp), { startImmediately: true })
        const fetched = yield* Effect.forkScoped(Stream.runCollect(Stream.take(overlay.fetched, 2)), {
          startImmediately: true
        })
        overlay.requestScpState(1)
        const [head] = [yield* Fiber.join(scp)]
        assert.isTrue(head._tag === "Some" && head.value.peer === b.id && head.value.message.slotNumber === 9)
        assert.deepStrictEqual((yield* overlay.fetchTxSet(T.hash)).bytes, T.message.bytes)
        assert.deepStrictEqual((yield* overlay.fetchQuorumSet(Q.hash)).bytes, Q.message.bytes)
        assert.deepStrictEqual((yield* Fiber.join(fetched)).map(({ message }) => message._tag), [
          "GeneralizedTxSet",
          "ScpQuorumSet"
        ])

        assert.strictEqual(overlay.broadcast(scpMessage(10)), 1)
        assert.strictEqual(overlay.broadcast(scpMessage(10)), 0)
        assert.isTrue(overlay.send(b.id, GetScpQuorumSet.make({ hash: unknown(1) })))
        yield* Effect.sleep(100)
        assert.include(serving.scp, hexOfAny(scpMessage(10)))
        assert.isTrue(overlay.drop(b.id))
        assert.isFalse(overlay.send(b.id, scpMessage(11)))
        yield* Effect.sleep(100)
        overlay.ban(b.id)
        const refused = yield* Effect.orDie(Effect.flip(overlay.connect(b.address)))
        assert.strictEqual(refused.reason._tag, "NodeBanned")
        assert.isTrue(overlay.unban(b.id))
      })
    ))

  it.effect("PEE-17 a watcher sees SCP messages, takes no transactions, and relays and answers nothing", () => {
    const tap = new Tap()
    return inWorld(
      12,
      { tap },
      Effect.gen(function*() {
        const watching = OverlayHost.layerWatcher.pipe(
          Layer.provide([TestCrypto.layer("watcher"), OverlayConfig.OverlayConfig.layer(OverlayConfig.standalone)]),
          Layer.orDie
        )
        const nodes = yield* startAll(3, (i) => (i === 1 ? { layer: watching } : {}))
        const [a, watcher, c] = nodes
        yield* connectAll(nodes, [[0, 1], [1, 2]])
        const seen: Array<string> = []
        yield* Effect.forkScoped(
          Stream.runForEach(watcher!.overlay.messages, ({ message }) => Effect.sync(() => seen.push(message._tag))),
          { startImmediately: true }
        )
        tap.clear()
        a!.overlay.broadcast(scpMessage(1))
        for (const message of manyTransactions(500)) a!.submit(message)
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual(seen.filter((tag) => tag !== "GetScpQuorumSet"), ["ScpMessage"]) // the rest are pings
        assert.deepStrictEqual([c!.host.scp.length, c!.host.pool.size], [0, 0])
        assert.strictEqual(tap.of("FloodDemand").length, 0)
        assert.isAtLeast(hashesIn(tap.of("FloodAdvert", { to: watcher! })).length, 500)
        assert.deepStrictEqual(dropsOf(watcher!), [])
      })
    )
  })
})
