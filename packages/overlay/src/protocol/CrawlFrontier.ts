/**
 * Which addresses a crawl knows, and which of them to dial next.
 *
 * Nobody is dialled that an honest node would not name, no address twice within its back-off, no host and no subnet
 * faster than its rate, and no host more than a few times an hour before somebody there proved to be a node: what
 * strangers tell must not make a crawler a weapon. Every list is bounded, so that a crawl ends whatever it is told.
 *
 * Synchronous and deterministic: times are Unix milliseconds that never go back, chance is drawn by the caller.
 *
 * @since 0.1.0
 */
import type { NodeId } from "../wire/NodeId.ts"
import { PeerAddress } from "../wire/PeerAddress.ts"
import * as Status from "./CrawlStatus.ts"
import { DialLimiter } from "./DialLimiter.ts"

/**
 * How much and how fast.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlLimits {
  /** Connections at once. */
  readonly concurrency: number
  /** Dials per second, all together. */
  readonly dialsPerSecond: number
  /** Between two dials of one host, and of one subnet (IPv4 /24, IPv6 /48). */
  readonly hostIntervalMillis: number
  readonly subnetIntervalMillis: number
  /** Dials of a host within an hour, all ports together, until a node proved itself there. Seeds are exempt. */
  readonly maxDialsPerHost: number
  /** Attempts at an address, the first included. */
  readonly attempts: number
  /** The wait before the second attempt, give or take a quarter; it doubles each time up to `lastRetryMillis`. */
  readonly firstRetryMillis: number
  readonly lastRetryMillis: number
  /** Addresses known, in total, of one host, of one subnet, and first told by nodes of one subnet. */
  readonly maxAddresses: number
  readonly maxAddressesPerHost: number
  readonly maxAddressesPerSubnet: number
  readonly maxAddressesPerSource: number
  /** Told ports below this are refused: they belong to other services. */
  readonly lowestPort: number
  /** Whether told addresses may be IPv6, private (10/8, 172.16/12, 192.168/16), or loopback. */
  readonly ipv6: boolean
  readonly allowPrivate: boolean
  readonly allowLocalhost: boolean
}

/**
 * Polite limits for the public network: a few thousand addresses take minutes, and nobody's firewall notices.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultCrawlLimits: CrawlLimits = {
  concurrency: 48,
  dialsPerSecond: 25,
  hostIntervalMillis: 5000,
  subnetIntervalMillis: 500,
  maxDialsPerHost: 3,
  attempts: 2,
  firstRetryMillis: 30_000,
  lastRetryMillis: 600_000,
  maxAddresses: 20_000,
  maxAddressesPerHost: 16,
  maxAddressesPerSubnet: 256,
  maxAddressesPerSource: 2000,
  lowestPort: 1024,
  ipv6: false,
  allowPrivate: false,
  allowLocalhost: false
}

/**
 * The window of `maxDialsPerHost`.
 *
 * @category constants
 * @since 0.1.0
 */
export const HOST_WINDOW_MILLIS = 3_600_000

/**
 * Why a told address was not taken. The first three are poison, no honest node passes them on; the others are bounds:
 *
 * - `Unroutable`: private, loopback, multicast, reserved and so on, or no port at all
 * - `Port`: a port of other services
 * - `Ipv6`: IPv6 addresses are not asked for
 * - `HostFull`, `SubnetFull`, `SourceFull`, `Full`: there are as many of that host, subnet or source, or in total, as may be
 *
 * @category models
 * @since 0.1.0
 */
export type CrawlRefusal = "Unroutable" | "Port" | "Ipv6" | "HostFull" | "SubnetFull" | "SourceFull" | "Full"

/**
 * An address a crawl knows. Times are Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawledAddress {
  /** An IP literal, or the name of a seed as it was given. */
  readonly host: string
  readonly port: number
  /** Given by the operator, not told by a peer. */
  readonly seed: boolean
  /** Steps from the seeds, which are at 0. */
  readonly depth: number
  /** The node that told it first. */
  readonly source: NodeId | undefined
  readonly foundAt: number
  /** That of the most telling attempt. */
  readonly status: Status.CrawlStatus
  /** Attempts that ended. */
  readonly attempts: number
  readonly lastAttemptAt: number | undefined
  /** When to try again, while not `done`. */
  readonly nextAttemptAt: number | undefined
  /** Nothing more will be tried. */
  readonly done: boolean
  /** The node that proved itself there last. */
  readonly nodeId: NodeId | undefined
}

