import { assert, describe, it } from "@effect/vitest"
import * as CrawlDatabase from "@stellar-overlay/overlay-sql/CrawlDatabase"
import { NetworkDatabase } from "@stellar-overlay/overlay-sql/NetworkDatabase"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import * as SurveyDatabase from "@stellar-overlay/overlay-sql/SurveyDatabase"
import type { Crawler } from "@stellar-overlay/overlay/Crawler"
import type { CrawlAttempt, CrawledNode, CrawlEvent, CrawlProgress } from "@stellar-overlay/overlay/CrawlerEvents"
import type { CrawledAddress } from "@stellar-overlay/overlay/protocol/CrawlFrontier"
import type { SurveyedPeer } from "@stellar-overlay/overlay/protocol/SurveyBody"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { Effect, Fiber, Latch, Layer, type Scope, Stream } from "effect"
import { file, inspect, inspectOpen, query } from "./fixtures.ts"

const layer = (filename: string) =>
  Layer.merge(CrawlDatabase.CrawlDatabase.layer, SurveyDatabase.SurveyDatabase.layer).pipe(
    Layer.provide(NetworkDatabase.layerLazy(NodeSqlite.layer({ filename })))
  )

const withDatabase = <A, E>(
  use: (
    filename: string
  ) => Effect.Effect<
    A,
    E,
    CrawlDatabase.CrawlDatabase | SurveyDatabase.SurveyDatabase | Scope.Scope
  >
) => Effect.flatMap(file, (filename) => Effect.provide(use(filename), layer(filename)))

const idOf = (i: number) => NodeId.fromBytes(Uint8Array.from({ length: 32 }, () => i))
const ids = [1, 2, 3, 4].map(idOf).sort() as [NodeId.NodeId, NodeId.NodeId, NodeId.NodeId, NodeId.NodeId]

const header: CrawlDatabase.CrawlHeader = {
  networkId: "ab".repeat(32),
  network: "testnet",
  seeds: ["core.example:11625"],
  options: { concurrency: 4, allowPrivate: false },
  version: "1.2.3"
}

const nodeOf = (id: NodeId.NodeId, changes: Partial<CrawledNode> = {}): CrawledNode => ({
  id,
  status: "open",
  version: "v1 \u001b[2J\u0007",
  overlayVersion: 42,
  overlayMinVersion: 41,
  ledgerVersion: 0xffffffff,
  listeningPort: 11625,
  clockSkewSeconds: -7,
  firstSeenAt: 1_700_000_000_000,
  lastSeenAt: 1_700_000_000_900,
  connectMillis: 12.25,
  handshakeMillis: 31.5,
  pingMillis: undefined,
  slot: 2 ** 53 - 1,
  slotAt: 1_700_000_000_800,
  lag: 0,
  validating: false,
  validatedSlot: undefined,
  peersTold: 3,
  peersRefused: 1,
  ...changes
})

const addressOf = (i: number, changes: Partial<CrawledAddress> = {}): CrawledAddress => ({
  host: `44.0.0.${i}`,
  port: 11625,
  seed: i === 1,
  depth: i - 1,
  source: i === 1 ? undefined : ids[0],
  foundAt: 1_700_000_000_000 + i,
  status: "pending",
  attempts: 0,
  lastAttemptAt: undefined,
  nextAttemptAt: 1_700_000_000_000 + i,
  done: false,
  nodeId: undefined,
  ...changes
})

const done = (address: CrawledAddress, nodeId: NodeId.NodeId | undefined, status: CrawledAddress["status"]) => ({
  ...address,
  status,
  nodeId,
  attempts: 1,
  lastAttemptAt: 1_700_000_001_000,
  nextAttemptAt: undefined,
  done: true
})

const attemptOf = ({ host, nodeId, port, status }: CrawledAddress): CrawlAttempt => ({
  host,
  port,
  number: 1,
  startedAt: 1_700_000_000_500,
  endedAt: 1_700_000_001_000,
  status,
  reason: status === "open" ? undefined : "ConnectionRefused",
  detail: status === "open" ? undefined : "ECONNREFUSED",
  nodeId,
  networkId: undefined,
  connectMillis: 12.25,
  handshakeMillis: undefined,
  pingMillis: undefined
})

const progress: CrawlProgress = {
  activeMillis: 5000,
  known: 0,
  done: 0,
  active: 0,
  waiting: 0,
  attempts: 0,
  nodes: 0,
  byStatus: {},
  refused: {},
  etaMillis: 0
}

const ended: CrawlEvent = { _tag: "CrawlEnded", at: 1_700_000_009_000, outcome: "completed", progress }

