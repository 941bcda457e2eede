/** Nodes among themselves: admission, bans, addresses, flooding, fetching, flow control, surveys. */
import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { toHex } from "../../src/internal/bytes.ts"
import { unknownLedger } from "../../src/OverlayHost.ts"
import { MessageType } from "../../src/wire/MessageType.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import {
  Auth,
  DontHave,
  FloodAdvert,
  FloodDemand,
  GetScpQuorumSet,
  GetScpState,
  Peers,
  SendMoreExtended
} from "../../src/wire/StellarMessage.ts"
import { hashOf, scpMessage, transaction, txSet } from "../flood/messages.ts"
import { MemoryHost } from "../flood/network.ts"
import type { Net, Node, Scenario } from "./net.ts"

const two = (net: Net, options: Parameters<Net["node"]>[1] = {}) =>
  Effect.all([net.node("one", options), net.node("two", options)])

const isConnected = (a: Node, b: { readonly id: Node["id"] }) => a.overlay.peers.get(b.id) !== undefined

const generous = SendMoreExtended.make({ numMessages: 1_000, numBytes: 10_000_000 })
/** Questions that every node answers, so that everything before them has been seen to. */
const question = (n: number) => GetScpQuorumSet.make({ hash: new Uint8Array(32).fill(n) })

