/** Searches of a whole node in virtual time: whom it asks, when, and what becomes of what comes. */
import { assert, describe, it } from "@effect/vitest"
import type * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { Effect, Exit, Fiber, Scope } from "effect"
import { toHex } from "../src/internal/bytes.ts"
import type { ItemNotFound } from "../src/ItemFetcher.ts"
import { MessageType } from "../src/wire/MessageType.ts"
import { DontHave, type StellarMessage } from "../src/wire/StellarMessage.ts"
import { hexOfAny, legacyTxSet, manyTransactions, quorumSet, scpMessage, txSet, unknown } from "./flood/messages.ts"
import { dropsOf, inWorld, MemoryHost, type Node, start } from "./flood/network.ts"
import { dial } from "./flood/scripted.ts"

const T = txSet(1)
const Q = quorumSet(1)

const noTxSet = (hash: Uint8Array) => DontHave.make({ itemType: MessageType.GeneralizedTxSet, hash })

/** Peers that only do what they are told, and answer pings meanwhile. */
const dialAll = (node: Node, count: number) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => dial(node, n))

const listen = (peers: ReadonlyArray<ScriptedPeer.ScriptedPeer>, millis: number) =>
  Effect.forEach(peers, (peer) => peer.expectOpen(millis), { concurrency: "unbounded", discard: true })

/** Questions for a set, as [peer, milliseconds when it came], in order. */
const asked = (peers: ReadonlyArray<ScriptedPeer.ScriptedPeer>, hash: Uint8Array): Array<readonly [number, number]> =>
  peers
    .flatMap(({ script }, n) =>
      script.heard.flatMap(({ at, message }) =>
        (message?._tag === "GetTxSet" || message?._tag === "GetScpQuorumSet") && toHex(message.hash) === toHex(hash)
          ? [[n, at] as const]
          : []
      )
    )
    .sort(([, a], [, b]) => a - b)

/** The error of a search; a defect when it has none. */
const notFound = (search: Effect.Effect<StellarMessage, ItemNotFound>) => Effect.orDie(Effect.flip(search))

/** A host that holds SCP messages until it has a transaction set. */
const waitingHost = (
  differences: Partial<MemoryHost["service"]> = {},
  txSets = [T.hash],
  quorumSets: Array<Uint8Array> = []
) => {
  const have = new Set<string>()
  const relayed: Array<string> = []
  const received: Array<string> = []
  const missing = (hashes: ReadonlyArray<Uint8Array>) => hashes.filter((hash) => !have.has(toHex(hash)))
  const take = (hash: Uint8Array) =>
    Effect.sync(() => {
      have.add(toHex(hash))
      received.push(toHex(hash))
      return true
    })
  const host = new MemoryHost({
    receiveScp: (messages) =>
      Effect.sync(() =>
        messages.map((message) => {
          const needs = { txSets: missing(txSets), quorumSets: missing(quorumSets) }
          if (needs.txSets.length + needs.quorumSets.length > 0) return { _tag: "hold", ...needs }
          relayed.push(hexOfAny(message))
          return { _tag: "relay" }
        })
      ),
    receiveTxSet: take,
    receiveQuorumSet: take,
    ...differences
  })
  return { host, have, relayed, received }
}

