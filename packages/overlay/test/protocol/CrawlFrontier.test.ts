import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import {
  type CrawledAddress,
  CrawlFrontier,
  type CrawlLimits,
  type CrawlStep,
  defaultCrawlLimits,
  HOST_WINDOW_MILLIS
} from "../../src/protocol/CrawlFrontier.ts"
import { type CrawlStatus, isRetryable } from "../../src/protocol/CrawlStatus.ts"
import * as NodeId from "../../src/wire/NodeId.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"

const idOf = (i: number) => NodeId.fromBytes(Uint8Array.from({ length: 32 }, (_, k) => k < 4 ? i >> (8 * k) : 1))

/** Numbers in [0, 1) that a seed decides (mulberry32). */
const drawsOf = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

interface Dial {
  readonly at: number
  readonly host: string
  readonly subnet: string
  readonly key: string
  readonly isSeed: boolean
  /** The runs of the crawl before this one that were killed. */
  readonly run: number
  /** Ended, so that a later run knows of it. */
  ended: boolean
}

const outcomes: ReadonlyArray<CrawlStatus> = [
  "open",
  "full",
  "rejected",
  "timeout",
  "refused",
  "closed",
  "unresponsive"
]

/** A crawl of made-up gossip to its end, with everything that was dialled on the way. */
const simulate = (seed: number) => {
  const draw = drawsOf(seed)
  const index = (bound: number) => Math.floor(draw() * bound)
  const limits: CrawlLimits = {
    ...defaultCrawlLimits,
    concurrency: 1 + index(12),
    dialsPerSecond: [1, 10, 1000][index(3)]!,
    hostIntervalMillis: [0, 700, 5000][index(3)]!,
    subnetIntervalMillis: [0, 300, 2000][index(3)]!,
    maxDialsPerHost: 1 + index(4),
    attempts: 1 + index(4),
    firstRetryMillis: [100, 30_000][index(2)]!,
    maxAddresses: 20 + index(150),
    maxAddressesPerHost: 1 + index(6),
    maxAddressesPerSubnet: 2 + index(20),
    maxAddressesPerSource: 5 + index(100)
  }
  const randomAddress = () =>
    PeerAddress.make(
      `${index(3) === 0 ? 10 : 44}.${index(2)}.${index(4)}.${index(5)}`,
      [11625, 11626, 80, 0, 4000][index(5)]!
    )
  let frontier = new CrawlFrontier(limits, draw)
  let now = 1_700_000_000_000
  const dials: Array<Dial> = []
  const skipped: Array<string> = []
  const ended = new Map<string, { readonly at: number; readonly attempts: number; readonly status: CrawlStatus }>()
  const proven = new Set<string>()
  const active: Array<{ readonly step: CrawlStep; readonly endsAt: number }> = []
  let resumed = 0
  for (let i = 0; i < 3; i++) frontier.addSeed(PeerAddress.make(`44.9.${index(2)}.${i}`, 11625), now)
  // Refused addresses would be told for ever: gossip ends, as that of a network does.
  let gossip = 400
  let steps = 0
  while (!frontier.isDone) {
    if (++steps > 20_000) throw new Error("the crawl does not end")
    const step = frontier.take(now)
    if (step?._tag === "Skip") {
      skipped.push(step.target.key)
    } else if (step !== undefined) {
      const { target } = step
      assert.isFalse(active.some((other) => other.step.target.key === target.key), "twice at once")
      const before = ended.get(target.key)
      assert.strictEqual(step.number, (before?.attempts ?? 0) + 1)
      if (before !== undefined) {
        assert.isTrue(isRetryable(before.status))
        const wait = Math.min(limits.lastRetryMillis, limits.firstRetryMillis * 2 ** (before.attempts - 1))
        assert.isAtLeast(now - before.at, Math.floor(wait * 0.75), "within its back-off")
      }
      const record = frontier.get(target)!
      const { host, subnet24 } = target
      if (!record.seed && !proven.has(host)) {
        const recent = dials.filter((dial) =>
          dial.host === host && now - dial.at < HOST_WINDOW_MILLIS && (dial.ended || dial.run === resumed)
        )
        assert.isBelow(recent.length, limits.maxDialsPerHost, "P8: dials of an unproven host within an hour")
      }
      dials.push({ at: now, host, subnet: subnet24, key: target.key, isSeed: record.seed, run: resumed, ended: false })
      active.push({ step, endsAt: now + 1 + index(4000) })
      assert.isAtMost(frontier.active, limits.concurrency)
      assert.strictEqual(frontier.active, active.length)
    } else {
      const next = frontier.nextAt()
      const end = Math.min(...active.map(({ endsAt }) => endsAt))
      assert.isTrue(next !== undefined || active.length > 0, "nothing to wait for")
      now = Math.max(now, Math.ceil(Math.min(next ?? Infinity, end)))
      const at = active.findIndex(({ endsAt }) => endsAt <= now)
      if (at < 0) continue
      const [{ step: { target } }] = active.splice(at, 1) as [typeof active[0]]
      if (index(20) === 0) {
        frontier.release(target, now) // as if we were stopped: it does not count
        const before = ended.get(target.key)
        if (before !== undefined) ended.set(target.key, { ...before, at: 0 })
        continue
      }
      const status = outcomes[index(outcomes.length)]!
      const nodeId = status === "open" || status === "full" ? idOf(index(50)) : undefined
      const record = frontier.finish(target, { status, nodeId }, now)!
      dials.findLast(({ key }) => key === target.key)!.ended = true
      ended.set(target.key, { at: now, attempts: record.attempts, status })
      if (nodeId !== undefined) {
        proven.add(target.host)
        for (let i = index(30); i > 0 && gossip > 0; i--, gossip--) {
          frontier.add(randomAddress(), { address: target, id: nodeId, depth: record.depth }, now)
        }
      }
      if (resumed < 2 && index(40) === 0) {
        // Killed: what was under way is lost, and all else comes back as data.
        resumed++
        const records: Array<CrawledAddress> = JSON.parse(JSON.stringify(frontier.records()))
        active.length = 0
        frontier = new CrawlFrontier(limits, draw, records)
        now += index(10_000)
      }
    }
  }
  return { dials, ended, frontier, limits, skipped }
}

