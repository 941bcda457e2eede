/** A crawl for people and for programs: progress, what was found, and what is different from before. */
import type { CrawlChange, CrawlComparison } from "@stellar-overlay/overlay-sql/CrawlDatabase"
import type { CrawledNode, CrawlEvent, CrawlOutcome, CrawlProgress } from "@stellar-overlay/overlay/CrawlerEvents"
import { type CrawlStatus, isAlive, statuses } from "@stellar-overlay/overlay/protocol/CrawlStatus"
import { bold, cyan, dim, green, type Line, type Piece, red, yellow } from "../render/Line.ts"
import { table } from "../render/table.ts"
import { count, millis, plural, quantile, seconds } from "../render/units.ts"

const paintStatus = (status: CrawlStatus): Piece =>
  status === "open"
    ? green(status)
    : status === "full"
    ? cyan(status)
    : isAlive(status)
    ? yellow(status)
    : dim(status)

/** How far it is, in parts that may be left out from the right. */
export const progressParts = (progress: CrawlProgress): ReadonlyArray<Line> => {
  const { active, byStatus, done, etaMillis, known, nodes, waiting } = progress
  const share = known === 0 ? 0 : Math.floor(100 * done / known)
  const poisoned = (progress.refused.Unroutable ?? 0) + (progress.refused.Port ?? 0)
  return [
    [bold(`${count(done)}/${count(known)} addresses`), ` ${share} %`],
    [etaMillis === undefined ? "ETA unknown" : `ETA ${seconds(etaMillis / 1000)}`],
    [`${plural(nodes, "node")}: ${count(byStatus.open ?? 0)} open, ${count(byStatus.full ?? 0)} full`],
    [`${count(active)} under way, ${count(waiting)} waiting`],
    [`${seconds(progress.activeMillis / 1000)}`],
    ...(poisoned === 0 ? [] : [[yellow(`${count(poisoned)} refused`)]])
  ]
}

export const progressJson = (progress: CrawlProgress) => progress

/** An event as an object; undefined for those of no interest by themselves. */
export const eventJson = (event: CrawlEvent): object | undefined => {
  switch (event._tag) {
    case "AttemptEnded":
      return {
        event: "attempt",
        ...event.attempt,
        done: event.address.done,
        nextAttemptAt: event.address.nextAttemptAt
      }
    case "NodeSeen":
      return { event: "node", ...event.node }
    case "PeersTold": {
      const { addresses, at, nodeId, refused } = event
      return { event: "peers", at, nodeId, addresses: addresses.map(placeOf), refused }
    }
    case "AddressSkipped":
      return { event: "skipped", address: placeOf(event.address), source: event.address.source }
    case "AddressFound":
    case "CrawlEnded":
      return undefined
  }
}

const placeOf = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

const outcomeText: Record<CrawlOutcome, Piece> = {
  completed: green("completed"),
  "time-limit": yellow("stopped at the time limit"),
  interrupted: yellow("interrupted")
}

/** Versions listed. */
const MAX_VERSIONS = 12

/** Nodes listed of each kind of difference. */
const MAX_DIFFERENCES = 20

const tally = (values: Iterable<string>): Array<readonly [string, number]> => {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
}

const figures = (nodes: ReadonlyArray<CrawledNode>) => {
  const lags = nodes.flatMap(({ lag }) => lag === undefined ? [] : [lag])
  const roundTrips = nodes.flatMap(({ connectMillis }) => connectMillis === undefined ? [] : [connectMillis])
  return {
    nodes: nodes.length,
    validating: nodes.filter(({ validating }) => validating).length,
    lagKnown: lags.length,
    lagging: lags.filter((lag) => lag > 1).length,
    clockOff: nodes.filter(({ clockSkewSeconds }) => Math.abs(clockSkewSeconds ?? 0) > 2).length,
    toldPoison: nodes.filter(({ peersRefused }) => peersRefused > 0).length,
    connectMillisMedian: quantile(roundTrips, 0.5)
  }
}

