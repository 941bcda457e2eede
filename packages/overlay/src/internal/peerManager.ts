/**
 * The implementation of `PeerManager`.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as DropReason from "../DropReason.ts"
import type { DialRefusal, PeerManagerShape } from "../PeerManager.ts"
import { MAX_PEERS_RECEIVED, type PeerManagerConfig } from "../PeerManagerConfig.ts"
import type { PeerStore } from "../PeerStore.ts"
import { DialLimiter } from "../protocol/DialLimiter.ts"
import {
  applyBackoff,
  backoffMillis,
  decayedFailures,
  MAX_BACKOFF_EXPONENT,
  PeerType,
  restoredAttempt,
  transition
} from "../protocol/PeerBackoff.ts"
import { matches, nextAttemptCutoff, type PeerQuery, select, sendQueries } from "../protocol/PeerSelection.ts"
import { type Origin, type PeerRecord, type PeerRow, PeerTable, toRecord } from "../protocol/PeerTable.ts"
import * as RandomPeerSource from "../RandomPeerSource.ts"
import type { PeerAddress } from "../wire/PeerAddress.ts"
import * as Persistence from "./peerPersistence.ts"

/** A row nobody has seen before: heard of, untried, due. */
const fresh = (address: PeerAddress, nowMillis: number, source = ""): PeerRecord => ({
  address,
  type: PeerType.Inbound,
  numFailures: 0,
  nextAttemptMillis: nowMillis,
  lastSuccessMillis: 0,
  source,
  anchor: false
})

/** The peer says that it has, or is making, a connection with us. The text was made safe: `-` and `:` became `*`. */
const saysAlreadyConnected = (reason: DropReason.DropReason): boolean =>
  reason._tag === "ErrorReceived" && reason.detail.startsWith("ERR_CONF (already*connected peer")

/** Whether the end of an attempt says nothing against the address. */
const isForgiven = (reason: DropReason.DropReason): boolean => {
  const kind = DropReason.kind(reason)
  return kind === "load" || kind === "local" || kind === "bug"
    || reason._tag === "AlreadyConnected" || saysAlreadyConnected(reason)
}

