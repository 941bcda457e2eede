/**
 * Which rows of the table answer a query, and in which random order.
 *
 * Two ways to draw. `"window"` is core's: if more rows match than are wanted, a window of them at a random offset,
 * shuffled; every row has the same chance, so whoever owns most rows is drawn most. `"diverse"` gives every subnet the
 * same chance instead: subnets are shuffled, each gives one random row, then each that has more gives a second, and so
 * on. Owning ten thousand addresses of one subnet is then worth no more than owning one.
 *
 * Implements protocol.md 10.4 (stellar-core: `PeerManager::loadRandomPeers`).
 *
 * @since 0.1.0
 */
import { MAX_FAILURES_TO_SEND, PeerType, REALLY_DEAD_FAILURES } from "./PeerBackoff.ts"
import type { PeerRecord } from "./PeerTable.ts"

/**
 * Conditions on a row, combined with AND.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerQuery {
  /** Only addresses whose back-off is over. */
  readonly due: boolean
  /** The most failures a row may have; undefined for any number. */
  readonly maxFailures: number | undefined
  /** One type, or every type but Inbound. */
  readonly type: PeerType | "AnyOutbound"
}

/**
 * How rows are drawn when there are more than wanted.
 *
 * @category models
 * @since 0.1.0
 */
export type DrawMode = "window" | "diverse"

/**
 * A generator of chance: numbers in [0, 1).
 *
 * @category models
 * @since 0.1.0
 */
export type Draw = () => number

/**
 * The query for addresses to dial, by type (RandomPeerSource::nextAttemptCutoff): due, and at most 120 failures.
 *
 * @category constructors
 * @since 0.1.0
 */
export const nextAttemptCutoff = (type: PeerType): PeerQuery => ({ due: true, maxFailures: REALLY_DEAD_FAILURES, type })

/**
 * A query for addresses to pass on (RandomPeerSource::maxFailures): at most `maxFailures` failures, due or not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const maxFailures = (failures: number, outbound: boolean): PeerQuery => ({
  due: false,
  maxFailures: failures,
  type: outbound ? "AnyOutbound" : PeerType.Inbound
})

/**
 * The queries behind PEERS, in the order in which they are used up.
 *
 * @category constants
 * @since 0.1.0
 */
export const sendQueries: readonly [PeerQuery, PeerQuery] = [
  maxFailures(MAX_FAILURES_TO_SEND, true),
  maxFailures(MAX_FAILURES_TO_SEND, false)
]

/**
 * Whether a row answers a query. Rows without host or port never do.
 *
 * @category predicates
 * @since 0.1.0
 */
export const matches = (row: PeerRecord, query: PeerQuery, nowMillis: number): boolean =>
  (query.type === "AnyOutbound" ? row.type !== PeerType.Inbound : row.type === query.type)
  && (query.maxFailures === undefined || row.numFailures <= query.maxFailures)
  && (!query.due || row.nextAttemptMillis <= nowMillis)
  && row.address.port > 0
  && !row.address.isEmpty

/**
 * A whole number in [0, below).
 *
 * @category combinators
 * @since 0.1.0
 */
export const drawIndex = (draw: Draw, below: number): number => Math.min(below - 1, Math.floor(draw() * below))

/**
 * Shuffles in place, every order equally likely.
 *
 * @category combinators
 * @since 0.1.0
 */
export const shuffle = <A>(items: Array<A>, draw: Draw): Array<A> => {
  for (let i = items.length - 1; i > 0; i--) {
    const j = drawIndex(draw, i + 1)
    const item = items[i]!
    items[i] = items[j]!
    items[j] = item
  }
  return items
}

/**
 * Draws up to `size` of the matching rows. `groupOf` is the subnet of a row, used by the diverse mode.
 *
 * @category combinators
 * @since 0.1.0
 */
export const select = <Row extends PeerRecord>(
  rows: Iterable<Row>,
  query: PeerQuery,
  options: {
    readonly size: number
    readonly nowMillis: number
    readonly mode: DrawMode
    readonly draw: Draw
    readonly groupOf: (row: Row) => string
  }
): Array<Row> => {
  const found: Array<Row> = []
  for (const row of rows) if (matches(row, query, options.nowMillis)) found.push(row)
  return options.mode === "window" ? drawWindow(found, options.size, options.draw) : drawDiverse(found, options)
}

const drawWindow = <Row>(found: Array<Row>, size: number, draw: Draw): Array<Row> => {
  const from = found.length > size ? drawIndex(draw, found.length - size + 1) : 0
  return shuffle(found.slice(from, from + size), draw)
}

const drawDiverse = <Row>(
  found: Array<Row>,
  options: { readonly size: number; readonly draw: Draw; readonly groupOf: (row: Row) => string }
): Array<Row> => {
  const byGroup = new Map<string, Array<Row>>()
  for (const row of found) {
    const group = options.groupOf(row)
    const bucket = byGroup.get(group)
    if (bucket === undefined) byGroup.set(group, [row])
    else bucket.push(row)
  }
  const out: Array<Row> = []
  for (let groups = [...byGroup.values()]; groups.length > 0 && out.length < options.size;) {
    shuffle(groups, options.draw)
    for (const bucket of groups) {
      if (out.length === options.size) break
      const i = drawIndex(options.draw, bucket.length)
      out.push(bucket[i]!)
      bucket[i] = bucket.at(-1)!
      bucket.pop()
    }
    groups = groups.filter((bucket) => bucket.length > 0)
  }
  return out
}