/**
 * What the frontier says next: dial an address, which is under way from then on, or know that a limit keeps it from
 * being dialled, which is the end of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlStep {
  readonly _tag: "Dial" | "Skip"
  readonly target: PeerAddress
  /** The number of the attempt, from 1. */
  readonly number: number
}

/**
 * How an attempt ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlResult {
  readonly status: Status.CrawlStatus
  readonly nodeId: NodeId | undefined
  /** Try again although the status alone would not ask for it. */
  readonly again?: boolean | undefined
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

interface Entry extends Mutable<CrawledAddress> {
  readonly target: PeerAddress
  active: boolean
  dueAt: number
  /** Breaks ties of `dueAt`: first come, first served. */
  order: number
}

/** Dials of a host or a subnet. */
interface Group {
  addresses: number
  lastDialAt: number
  /** The latest time at which something was put off to. */
  reservedAt: number
}

const before = (a: Entry, b: Entry): boolean => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.order < b.order)

/** A binary heap of what waits, the first due on top. */
class Waiting {
  readonly #entries: Array<Entry> = []

  get size(): number {
    return this.#entries.length
  }

  get first(): Entry | undefined {
    return this.#entries[0]
  }

  push(entry: Entry): void {
    const entries = this.#entries
    let at = entries.length
    entries.push(entry)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(entry, entries[parent]!)) break
      entries[at] = entries[parent]!
      at = parent
    }
    entries[at] = entry
  }

  pop(): Entry | undefined {
    const entries = this.#entries
    const first = entries[0]
    const last = entries.pop()
    if (last === undefined || entries.length === 0) return first
    let at = 0
    while (true) {
      let child = 2 * at + 1
      if (child >= entries.length) break
      if (child + 1 < entries.length && before(entries[child + 1]!, entries[child]!)) child++
      if (!before(entries[child]!, last)) break
      entries[at] = entries[child]!
      at = child
    }
    entries[at] = last
    return first
  }
}

/** Why a stranger's word is not enough to dial an address; bounds aside. */
const poison = (address: PeerAddress, limits: CrawlLimits): CrawlRefusal | undefined => {
  if (address.kind === "name" || address.port === 0) return "Unroutable"
  const allowed = (address.isLocalhost && limits.allowLocalhost) || (address.isPrivate && limits.allowPrivate)
  if (!allowed && !address.isRoutable) return "Unroutable"
  if (address.kind === "ipv6" && !limits.ipv6) return "Ipv6"
  return address.port < limits.lowestPort ? "Port" : undefined
}

/**
 * The frontier. `add` what is known, `take` what to do next, `finish` what was taken.
 *
 * @category models
 * @since 0.1.0
 */
export class CrawlFrontier {
  readonly limits: CrawlLimits
  readonly #draw: () => number
  readonly #entries = new Map<string, Entry>()
  readonly #waiting = new Waiting()
  readonly #hosts = new Map<string, Group>()
  readonly #subnets = new Map<string, Group>()
  /** Addresses first told by nodes of a subnet. */
  readonly #told = new Map<string, number>()
  /** Hosts where a node proved itself. */
  readonly #proven = new Set<string>()
  readonly #limiter: DialLimiter
  #order = 0
  #active = 0
  #done = 0
  #lastDialAt = Number.NEGATIVE_INFINITY

