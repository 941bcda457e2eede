import { assert, describe, it } from "@effect/vitest"
import { BanList } from "@stellar-overlay/overlay/BanList"
import { Flood } from "@stellar-overlay/overlay/Flood"
import { ItemFetcher } from "@stellar-overlay/overlay/ItemFetcher"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import * as NodeTransport from "@stellar-overlay/overlay/NodeTransport"
import { Overlay } from "@stellar-overlay/overlay/Overlay"
import { OverlayConfig } from "@stellar-overlay/overlay/OverlayConfig"
import { OverlayHost, unknownLedger } from "@stellar-overlay/overlay/OverlayHost"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import { Peers } from "@stellar-overlay/overlay/Peers"
import { PeerStore } from "@stellar-overlay/overlay/PeerStore"
import { Resolver } from "@stellar-overlay/overlay/Resolver"
import { Survey } from "@stellar-overlay/overlay/Survey"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import {
  DontHave,
  FloodAdvert,
  FloodDemand,
  GeneralizedTxSet,
  GetScpQuorumSet,
  GetScpState,
  GetTxSet,
  ScpQuorumSet,
  type StellarMessage,
  type Transaction
} from "@stellar-overlay/overlay/wire/StellarMessage"
import { xdr } from "@stellar/stellar-base"
import { Effect, Layer, type Scope } from "effect"
import { createHash } from "node:crypto"
import { type Foreign, makeNode } from "./foreign.ts"
import { leavingNothing, values, within } from "./local.ts"
import { scpMessage, transaction } from "./samples.ts"

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest())
const bodies = (messages: ReadonlyArray<StellarMessage>) => messages.map(({ bytes }) => hex(bytes)).sort()

const quorumSet = ScpQuorumSet.make({
  body: new xdr.ScpQuorumSet({
    threshold: 2,
    validators: [1, 2, 3].map((n) => xdr.PublicKey.publicKeyTypeEd25519(Buffer.alloc(32, n))),
    innerSets: []
  })
})
const txSet = GeneralizedTxSet.make({
  body: new xdr.GeneralizedTransactionSet(
    1,
    new xdr.TransactionSetV1({ previousLedgerHash: Buffer.alloc(32, 5), phases: [] })
  )
})

/** A host that takes everything, and holds a quorum set, a transaction set and the SCP messages of two slots. */
const makeHost = () => {
  const pool = new Map<string, Transaction>()
  const scp: Array<string> = []
  const state = [scpMessage(901), scpMessage(902)]
  return {
    pool,
    scp,
    state,
    layer: Layer.succeed(OverlayHost, {
      ledger: () => unknownLedger,
      scpStateFrom: () => 7,
      receiveScp: (messages) =>
        Effect.sync(() => messages.map(({ bytes }) => (scp.push(hex(bytes)), { _tag: "relay" as const }))),
      scpState: (from) => Effect.succeed(state.filter(({ slotIndex }) => slotIndex >= BigInt(from))),
      receiveTransactions: (messages, hashes) =>
        Effect.sync(() =>
          messages.map((message, i) => {
            const hash = hex(hashes[i]!)
            if (pool.has(hash)) return "duplicate" as const
            pool.set(hash, message.retain())
            return "pending" as const
          })
        ),
      transactionStatus: (hash) => pool.has(hex(hash)) ? "known" : "unknown",
      transaction: (hash) => pool.get(hex(hash)),
      txSet: (hash) => Effect.succeed(hex(hash) === hex(sha256(txSet.body)) ? txSet : undefined),
      quorumSet: (hash) => Effect.succeed(hex(hash) === hex(sha256(quorumSet.body)) ? quorumSet : undefined),
      receiveTxSet: () => Effect.succeed(true),
      receiveQuorumSet: () => Effect.succeed(true),
      isInQuorum: () => false
    })
  }
}

/** A whole node over TCP. */
const layer = (host: Layer.Layer<OverlayHost>) =>
  Overlay.layer.pipe(
    Layer.provideMerge(Survey.layer),
    Layer.provideMerge(Flood.layer),
    Layer.provideMerge(ItemFetcher.layer),
    Layer.provideMerge(Peers.layer),
    Layer.provideMerge(PeerManager.layerOverlayConfig()),
    Layer.provideMerge(LocalNode.layer),
    Layer.provideMerge(NodeIdentity.layerRandom),
    Layer.provideMerge(Layer.mergeAll(
      OverlayConfig.layer({ ...values, listenPort: 0 }),
      NodeOverlayCrypto.layer,
      NodeTransport.layer,
      PeerStore.layerMemory,
      BanList.layerMemory,
      Resolver.layerStatic({}),
      host
    )),
    Layer.fresh
  )