/** A node at an address that told others. */
const visit = (address: CrawledAddress, node: CrawledNode, told: ReadonlyArray<CrawledAddress>): Array<CrawlEvent> => {
  const after = done(address, node.id, node.status)
  return [
    { _tag: "NodeSeen", node },
    ...told.map((other): CrawlEvent => ({ _tag: "AddressFound", address: other })),
    { _tag: "PeersTold", at: 1_700_000_000_950, nodeId: node.id, addresses: told, refused: {} },
    { _tag: "AttemptEnded", attempt: attemptOf(after), address: after }
  ]
}

describe("CrawlDatabase", () => {
  it.effect("what is stored is what is read, whatever peers call themselves", () =>
    withDatabase((filename) =>
      Effect.gen(function*() {
        const database = yield* CrawlDatabase.CrawlDatabase
        assert.isUndefined(yield* database.load())
        const id = yield* database.begin(header)
        const [first, second] = [addressOf(1), addressOf(2)]
        const node = nodeOf(ids[0])
        const dead = done(second, undefined, "refused")
        yield* database.write(id, [{ _tag: "AddressFound", address: first }, ...visit(first, node, [second])], 100)
        const state = yield* database.resume(id)
        assert.deepStrictEqual(state?.addresses, [done(first, ids[0], "open"), second])
        assert.deepStrictEqual(state?.nodes, [node])
        assert.strictEqual(state?.activeMillis, 100)
        yield* database.write(id, [{ _tag: "AttemptEnded", attempt: attemptOf(dead), address: dead }, ended], 200)
        const crawl = yield* database.load(id)
        assert.deepInclude(crawl?.info, { ...header, id: 1, outcome: "completed", endedAt: 1_700_000_009_000 })
        assert.deepInclude(crawl?.info, { activeMillis: 5000 })
        assert.deepStrictEqual(crawl?.nodes, [node])
        assert.deepStrictEqual(crawl?.addresses, [done(first, ids[0], "open"), dead])
        assert.deepStrictEqual(crawl?.edges, [
          { from: ids[0], host: "44.0.0.2", port: 11625, to: undefined, seenAt: 1_700_000_000_950 }
        ])
        assert.deepStrictEqual(
          query(filename, "select host, number, status, reason, detail from attempt order by host"),
          [
            { host: "44.0.0.1", number: 1, status: "open", reason: null, detail: null },
            { host: "44.0.0.2", number: 1, status: "refused", reason: "ConnectionRefused", detail: "ECONNREFUSED" }
          ]
        )
      })
    ))

  it.effect("rows that somebody else wrote and make no sense are left out", () =>
    withDatabase((filename) =>
      Effect.gen(function*() {
        const database = yield* CrawlDatabase.CrawlDatabase
        const id = yield* database.begin(header)
        yield* database.write(id, visit(addressOf(1), nodeOf(ids[0]), [addressOf(2)]), 0)
        inspect(filename, (db) => {
          db.exec("pragma foreign_keys = off")
          db.exec("update node set node_id = 'nobody'")
          db.exec("update edge set node_id = 'nobody'")
          db.exec("update address set host = '44.0.0.01' where host = '44.0.0.1'")
          db.exec("update crawl set seeds = '{', options = '7'")
        })
        const crawl = yield* database.load(id)
        assert.deepStrictEqual([crawl?.nodes, crawl?.edges], [[], []])
        assert.deepStrictEqual(crawl?.addresses.map(({ host }) => host), ["44.0.0.2"])
        assert.deepStrictEqual([crawl?.info.seeds, crawl?.info.options], [[], {}])
      })
    ))

  it.effect("compare: new, gone, and what is different about the others", () =>
    withDatabase(() =>
      Effect.gen(function*() {
        const database = yield* CrawlDatabase.CrawlDatabase
        const before = yield* database.begin(header)
        const [a, b, c, d] = ids
        yield* database.write(before, [
          ...visit(addressOf(1), nodeOf(a), []),
          ...visit(addressOf(2), nodeOf(b), []),
          ...visit(addressOf(3), nodeOf(c), []),
          ended
        ], 0)
        const after = yield* database.begin(header)
        yield* database.write(after, [
          ...visit(addressOf(1), nodeOf(a, { lastSeenAt: 1_800_000_000_000, lag: 4 }), []),
          ...visit(addressOf(4), nodeOf(b, { version: "v2", status: "full", validating: true }), []),
          ...visit(addressOf(5), nodeOf(d), []),
          ended
        ], 0)
        const found = yield* database.compare(before, after)
        assert.strictEqual(found?.unchanged, 1)
        assert.deepStrictEqual([found?.before.id, found?.after.id], [1, 2])
        assert.deepStrictEqual(found?.appeared.map(({ id }) => id), [d])
        assert.deepStrictEqual(found?.gone.map(({ id }) => id), [c])
        assert.deepStrictEqual(found?.versions, [{ id: b, before: nodeOf(b).version, after: "v2" }])
        assert.deepStrictEqual(found?.statuses, [{ id: b, before: "open", after: "full" }])
        assert.deepStrictEqual(found?.validating, [{ id: b, before: false, after: true }])
        assert.deepStrictEqual(found?.addresses, [{ id: b, before: ["44.0.0.2:11625"], after: ["44.0.0.4:11625"] }])
        assert.isUndefined(yield* database.compare(1, 3))
      })
    ))

  it.live("O1 while another process holds the file a crawl waits, and then stores everything", () =>
    withDatabase((filename) =>
      Effect.gen(function*() {
        const database = yield* CrawlDatabase.CrawlDatabase
        const id = yield* database.begin(header)
        const events = [...visit(addressOf(1), nodeOf(ids[0]), []), ended]
        const tried = Latch.makeUnsafe()
        const crawler: Crawler = {
          events: Stream.fromIterable(events),
          progress: () => {
            Latch.openUnsafe(tried)
            return progress
          },
          state: () => ({ startedAt: 0, activeMillis: 0, addresses: [], nodes: [] }),
          stop: Effect.void
        }
        const other = inspectOpen(filename, "begin immediate")
        let stored = 0
        const storing = yield* Effect.forkChild(
          CrawlDatabase.store(id, crawler, (batch) => Effect.sync(() => stored += batch.length))
        )
        yield* tried.await
        assert.strictEqual(stored, 0)
        other.exec("rollback")
        other.close()
        yield* Fiber.join(storing)
        assert.strictEqual(stored, events.length)
        assert.deepStrictEqual(query(filename, "select outcome from crawl"), [{ outcome: "completed" }])
      })
    ))
})

