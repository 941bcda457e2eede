/**
 * Who is let in when slots are few: stellar-core's scenarios HSK-007 to HSK-016 and HSK-022 between nodes that only do
 * what they are told.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { BanList } from "@stellar-overlay/overlay/BanList"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { Context, Effect, Layer } from "effect"
import { knows, type Quiet, quiet, type Settings } from "./network.ts"

const settle = Effect.sleep("1500 millis")

const inWorld = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  World.run(Effect.provide(program, LoopbackTransport.layerNetwork({ latencyMillis: 10 })), { seed: 7 })

/** The key of node `i`, which its name decides. */
const keyOf = (i: number) =>
  Effect.scoped(
    Effect.map(Layer.build(TestNode.layerPeers({ name: `n${i}`, ip: "10.99.0.1" })), (services) =>
      Context.get(services, LocalNode).handshake.id)
  )

const textsOf = (node: Quiet) =>
  node.events.flatMap((event) => (event._tag === "PeerDropped" ? [DropReason.text(event.reason)] : []))

const connected = (a: Quiet, b: Quiet) => [a.isConnectedTo(b), b.isConnectedTo(a)]
const both = [true, true]
const neither = [false, false]

describe("admission", () => {
  it.effect("HSK-007 PEE-05 OVM-12 a strict node refuses who calls and is not preferred", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* quiet(1)
      const two = yield* quiet(2, { config: { preferredPeersOnly: true } })
      one.dial(two)
      yield* settle
      assert.deepStrictEqual(connected(one, two), neither)
      assert.deepStrictEqual(textsOf(two), ["peer rejected"])
      assert.deepStrictEqual(textsOf(one), ["ERR_LOAD (peer rejected)"])
      assert.strictEqual(knows(one, two), "OUTBOUND")
      assert.strictEqual(knows(two, one), "INBOUND")
      // Refused for load is no failure, and the next attempt is later all the same.
      assert.strictEqual(one.manager.load(two.address).numFailures, 0)
      assert.strictEqual(one.manager.dialRefusal(two.address), "NotDue")
    })))

  it.effect("HSK-008 a strict node refuses whom it calls and does not prefer", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* quiet(1)
      const two = yield* quiet(2, { config: { preferredPeersOnly: true } })
      two.dial(one)
      yield* settle
      assert.deepStrictEqual(connected(one, two), neither)
      assert.deepStrictEqual(textsOf(two), ["peer rejected"])
      assert.deepStrictEqual(textsOf(one), ["ERR_LOAD (peer rejected)"])
      assert.strictEqual(knows(one, two), "INBOUND")
      assert.strictEqual(knows(two, one), "OUTBOUND")
    })))

  it.effect("HSK-009 HSK-010 OVM-12 a strict node takes a peer preferred by its key, in either direction", () =>
    inWorld(Effect.gen(function*() {
      for (const inbound of [true, false]) {
        yield* Effect.scoped(Effect.gen(function*() {
          const key = yield* keyOf(1)
          const one = yield* quiet(1)
          const two = yield* quiet(2, { config: { preferredPeersOnly: true, preferredPeerKeys: [key] } })
          if (inbound) one.dial(two)
          else two.dial(one)
          yield* settle
          assert.deepStrictEqual(connected(one, two), both)
          assert.strictEqual(knows(one, two), inbound ? "OUTBOUND" : "INBOUND")
          // A key is not known to be preferred when HELLO is handled.
          assert.strictEqual(knows(two, one), inbound ? "INBOUND" : "OUTBOUND")
        }))
      }
    })))

  interface Contest {
    readonly limits: NonNullable<Settings["peers"]>["limits"]
    /** Whether node 2 is called or calls. */
    readonly inbound: boolean
    /** Who meets node 2 first. */
    readonly order: readonly [number, number]
    readonly preferred?: number
    readonly winner: number
    readonly text: string
  }

  const inboundSlot = { maxInbound: 1, maxOutbound: 0 }
  const outboundSlot = { maxInbound: 0, maxOutbound: 1 }
  const contests: Record<string, Contest> = {
    "HSK-011 with one inbound slot the first caller stays": {
      limits: inboundSlot,
      inbound: true,
      order: [1, 3],
      winner: 1,
      text: "peer rejected"
    },
    "HSK-012 with one outbound slot the first one called stays": {
      limits: outboundSlot,
      inbound: false,
      order: [1, 3],
      winner: 1,
      text: "peer rejected"
    },
    "HSK-013 a preferred peer that called first stays": {
      limits: inboundSlot,
      inbound: true,
      order: [3, 1],
      preferred: 3,
      winner: 3,
      text: "peer rejected"
    },
    "HSK-014 a preferred peer that was called first stays": {
      limits: outboundSlot,
      inbound: false,
      order: [3, 1],
      preferred: 3,
      winner: 3,
      text: "peer rejected"
    },
    "HSK-015 a preferred peer that calls second takes the slot": {
      limits: inboundSlot,
      inbound: true,
      order: [1, 3],
      preferred: 3,
      winner: 3,
      text: "preferred peer selected instead"
    },
    "HSK-016 a preferred peer that is called second takes the slot": {
      limits: outboundSlot,
      inbound: false,
      order: [1, 3],
      preferred: 3,
      winner: 3,
      text: "preferred peer selected instead"
    }
  }

  for (const [title, contest] of Object.entries(contests)) {
    it.effect(`${title} PEE-05 OVM-11`, () =>
      inWorld(Effect.gen(function*() {
        const key = yield* keyOf(3)
        const one = yield* quiet(1)
        const two = yield* quiet(2, {
          config: { preferredPeerKeys: contest.preferred === undefined ? [] : [key] },
          peers: { limits: contest.limits ?? {} }
        })
        const three = yield* quiet(3)
        const byNumber = new Map([[1, one], [3, three]])
        for (const i of contest.order) {
          const other = byNumber.get(i)!
          if (contest.inbound) other.dial(two)
          else two.dial(other)
          yield* settle
        }
        const loser = contest.winner === 1 ? three : one
        assert.deepStrictEqual(connected(byNumber.get(contest.winner)!, two), both)
        assert.deepStrictEqual(connected(loser, two), neither)
        assert.deepStrictEqual(textsOf(two), [contest.text])
        assert.deepStrictEqual(textsOf(loser), [`ERR_LOAD (${contest.text})`])
        for (const other of [one, three]) {
          assert.strictEqual(knows(other, two), contest.inbound ? "OUTBOUND" : "INBOUND")
          assert.strictEqual(knows(two, other), contest.inbound ? "INBOUND" : "OUTBOUND")
        }
        assert.strictEqual(two.peers.registry.size, 1)
      })))
  }

  it.effect("HSK-022 BAN-02 a banned node is dropped without a word, before it is noted", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* quiet(1)
      const two = yield* quiet(2)
      Context.get(one.services, BanList).ban(two.id)
      one.dial(two)
      yield* settle
      assert.deepStrictEqual(connected(one, two), neither)
      assert.deepStrictEqual(textsOf(one), ["node is banned"])
      assert.deepStrictEqual(two.drops(), ["RemoteClosed"])
      assert.strictEqual(knows(two, one), "INBOUND")
      // The dial made the row (protocol.md 9.6); that there is a node was not noted.
      assert.strictEqual(knows(one, two), "INBOUND")
      assert.strictEqual(one.manager.load(two.address).numFailures, 1)
    })))

  interface Meeting {
    /** What node 2, which is called, does otherwise. */
    readonly config?: Settings["config"]
    readonly before?: (two: Quiet) => void
    readonly onBytes?: LoopbackTransport.Options["onBytes"]
    readonly connected: boolean
    /** What 1 knows of 2 and 2 of 1. The dial itself makes an INBOUND row (protocol.md 9.6): upstream's "unknown". */
    readonly known: readonly [string | undefined, string | undefined]
    readonly reasons: readonly [string, string]
  }

  let frames = 0
  const meetings: Record<string, Meeting> = {
    "HSK-001 a handshake makes the called address OUTBOUND and the caller's INBOUND": {
      connected: true,
      known: ["OUTBOUND", "INBOUND"],
      reasons: ["", ""]
    },
    "HSK-002 H12 a node that announces port 0 is refused, and not stored": {
      before: ({ services }) => void (Context.get(services, LocalNode).handshake.listeningPort = 0),
      connected: false,
      known: ["INBOUND", "INBOUND"],
      reasons: ["bad address", "ERR_CONF (bad address)"]
    },
    "HSK-004 M1 a wrong MAC comes after both know each other": {
      onBytes: (_, direction, chunk) => {
        if (direction === "toDialer" && ++frames === 2) chunk[55]! ^= 1
      },
      connected: false,
      known: ["OUTBOUND", "INBOUND"],
      reasons: ["unexpected MAC", "ERR_AUTH (unexpected MAC)"]
    },
    "HSK-020 H8 nodes of different networks learn nothing of each other": {
      config: { networkPassphrase: "another" },
      connected: false,
      known: ["INBOUND", undefined],
      reasons: ["error reading message header: end of file", "failed to verify auth cert"]
    },
    "HSK-021 H4 who cannot prove its key is not noted, though it noted us": {
      before: ({ services }) => {
        const { auth } = Context.get(services, LocalNode)
        const certificate = auth.certificate.bind(auth)
        Object.assign(auth, {
          certificate: (now: number) => ({ ...certificate(now), expiration: certificate(now).expiration + 1n })
        })
      },
      connected: false,
      known: ["INBOUND", "INBOUND"],
      reasons: ["failed to verify auth cert", "error reading message header: end of file"]
    },
    "HSK-023 H9 a version above ours is not noted": {
      config: { overlayVersion: 43, overlayMinVersion: 43 },
      connected: false,
      known: ["INBOUND", undefined],
      reasons: ["wrong protocol version", "wrong protocol version"]
    },
    "HSK-024 H9 a version below ours is not noted": {
      config: { overlayVersion: 37, overlayMinVersion: 37 },
      connected: false,
      known: ["INBOUND", undefined],
      reasons: ["wrong protocol version", "wrong protocol version"]
    }
  }
  for (const [title, { before, config, connected: isConnected, known, onBytes, reasons }] of Object.entries(meetings)) {
    it.effect(title, () =>
      World.run(
        Effect.gen(function*() {
          frames = 0
          const one = yield* quiet(1)
          const two = yield* quiet(2, { config })
          before?.(two)
          one.dial(two)
          yield* settle
          assert.deepStrictEqual(connected(one, two), isConnected ? both : neither)
          assert.deepStrictEqual([knows(one, two), knows(two, one)], [...known])
          assert.deepStrictEqual([one, two].map((node) => textsOf(node).join()), [...reasons])
          if (!isConnected) assert.strictEqual(one.peers.registry.size + two.peers.registry.size, 0)
        }).pipe(Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 10, onBytes }))),
        { seed: 7 }
      ))
  }
})
