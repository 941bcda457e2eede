/** Rows of the tables of a crawl, and what they stand for. Rows that somebody else wrote and make no sense are skipped. */
import type { CrawlAttempt, CrawledNode } from "@stellar-overlay/overlay/CrawlerEvents"
import type { CrawledAddress } from "@stellar-overlay/overlay/protocol/CrawlFrontier"
import { isCrawlStatus } from "@stellar-overlay/overlay/protocol/CrawlStatus"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Result from "effect/Result"

/** As the drivers return it: bigint columns are numbers with SQLite and text with PostgreSQL. */
type Int = number | string

type Nullable<A> = { readonly [K in keyof A]: A[K] | null }

export interface AddressRow extends
  Nullable<{
    readonly node_id: string
    readonly source: string
    readonly last_attempt_at: Int
    readonly next_attempt_at: Int
  }>
{
  readonly host: string
  readonly port: Int
  readonly status: string
  readonly seed: Int
  readonly depth: Int
  readonly found_at: Int
  readonly attempts: Int
  readonly done: Int
}

export interface NodeRow extends
  Nullable<{
    readonly clock_skew_seconds: Int
    readonly connect_millis: number
    readonly handshake_millis: number
    readonly ping_millis: number
    readonly slot: Int
    readonly slot_at: Int
    readonly lag: Int
    readonly validated_slot: Int
    readonly peers_told: Int
  }>
{
  readonly node_id: string
  readonly status: string
  readonly version: string
  readonly overlay_version: Int
  readonly overlay_min_version: Int
  readonly ledger_version: Int
  readonly listening_port: Int
  readonly first_seen_at: Int
  readonly last_seen_at: Int
  readonly validating: Int
  readonly peers_refused: Int
}

export const number = (value: Int | null): number | undefined => value === null ? undefined : Number(value)

export const idOf = (text: string | null): NodeId.NodeId | undefined => {
  if (text === null) return undefined
  const parsed = NodeId.parse(text)
  return Result.isSuccess(parsed) ? parsed.success : undefined
}

const isAddress = (host: string, port: number): boolean => {
  const text = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
  const parsed = PeerAddress.parse(text)
  return Result.isSuccess(parsed) && parsed.success.host === host
}

export const addressOf = (row: AddressRow): CrawledAddress | undefined => {
  const { host, status } = row
  const port = Number(row.port)
  if (!isCrawlStatus(status) || !isAddress(host, port)) return undefined
  return {
    host,
    port,
    seed: Number(row.seed) === 1,
    depth: Number(row.depth),
    source: idOf(row.source),
    foundAt: Number(row.found_at),
    status,
    attempts: Number(row.attempts),
    lastAttemptAt: number(row.last_attempt_at),
    nextAttemptAt: number(row.next_attempt_at),
    done: Number(row.done) === 1,
    nodeId: idOf(row.node_id)
  }
}

export const nodeOf = (row: NodeRow): CrawledNode | undefined => {
  const id = idOf(row.node_id)
  const { status } = row
  if (id === undefined || !isCrawlStatus(status)) return undefined
  return {
    id,
    status,
    version: row.version,
    overlayVersion: Number(row.overlay_version),
    overlayMinVersion: Number(row.overlay_min_version),
    ledgerVersion: Number(row.ledger_version),
    listeningPort: Number(row.listening_port),
    clockSkewSeconds: number(row.clock_skew_seconds),
    firstSeenAt: Number(row.first_seen_at),
    lastSeenAt: Number(row.last_seen_at),
    connectMillis: number(row.connect_millis),
    handshakeMillis: number(row.handshake_millis),
    pingMillis: number(row.ping_millis),
    slot: number(row.slot),
    slotAt: number(row.slot_at),
    lag: number(row.lag),
    validating: Number(row.validating) === 1,
    validatedSlot: number(row.validated_slot),
    peersTold: number(row.peers_told),
    peersRefused: Number(row.peers_refused)
  }
}

/** What a query's rows stand for, those without sense left out. */
export const decodeAll = <Row, A>(rows: ReadonlyArray<Row>, decode: (row: Row) => A | undefined): Array<A> => {
  const out: Array<A> = []
  for (const row of rows) {
    const value = decode(row)
    if (value !== undefined) out.push(value)
  }
  return out
}

/** What a PostgreSQL text cannot hold is left out: U+0000. */
const text = (value: string): string => value.replaceAll("\0", "\ufffd")

const orNull = <A>(value: A | undefined): A | null => value ?? null

export const addressRow = (crawlId: number, address: CrawledAddress) => ({
  crawl_id: crawlId,
  host: address.host,
  port: address.port,
  status: address.status,
  node_id: orNull(address.nodeId),
  seed: address.seed ? 1 : 0,
  depth: address.depth,
  source: orNull(address.source),
  found_at: Math.round(address.foundAt),
  attempts: address.attempts,
  last_attempt_at: orNull(address.lastAttemptAt),
  next_attempt_at: orNull(address.nextAttemptAt),
  done: address.done ? 1 : 0
})

export const attemptRow = (crawlId: number, attempt: CrawlAttempt) => ({
  crawl_id: crawlId,
  host: attempt.host,
  port: attempt.port,
  number: attempt.number,
  started_at: Math.round(attempt.startedAt),
  ended_at: Math.round(attempt.endedAt),
  status: attempt.status,
  reason: orNull(attempt.reason),
  detail: attempt.detail === undefined ? null : text(attempt.detail),
  node_id: orNull(attempt.nodeId),
  network_id: orNull(attempt.networkId),
  connect_millis: orNull(attempt.connectMillis),
  handshake_millis: orNull(attempt.handshakeMillis),
  ping_millis: orNull(attempt.pingMillis)
})

export const nodeRow = (crawlId: number, node: CrawledNode) => ({
  crawl_id: crawlId,
  node_id: node.id,
  status: node.status,
  version: text(node.version),
  overlay_version: node.overlayVersion,
  overlay_min_version: node.overlayMinVersion,
  ledger_version: node.ledgerVersion,
  listening_port: node.listeningPort,
  clock_skew_seconds: orNull(node.clockSkewSeconds),
  first_seen_at: Math.round(node.firstSeenAt),
  last_seen_at: Math.round(node.lastSeenAt),
  connect_millis: orNull(node.connectMillis),
  handshake_millis: orNull(node.handshakeMillis),
  ping_millis: orNull(node.pingMillis),
  slot: orNull(node.slot),
  slot_at: orNull(node.slotAt),
  lag: orNull(node.lag),
  validating: node.validating ? 1 : 0,
  validated_slot: orNull(node.validatedSlot),
  peers_told: orNull(node.peersTold),
  peers_refused: node.peersRefused
})