describe("SurveyDatabase", () => {
  const peerOf = (id: NodeId.NodeId, messagesRead: number): SurveyedPeer => ({
    id,
    version: "v\u0000\u001b[31m",
    messagesRead,
    messagesWritten: 2,
    bytesRead: 3,
    bytesWritten: 4,
    secondsConnected: 5,
    uniqueFloodBytesRecv: 6,
    duplicateFloodBytesRecv: 7,
    uniqueFetchBytesRecv: 8,
    duplicateFetchBytesRecv: 9,
    uniqueFloodMessageRecv: 10,
    duplicateFloodMessageRecv: 11,
    uniqueFetchMessageRecv: 12,
    duplicateFetchMessageRecv: 13,
    averageLatencyMs: 14
  })
  const node = {
    addedAuthenticatedPeers: 1,
    droppedAuthenticatedPeers: 2,
    totalInboundPeerCount: 3,
    totalOutboundPeerCount: 4,
    p75SCPFirstToSelfLatencyMs: 5,
    p75SCPSelfToOtherLatencyMs: 6,
    lostSyncCount: 7,
    isValidator: true,
    maxInboundPeerCount: 64,
    maxOutboundPeerCount: 0xffffffff
  }

  it.effect("a survey is read as it was stored, pages add up, and hostile counters are clamped", () =>
    withDatabase(() =>
      Effect.gen(function*() {
        const database = yield* SurveyDatabase.SurveyDatabase
        assert.isUndefined(yield* database.load())
        const survey: SurveyDatabase.SurveyHeader = {
          networkId: "cd".repeat(32),
          network: undefined,
          surveyorId: ids[3],
          nonce: 0xffffffff,
          via: ["http://127.0.0.1:11626/"],
          options: { pages: 2 },
          version: "1.2.3"
        }
        const id = yield* database.begin(survey)
        const asked = { id: ids[0], requestedAt: 5, requests: 1 }
        yield* database.write(id, {
          nodes: [{ ...asked, status: "requested", answeredAt: undefined, node: undefined }]
        })
        yield* database.setPhase(id, "reporting")
        const answered = { ...asked, status: "answered", answeredAt: 9, requests: 2, node } as const
        yield* database.write(id, {
          nodes: [answered],
          edges: [
            { node: ids[0], direction: "inbound", peer: peerOf(ids[1], 1) },
            { node: ids[0], direction: "inbound", peer: peerOf(ids[2], 2 ** 64) }
          ]
        })
        yield* database.write(id, { edges: [{ node: ids[0], direction: "outbound", peer: peerOf(ids[1], 7) }] })
        yield* database.setPhase(id, "completed")
        const stored = yield* database.load(id)
        assert.deepInclude(stored?.info, { ...survey, id: 1, phase: "completed" })
        assert.isNumber(stored?.info.endedAt)
        assert.isNumber(stored?.info.stoppedAt)
        assert.deepStrictEqual(stored?.nodes, [answered])
        const version = "v\ufffd\u001b[31m"
        assert.deepStrictEqual(stored?.edges, [
          { node: ids[0], direction: "inbound", peer: { ...peerOf(ids[1], 1), version } },
          { node: ids[0], direction: "inbound", peer: { ...peerOf(ids[2], Number.MAX_SAFE_INTEGER), version } },
          { node: ids[0], direction: "outbound", peer: { ...peerOf(ids[1], 7), version } }
        ])
        assert.strictEqual((yield* database.list).length, 1)
      })
    ))
})
