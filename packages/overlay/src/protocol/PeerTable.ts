/**
 * The table of known addresses in memory: who is in it, who has to leave, and which rows the database has not seen yet.
 *
 * Gossip is free to send and rows are not free to keep, so three bounds hold at all times: rows in total, rows that one
 * source subnet may contribute, and rows about one target subnet. What we saw ourselves (we dialled it and it
 * authenticated) and what the operator configured is never displaced by what others tell.
 *
 * - A row inserted from gossip is charged to the subnet of the peer that told it. When that peer's or the target's
 *   share is used up, the newcomer takes the place of a row of the same share that failed at least once; a share without
 *   a failed row refuses it. So a flood of addresses cannot push out untried ones.
 * - When the table is full the newcomer takes the place of any failed row; if there is none, of an untried row of the
 *   source that has most rows, if that source has at least two rows more than the newcomer's. Sources converge to equal
 *   shares, and subnets are what an attacker has to pay for.
 * - A row that was dialled with success is charged to no source any more.
 * - Configured rows ignore the shares, and displace anything not configured when the table is full.
 *
 * Core has none of these bounds (protocol.md 10.1, 8.4); `unboundedLimits` is core's behaviour.
 *
 * @since 0.1.0
 */
import type { PeerAddress } from "../wire/PeerAddress.ts"
import { MAX_FAILURES_TO_SEND, PeerType } from "./PeerBackoff.ts"

/**
 * One address as the store keeps it.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerRecord {
  readonly address: PeerAddress
  readonly type: PeerType
  /** Outgoing attempts since the last success. */
  readonly numFailures: number
  /** Unix milliseconds before which the address is left alone. */
  readonly nextAttemptMillis: number
  /** Unix milliseconds of the last time we dialled it and it authenticated; 0 for never. */
  readonly lastSuccessMillis: number
  /** The subnet of the peer that told us, empty for what we know ourselves. */
  readonly source: string
  /** One of the few outbound peers that are tried first after a restart. */
  readonly anchor: boolean
}

/**
 * A row in memory: a record, and what is known of it in this run only.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerRow extends PeerRecord {
  /** The target subnet it counts for. */
  readonly group: string
  /** Named in the configuration of this run. */
  readonly configured: boolean
  /** The failures before the attempt under way, -1 when none is. */
  readonly failuresBefore: number
  /** Times in a row that the peer was full: they lengthen the back-off without being failures. */
  readonly refusals: number
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type MutableRow = Mutable<PeerRow>

/**
 * Where a row comes from, which decides what bounds it.
 *
 * @category models
 * @since 0.1.0
 */
export type Origin = "gossip" | "own" | "configured"

/**
 * The bounds of a table.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerTableLimits {
  readonly maxRows: number
  readonly maxRowsPerSource: number
  readonly maxRowsPerTarget: number
}

/**
 * The bounds of attack P4.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultLimits: PeerTableLimits = { maxRows: 10_000, maxRowsPerSource: 64, maxRowsPerTarget: 32 }

/**
 * No bounds, as in core.
 *
 * @category constants
 * @since 0.1.0
 */
export const unboundedLimits: PeerTableLimits = {
  maxRows: Number.MAX_SAFE_INTEGER,
  maxRowsPerSource: Number.MAX_SAFE_INTEGER,
  maxRowsPerTarget: Number.MAX_SAFE_INTEGER
}

/** Rows by some property. Most have theirs for themselves, and need no set, which takes 0.2 KiB. */
class Index {
  private readonly buckets = new Map<string, MutableRow | Set<MutableRow>>()

  add(name: string, row: MutableRow): void {
    const bucket = this.buckets.get(name)
    if (bucket === undefined) this.buckets.set(name, row)
    else if (bucket instanceof Set) bucket.add(row)
    else if (bucket !== row) this.buckets.set(name, new Set([bucket, row]))
  }

  remove(name: string, row: MutableRow): void {
    const bucket = this.buckets.get(name)
    if (bucket === row || (bucket instanceof Set && bucket.delete(row) && bucket.size === 0)) this.buckets.delete(name)
  }

  size(name: string): number {
    const bucket = this.buckets.get(name)
    return bucket instanceof Set ? bucket.size : bucket === undefined ? 0 : 1
  }

  rows(name: string): Iterable<MutableRow> {
    const bucket = this.buckets.get(name)
    return bucket === undefined ? none : bucket instanceof Set ? bucket : [bucket]
  }
}

const none: ReadonlyArray<MutableRow> = []