const gaps = (dials: ReadonlyArray<Dial>, groupOf: (dial: Dial) => string): number => {
  let least = Infinity
  const last = new Map<string, number>()
  for (const dial of dials) {
    const group = groupOf(dial)
    least = Math.min(least, dial.at - (last.get(group) ?? -Infinity))
    last.set(group, dial.at)
  }
  return least
}

const counts = (values: Iterable<string>): ReadonlyMap<string, number> => {
  const result = new Map<string, number>()
  for (const value of values) result.set(value, (result.get(value) ?? 0) + 1)
  return result
}

describe("CrawlFrontier", () => {
  it.effect.prop(
    "P1 P4 P8 whatever is told and however attempts end, a crawl keeps its rates and bounds, dials no poison, and ends",
    [Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x7fffffff })))],
    ([seed]) =>
      Effect.sync(() => {
        const { dials, ended, frontier, limits, skipped } = simulate(seed)
        assert.isAtLeast(gaps(dials, ({ run }) => `${run}`), 1000 / limits.dialsPerSecond)
        assert.isAtLeast(gaps(dials, ({ host, run }) => `${run} ${host}`), limits.hostIntervalMillis)
        assert.isAtLeast(gaps(dials, ({ run, subnet }) => `${run} ${subnet}`), limits.subnetIntervalMillis)
        const records = frontier.records()
        assert.isAtMost(records.length, limits.maxAddresses)
        const told = records.filter((record) => !record.seed)
        for (const n of counts(told.map(({ host }) => host)).values()) assert.isAtMost(n, limits.maxAddressesPerHost)
        const subnets = counts(told.map(({ host, port }) => PeerAddress.make(host, port).subnet24))
        for (const n of subnets.values()) assert.isAtMost(n, limits.maxAddressesPerSubnet)
        for (const record of records) {
          const address = PeerAddress.make(record.host, record.port)
          assert.isTrue(address.isRoutable && address.port >= 1024, `poison ${address}`)
          assert.isTrue(record.done)
          assert.isAtMost(record.attempts, limits.attempts)
          assert.strictEqual(record.attempts, ended.get(address.key)?.attempts ?? 0)
          if (record.attempts === 0) assert.include(skipped, address.key)
        }
        assert.strictEqual(frontier.done, records.length)
      }),
    { arbitrary: { seed: 7, runs: 300 } }
  )

  const from = { address: PeerAddress.make("44.0.0.9", 11625), id: idOf(1), depth: 3 }

  it("P1 nothing is taken that no honest node passes on", () => {
    const frontier = new CrawlFrontier(defaultCrawlLimits, () => 0)
    const refused = [
      "10.0.0.1",
      "172.16.0.1",
      "192.168.9.9",
      "127.0.0.1",
      "0.0.0.0",
      "100.64.0.1",
      "169.254.1.1",
      "224.0.0.1",
      "240.0.0.1",
      "255.255.255.255",
      "[::ffff:10.0.0.1]",
      "[::1]",
      "[fe80::1]",
      "[fd00::1]",
      "[ff02::1]",
      "core.example"
    ]
    for (const text of refused) {
      const host = text.replace(/[[\]]/g, "")
      assert.strictEqual(frontier.add(PeerAddress.make(host, 11625), from, 0), "Unroutable", text)
    }
    assert.strictEqual(frontier.add(PeerAddress.make("44.1.1.1", 0), from, 0), "Unroutable")
    assert.strictEqual(frontier.add(PeerAddress.make("44.1.1.1", 1023), from, 0), "Port")
    assert.strictEqual(frontier.add(PeerAddress.make("2600::1", 11625), from, 0), "Ipv6")
    assert.strictEqual(frontier.add(PeerAddress.make("44.1.1.1", 1024), from, 0), "Added")
    assert.strictEqual(frontier.add(PeerAddress.make("44.1.1.1", 1024), from, 0), "Known")
    assert.strictEqual(frontier.known, 1)
    assert.strictEqual(frontier.get(PeerAddress.make("44.1.1.1", 1024))?.depth, 4)
  })

  it("P8 a victim's host is dialled three times, whatever the ports, and the rest is skipped", () => {
    const frontier = new CrawlFrontier({ ...defaultCrawlLimits, attempts: 1 }, () => 0)
    for (let port = 2000; port < 2016; port++) frontier.add(PeerAddress.make("44.1.1.1", port), from, 0)
    assert.strictEqual(frontier.add(PeerAddress.make("44.1.1.1", 2016), from, 0), "HostFull")
    const tags: Array<string> = []
    for (let now = 0; !frontier.isDone; now = Math.max(now, frontier.nextAt() ?? now)) {
      for (let step = frontier.take(now); step !== undefined; step = frontier.take(now)) {
        tags.push(step._tag)
        if (step._tag === "Dial") frontier.finish(step.target, { status: "timeout", nodeId: undefined }, now)
      }
    }
    assert.deepStrictEqual(tags, [...new Array(3).fill("Dial"), ...new Array(13).fill("Skip")])
  })

  it("a crawl that goes on dials nothing that was done, and keeps the back-off of the rest", () => {
    const limits = { ...defaultCrawlLimits, attempts: 3 }
    const first = new CrawlFrontier(limits, () => 0.5)
    const [open, dead] = [PeerAddress.make("44.1.1.1", 11625), PeerAddress.make("44.2.1.1", 11625)]
    first.addSeed(open, 0)
    first.addSeed(dead, 0)
    assert.strictEqual(first.take(0)?.target.key, open.key)
    assert.strictEqual(first.take(40)?.target.key, dead.key)
    first.finish(open, { status: "open", nodeId: idOf(1) }, 100)
    first.finish(dead, { status: "timeout", nodeId: undefined }, 200)
    const second = new CrawlFrontier(limits, () => 0.5, JSON.parse(JSON.stringify(first.records())))
    assert.strictEqual(second.done, 1)
    assert.strictEqual(second.nextAt(), 200 + 30_000)
    assert.strictEqual(second.take(30_199), undefined)
    const step = second.take(30_200)
    assert.strictEqual(step?.target.key, dead.key)
    assert.strictEqual(step?.number, 2)
    second.finish(dead, { status: "refused", nodeId: undefined }, 40_000)
    assert.strictEqual(second.nextAt(), 40_000 + 60_000)
    assert.strictEqual(second.get(dead)?.status, "refused")
  })
})