/** What was found. */
export const summary = (
  outcome: CrawlOutcome,
  progress: CrawlProgress,
  nodes: ReadonlyArray<CrawledNode>,
  columns: number
): Array<Line> => {
  const { byStatus } = progress
  const { clockOff, connectMillisMedian, lagging, lagKnown, toldPoison, validating } = figures(nodes)
  const shown = statuses.filter((status) => byStatus[status] !== undefined)
  const versions = tally(nodes.map(({ version }) => version))
  const rest = versions.slice(MAX_VERSIONS).reduce((sum, [, n]) => sum + n, 0)
  return [
    [
      outcomeText[outcome],
      ` after ${seconds(progress.activeMillis / 1000)}: ${plural(nodes.length, "node")} at ${
        plural(progress.known, "address", "addresses")
      }, ${plural(progress.attempts, "attempt")}`
    ],
    [],
    ...table<CrawlStatus>(
      [
        { title: "addresses", right: true, cell: (status) => [count(byStatus[status] ?? 0)] },
        { title: "status", cell: (status) => [paintStatus(status)] }
      ],
      shown,
      columns
    ),
    [],
    ...(versions.length === 0 ? [] : [
      ...table<readonly [string, number]>(
        [
          { title: "nodes", right: true, cell: ([, n]) => [count(n)] },
          { title: "version", cell: ([version]) => [version] }
        ],
        versions.slice(0, MAX_VERSIONS),
        columns
      ),
      ...(rest === 0 ? [] : [[dim(`${count(rest)} more with other versions`)]]),
      []
    ]),
    [
      `${count(validating)} validating; ${count(lagging)} of ${count(lagKnown)} heard lag by more than a ledger; `,
      `${count(clockOff)} with a wrong clock`
    ],
    ...(connectMillisMedian === undefined ? [] : [[`median round trip ${millis(connectMillisMedian)}`]]),
    ...(toldPoison === 0 ? [] : [[
      yellow(`${plural(toldPoison, "node")} told addresses that no honest node passes on`)
    ]])
  ]
}

export const summaryJson = (
  outcome: CrawlOutcome,
  progress: CrawlProgress,
  nodes: ReadonlyArray<CrawledNode>
) => ({
  event: "summary",
  outcome,
  ...progress,
  ...figures(nodes),
  versions: Object.fromEntries(tally(nodes.map(({ version }) => version)))
})

const list = <A>(title: string, items: ReadonlyArray<A>, line: (item: A) => Line): Array<Line> =>
  items.length === 0 ? [] : [
    [bold(`${title}: ${count(items.length)}`)],
    ...items.slice(0, MAX_DIFFERENCES).map((item): Line => ["  ", ...line(item)]),
    ...(items.length > MAX_DIFFERENCES ? [[dim(`  and ${count(items.length - MAX_DIFFERENCES)} more`)]] : [])
  ]

const changed = <A>(paint: (value: A) => Piece) => ({ after, before, id }: CrawlChange<A>): Line => [
  `${id} `,
  paint(before),
  dim(" to "),
  paint(after)
]

const nodeLine = ({ id, status, version }: CrawledNode): Line => [`${id} `, paintStatus(status), ` ${version}`]

/** What is different. */
export const comparison = (self: CrawlComparison): Array<Line> => {
  const { addresses, appeared, before, gone, statuses, unchanged, validating, versions } = self
  const date = new Date(before.startedAt).toISOString()
  return [
    [],
    [
      bold(`Compared with crawl ${before.id} of ${date}`),
      before.outcome === "completed" ? "" : yellow(` (${before.outcome})`)
    ],
    ...list("new", appeared, nodeLine),
    ...list("gone", gone, nodeLine),
    ...list("other version", versions, changed<string>((version) => version)),
    ...list("other reachability", statuses, changed(paintStatus)),
    ...list("validating", validating, changed<boolean>((is) => is ? green("yes") : red("no"))),
    ...list("other addresses", addresses, changed<ReadonlyArray<string>>((all) => all.join(", ") || "none")),
    [dim(`${plural(unchanged, "node")} without a difference`)]
  ]
}

export const comparisonJson = (self: CrawlComparison) => ({
  event: "comparison",
  before: self.before.id,
  after: self.after.id,
  appeared: self.appeared.map(({ id }) => id),
  gone: self.gone.map(({ id }) => id),
  versions: self.versions,
  statuses: self.statuses,
  validating: self.validating,
  addresses: self.addresses,
  unchanged: self.unchanged
})
