/** A peer as the live view shows it, whether it is ours or one that another node tells of. */
import type { Peer } from "@stellar-overlay/overlay/Peer"
import type { Unique } from "../net/Unique.ts"
import { bold, dim, type Line } from "../render/Line.ts"
import * as Link from "../render/link.ts"
import type { Column } from "../render/table.ts"
import { count, millis, rate, seconds } from "../render/units.ts"

export interface PeerRow {
  readonly id: string
  readonly address: string
  readonly direction: "in" | "out"
  readonly version: string
  /** Undefined before the first answered ping. */
  readonly roundTripMillis: number | undefined
  readonly ageSeconds: number
  readonly messagesPerSecond: number
  readonly unique: number
  readonly duplicates: number
  /** Flow-controlled messages that the remote still takes. */
  readonly credit: number
  /** What waits for the remote: how many messages, or for how long. */
  readonly queued: string
  /** The last message, or how long ago it came. */
  readonly last: string
}

const number = (title: string, cell: (row: PeerRow) => string): Column<PeerRow> => ({
  title,
  right: true,
  cell: (row) => [cell(row)]
})

/** The most telling first: a narrow terminal shows only these. */
export const columns: ReadonlyArray<Column<PeerRow>> = [
  { title: "PEER", cell: ({ id }): Line => [bold(id.slice(0, 5))] },
  { title: "DIR", cell: ({ direction }) => [direction] },
  { title: "ADDRESS", cell: ({ address }) => [address] },
  number("RTT", ({ roundTripMillis }) => roundTripMillis === undefined ? "?" : millis(roundTripMillis)),
  number("AGE", ({ ageSeconds }) => seconds(ageSeconds)),
  number("MSG/S", ({ messagesPerSecond }) => rate(messagesPerSecond)),
  number("UNIQUE", ({ unique }) => count(unique)),
  number("DUP", ({ duplicates }) => count(duplicates)),
  number("CREDIT", ({ credit }) => count(credit)),
  number("QUEUED", ({ queued }) => queued),
  { title: "LAST", cell: ({ last }) => [last] },
  { title: "VERSION", cell: ({ version }) => [dim(version)] }
]

/** A peer of this program. */
export const ofPeer = (peer: Peer, unique: Unique, perSecond: number, now: number, last: string): PeerRow => ({
  id: peer.id,
  address: peer.address.key,
  direction: peer.role === "initiator" ? "out" : "in",
  version: peer.remote.version,
  roundTripMillis: Link.roundTrip(peer.session),
  ageSeconds: (now - peer.session.stats.createdAt) / 1000,
  messagesPerSecond: perSecond,
  unique: unique.messages,
  duplicates: unique.duplicates,
  credit: Link.remoteCredit(peer.session),
  queued: count(Link.queued(peer.session)),
  last
})