/**
 * Whether others may take the row's place: only hearsay speaks for it, or it failed so often that we stopped passing it
 * on; and it is neither configured nor an anchor.
 */
const isDisposable = (row: PeerRow): boolean =>
  !row.configured && !row.anchor
  && ((row.type === PeerType.Inbound && row.lastSuccessMillis === 0) || row.numFailures > MAX_FAILURES_TO_SEND)

/**
 * The table.
 *
 * @category models
 * @since 0.1.0
 */
export class PeerTable {
  private readonly rows = new Map<string, MutableRow>()
  private readonly byTarget = new Index()
  private readonly bySource = new Index()
  private readonly byHost = new Index()
  /** Disposable rows that failed at least once, oldest failure first. */
  private readonly failed = new Set<MutableRow>()
  /** Source subnets by how many rows they have; the key "" (ourselves) is not in it. */
  private readonly sourcesOfSize: Array<Set<string>> = []
  private changed = new Map<string, PeerAddress>()
  private readonly limits: PeerTableLimits
  private readonly groupOf: (address: PeerAddress) => string
  private readonly onChange: () => void

  constructor(options: {
    readonly limits: PeerTableLimits
    /** The target subnet of an address. */
    readonly groupOf: (address: PeerAddress) => string
    /** Called whenever a row changed that the store has to learn of. */
    readonly onChange?: (() => void) | undefined
  }) {
    this.limits = options.limits
    this.groupOf = options.groupOf
    this.onChange = options.onChange ?? (() => undefined)
  }

  get size(): number {
    return this.rows.size
  }

  get(address: PeerAddress): PeerRow | undefined {
    return this.rows.get(address.key)
  }

  values(): IterableIterator<PeerRow> {
    return this.rows.values()
  }

  /** Rows at the address's host, whatever their port. */
  atHost(address: PeerAddress): Iterable<PeerRow> {
    return this.byHost.rows(address.host)
  }

  /** Rows charged to a source subnet. */
  countOfSource(source: string): number {
    return this.bySource.size(source)
  }

  /** Rows of a target subnet. */
  countOfTarget(group: string): number {
    return this.byTarget.size(group)
  }

  /**
   * Puts a new row into the table, making room by the rules above. False when there is a row already, or no room. A row
   * that came from the store (`stored`) need not be written back.
   */
  insert(record: PeerRecord, origin: Origin, stored = false): boolean {
    const key = record.address.key
    if (this.rows.has(key)) return false
    const group = this.groupOf(record.address)
    const source = origin === "gossip" && record.lastSuccessMillis === 0 ? record.source : ""
    if (!this.makeRoom(source, group, origin, record.lastSuccessMillis > 0)) return false
    const row: MutableRow = {
      address: record.address,
      type: record.type,
      numFailures: record.numFailures,
      nextAttemptMillis: record.nextAttemptMillis,
      lastSuccessMillis: record.lastSuccessMillis,
      source,
      anchor: record.anchor,
      group,
      configured: origin === "configured",
      failuresBefore: -1,
      refusals: 0
    }
    this.rows.set(key, row)
    this.byTarget.add(group, row)
    this.byHost.add(record.address.host, row)
    this.charge(source, row)
    this.reclassify(row)
    if (!stored) this.touch(row)
    return true
  }

  /** Changes a row. `address`, `group` and `source` stay, except that success releases the row from its source. */
  update(
    row: PeerRow,
    change: Partial<Omit<PeerRow, "address" | "group" | "source">>,
    options?: { readonly memoryOnly?: boolean }
  ): void {
    const target = this.rows.get(row.address.key)
    if (target === undefined) return
    Object.assign(target, change)
    if (target.lastSuccessMillis > 0 && target.source !== "") {
      this.discharge(target)
      target.source = ""
      this.charge("", target)
    }
    this.reclassify(target)
    if (options?.memoryOnly !== true) this.touch(target)
  }

  /** Deletes a row; false when there is none. */
  remove(address: PeerAddress): boolean {
    const row = this.rows.get(address.key)
    if (row === undefined) return false
    this.rows.delete(address.key)
    this.byTarget.remove(row.group, row)
    this.byHost.remove(row.address.host, row)
    this.discharge(row)
    this.failed.delete(row)
    this.touch(row)
    return true
  }

  // changes for the store

  /** Addresses whose row changed and was not taken yet. */
  get pending(): number {
    return this.changed.size
  }

