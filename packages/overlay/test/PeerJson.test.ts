/** A peer as the `peers` command shows it, against protocol.md 8.5; and the counters behind it. */
import { assert, describe, it } from "@effect/vitest"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import * as PeerJson from "../src/PeerJson.ts"
import { DontHave } from "../src/wire/StellarMessage.ts"
import { advert, getTxSet, quorumSet, transaction } from "./scenarios/fixtures.ts"
import { authenticated, Remote } from "./scenarios/remote.ts"

// The keys of 8.5, compact ones first. Nested keys with a dot.
const compactKeys = [
  "address",
  "elapsed",
  "latency",
  "ver",
  "olver",
  "id",
  "flow_control.local_capacity.reading",
  "flow_control.local_capacity.flood",
  "flow_control.peer_capacity",
  "flow_control.local_capacity_bytes.reading",
  "flow_control.local_capacity_bytes.flood",
  "flow_control.peer_capacity_bytes"
]
const fullKeys = [
  ...compactKeys,
  "flow_control.outbound_queue_delay_scp_p75",
  "flow_control.outbound_queue_delay_txs_p75",
  "flow_control.outbound_queue_delay_advert_p75",
  "flow_control.outbound_queue_delay_demand_p75",
  "pull_mode.pull_latency",
  "pull_mode.demand_timeouts",
  "message_read",
  "message_write",
  "byte_read",
  "byte_write",
  "async_read",
  "async_write",
  "message_drop",
  "message_delay_in_write_queue_p75",
  "message_delay_in_async_write_p75",
  "unique_flood_message_recv",
  "duplicate_flood_message_recv",
  "unique_fetch_message_recv",
  "duplicate_fetch_message_recv"
]

const leaves = (value: object, prefix = ""): Array<readonly [string, unknown]> =>
  Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
    typeof inner === "object" && inner !== null
      ? leaves(inner, `${prefix}${key}.`)
      : [[`${prefix}${key}`, inner] as const]
  )

const sorted = (keys: Iterable<string>) => [...keys].sort()

describe("keys", () => {
  it("PEE-02 FLC-10 compact and full have core's keys, all of them and no others; all values are numbers or texts", () => {
    const { initiator, now } = SessionPair.connected()
    const compact = leaves(PeerJson.compact(initiator.session, now.millis))
    const full = leaves(PeerJson.full(initiator.session, now.millis))
    assert.deepStrictEqual(sorted(compact.map(([key]) => key)), sorted(compactKeys))
    assert.deepStrictEqual(sorted(full.map(([key]) => key)), sorted(fullKeys))
    for (const [key, value] of full) {
      assert.strictEqual(typeof value, ["address", "ver", "id"].includes(key) ? "string" : "number", key)
      if (typeof value === "number") assert.isTrue(Number.isFinite(value), key)
    }
  })

  it("PEE-02 a peer that has said nothing yet has an address and no name", () => {
    const { session } = new Remote()
    const { address, id, latency, olver, ver } = PeerJson.compact(session, 0)
    assert.deepStrictEqual({ address, id, latency, olver, ver }, {
      address: "192.0.2.1:50000",
      id: "",
      latency: 86_400_000,
      olver: 0,
      ver: ""
    })
  })
})

describe("values", () => {
  it("PEE-02 CFG-07 facts, age and latency of a peer after its first ping", () => {
    const pair = SessionPair.connected({
      acceptor: { config: { peerPort: 4711, versionString: "v1", overlayVersion: 41 } }
    })
    pair.advance(7900)
    const json = PeerJson.compact(pair.initiator.session, pair.now.millis)
    assert.deepStrictEqual(
      [json.address, json.elapsed, json.latency, json.ver, json.olver, json.id],
      ["127.0.0.1:4711", 7, 0, "v1", 41, pair.acceptor.id]
    )
  })

  it("PEE-02 FLC-10 capacities move by what is in process and what was granted; the floor is included", () => {
    const remote = authenticated({ idle: true })
    const message = transaction(1000)
    remote.say(message, quorumSet(1))
    const { flow_control: flow } = PeerJson.compact(remote.session, 0)
    assert.deepStrictEqual(flow, {
      local_capacity: { reading: 199, flood: 199 },
      peer_capacity: 0,
      local_capacity_bytes: { reading: 16_777_220 + 1_048_576 - 1000 - quorumSet(1).size, flood: 299_000 },
      peer_capacity_bytes: 0
    })
  })

  it("PEE-02 FLC-08 delays: how long messages waited in their queue, and how long a write took, p75 in milliseconds", () => {
    const pair = SessionPair.connected()
    const { acceptor, initiator } = pair
    initiator.corked = true
    initiator.session.send(transaction(400), pair.now)
    initiator.session.send(getTxSet(1), pair.now)
    pair.advance(40)
    assert.isDefined(initiator.session.nextWrite(pair.now))
    pair.advance(3)
    initiator.session.wrote(pair.now)
    const json = PeerJson.full(initiator.session, pair.now.millis)
    assert.strictEqual(json.flow_control.outbound_queue_delay_txs_p75, 40)
    assert.strictEqual(json.message_delay_in_async_write_p75, 0, "three of four writes took no time")
    const later = PeerJson.full(initiator.session, pair.now.millis + 300_041)
    assert.strictEqual(later.flow_control.outbound_queue_delay_txs_p75, 0, "the window is 300 s")
    assert.isUndefined(acceptor.dropped)
  })
})

describe("counters", () => {
  it("CFG-07 PEE-02 bytes, messages, reads and writes move by exactly the amount sent", () => {
    const remote = authenticated()
    const before = PeerJson.full(remote.session, 0)
    const said = [
      getTxSet(1),
      transaction(400),
      advert(1, 2),
      DontHave.make({ itemType: 17, hash: new Uint8Array(32) })
    ]
    const bytes = said.reduce((sum, { size }) => sum + 48 + size, 0)
    remote.say(...said)
    const after = PeerJson.full(remote.session, 0)
    const moved = (key: "message_read" | "message_write" | "byte_read" | "byte_write" | "async_read" | "async_write") =>
      after[key] - before[key]
    assert.deepStrictEqual([moved("message_read"), moved("byte_read"), moved("async_read")], [4, bytes, 1])
    // One DONT_HAVE goes back: 84 bytes of body and the mark.
    assert.deepStrictEqual([moved("message_write"), moved("byte_write"), moved("async_write")], [1, 88, 1])
    assert.strictEqual(after.message_drop, 0)
  })

  it("CFG-07 what one side writes the other reads, handshake included", () => {
    const { acceptor, initiator } = SessionPair.connected().advance(60_000)
    for (const [from, to] of [[initiator, acceptor], [acceptor, initiator]] as const) {
      const { stats: written } = from.session
      const { stats: read } = to.session
      assert.isAbove(written.messagesWritten, 10)
      assert.deepStrictEqual([read.messagesRead, read.bytesRead], [written.messagesWritten, written.bytesWritten])
    }
  })

  it("CFG-07 TCP-005 TCP-006 a message that fails its check was read, the one behind it was not", () => {
    for (const bad of ["mac", "xdr"] as const) {
      const remote = authenticated()
      const read = remote.session.stats.messagesRead
      const first = remote.encode(getTxSet(1))
      first[bad === "mac" ? first.length - 1 : 7]! ^= 1
      remote.raw(Buffer.concat([first, remote.encode(getTxSet(2))]))
      assert.strictEqual(remote.names.length, 1)
      assert.strictEqual(remote.session.stats.messagesRead - read, 1)
    }
  })
})