  /** `draw` gives numbers in [0, 1). `known` is where an earlier crawl stood: what was done stays done. */
  constructor(limits: CrawlLimits, draw: () => number, known: Iterable<CrawledAddress> = []) {
    this.limits = limits
    this.#draw = draw
    this.#limiter = new DialLimiter({
      maxDialsPerHost: limits.maxDialsPerHost,
      windowMillis: HOST_WINDOW_MILLIS,
      lowestPort: 0,
      allowedLowPorts: [],
      maxHosts: limits.maxAddresses
    })
    const records = [...known].sort((a, b) => (a.lastAttemptAt ?? 0) - (b.lastAttemptAt ?? 0))
    for (const record of records) this.#restore(record)
  }

  get known(): number {
    return this.#entries.size
  }

  /** Addresses under way. */
  get active(): number {
    return this.#active
  }

  get done(): number {
    return this.#done
  }

  /** Addresses that wait for an attempt. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Nothing is under way or waits. */
  get isDone(): boolean {
    return this.#active === 0 && this.#waiting.size === 0
  }

  get(address: PeerAddress): CrawledAddress | undefined {
    const entry = this.#entries.get(address.key)
    return entry && toRecord(entry)
  }

  /** All of it, as data for a later `CrawlFrontier`. */
  records(): Array<CrawledAddress> {
    return Array.from(this.#entries.values(), toRecord)
  }

  /** Adds an address that the operator gave; only the total is a bound for it. */
  addSeed(address: PeerAddress, now: number): "Added" | "Known" | "Full" {
    const entry = this.#entries.get(address.key)
    if (entry !== undefined) {
      entry.seed = true
      return "Known"
    }
    if (this.#entries.size >= this.limits.maxAddresses) return "Full"
    this.#add(address, { seed: true, depth: 0, source: undefined, foundAt: now })
    return "Added"
  }

  /** Adds an address that a peer told, unless it is poison or there is no room for it. */
  add(
    address: PeerAddress,
    from: { readonly address: PeerAddress; readonly id: NodeId; readonly depth: number },
    now: number
  ): "Added" | "Known" | CrawlRefusal {
    const { limits } = this
    const refusal = poison(address, limits)
    if (refusal !== undefined) return refusal
    if (this.#entries.has(address.key)) return "Known"
    if ((this.#hosts.get(address.host)?.addresses ?? 0) >= limits.maxAddressesPerHost) return "HostFull"
    if ((this.#subnets.get(address.subnet24)?.addresses ?? 0) >= limits.maxAddressesPerSubnet) return "SubnetFull"
    const source = from.address.subnet24
    const told = this.#told.get(source) ?? 0
    if (told >= limits.maxAddressesPerSource) return "SourceFull"
    if (this.#entries.size >= limits.maxAddresses) return "Full"
    this.#told.set(source, told + 1)
    this.#add(address, { seed: false, depth: from.depth + 1, source: from.id, foundAt: now })
    return "Added"
  }

  /**
   * What to do now; undefined for nothing, until `nextAt` or until something finishes. Whoever is told to dial says
   * `finish` or `release` afterwards.
   */
  take(now: number): CrawlStep | undefined {
    const { concurrency, dialsPerSecond, hostIntervalMillis, subnetIntervalMillis } = this.limits
    if (this.#active >= concurrency || now < this.#lastDialAt + 1000 / dialsPerSecond) return undefined
    while (true) {
      const entry = this.#waiting.first
      if (entry === undefined || entry.dueAt > now) return undefined
      this.#waiting.pop()
      const { host, target } = entry
      const number = entry.attempts + 1
      if (!entry.seed && !this.#proven.has(host) && !this.#limiter.allowsHost(host, now)) {
        this.#end(entry, "skipped")
        return { _tag: "Skip", target, number }
      }
      const ofHost = this.#hosts.get(host)!
      const ofSubnet = this.#subnets.get(target.subnet24)!
      const allowedAt = Math.max(ofHost.lastDialAt + hostIntervalMillis, ofSubnet.lastDialAt + subnetIntervalMillis)
      if (allowedAt <= now) {
        ofHost.lastDialAt = ofSubnet.lastDialAt = this.#lastDialAt = now
        this.#limiter.record(host, now)
        this.#active++
        entry.active = true
        entry.nextAttemptAt = undefined
        return { _tag: "Dial", target, number }
      }
      // Each gets a time of its own, or all that wait for one subnet would be looked at whenever one of them may go.
      entry.dueAt = Math.max(
        allowedAt,
        ofHost.reservedAt > now ? ofHost.reservedAt + hostIntervalMillis : 0,
        ofSubnet.reservedAt > now ? ofSubnet.reservedAt + subnetIntervalMillis : 0
      )
      ofHost.reservedAt = Math.max(ofHost.reservedAt, entry.dueAt)
      ofSubnet.reservedAt = Math.max(ofSubnet.reservedAt, entry.dueAt)
      this.#waiting.push(entry)
    }
  }

  /** When `take` may have something, undefined while that waits for something to finish, or forever. */
  nextAt(): number | undefined {
    const { first } = this.#waiting
    if (first === undefined || this.#active >= this.limits.concurrency) return undefined
    return Math.max(first.dueAt, this.#lastDialAt + 1000 / this.limits.dialsPerSecond)
  }

  /** An attempt ended. Returns what is known of the address now: whether it is done, and when it is tried again. */
  finish(address: PeerAddress, result: CrawlResult, now: number): CrawledAddress | undefined {
    const entry = this.#leave(address)
    if (entry === undefined) return undefined
    entry.attempts++
    entry.lastAttemptAt = now
    entry.status = Status.best(entry.status, result.status)
    if (result.nodeId !== undefined) {
      entry.nodeId = result.nodeId
      this.#proven.add(entry.host)
    }
    const again = result.again === true || Status.isRetryable(result.status)
    if (again && entry.attempts < this.limits.attempts) {
      entry.dueAt = entry.nextAttemptAt = now + this.#backoff(entry.attempts)
      this.#waiting.push(entry)
    } else this.#end(entry, entry.status)
    return toRecord(entry)
  }

  /** An attempt was given up half way by us: it does not count, and the address waits as before. */
  release(address: PeerAddress, now: number): void {
    const entry = this.#leave(address)
    if (entry === undefined) return
    entry.dueAt = entry.nextAttemptAt = now + this.#backoff(1)
    this.#waiting.push(entry)
  }

  #backoff(attempts: number): number {
    const { firstRetryMillis, lastRetryMillis } = this.limits
    const wait = Math.min(lastRetryMillis, firstRetryMillis * 2 ** Math.min(attempts - 1, 20))
    return Math.round(wait * (0.75 + this.#draw() / 2))
  }

  #leave(address: PeerAddress): Entry | undefined {
    const entry = this.#entries.get(address.key)
    if (entry === undefined || !entry.active) return undefined
    entry.active = false
    this.#active--
    return entry
  }

  #end(entry: Entry, status: Status.CrawlStatus): void {
    entry.status = Status.best(entry.status, status)
    entry.nextAttemptAt = undefined
    entry.done = true
    this.#done++
  }

  #add(target: PeerAddress, from: Pick<CrawledAddress, "seed" | "depth" | "source" | "foundAt">): void {
    this.#enter(target, {
      ...from,
      host: target.host,
      port: target.port,
      status: "pending",
      attempts: 0,
      lastAttemptAt: undefined,
      nextAttemptAt: from.foundAt,
      done: false,
      nodeId: undefined
    })
  }

  #restore(record: CrawledAddress): void {
    const { attempts, host, lastAttemptAt, nodeId, port } = record
    const target = PeerAddress.make(host, port)
    if (this.#entries.has(target.key)) return
    const { ofHost, ofSubnet } = this.#enter(target, record)
    if (nodeId !== undefined) this.#proven.add(host)
    if (lastAttemptAt === undefined) return
    for (let i = 0; i < attempts; i++) this.#limiter.record(host, lastAttemptAt)
    ofHost.lastDialAt = Math.max(ofHost.lastDialAt, lastAttemptAt)
    ofSubnet.lastDialAt = Math.max(ofSubnet.lastDialAt, lastAttemptAt)
  }

  #enter(target: PeerAddress, record: CrawledAddress): { readonly ofHost: Group; readonly ofSubnet: Group } {
    const entry: Entry = {
      ...record,
      target,
      active: false,
      dueAt: record.nextAttemptAt ?? record.foundAt,
      order: this.#order++
    }
    this.#entries.set(target.key, entry)
    const ofHost = groupOf(this.#hosts, target.host)
    const ofSubnet = groupOf(this.#subnets, target.subnet24)
    ofHost.addresses++
    ofSubnet.addresses++
    if (record.done) this.#done++
    else this.#waiting.push(entry)
    return { ofHost, ofSubnet }
  }
}

const groupOf = (groups: Map<string, Group>, key: string): Group => {
  let group = groups.get(key)
  if (group === undefined) {
    group = { addresses: 0, lastDialAt: Number.NEGATIVE_INFINITY, reservedAt: Number.NEGATIVE_INFINITY }
    groups.set(key, group)
  }
  return group
}

const toRecord = (
  { active: _active, dueAt: _dueAt, order: _order, target: _target, ...record }: Entry
): CrawledAddress => record
