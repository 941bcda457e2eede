/** What a node says and hears when it floods and fetches, message by message, and what a program sees of it. */
import { assert, describe, it } from "@effect/vitest"
import type * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import { Effect, Fiber, Layer, Stream } from "effect"
import { toHex } from "../../src/internal/bytes.ts"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import { OverlayHost } from "../../src/OverlayHost.ts"
import { MessageType } from "../../src/wire/MessageType.ts"
import {
  DontHave,
  FloodAdvert,
  FloodDemand,
  GetScpQuorumSet,
  GetTxSet,
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
import { connectAll, dropsOf, hashesIn, inWorld, MemoryHost, start, startAll, Tap } from "./network.ts"
import { dial, grant, granted, heard } from "./scripted.ts"

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
        const advert = yield* taker.expect("FloodAdvert", 350) // a round of 200 ms, and 100 ms for the advert
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

  it.effect("PEE-19 the first grant comes with authentication; plain SEND_MORE ends the connection", () =>
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