/** Our node between two connectors: `inbound` dialled it, `outbound` was dialled by it. */
const triangle = Effect.gen(function*() {
  const overlay = yield* Overlay
  // The node tries the ports it is told of sooner or later; nobody listens at port 1.
  const options = { announcedPort: 1 }
  const inbound = yield* makeNode(options).dial(overlay.address!.port)
  const { accepted, port } = yield* makeNode(options).listen
  yield* within("our dial", overlay.connect(PeerAddress.make("127.0.0.1", port)))
  const outbound = yield* accepted
  yield* Effect.all([inbound.ready, outbound.ready])
  for (const foreign of [inbound, outbound]) {
    const { ledgerSeq } = yield* foreign.takeOf("GetScpState")
    assert.strictEqual(ledgerSeq, 7)
  }
  return { overlay, inbound, outbound }
})

/** Takes adverts and demands what they offer, until it has had so many transactions: these and the adverts' hashes. */
const pull = Effect.fnUntraced(function*(foreign: Foreign, count: number) {
  const adverts: Array<string> = []
  const transactions: Array<Transaction> = []
  while (transactions.length < count) {
    const message = yield* foreign.takeOf("FloodAdvert", "Transaction")
    if (message._tag === "Transaction") transactions.push(message)
    else {
      adverts.push(...message.hashes.map(hex))
      foreign.send(FloodDemand.make({ hashes: message.hashes }))
    }
  }
  return { adverts, transactions }
})

/** Offers transactions and sends those that are demanded, until all were. */
const offer = Effect.fnUntraced(function*(foreign: Foreign, transactions: ReadonlyArray<Transaction>) {
  const offered = new Map(transactions.map((transaction) => [hex(sha256(transaction.envelope)), transaction]))
  foreign.send(FloodAdvert.make({ hashes: transactions.map(({ envelope }) => sha256(envelope)) }))
  const demanded: Array<string> = []
  while (demanded.length < transactions.length) {
    for (const hash of (yield* foreign.takeOf("FloodDemand")).hashes) {
      demanded.push(hex(hash))
      foreign.send(offered.get(hex(hash)) ?? assert.fail("demanded what was not offered"))
    }
  }
  return demanded
})

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** Runs a story with a node of its own. */
const withNode = <A, E>(tell: (host: ReturnType<typeof makeHost>) => Effect.Effect<A, E, Overlay | Scope.Scope>) =>
  Effect.suspend(() => {
    const host = makeHost()
    return tell(host).pipe(Effect.provide(layer(host.layer)), leavingNothing)
  })