  /** Takes up to `max` changes. Whoever fails to store them gives them back with `markChanged`. */
  takeChanges(max: number): { readonly put: Array<PeerRecord>; readonly remove: Array<PeerAddress> } {
    const put: Array<PeerRecord> = []
    const remove: Array<PeerAddress> = []
    for (const [key, address] of this.changed) {
      if (put.length + remove.length >= max) break
      this.changed.delete(key)
      const row = this.rows.get(key)
      if (row === undefined) remove.push(address)
      else put.push(toRecord(row))
    }
    return { put, remove }
  }

  /** Marks addresses as changed, whether they have a row or not. */
  markChanged(addresses: Iterable<PeerAddress>): void {
    for (const address of addresses) this.changed.set(address.key, address)
    this.onChange()
  }

  /** Forgets which addresses changed: for a caller that is going to compare the whole table with the store. */
  forgetChanges(): void {
    this.changed = new Map()
  }

  private touch(row: MutableRow): void {
    this.changed.set(row.address.key, row.address)
    this.onChange()
  }

  // room

  /** Removes what has to go for one more row; removes nothing when even that does not make room. */
  private makeRoom(source: string, group: string, origin: Origin, verified: boolean): boolean {
    const victims = new Set<MutableRow>()
    if (origin !== "configured") {
      if (source !== "" && this.bySource.size(source) >= this.limits.maxRowsPerSource) {
        const victim = first(this.bySource.rows(source), (row) => this.failed.has(row))
        if (victim === undefined) return false
        victims.add(victim)
      }
      const isFull = this.byTarget.size(group) >= this.limits.maxRowsPerTarget
      if (isFull && first(victims, (row) => row.group === group) === undefined) {
        const bucket = this.byTarget.rows(group)
        const victim = first(bucket, (row) => this.failed.has(row))
          ?? (verified ? first(bucket, isDisposable) : undefined)
        if (victim === undefined) return false
        victims.add(victim)
      }
    }
    if (this.rows.size - victims.size >= this.limits.maxRows) {
      const victim = first(this.failed, () => true)
        ?? this.fromLargestSource(origin === "gossip" ? this.bySource.size(source) + 1 : 0)
        ?? (origin === "gossip" ? undefined : first(this.rows.values(), isDisposable))
        ?? (origin === "configured" ? first(this.rows.values(), (row) => !row.configured) : undefined)
      if (victim === undefined) return false
      victims.add(victim)
    }
    for (const victim of victims) this.remove(victim.address)
    return true
  }

  /** A disposable row of the source with most rows, if it has more than `above`. */
  private fromLargestSource(above: number): MutableRow | undefined {
    for (let size = this.sourcesOfSize.length - 1; size > above; size--) {
      for (const source of this.sourcesOfSize[size] ?? []) {
        const victim = first(this.bySource.rows(source), isDisposable)
        if (victim !== undefined) return victim
      }
    }
    return undefined
  }

  private charge(source: string, row: MutableRow): void {
    if (source === "") return
    const before = this.bySource.size(source)
    this.bySource.add(source, row)
    this.sourcesOfSize[before]?.delete(source)
    while (this.sourcesOfSize.length <= before + 1) this.sourcesOfSize.push(new Set())
    this.sourcesOfSize[before + 1]!.add(source)
  }

  private discharge(row: MutableRow): void {
    if (row.source === "") return
    const before = this.bySource.size(row.source)
    this.bySource.remove(row.source, row)
    this.sourcesOfSize[before]?.delete(row.source)
    if (before > 1) this.sourcesOfSize[before - 1]!.add(row.source)
    while (this.sourcesOfSize.length > 0 && this.sourcesOfSize.at(-1)!.size === 0) this.sourcesOfSize.pop()
  }

  private reclassify(row: MutableRow): void {
    if (row.numFailures > 0 && isDisposable(row)) this.failed.add(row)
    else this.failed.delete(row)
  }
}

const first = (rows: Iterable<MutableRow>, predicate: (row: MutableRow) => boolean): MutableRow | undefined => {
  for (const row of rows) if (predicate(row)) return row
  return undefined
}

/**
 * The part of a row that is stored.
 *
 * @category getters
 * @since 0.1.0
 */
export const toRecord = (row: PeerRow): PeerRecord => ({
  address: row.address,
  type: row.type,
  numFailures: row.numFailures,
  nextAttemptMillis: row.nextAttemptMillis,
  lastSuccessMillis: row.lastSuccessMillis,
  source: row.source,
  anchor: row.anchor
})
