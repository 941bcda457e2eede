/**
 * The peers of a running node, ours or stellar-core's, from one answer of its operator's port to the next: rates, and who
 * came and went.
 */
import { INITIAL_LATENCY_MILLIS } from "@stellar-overlay/overlay/protocol/Liveness"
import * as Schema from "effect/Schema"
import { millis, seconds } from "../render/units.ts"
import type { PeerRow } from "./PeerRow.ts"

const Peer = Schema.Struct({
  address: Schema.String,
  id: Schema.String,
  ver: Schema.String,
  elapsed: Schema.Number,
  latency: Schema.Number,
  message_read: Schema.Number,
  unique_flood_message_recv: Schema.Number,
  duplicate_flood_message_recv: Schema.Number,
  unique_fetch_message_recv: Schema.Number,
  duplicate_fetch_message_recv: Schema.Number,
  flow_control: Schema.Struct({
    peer_capacity: Schema.Number,
    outbound_queue_delay_scp_p75: Schema.Number
  })
})

const Directions = <S extends Schema.Top>(item: S) =>
  Schema.Struct({
    inbound: Schema.NullOr(Schema.Array(item)),
    outbound: Schema.NullOr(Schema.Array(item))
  })

/** What `/peers?compact=false&fullkeys=true` answers (protocol.md 8.5 and 14), as far as it is looked at. */
export const Answer = Schema.Struct({
  authenticated_peers: Directions(Peer),
  pending_peers: Directions(Schema.String)
})

/** What the answers tell. */
export interface Snapshot {
  readonly rows: ReadonlyArray<PeerRow>
  readonly pending: number
  /** Of none before the second answer. */
  readonly joined: ReadonlyArray<PeerRow>
  readonly left: ReadonlyArray<PeerRow>
}

interface Known {
  readonly row: PeerRow
  readonly read: number
  readonly at: number
  /** When `read` last grew. */
  readonly heardAt: number
}

export class AdminPeers {
  #known: Map<string, Known> | undefined

  /** Takes an answer that came at that monotonic millisecond. */
  take({ authenticated_peers, pending_peers }: typeof Answer.Type, now: number): Snapshot {
    const before = this.#known
    const known = new Map<string, Known>()
    const add = (peers: ReadonlyArray<typeof Peer.Type> | null, direction: "in" | "out") => {
      for (const peer of peers ?? []) {
        const earlier = before?.get(peer.id)
        // a peer that left and came back in between begins anew
        const same = earlier !== undefined && earlier.read <= peer.message_read ? earlier : undefined
        const heardAt = same !== undefined && same.read === peer.message_read ? same.heardAt : now
        const perSecond = same === undefined || now === same.at
          ? 0
          : (peer.message_read - same.read) / ((now - same.at) / 1000)
        known.set(peer.id, {
          at: now,
          read: peer.message_read,
          heardAt,
          row: {
            id: peer.id,
            address: peer.address,
            direction,
            version: peer.ver,
            roundTripMillis: peer.latency >= INITIAL_LATENCY_MILLIS ? undefined : peer.latency,
            ageSeconds: peer.elapsed,
            messagesPerSecond: perSecond,
            unique: peer.unique_flood_message_recv + peer.unique_fetch_message_recv,
            duplicates: peer.duplicate_flood_message_recv + peer.duplicate_fetch_message_recv,
            credit: peer.flow_control.peer_capacity,
            queued: millis(peer.flow_control.outbound_queue_delay_scp_p75),
            last: heardAt === now ? "now" : `${seconds((now - heardAt) / 1000)} ago`
          }
        })
      }
    }
    add(authenticated_peers.outbound, "out")
    add(authenticated_peers.inbound, "in")
    this.#known = known
    const rows = [...known.values()].map(({ row }) => row)
    return {
      rows,
      pending: (pending_peers.inbound?.length ?? 0) + (pending_peers.outbound?.length ?? 0),
      joined: before === undefined ? [] : rows.filter(({ id }) => !before.has(id)),
      left: before === undefined ? [] : [...before.values()].flatMap(({ row }) => known.has(row.id) ? [] : [row])
    }
  }
}