describe("whom it asks", () => {
  it.effect("FET-03 FET-07 first who sent the message, then the nearest group at random, each 1.5 s after the other", () =>
    Effect.gen(function*() {
      // One way, on top of nothing: round trips of 20, 100, 600, 600, 1200 and 2200 ms, in buckets 0 0 1 1 2 4.
      const oneWay = [10, 50, 300, 300, 600, 1100]
      const between = (a: string, b: string) => {
        const other = a === "10.1.0.1" ? b : a
        return oneWay[Number(other.split(".")[1]) - 200]!
      }
      const orders = new Set<string>()
      for (let seed = 0; seed < 8; seed++) {
        const config = { peerAuthenticationTimeoutSeconds: 10 }
        yield* inWorld(
          seed,
          { between },
          Effect.gen(function*() {
            const { host } = waitingHost()
            const node = yield* start(0, { host, config })
            const peers = yield* dialAll(node, 6)
            // They answer pings at any time, or their latency would be ours.
            for (const peer of peers) yield* Effect.forkScoped(peer.expectOpen(100_000))
            yield* Effect.sleep("30 seconds")
            for (const { id, session: { liveness } } of node.overlay.peers.authenticated()) {
              const n = peers.findIndex(({ script }) => script.id === id)
              assert.strictEqual(Math.floor(liveness.latencyMillis! / 500), [0, 0, 1, 1, 2, 4][n])
            }
            yield* peers[4]!.say(scpMessage(1))
            yield* Effect.sleep("20 seconds")
            const left = asked(peers, T.hash)
              .map(([n, at]) => [n, at - oneWay[n]!] as const)
              .sort(([, a], [, b]) => a - b)
            const order = left.slice(0, 6).map(([n]) => n)
            orders.add(order.join())
            assert.strictEqual(order[0], 4)
            assert.deepStrictEqual([order.slice(1, 3).sort(), order.slice(3, 5).sort(), order[5]], [[0, 1], [2, 3], 5])
            for (let i = 1; i < 6; i++) assert.strictEqual(left[i]![1] - left[i - 1]![1], 1500)
            // Everyone was asked in vain: 1.5 s for the answer of the last, and as much before the next round.
            assert.deepStrictEqual([left[6]![0], left[6]![1] - left[5]![1]], [4, 3000])
          })
        )
      }
      assert.isAtLeast(orders.size, 3)
    }))

  it.effect("FET-09 Q4 DONT_HAVE makes it ask the next at once; from who was not asked, or twice, it does nothing", () =>
    inWorld(
      2,
      {},
      Effect.gen(function*() {
        const { host } = waitingHost()
        const node = yield* start(0, { host })
        const peers = yield* dialAll(node, 4)
        yield* peers[0]!.say(scpMessage(1))
        yield* peers[0]!.expect("GetTxSet", 10)
        for (const peer of peers.slice(1)) yield* peer.sayAll(Array.from({ length: 100 }, () => noTxSet(T.hash)))
        yield* listen(peers, 100)
        assert.strictEqual(asked(peers, T.hash).length, 1)
        yield* peers[0]!.sayAll([noTxSet(T.hash), noTxSet(T.hash), noTxSet(unknown(1))])
        yield* listen(peers, 100)
        assert.strictEqual(asked(peers, T.hash).length, 2)
        // Quorum sets are another search: their DONT_HAVE says nothing about this one.
        const [second] = asked(peers, T.hash)[1]!
        yield* peers[second]!.say(DontHave.make({ itemType: MessageType.ScpQuorumSet, hash: T.hash }))
        yield* listen(peers, 100)
        assert.strictEqual(asked(peers, T.hash).length, 2)
        yield* peers[second]!.say(DontHave.make({ itemType: MessageType.TxSet, hash: T.hash })) // either kind will do
        yield* listen(peers, 100)
        assert.strictEqual(asked(peers, T.hash).length, 3)
      })
    ))

  it.effect("Q4 peers that all say DONT_HAVE at once, ten times, are asked once a round, and rounds get rarer", () =>
    inWorld(
      3,
      {},
      Effect.gen(function*() {
        const { host } = waitingHost()
        const node = yield* start(0, { host })
        const peers = yield* dialAll(node, 4)
        yield* peers[0]!.say(scpMessage(1))
        for (const peer of peers) {
          yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
            yield* peer.expect("GetTxSet", 600_000)
            yield* peer.sayAll(Array.from({ length: 10 }, () => noTxSet(T.hash)))
          })))
        }
        yield* Effect.sleep("2 minutes")
        // Rounds begin after 0, 1.5, 4.5, 9, 15, 22.5, 31.5, 42, 54, 67.5, 82.5, 97.5, 112.5 s: then every 15 s.
        const rounds = asked(peers, T.hash).length / 4
        assert.strictEqual(rounds, 13)
        assert.strictEqual(node.fetcher.txSets.tracker(T.hash)?.rebuilds, 13)
      })
    ))

  it.effect("FET-05 FET-02 nothing is asked for slots that have passed, and the envelope is gone", () =>
    inWorld(
      4,
      {},
      Effect.gen(function*() {
        const { host } = waitingHost()
        const node = yield* start(0, { host })
        const peers = yield* dialAll(node, 2)
        yield* peers[0]!.say(scpMessage(5))
        yield* listen(peers, 100)
        assert.strictEqual(asked(peers, T.hash).length, 1)
        assert.strictEqual(node.fetcher.txSets.getLastSeenSlotIndex(T.hash), 5)
        node.overlay.clearLedgersBelow(6)
        yield* listen(peers, 20_000)
        assert.strictEqual(asked(peers, T.hash).length, 1)
        assert.deepStrictEqual([node.fetcher.txSets.size, node.fetcher.txSets.waiting], [0, 0])
      })
    ))
})