describe("interop: a whole node", () => {
  it.live("SIM-05 DEM-04 both demand what we advertise and get it", () =>
    withNode(Effect.fnUntraced(function*(host) {
      const { inbound, outbound, overlay } = yield* triangle
      const sent = range(1, 50).map(transaction)
      for (const message of sent) {
        host.pool.set(hex(sha256(message.envelope)), message)
        assert.strictEqual(overlay.broadcast(message), 2)
      }
      const hashes = sent.map(({ envelope }) => hex(sha256(envelope))).sort()
      const pulls = Effect.all([pull(inbound, 50), pull(outbound, 50)], { concurrency: 2 })
      for (const { adverts, transactions } of yield* pulls) {
        assert.deepStrictEqual(adverts.sort(), hashes)
        assert.deepStrictEqual(bodies(transactions), bodies(sent))
      }
    })))

  for (const from of ["inbound", "outbound"] as const) {
    const to = from === "inbound" ? "outbound" : "inbound"

    it.live(`SIM-05 FLD-03 SCP of the ${from} one reaches our host and, in full, the ${to} one`, () =>
      withNode(Effect.fnUntraced(function*(host) {
        const { [from]: source, [to]: sink, overlay } = yield* triangle
        const sent = range(1, 100).map(scpMessage)
        for (const message of sent) source.send(message)
        assert.deepStrictEqual(
          (yield* sink.takeN(100)).map(({ bytes }) => hex(bytes)),
          sent.map(({ bytes }) => hex(bytes))
        )
        assert.deepStrictEqual(host.scp, sent.map(({ bytes }) => hex(bytes)))
        // The next that comes to the source is a message of ours: nothing came back to it.
        const own = scpMessage(1000)
        overlay.broadcast(own)
        assert.strictEqual(hex((yield* source.take).bytes), hex(own.bytes))
      })))

    it.live(`SIM-05 DEM-04 a transaction of the ${from} one reaches the ${to} one by advert, demand and body`, () =>
      withNode(Effect.fnUntraced(function*(host) {
        const { [from]: source, [to]: sink, overlay } = yield* triangle
        // These are advertised to us and demanded, the others come unasked.
        const offered = range(1, 30).map(transaction)
        const pushed = range(31, 60).map(transaction)
        for (const message of pushed) source.send(message)
        const [demanded, { adverts, transactions }] = yield* Effect.all([offer(source, offered), pull(sink, 60)], {
          concurrency: 2
        })
        const hashes = (messages: ReadonlyArray<Transaction>) =>
          messages.map(({ envelope }) => hex(sha256(envelope))).sort()
        assert.deepStrictEqual(demanded.sort(), hashes(offered))
        assert.deepStrictEqual(adverts.sort(), hashes([...offered, ...pushed]))
        assert.deepStrictEqual(bodies(transactions), bodies([...offered, ...pushed]))
        assert.strictEqual(host.pool.size, 60)
        // Adverts go out to all at once, so one back to the source would be here before what comes next.
        const own = scpMessage(1000)
        overlay.broadcast(own)
        assert.strictEqual(hex((yield* source.takeOf("ScpMessage")).bytes), hex(own.bytes))
        assert.notInclude(source.types, MessageType.FloodAdvert)
      })))
  }

  it.live("SIM-05 QRY-01 questions are answered from the host, or with DONT_HAVE", () =>
    withNode(Effect.fnUntraced(function*({ state }) {
      const { inbound, outbound } = yield* triangle
      const unknown = new Uint8Array(32).fill(9)
      for (const foreign of [inbound, outbound]) {
        const ask = (question: StellarMessage) => {
          foreign.send(question)
          return Effect.map(foreign.take, ({ bytes }) => hex(bytes))
        }
        assert.strictEqual(yield* ask(GetScpQuorumSet.make({ hash: sha256(quorumSet.body) })), hex(quorumSet.bytes))
        assert.strictEqual(yield* ask(GetTxSet.make({ hash: sha256(txSet.body) })), hex(txSet.bytes))
        const noQuorumSet = DontHave.make({ itemType: MessageType.ScpQuorumSet, hash: unknown })
        assert.strictEqual(yield* ask(GetScpQuorumSet.make({ hash: unknown })), hex(noQuorumSet.bytes))
        const noTxSet = DontHave.make({ itemType: MessageType.GeneralizedTxSet, hash: unknown })
        assert.strictEqual(yield* ask(GetTxSet.make({ hash: unknown })), hex(noTxSet.bytes))
        assert.strictEqual(yield* ask(GetScpState.make({ ledgerSeq: 902 })), hex(state[1]!.bytes))
        assert.strictEqual(yield* ask(GetScpState.make({ ledgerSeq: 0 })), hex(state[0]!.bytes))
        assert.strictEqual(hex((yield* foreign.take).bytes), hex(state[1]!.bytes))
      }
    })))

  it.live("SIM-05 we fetch a quorum set and a transaction set from the one of the two that has it", () =>
    withNode(Effect.fnUntraced(function*() {
      const { inbound, outbound, overlay } = yield* triangle
      const asked: Array<string> = []
      const answer = (foreign: Foreign, has: boolean) =>
        Effect.forever(Effect.map(foreign.takeOf("GetScpQuorumSet", "GetTxSet"), ({ _tag, hash }) => {
          const quorum = _tag === "GetScpQuorumSet"
          const item = quorum ? quorumSet : txSet
          assert.strictEqual(hex(hash), hex(sha256(item.body)))
          asked.push(`${_tag} ${has}`)
          foreign.send(has ? item : DontHave.make({ itemType: item.type, hash }))
        }))
      yield* Effect.forkScoped(answer(inbound, false))
      yield* Effect.forkScoped(answer(outbound, true))
      const one = yield* within("the quorum set", overlay.fetchQuorumSet(sha256(quorumSet.body)))
      const two = yield* within("the transaction set", overlay.fetchTxSet(sha256(txSet.body)))
      assert.deepStrictEqual([hex(one.bytes), hex(two.bytes)], [hex(quorumSet.bytes), hex(txSet.bytes)])
      assert.includeMembers(asked, ["GetScpQuorumSet true", "GetTxSet true"])
      assert.strictEqual(new Set(asked).size, asked.length)
    })))

  it.live("SIM-05 both read \"shutdown\" before the end when our node stops", () =>
    withNode(Effect.fnUntraced(function*() {
      const { inbound, outbound, overlay } = yield* triangle
      yield* overlay.shutdown
      for (const foreign of [inbound, outbound]) {
        const { code, text } = yield* foreign.takeOf("ErrorMsg")
        assert.deepStrictEqual([code, text, yield* foreign.closed], [0, "shutdown", undefined])
      }
    })))
})