export const scenarios: ReadonlyArray<Scenario> = [
  {
    title: "HSK-001 OVM-02 two nodes meet; one leaves, and says so",
    run: (net) =>
      Effect.gen(function*() {
        const [one, other] = yield* two(net)
        assert.strictEqual(yield* one.connect(other), "connected")
        yield* other.stop
        yield* net.dropped(one, 1)
        assert.deepStrictEqual(one.drops(), ["ShutdownReceived"])
      })
  },
  {
    title: "OVM-10 nobody listens there",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        return yield* one.connect(yield* net.nobody())
      })
  },
  {
    title: "HSK-030 a node meets itself",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const result = yield* one.connect(one)
        assert.notStrictEqual(result, "connected")
        return result
      })
  },
  {
    title: "OVM-10 a node that is connected already",
    run: (net) =>
      Effect.gen(function*() {
        const [one, other] = yield* two(net)
        return [yield* one.connect(other), yield* one.connect(other), yield* other.connect(one)]
      })
  },
  {
    title: "OVM-10 the same key twice: the second is told",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        yield* (yield* net.peer("twin", one)).handshake()
        yield* net.until("the first is in", () => one.overlay.peers.authenticated().length === 1)
        const second = yield* net.peer("twin", one)
        yield* second.say(second.script.hello())
        yield* second.expectClosed()
        yield* net.dropped(one, 1)
        assert.deepStrictEqual(one.drops(), ["AlreadyConnected"])
        return second.script.messages("ErrorMsg").map(({ code }) => code)
      })
  },
  {
    title: "CON-05 dropped by an operator, and back",
    run: (net) =>
      Effect.gen(function*() {
        const [one, other] = yield* two(net)
        yield* one.connect(other)
        assert.isTrue(one.overlay.drop(other.id))
        yield* Effect.all([net.dropped(one, 1), net.dropped(other, 1)])
        assert.deepStrictEqual([one.drops(), other.drops()], [["DroppedByUser"], ["ErrorReceived"]])
        return yield* other.connect(one)
      })
  },
  {
    title: "HSK-020 nodes of two networks",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const other = yield* net.node("two", { config: { networkPassphrase: "another network" } })
        const result = yield* other.connect(one)
        yield* net.dropped(one, 1)
        assert.deepStrictEqual(one.drops(), ["CertificateInvalid"])
        return result
      })
  },
  {
    title: "HSK-023 HSK-024 versions that do not overlap, and some that do",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one", { config: { overlayVersion: 38, overlayMinVersion: 38 } })
        const between = yield* net.node("two", { config: { overlayVersion: 41, overlayMinVersion: 38 } })
        const late = yield* net.node("three", { config: { overlayVersion: 42, overlayMinVersion: 41 } })
        const results = [yield* one.connect(between), yield* between.connect(late), yield* late.connect(one)]
        yield* net.dropped(one, 1)
        assert.deepStrictEqual(one.drops(), ["WrongProtocolVersion"])
        return results
      })
  },
  {
    title: "HSK-022 BAN-02 OVM-22 a banned node does not get in",
    run: (net) =>
      Effect.gen(function*() {
        const [one, other] = yield* two(net)
        one.overlay.ban(other.id)
        const result = yield* other.connect(one)
        yield* net.dropped(one, 1)
        assert.deepStrictEqual(one.drops(), ["NodeBanned"])
        return result
      })
  },
  {
    title: "BAN-02 OVM-22 a ban ends a connection at once; after it is lifted the node is welcome",
    run: (net) =>
      Effect.gen(function*() {
        const [one, other] = yield* two(net)
        yield* one.connect(other)
        one.overlay.ban(other.id)
        yield* Effect.all([net.dropped(one, 1), net.dropped(other, 1)])
        const refused = yield* one.connect(other)
        assert.isFalse(isConnected(one, other))
        assert.isTrue(one.overlay.unban(other.id))
        return [refused, yield* one.connect(other)]
      })
  },
  {
    title: "BAN-04 H15 ten violations ban a node",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        for (let i = 1; i <= 10; i++) {
          const peer = yield* net.peer("villain", one)
          yield* peer.handshake()
          yield* peer.say(SendMoreExtended.make({ numMessages: 1, numBytes: 0 }))
          yield* peer.expectClosed({ error: "silent" })
          yield* net.dropped(one, i)
        }
        const last = yield* net.peer("villain", one)
        yield* last.say(last.script.hello())
        yield* last.expectClosed({ error: "silent" })
        yield* net.dropped(one, 11)
        assert.strictEqual(one.drops().at(-1), "NodeBanned")
        return one.overlay.banList.list().length
      })
  },
  {
    title: "HSK-011 OVM-11 PEE-05 a full node refuses, with addresses for elsewhere",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one", { config: { targetPeerConnections: 1, maxAdditionalPeerConnections: 1 } })
        yield* (yield* net.peer("first", one)).handshake()
        yield* net.until("the first is in", () => one.overlay.peers.authenticated().length === 1)
        const second = yield* net.peer("second", one)
        yield* second.handshake("GotHello")
        yield* second.say(authOf(second))
        yield* second.expectClosed({ error: [4, "peer rejected"] })
        yield* net.dropped(one, 1)
        assert.deepStrictEqual(one.drops(), ["PeerRejected"])
        return second.script.heard.map(({ message }) => message?._tag)
      })
  },
  {
    title: "HSK-015 OVM-11 OVM-12 a preferred peer takes the place of another",
    run: (net) =>
      Effect.gen(function*() {
        const vip = yield* net.node("vip")
        const one = yield* net.node("one", {
          config: { targetPeerConnections: 1, maxAdditionalPeerConnections: 1, preferredPeerKeys: [vip.id] }
        })
        const first = yield* net.peer("first", one)
        yield* first.handshake()
        yield* net.until("the first is in", () => one.overlay.peers.authenticated().length === 1)
        const result = yield* vip.connect(one)
        yield* first.expectClosed({ error: [4, "preferred peer selected instead"] })
        yield* net.dropped(one, 1)
        assert.deepStrictEqual(one.drops(), ["PreferredPeerSelected"])
        return [result, isConnected(one, vip)]
      })
  },
  {
    title: "HSK-007 HSK-009 OVM-12 a node that wants preferred peers only",
    run: (net) =>
      Effect.gen(function*() {
        const vip = yield* net.node("vip")
        const one = yield* net.node("one", { config: { preferredPeersOnly: true, preferredPeerKeys: [vip.id] } })
        const result = yield* vip.connect(one)
        const stranger = yield* net.peer("stranger", one)
        yield* stranger.handshake("GotHello")
        yield* stranger.say(authOf(stranger))
        yield* stranger.expectClosed({ error: [4, "peer rejected"] })
        yield* net.dropped(one, 1)
        assert.deepStrictEqual(one.drops(), ["PeerRejected"])
        return result
      })
  },
  {
    title: "OVM-23 OVM-14 what is pending and what is authenticated, at each step of a handshake",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const { registry } = one.overlay.peers
        const counts = () => [registry.pendingCount("acceptor"), registry.authenticatedCount("acceptor")].join()
        const peer = yield* net.peer("guest", one)
        yield* net.until("pending", () => counts() === "1,0")
        yield* peer.handshake("GotHello")
        assert.strictEqual(counts(), "1,0")
        yield* peer.say(authOf(peer))
        yield* peer.expect("SendMoreExtended")
        assert.strictEqual(counts(), "0,1")
        yield* peer.finish
        yield* net.dropped(one, 1)
        yield* net.until("gone", () => counts() === "0,0")
      })
  },
  {
    title: "HSK-005 PEE-10 PMG-07 PEERS: who was dialled names addresses, but not the caller's",
    run: (net) =>
      Effect.gen(function*() {
        const known = ["9.9.9.9:11625", "8.8.8.8:11625"]
        const one = yield* net.node("one")
        one.overlay.peerManager.receivePeers(
          known.map((text) => addressOf(text)),
          PeerAddress.make("7.7.7.7", 11625)
        )
        const peer = yield* net.peer("guest", one)
        yield* peer.handshake("GotHello")
        yield* peer.say(authOf(peer))
        const { addresses } = yield* peer.expect("Peers")
        const named = addresses.map(String).sort()
        assert.isNotEmpty(named)
        return named
      })
  },
  {
    title: "PEE-09 PEERS: who dialled remembers what it is told",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const seen = one.overlay.peerManager
        const door = yield* net.acceptor("server")
        const dialling = yield* Effect.forkScoped(one.connect(door))
        const server = yield* door.peer
        yield* server.handshake()
        assert.strictEqual(yield* Fiber.join(dialling), "connected")
        yield* server.say(Peers.make({ addresses: [addressOf("9.9.9.9:11625"), addressOf("8.8.8.8:4711")] }))
        yield* net.until("remembered", () => seen.get(addressOf("8.8.8.8:4711")) !== undefined)
        return ["9.9.9.9:11625", "8.8.8.8:4711", "1.1.1.1:1"].map((text) => seen.get(addressOf(text))?.type)
      })
  },
  {
    title: "HSK-006 PEE-09 PEERS twice",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const door = yield* net.acceptor("server")
        const dialling = yield* Effect.forkScoped(one.connect(door))
        const server = yield* door.peer
        yield* server.handshake()
        yield* Fiber.join(dialling)
        yield* server.sayAll([Peers.make({ addresses: [] }), Peers.make({ addresses: [] })])
        yield* server.expectClosed({ error: "silent" })
        yield* net.dropped(one, 1)
        assert.deepStrictEqual(one.drops(), ["TooManyPeersMessages"])
      })
  },
  {
    title: "DEM-04 FLD-03 a transaction is advertised, demanded, and pulled",
    run: (net) =>
      Effect.gen(function*() {
        const [one, other] = yield* two(net)
        yield* one.connect(other)
        const message = transaction(1)
        one.host.add(message)
        one.overlay.broadcast(message)
        yield* net.until("it has come", () => other.host.pool.size === 1)
        return { pool: [...other.host.pool.keys()], received: other.host.transactionsReceived }
      })
  },
  {
    title: "FLD-03 an SCP message goes down a line of nodes, and never back",
    run: (net) =>
      Effect.gen(function*() {
        const [one, other] = yield* two(net)
        const third = yield* net.node("three")
        yield* one.connect(other)
        yield* other.connect(third)
        for (let slot = 1; slot <= 10; slot++) one.overlay.broadcast(scpMessage(slot))
        yield* net.until("all have come", () => third.host.scp.length === 10)
        return [one, other, third].map(({ host }) => host.scp)
      })
  },
  {
    title: "DEM-04 FLD-03 a ring of four: each node gets each message",
    run: (net) =>
      Effect.gen(function*() {
        const nodes = yield* Effect.forEach(["a", "b", "c", "d"], (name) => net.node(name))
        for (const [i, node] of nodes.entries()) yield* node.connect(nodes[(i + 1) % 4]!)
        for (const [i, node] of nodes.entries()) {
          const message = transaction(i + 1)
          node.host.add(message)
          node.overlay.broadcast(message)
          node.overlay.broadcast(scpMessage(100 + i))
        }
        const scp = ({ host }: Node) => new Set(host.scp).size
        yield* net.until("everything is everywhere", () =>
          nodes.every((node) => node.host.pool.size === 4 && scp(node) >= 3))
        return nodes.map(({ host }) =>
          [...host.pool.keys()].sort()
        )
      })
  },
  {
    title: "FLD-02 FLD-03 two peers bring the same message: the third gets it once",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const [a, b, c] = yield* Effect.forEach(["a", "b", "c"], (name) => net.peer(name, one))
        for (const peer of [a!, b!, c!]) {
          yield* peer.handshake()
          yield* peer.say(generous)
        }
        for (const peer of [a!, b!]) {
          yield* peer.say(scpMessage(5))
          yield* peer.say(question(1))
          yield* peer.expect("DontHave")
        }
        yield* c!.expect("ScpMessage")
        yield* c!.say(question(2))
        yield* c!.expect("DontHave")
        const got = [a!, b!, c!].map(({ script }) => script.messages("ScpMessage").length)
        assert.strictEqual(got[2], 1)
        assert.strictEqual(got[0], 0)
        return got[2]
      })
  },
  {
    title: "OVM-21 QRY-02 a demand is answered with what there is",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const message = transaction(7)
        one.host.add(message)
        const peer = yield* net.peer("guest", one)
        yield* peer.handshake()
        yield* peer.say(generous)
        yield* peer.say(FloodDemand.make({ hashes: [hashOf(message), new Uint8Array(32).fill(9)] }))
        const answer = yield* peer.expect("Transaction")
        yield* peer.say(question(1))
        yield* peer.expect("DontHave")
        return [toHex(hashOf(answer)) === toHex(hashOf(message)), peer.script.messages("Transaction").length]
      })
  },
  {
    title: "DEM-01 what is advertised is asked for, once, and taken",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const message = transaction(8)
        const peer = yield* net.peer("guest", one)
        yield* peer.handshake()
        yield* peer.say(generous)
        yield* peer.say(FloodAdvert.make({ hashes: [hashOf(message)] }))
        const demand = yield* peer.expect("FloodDemand")
        yield* peer.say(message)
        yield* net.until("taken", () => one.host.pool.size === 1)
        return [demand.count, [...one.host.pool.keys()]]
      })
  },
  {
    title: "FLC-02 consumption gives credit back, message for message and byte for byte",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const peer = yield* net.peer("guest", one)
        yield* peer.handshake()
        const messages = Array.from({ length: 40 }, (_, i) => transaction(i + 1))
        for (const message of messages) yield* peer.say(message)
        const grant = yield* peer.expect("SendMoreExtended")
        const bytes = messages.reduce((sum, { size }) => sum + size, 0)
        assert.deepStrictEqual([grant.numMessages, grant.numBytes], [40, bytes])
        return [grant.numMessages, grant.numBytes]
      })
  },
  {
    title: "FLC-03 without credit flood messages wait, and others do not",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const peer = yield* net.peer("miser", one)
        yield* peer.handshake()
        yield* net.until("in", () => one.overlay.peers.authenticated().length === 1)
        for (let slot = 1; slot <= 3; slot++) one.overlay.broadcast(scpMessage(slot))
        const heard: Array<number> = []
        for (let i = 0; i < 3; i++) {
          yield* peer.say(question(i + 1))
          yield* peer.expect("DontHave")
          heard.push(peer.script.messages("ScpMessage").length)
          yield* peer.say(SendMoreExtended.make({ numMessages: 1, numBytes: 100_000 }))
          yield* peer.expect("ScpMessage")
        }
        assert.deepStrictEqual(heard, [0, 1, 2])
        return peer.script.messages("ScpMessage").map(({ slotIndex }) => Number(slotIndex))
      })
  },
  {
    title: "FET-01 a transaction set is fetched from the peer that has it",
    run: (net) =>
      Effect.gen(function*() {
        const set = txSet(3)
        const has = new MemoryHost({
          txSet: (hash) => Effect.succeed(toHex(hash) === toHex(set.hash) ? set.message : undefined)
        })
        const [one, other] = [yield* net.node("one"), yield* net.node("two", { host: has })]
        yield* one.connect(other)
        const found = yield* one.fetcher.fetchTxSet(set.hash)
        return [toHex(found.bytes) === toHex(set.message.bytes), found._tag]
      })
  },
  {
    title: "FET-03 who does not have it says so, and the next is asked",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const set = txSet(4)
        const peer = yield* net.peer("poor", one)
        yield* peer.handshake()
        yield* net.until("in", () => one.overlay.peers.authenticated().length === 1)
        const fetching = yield* Effect.forkScoped(one.fetcher.fetchTxSet(set.hash))
        const { hash } = yield* peer.expect("GetTxSet")
        assert.strictEqual(toHex(hash), toHex(set.hash))
        const rich = yield* net.peer("rich", one)
        yield* rich.handshake()
        yield* net.until("both in", () => one.overlay.peers.authenticated().length === 2)
        yield* peer.say(DontHave.make({ itemType: MessageType.TxSet, hash }))
        yield* rich.expect("GetTxSet")
        yield* rich.say(set.message)
        return (yield* Fiber.join(fetching))._tag
      })
  },
  {
    title: "QRY-01 GET_SCP_QUORUMSET of nothing that exists",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const peer = yield* net.peer("guest", one)
        yield* peer.handshake()
        yield* peer.say(question(5))
        const { hash, itemType } = yield* peer.expect("DontHave")
        return [itemType, toHex(hash)]
      })
  },
  {
    title: "PEE-13 GET_SCP_STATE",
    run: (net) =>
      Effect.gen(function*() {
        const host = new MemoryHost({ scpState: (from) => Effect.succeed([scpMessage(from), scpMessage(from + 1)]) })
        const one = yield* net.node("one", { host })
        const peer = yield* net.peer("guest", one)
        yield* peer.handshake()
        yield* peer.say(generous)
        yield* peer.say(GetScpState.make({ ledgerSeq: 41 }))
        const first = yield* peer.expect("ScpMessage")
        const second = yield* peer.expect("ScpMessage")
        return [Number(first.slotIndex), Number(second.slotIndex)]
      })
  },
  {
    title: "PEE-18 a message to one peer by its key, and to nobody",
    run: (net) =>
      Effect.gen(function*() {
        const one = yield* net.node("one")
        const guest = yield* net.peer("guest", one)
        yield* guest.handshake()
        yield* net.until("in", () => one.overlay.peers.authenticated().length === 1)
        const sent = [
          one.overlay.send(guest.script.id, GetScpState.make({ ledgerSeq: 77 })),
          one.overlay.send(one.id, GetScpState.make({ ledgerSeq: 77 }))
        ]
        yield* guest.expect(({ message }) => message?._tag === "GetScpState" && message.ledgerSeq === 77)
        assert.deepStrictEqual(sent, [true, false])
      })
  },
  {
    title: "SVM-002 SUR-02 a survey of a neighbour",
    run: (net) =>
      Effect.gen(function*() {
        const quorum = () => {
          const host = new MemoryHost({ isInQuorum: () => true })
          host.view = { ...unknownLedger, trackingIndex: 100, isTracking: true }
          return host
        }
        const config = { expectedCloseTimeMillis: 100 }
        const one = yield* net.node("one", { host: quorum(), config })
        const other = yield* net.node("two", { host: quorum(), config })
        const third = yield* net.node("three", { host: quorum(), config })
        yield* one.connect(other)
        yield* third.connect(other)
        const { survey } = one.overlay
        assert.isTrue(survey.startCollecting(7))
        const phases = () => [one, other, third].map(({ overlay }) => overlay.survey.state.phase).join()
        yield* net.until("all collect", () => phases() === "COLLECTING,COLLECTING,COLLECTING")
        assert.isTrue(survey.stopCollecting())
        yield* net.until("all report", () => phases() === "REPORTING,REPORTING,REPORTING")
        assert.deepStrictEqual(survey.surveyNode(other.id), { _tag: "Queued", started: true })
        const answer = () => survey.results().topology[other.id]
        yield* net.until("the answer is there", () => (answer() ?? null) !== null)
        const named = (list: ReadonlyArray<{ readonly nodeId: string }> | null | undefined) =>
          (list ?? []).map(({ nodeId }) => net.names.ids.get(nodeId)).sort()
        return [named(answer()?.inboundPeers), named(answer()?.outboundPeers)]
      })
  }
]

function authOf(peer: { readonly script: { readonly options: { readonly authFlags?: number | undefined } } }) {
  return Auth.make({ flags: peer.script.options.authFlags ?? 200 })
}

function addressOf(text: string): PeerAddress {
  const at = text.lastIndexOf(":")
  return PeerAddress.make(text.slice(0, at), Number(text.slice(at + 1)))
}