describe("what comes", () => {
  it.effect("FET-04 FET-09 goes to the host, and the messages that waited after it, relayed, the last first", () =>
    inWorld(
      5,
      {},
      Effect.gen(function*() {
        const { host, received, relayed } = waitingHost({}, [T.hash], [Q.hash])
        const node = yield* start(0, { host })
        const [a, b] = yield* dialAll(node, 2)
        const messages = [scpMessage(1), scpMessage(2), scpMessage(3)]
        yield* a!.sayAll(messages)
        yield* a!.expect("GetTxSet", 10)
        yield* a!.say(T.message)
        yield* a!.say(Q.message)
        yield* b!.expectOpen(100)
        assert.deepStrictEqual(received, [toHex(T.hash), toHex(Q.hash)])
        assert.deepStrictEqual(relayed, [...messages].reverse().map(hexOfAny))
        assert.deepStrictEqual(b!.script.messages("ScpMessage").map(hexOfAny), relayed)
        assert.deepStrictEqual([node.fetcher.txSets.waiting, node.fetcher.quorumSets.waiting], [0, 0])
      })
    ))

  it.effect("Q5 FET-10 what nobody asked for is counted and not given to the host, nor what comes twice", () =>
    inWorld(
      6,
      {},
      Effect.gen(function*() {
        const { host, received } = waitingHost()
        const node = yield* start(0, { host })
        const [a] = yield* dialAll(node, 1)
        yield* a!.sayAll([
          ...Array.from({ length: 100 }, (_, n) => txSet(100 + n).message),
          Q.message,
          legacyTxSet(1).message
        ])
        yield* a!.expectOpen(100)
        assert.deepStrictEqual(received, [])
        yield* a!.say(scpMessage(1))
        yield* a!.expect("GetTxSet", 10)
        yield* a!.sayAll([txSet(2).message, T.message, T.message])
        yield* a!.expectOpen(100)
        assert.deepStrictEqual(received, [toHex(T.hash)])
        assert.deepStrictEqual([node.fetcher.txSets.unsolicited, node.fetcher.quorumSets.unsolicited], [103, 1])
        assert.deepStrictEqual([node.fetcher.txSets.size, node.fetcher.quorumSets.size], [1, 0])
        assert.deepStrictEqual(dropsOf(node), [])
      })
    ))

  it.effect("Q6 a quorum set that is not sane is refused: its messages go, and the host is told", () =>
    inWorld(
      7,
      {},
      Effect.gen(function*() {
        const insane = quorumSet(3, 2)
        const refused: Array<string> = []
        const { host, received, relayed } = waitingHost(
          {
            refuseQuorumSet: (hash) => void refused.push(toHex(hash))
          },
          [],
          [insane.hash]
        )
        const node = yield* start(0, { host })
        const [a] = yield* dialAll(node, 1)
        yield* a!.say(scpMessage(1))
        yield* a!.expectOpen(1)
        const fetching = yield* Effect.forkScoped(notFound(node.overlay.fetchQuorumSet(insane.hash)), {
          startImmediately: true
        })
        yield* a!.expect(
          (frame) => frame.message?._tag === "GetScpQuorumSet" && toHex(frame.message.hash) === toHex(insane.hash),
          10
        )
        yield* a!.say(insane.message)
        assert.deepInclude(yield* Fiber.join(fetching), {
          _tag: "ItemNotFound",
          item: "quorumSet",
          hash: toHex(insane.hash)
        })
        yield* a!.expectOpen(5000)
        assert.deepStrictEqual([refused, received, relayed], [[toHex(insane.hash)], [], []])
        assert.strictEqual(asked([a!], insane.hash).length, 1)
        assert.strictEqual(node.fetcher.quorumSets.waiting, 0)
      })
    ))

  it.effect("FET-04 of a set the host refuses, the messages are not handed over", () =>
    inWorld(
      8,
      {},
      Effect.gen(function*() {
        const { host, relayed } = waitingHost({ receiveTxSet: () => Effect.succeed(false) })
        const node = yield* start(0, { host })
        const [a] = yield* dialAll(node, 1)
        yield* a!.say(scpMessage(1))
        yield* a!.expect("GetTxSet", 10)
        yield* a!.say(T.message)
        yield* a!.expectOpen(5000)
        assert.deepStrictEqual([relayed, node.fetcher.txSets.waiting], [[], 0])
      })
    ))

  it.effect("FET-10 a reply comes through while transactions are stuck", () =>
    inWorld(
      9,
      {},
      Effect.gen(function*() {
        const { host } = waitingHost({ receiveTransactions: () => Effect.never })
        const node = yield* start(0, { host })
        const [a] = yield* dialAll(node, 1)
        yield* a!.sayAll(manyTransactions(200))
        const fetching = yield* Effect.forkScoped(node.overlay.fetchTxSet(T.hash), { startImmediately: true })
        yield* a!.expect("GetTxSet", 10)
        yield* a!.say(T.message)
        yield* a!.expectOpen(10)
        assert.isDefined(fetching.pollUnsafe())
      })
    ))

  it.effect("FET-04 PEE-20 when the peer that brought it is gone before the host was done, another is asked", () =>
    inWorld(
      10,
      {},
      Effect.gen(function*() {
        let slow = true
        const { have, host, relayed } = waitingHost({
          receiveTxSet: (hash) =>
            Effect.andThen(slow ? Effect.sleep("1 hour") : Effect.void, Effect.sync(() => !!have.add(toHex(hash))))
        })
        const node = yield* start(0, { host })
        const [a, b] = yield* dialAll(node, 2)
        yield* a!.say(scpMessage(1))
        yield* a!.expect("GetTxSet", 10)
        yield* a!.say(T.message)
        yield* a!.expectOpen(10)
        slow = false
        yield* a!.reset
        yield* b!.expect("GetTxSet", 10_000) // 5 s are given to the host
        yield* b!.say(T.message)
        yield* b!.expectOpen(10)
        assert.deepStrictEqual(relayed, [hexOfAny(scpMessage(1))])
      })
    ))
})