export const make = Effect.fnUntraced(function*(
  config: PeerManagerConfig
): Effect.fn.Return<PeerManagerShape, never, PeerStore | Scope.Scope> {
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const monotonic = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  /** The wall clock as it was at the start, plus the time since: setting the clock hastens or delays no attempt. */
  const epoch = clock.currentTimeMillisUnsafe() - monotonic()
  const now = () => epoch + monotonic()
  const draw = () => random.nextDoubleUnsafe()

  /** Addresses of a test network, which all look alike: bounds by subnet would only tell how it is wired. */
  const isExempt = (address: PeerAddress) =>
    (config.allowLocalhost && address.isLocalhost) || (config.allowPrivate && address.isPrivate)
  const groupOf = (address: PeerAddress) => (isExempt(address) ? address.key : address.subnet16)
  /** One customer's IPv6 network is many hosts. */
  const hostOf = (address: PeerAddress) => (address.kind === "ipv6" ? address.subnet24 : address.host)

  let onChange = () => {} // nothing to tell before there is a writer: it looks for changes when it starts
  const table = new PeerTable({ limits: config.limits, groupOf, onChange: () => onChange() })
  const limiter = new DialLimiter(config.dials)
  let { peerPort } = config
  const self = new Set<string>()
  let preferred: ReadonlySet<string> = new Set()
  let preferredHosts: ReadonlySet<string> = new Set()
  const anchors = new Map<string, PeerAddress>()
  /** Anchors of the last run that were not tried in this one. */
  const untriedAnchors = new Map<string, PeerAddress>()
  /** Set by `clear`: what the store still has is not wanted. */
  let discardStored = false

  const persistence = yield* Persistence.make(table, config, (record) => {
    if (discardStored || self.has(record.address.key)) return false
    if (table.get(record.address) !== undefined) return true
    const anchor = record.anchor && anchors.size < config.maxAnchors
    if (!table.insert({ ...record, anchor, nextAttemptMillis: restoredAttempt(record, now()) }, "gossip", true)) {
      return false
    }
    if (anchor) {
      anchors.set(record.address.key, record.address)
      untriedAnchors.set(record.address.key, record.address)
    }
    return true
  })
  onChange = persistence.changed

  const rowFor = (address: PeerAddress, origin: Origin, source = ""): PeerRow | undefined => {
    if (address.kind === "name" || address.port === 0) return undefined
    const row = table.get(address)
    if (row !== undefined) return row
    if (self.has(address.key) || !table.insert(fresh(address, now(), source), origin)) return undefined
    return table.get(address)
  }

  const observe = (row: PeerRow | undefined, observed: PeerType, preferredKnown: boolean) => {
    if (row === undefined) return
    const type = transition(row.type, observed, preferredKnown)
    if (type !== row.type) table.update(row, { type })
  }

  /** Whether only strangers say that there is a node at the address. */
  const isHearsay = (address: PeerAddress, row: PeerRow | undefined) =>
    (row === undefined || (!row.configured && row.lastSuccessMillis === 0)) && !isExempt(address)

  const dialRefusal = (address: PeerAddress): DialRefusal | undefined => {
    if (self.has(address.key)) return "Self"
    const row = table.get(address)
    if (row !== undefined && row.nextAttemptMillis > now()) return "NotDue"
    if (!isHearsay(address, row)) return undefined
    if (!limiter.allowsPort(address.port)) return "Port"
    return limiter.allowsHost(hostOf(address), monotonic()) ? undefined : "HostLimit"
  }

  const attemptStarted: PeerManagerShape["attemptStarted"] = (address, options) => {
    const refusal = options?.force === true ? undefined : dialRefusal(address)
    if (refusal !== undefined) return refusal
    untriedAnchors.delete(address.key)
    const row = rowFor(address, "own")
    if (isHearsay(address, row)) limiter.record(hostOf(address), monotonic())
    if (row === undefined) return undefined
    const failures = decayedFailures(row, now(), config.failureDecayMillis)
    table.update(row, { ...applyBackoff(failures, "Increase", now(), draw()), failuresBefore: row.numFailures })
    return undefined
  }

  const attemptForgiven = (address: PeerAddress) => {
    const row = table.get(address)
    if (!config.fairAccounting || row === undefined || row.failuresBefore < 0) return
    table.update(row, { numFailures: row.failuresBefore, failuresBefore: -1 })
  }

  const connectionEnded: PeerManagerShape["connectionEnded"] = (address, role, reason, options) => {
    const row = table.get(address)
    if (role !== "initiator" || row === undefined || !config.fairAccounting) return
    if (isForgiven(reason)) attemptForgiven(address)
    else if (row.failuresBefore >= 0) table.update(row, { failuresBefore: -1 }, { memoryOnly: true })
    if (reason._tag === "LoadErrorReceived" && options?.established !== true) {
      const refusals = Math.min(row.refusals + 1, MAX_BACKOFF_EXPONENT)
      const nextAttemptMillis = Math.max(row.nextAttemptMillis, now() + backoffMillis(refusals, draw()))
      table.update(row, { refusals, nextAttemptMillis })
    } else if (row.refusals > 0 && row.numFailures === 0) table.update(row, { refusals: 0 }, { memoryOnly: true })
  }

  const isGossipable = (address: PeerAddress, from: PeerAddress): boolean => {
    if (address.isEmpty || address.port === 0 || address.kind === "name" || self.has(address.key)) return false
    if (address.kind === "ipv6" && !config.ipv6) return false
    // core's guess at ourselves: the sender shares our host and we are the node at our port
    if (address.host === from.host && address.port === peerPort) return false
    if (address.isLocalhost) return config.allowLocalhost
    if (address.isPrivate) return config.allowPrivate
    return (!config.routableOnly || address.isRoutable) && limiter.allowsPort(address.port)
  }

  const receivePeers: PeerManagerShape["receivePeers"] = (addresses, from) => {
    const counts = { added: 0, known: 0, refused: 0, full: 0 }
    const source = groupOf(from)
    let seen = 0
    for (const address of addresses) {
      if (seen++ === MAX_PEERS_RECEIVED) break
      if (!isGossipable(address, from)) counts.refused++
      else if (table.get(address) !== undefined) counts.known++
      else if (table.insert(fresh(address, now(), source), "gossip")) counts.added++
      else counts.full++
    }
    return counts
  }

  const loadRandomRows = (query: PeerQuery, size: number): Array<PeerRow> =>
    select(table.values(), query, { size, nowMillis: now(), mode: config.draw, draw, groupOf: (row) => row.group })
  const sourceOf = (query: PeerQuery) => RandomPeerSource.make((size) => loadRandomRows(query, size))
  const connectQueries = [PeerType.Inbound, PeerType.Outbound, PeerType.Preferred].map(nextAttemptCutoff)
  const connectSources = connectQueries.map(sourceOf)
  const sendSources = sendQueries.map(sourceOf)

  const connectCandidates: PeerManagerShape["connectCandidates"] = (
    type,
    size,
    { accept = () => true, outbound = [] }
  ) => {
    const perSubnet = new Map<string, number>()
    const occupy = (address: PeerAddress) => {
      const group = groupOf(address)
      perSubnet.set(group, (perSubnet.get(group) ?? 0) + 1)
    }
    for (const address of outbound) occupy(address)
    const take = (address: PeerAddress): boolean => {
      const row = table.get(address)
      // the batch may be old: the row can have changed or gone since
      if (row === undefined || !matches(row, connectQueries[type]!, now())) return false
      const bounded = config.outboundPerSubnet > 0 && !row.configured
      if (bounded && (perSubnet.get(row.group) ?? 0) >= config.outboundPerSubnet) return false
      if (dialRefusal(address) !== undefined || !accept(address)) return false
      occupy(address)
      return true
    }
    const out: Array<PeerAddress> = []
    for (const address of untriedAnchors.values()) {
      if (out.length < size && take(address)) out.push(address)
    }
    const first = new Set(out.map((address) => address.key))
    return out.concat(
      connectSources[type]!.getRandomPeers(size - out.length, (address) => !first.has(address.key) && take(address))
    )
  }

  const getPeersToSend: PeerManagerShape["getPeersToSend"] = (size, exclude) => {
    const accept = (address: PeerAddress) =>
      table.get(address) !== undefined && address.kind !== "name" && (config.ipv6 || address.kind !== "ipv6")
      && (!address.isPrivate || config.allowPrivate) && address.key !== exclude.key
    const out: Array<PeerAddress> = []
    for (const source of sendSources) out.push(...source.getRandomPeers(size - out.length, accept))
    return out
  }

  const removePeersWithManyFailures: PeerManagerShape["removePeersWithManyFailures"] = (minFailures, address) => {
    let removed = 0
    for (const row of address === undefined ? table.values() : table.atHost(address)) {
      if (row.numFailures >= minFailures && table.remove(row.address)) removed++
    }
    return removed
  }

  const storeConfigPeers: PeerManagerShape["storeConfigPeers"] = (
    peers,
    { complete = false, startup = false } = {}
  ) => {
    preferred = new Set(peers.preferred.map((address) => address.key))
    preferredHosts = new Set(peers.preferred.map((address) => address.host))
    const known = new Set(peers.known.map((address) => address.key))
    for (const row of table.values()) {
      const configured = preferred.has(row.address.key) || known.has(row.address.key)
      if (row.configured !== configured) table.update(row, { configured }, { memoryOnly: true })
      if (config.demoteUnlisted && complete && row.type === PeerType.Preferred && !preferred.has(row.address.key)) {
        table.update(row, { type: PeerType.Outbound })
      }
    }
    const put = (address: PeerAddress, type: PeerType) => {
      const row = rowFor(address, "configured")
      observe(row, type, false)
      if (row !== undefined && startup) table.update(row, applyBackoff(row.numFailures, "HardReset", now(), 0))
    }
    for (const address of peers.known) put(address, PeerType.Outbound)
    for (const address of peers.preferred) put(address, PeerType.Preferred)
  }

  const rememberAnchors: PeerManagerShape["rememberAnchors"] = (outbound) => {
    const present = Array.from(outbound).filter((address) => table.get(address) !== undefined)
    const former = Array.from(anchors.values()).filter((address) => table.get(address) !== undefined)
    // anchors that are still connected stay; their number is made up from connected peers of other subnets, then from
    // any connected peer; the rest are anchors that are gone, so that losing everybody forgets nobody
    const isPresent = new Set(present.map((address) => address.key))
    const ranked = [...former.filter((address) => isPresent.has(address.key)), ...present]
    const next = new Map<string, PeerAddress>()
    const groups = new Set<string>()
    for (const address of ranked) {
      if (next.size >= config.maxAnchors || groups.has(groupOf(address))) continue
      groups.add(groupOf(address))
      next.set(address.key, address)
    }
    for (const address of [...ranked, ...former]) {
      if (next.size >= config.maxAnchors) break
      next.set(address.key, address)
    }
    anchors.clear()
    for (const [key, address] of next) anchors.set(key, address)
    for (const address of new Map([...former, ...next.values()].map((address) => [address.key, address])).values()) {
      const row = table.get(address)
      if (row !== undefined && row.anchor !== next.has(address.key)) table.update(row, { anchor: !row.anchor })
    }
  }

  return {
    get: (address) => table.get(address),
    load: (address) => {
      const row = table.get(address)
      return row === undefined ? fresh(address, now()) : toRecord(row)
    },
    store: (record) => {
      table.remove(record.address)
      return table.insert(record, "own")
    },
    remove: (address) => table.remove(address),
    size: () => table.size,
    all: () => Array.from(table.values(), toRecord),
    ensureExists: (address, from) =>
      table.get(address) === undefined
      && rowFor(address, from === undefined ? "own" : "gossip", from === undefined ? "" : groupOf(from)) !== undefined,
    updateType: (address, observed, preferredKnown) => observe(rowFor(address, "own"), observed, preferredKnown),
    updateBackoff: (address, update) => {
      const row = rowFor(address, "own")
      if (row !== undefined) table.update(row, applyBackoff(row.numFailures, update, now(), draw()))
    },
    dialRefusal,
    attemptStarted,
    helloReceived: (address, role) => {
      // a caller chooses the port it announces, so its row is its own subnet's hearsay
      const row = role === "initiator" ? rowFor(address, "own") : rowFor(address, "gossip", groupOf(address))
      const byRole = role === "initiator" ? PeerType.Outbound : PeerType.Inbound
      observe(row, preferred.has(address.key) ? PeerType.Preferred : byRole, true)
    },
    authenticated: (address, role) => {
      const row = role === "initiator" ? rowFor(address, "own") : undefined
      if (row === undefined) return
      const backoff = applyBackoff(row.numFailures, "Reset", now(), draw())
      // 0 means never, and a test clock starts there
      table.update(row, { ...backoff, lastSuccessMillis: Math.max(1, now()), failuresBefore: -1 })
    },
    attemptForgiven,
    connectionEnded,
    listeningAt: (port) => {
      peerPort = port
    },
    rememberSelf: (address) => {
      table.remove(address)
      self.add(address.key)
      for (const oldest of self) {
        if (self.size <= config.maxSelfAddresses) break
        self.delete(oldest)
      }
    },
    rememberAnchors,
    anchors: () => Array.from(anchors.values()).filter((address) => table.get(address) !== undefined),
    storeConfigPeers,
    isPreferred: (address) => preferred.has(address.key),
    isPossiblyPreferred: (address) => preferredHosts.has(address.host),
    receivePeers,
    getPeersToSend,
    loadRandomPeers: (query, size) => loadRandomRows(query, size).map(toRecord),
    randomPeerSource: sourceOf,
    connectCandidates,
    removePeersWithManyFailures,
    clear: () => {
      if (!persistence.status().loaded) discardStored = true
      for (const row of table.values()) table.remove(row.address)
    },
    flush: persistence.flush,
    alerts: persistence.alerts,
    status: persistence.status
  }
})