describe("fetchTxSet and fetchQuorumSet", () => {
  it.effect("PEE-18 FET-09 one search for all who wait; all have the set, whatever the host thinks of it", () =>
    inWorld(
      11,
      {},
      Effect.gen(function*() {
        const L = legacyTxSet(4)
        const node = yield* start(0, {
          host: new MemoryHost({
            receiveTxSet: () => Effect.succeed(false),
            receiveQuorumSet: () => Effect.succeed(false)
          })
        })
        const [a] = yield* dialAll(node, 1)
        const fetch: ReadonlyArray<Effect.Effect<StellarMessage, ItemNotFound>> = [
          node.overlay.fetchTxSet(T.hash),
          node.overlay.fetchTxSet(T.hash),
          node.overlay.fetchTxSet(L.hash),
          node.overlay.fetchQuorumSet(Q.hash)
        ]
        const fetching: Array<Fiber.Fiber<StellarMessage, ItemNotFound>> = []
        for (const one of fetch) fetching.push(yield* Effect.forkScoped(one, { startImmediately: true }))
        yield* a!.expectOpen(10)
        assert.deepStrictEqual([T, L, Q].map(({ hash }) => asked([a!], hash).length), [1, 1, 1])
        yield* a!.sayAll([T.message, L.message, Q.message])
        const got = yield* Fiber.joinAll(fetching)
        assert.deepStrictEqual(got.map(hexOfAny), [T, T, L, Q].map(({ message }) => hexOfAny(message)))
      })
    ))

  it.effect("FET-01 interrupting one waiter does not disturb the others; when none is left nobody is asked", () =>
    inWorld(
      12,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        const peers = yield* dialAll(node, 3)
        const fetch = Effect.forkScoped(node.overlay.fetchTxSet(T.hash), { startImmediately: true })
        const [one, two] = [yield* fetch, yield* fetch]
        yield* Fiber.interrupt(one)
        yield* listen(peers, 1600)
        assert.strictEqual(asked(peers, T.hash).length, 2)
        yield* Fiber.interrupt(two)
        yield* listen(peers, 30_000)
        assert.strictEqual(asked(peers, T.hash).length, 2)
        assert.strictEqual(node.fetcher.txSets.waiting, 0)
        // Another search for the same set does ask, which core's does not.
        const three = yield* fetch
        yield* listen(peers, 10)
        assert.strictEqual(asked(peers, T.hash).length, 3)
        const [last] = asked(peers, T.hash)[2]!
        yield* peers[last]!.say(T.message)
        assert.strictEqual(hexOfAny(yield* Fiber.join(three)), hexOfAny(T.message))
      })
    ))

  it.effect("Q7 FET-08 what nobody has is given up after an hour, and nothing is left of it", () =>
    inWorld(
      13,
      {},
      Effect.gen(function*() {
        const { host } = waitingHost()
        const node = yield* start(0, { host })
        const [a] = yield* dialAll(node, 1)
        yield* a!.say(scpMessage(1))
        const fetching = yield* Effect.forkScoped(notFound(node.overlay.fetchTxSet(T.hash)), {
          startImmediately: true
        })
        yield* a!.expectOpen(3_590_000)
        assert.isUndefined(fetching.pollUnsafe())
        assert.deepInclude(yield* Fiber.join(fetching), { _tag: "ItemNotFound", item: "txSet", hash: toHex(T.hash) })
        // 1.5 s for each answer, and pauses that grow to 15 s.
        const times = asked([a!], T.hash).map(([, at]) => at)
        assert.isAtMost(times.length, 3600 / 16.5 + 6)
        assert.strictEqual(times.at(-1)! - times.at(-2)!, 16_500)
        const { gaveUp, nextDeadline, size, waiting } = node.fetcher.txSets
        assert.deepStrictEqual({ gaveUp, nextDeadline, size, waiting }, {
          gaveUp: 1,
          nextDeadline: undefined,
          size: 0,
          waiting: 0
        })
      })
    ))

  it.effect("FET-08 of more searches than there is room for some fail, each with its own hash", () =>
    inWorld(
      14,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        const failed: Array<readonly [string, string]> = []
        for (let n = 0; n < 600; n++) {
          const hash = unknown(n)
          yield* Effect.forkScoped(
            Effect.catch(
              node.overlay.fetchTxSet(hash),
              (error) => Effect.sync(() => failed.push([toHex(hash), error.hash]))
            ),
            { startImmediately: true }
          )
        }
        yield* Effect.sleep(1)
        assert.strictEqual(failed.length, 600 - 512)
        for (const [wanted, told] of failed) assert.strictEqual(told, wanted)
        assert.strictEqual(node.fetcher.txSets.size, 512)
      })
    ))

  it.effect("FET-01 the end of the node is the end of the wait", () =>
    inWorld(
      15,
      {},
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const node = yield* Scope.provide(start(0), scope)
        const fetching = yield* Effect.forkScoped(notFound(node.overlay.fetchTxSet(T.hash)), {
          startImmediately: true
        })
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Fiber.join(fetching))._tag, "ItemNotFound")
        assert.strictEqual((yield* notFound(node.overlay.fetchTxSet(T.hash)))._tag, "ItemNotFound")
      })
    ))
})
