/**
 * Nodes that may not connect, by their key: for good or until a time, by an operator or by their own conduct.
 *
 * The list is in memory, so the handshake asks it without waiting; a store keeps it over restarts. A ban holds from the
 * moment `ban` returns, whatever the database does; it reaches the store in the next turn of the event loop, or when a
 * failing store works again.
 *
 * Stellar-core's bans are permanent, are asked only in the HELLO handler, and leave a connected node connected
 * (protocol.md section 11, `BanManagerImpl`). Here bans can also end by themselves, `onBan` lets the overlay drop a
 * connected node at once, and a node that misbehaved often enough is banned for a while. The preset `core` has no
 * automatic bans.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as DropReason from "./DropReason.ts"
import * as WriteBehind from "./internal/writeBehind.ts"
import type { StorageAlert, StorageError, StorageStatus } from "./StorageError.ts"
import type { NodeId } from "./wire/NodeId.ts"

/**
 * One ban.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ban {
  readonly nodeId: NodeId
  /** Unix milliseconds at which it ends; undefined for a permanent one. */
  readonly untilMillis: number | undefined
  /** For the operator; at most `MAX_REASON_LENGTH` characters. */
  readonly reason: string
}

/**
 * Where bans outlive the process. All implementations pass `overlay-test/contract/BanListContract`.
 *
 * @category models
 * @since 0.1.0
 */
export interface BanStore {
  readonly loadAll: Effect.Effect<ReadonlyArray<Ban>, StorageError>
  /** Applies all of it or nothing. `put` inserts or replaces; removing an absent ban is no error. */
  readonly write: (changes: {
    readonly put: ReadonlyArray<Ban>
    readonly remove: ReadonlyArray<NodeId>
  }) => Effect.Effect<void, StorageError>
}

/**
 * The longest reason kept; longer ones are cut.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_REASON_LENGTH = 200

/**
 * Bans written in one transaction.
 *
 * @category constants
 * @since 0.1.0
 */
export const BANS_PER_BATCH = 500

/**
 * What can be turned.
 *
 * @category models
 * @since 0.1.0
 */
export interface BanListOptions {
  /** Bans kept. At the bound a new ban takes the place of the timed one that ends first; permanent ones stay. */
  readonly maxBans: number
  /** Proven violations within the window that lead to a ban; 0 turns automatic bans off. */
  readonly misbehaviorThreshold: number
  readonly misbehaviorWindowMillis: number
  /** How long an automatic ban lasts. */
  readonly automaticBanMillis: number
  /** Nodes whose violations are counted; the one that misbehaved longest ago is forgotten first. */
  readonly maxTracked: number
  /** The longest one operation on the store may take. */
  readonly storeTimeoutMillis: number
}

/**
 * Ten proven violations within a day ban for a day.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: BanListOptions = {
  maxBans: 65_536,
  misbehaviorThreshold: 10,
  misbehaviorWindowMillis: 86_400_000,
  automaticBanMillis: 86_400_000,
  maxTracked: 4096,
  storeTimeoutMillis: 5000
}

/**
 * Only operators ban.
 *
 * @category presets
 * @since 0.1.0
 */
export const core: Partial<BanListOptions> = { maxBans: Number.MAX_SAFE_INTEGER, misbehaviorThreshold: 0 }

/**
 * Violations that whoever sits on the wire can fake, because the bytes at fault carry no good MAC. They are a reason to
 * drop the connection but prove nothing about the node.
 */
const unproven: ReadonlySet<DropReason.DropTag> = new Set<DropReason.DropTag>([
  "CorruptXdr",
  "CryptoError",
  "UnexpectedAuthSequence",
  "UnexpectedMac",
  "ReceiveMacKeyZero",
  "BadCryptoRequest",
  "FrameTooLarge",
  "FrameEmpty"
])

/**
 * Whether a drop is a violation that the node itself must have committed. It has to be called for authenticated peers
 * only: before AUTH anybody can replay somebody's HELLO.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isProvenViolation = (reason: DropReason.DropReason): boolean =>
  DropReason.droppedBy(reason) === "us" && DropReason.kind(reason) === "violation" && !unproven.has(reason._tag)

/**
 * What a ban list does. The methods are synchronous and never fail.
 *
 * @category models
 * @since 0.1.0
 */
export interface BanListShape {
  /** Whether the node is banned, at `nowUnixMillis` or now. */
  readonly isBanned: (nodeId: NodeId, nowUnixMillis?: number) => boolean
  /**
   * Bans a node, for good unless `untilMillis` (Unix milliseconds) is given. Of two bans of one node the longer holds.
   * False when nothing changed: the node was banned as long already, the end has passed, or there is no room.
   */
  readonly ban: (
    nodeId: NodeId,
    options?: { readonly untilMillis?: number | undefined; readonly reason?: string | undefined }
  ) => boolean
  /** Lifts a ban and forgets the violations; false when there was no ban. */
  readonly unban: (nodeId: NodeId) => boolean
  /** The banned nodes, sorted by their text. */
  readonly list: () => ReadonlyArray<NodeId>
  /** The bans with all that is known of them, sorted alike. */
  readonly bans: () => ReadonlyArray<Ban>
  /** Deletes bans that have ended and returns how many; for the tick. A ban ends by itself without it. */
  readonly sweep: () => number
  /**
   * Counts the end of an AUTHENTICATED connection against the node if it was a proven violation, and bans the node at
   * the threshold. Returns whether it did.
   */
  readonly recordDrop: (nodeId: NodeId, reason: DropReason.DropReason) => boolean
  /** Calls `listener` for every new ban, at once, until the scope closes: whoever holds a connection drops it. */
  readonly onBan: (listener: (ban: Ban) => void) => Effect.Effect<void, never, Scope.Scope>
  /** Calls `listener` for every ban that is lifted, pushed out or found to be over, until the scope closes. */
  readonly onUnban: (
    listener: (nodeId: NodeId, cause: "lifted" | "ended") => void
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Removes all bans (core's `dropAll`). */
  readonly clear: () => void
  /** Waits until the store has everything. */
  readonly flush: Effect.Effect<void, StorageError>
  readonly alerts: Stream.Stream<StorageAlert>
  readonly status: () => StorageStatus
}

/**
 * Makes a ban list over a store, loading what the store has. A store that cannot be read leaves an empty list, an alert,
 * and the stored bans joining as soon as it can.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  store: BanStore,
  partial: Partial<BanListOptions> = {}
): Effect.fn.Return<BanListShape, never, Scope.Scope> {
  const options: BanListOptions = { ...defaults, ...partial }
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const bans = new Map<NodeId, Ban>()
  /** Violations by node: how many, and when the first of them was. The node that misbehaved last is at the end. */
  const violations = new Map<NodeId, { readonly count: number; readonly since: number }>()
  const listeners = new Set<(ban: Ban) => void>()
  const unbanListeners = new Set<(nodeId: NodeId, cause: "lifted" | "ended") => void>()
  let changed = new Set<NodeId>()
  /** Set when more changed than is worth remembering: the next write compares everything. */
  let compareAll = false
  /** Set by `clear` before the store could be read. */
  let discardStored = false

  const isOver = (ban: Ban, at: number) => ban.untilMillis !== undefined && ban.untilMillis <= at

  const load = Effect.map(store.loadAll, (stored) => {
    const at = now()
    for (const ban of stored) {
      if (changed.has(ban.nodeId) || bans.has(ban.nodeId)) continue // decided in this run
      if (discardStored || isOver(ban, at)) changed.add(ban.nodeId)
      else if (bans.size < options.maxBans) insert(ban)
    }
  })

  const writeBatch = Effect.gen(function*() {
    if (compareAll) {
      const stored = yield* store.loadAll
      for (const ban of stored) changed.add(ban.nodeId)
      for (const nodeId of bans.keys()) changed.add(nodeId)
      compareAll = false
    }
    const batch = [...changed].slice(0, BANS_PER_BATCH)
    if (batch.length === 0) return false
    const put: Array<Ban> = []
    const remove: Array<NodeId> = []
    for (const nodeId of batch) {
      changed.delete(nodeId)
      const ban = bans.get(nodeId)
      if (ban === undefined) remove.push(nodeId)
      else put.push(ban)
    }
    yield* Effect.onError(store.write({ put, remove }), () =>
      Effect.sync(() => {
        for (const nodeId of batch) changed.add(nodeId)
      }))
    return changed.size > 0
  })

  const log = Effect.runForkWith(yield* Effect.context<never>())
  /** A listener that throws hinders neither the list nor the other listeners. */
  const tell = <Args extends ReadonlyArray<unknown>>(to: Iterable<(...args: Args) => void>, ...args: Args) => {
    for (const listener of to) {
      try {
        listener(...args)
      } catch (defect) {
        log(Effect.logError("A listener of the ban list failed", defect))
      }
    }
  }

  const insert = (ban: Ban) => {
    bans.set(ban.nodeId, ban)
    tell(listeners, ban)
  }

  const writer = yield* WriteBehind.make({
    name: "bans",
    intervalMillis: 0,
    timeoutMillis: options.storeTimeoutMillis,
    load,
    writeBatch,
    pending: () => (compareAll ? bans.size + 1 : changed.size)
  })

  const mark = (nodeId: NodeId) => {
    if (!compareAll) changed.add(nodeId)
    if (changed.size > 2 * options.maxBans) {
      compareAll = true
      changed = new Set()
    }
    writer.wake()
  }

  const remove = (nodeId: NodeId) => {
    const ban = bans.get(nodeId)
    const existed = bans.delete(nodeId)
    if (existed || !writer.status().loaded) mark(nodeId)
    if (ban !== undefined) {
      const cause = isOver(ban, now()) ? "ended" : "lifted"
      tell(unbanListeners, nodeId, cause)
    }
    return existed
  }

  const makeRoom = (): boolean => {
    if (bans.size < options.maxBans) return true
    let soonest: Ban | undefined
    for (const ban of bans.values()) {
      if (ban.untilMillis !== undefined && (soonest === undefined || ban.untilMillis < soonest.untilMillis!)) {
        soonest = ban
      }
    }
    return soonest !== undefined && remove(soonest.nodeId)
  }

  const ban: BanListShape["ban"] = (nodeId, { reason = "", untilMillis } = {}) => {
    const at = now()
    const present = bans.get(nodeId)
    const next: Ban = { nodeId, untilMillis, reason: reason.slice(0, MAX_REASON_LENGTH) }
    if (isOver(next, at)) return false
    if (present !== undefined && !isOver(present, at)) {
      if (present.untilMillis === undefined) return false
      if (untilMillis !== undefined && untilMillis <= present.untilMillis) return false
    } else if (present === undefined && !makeRoom()) return false
    violations.delete(nodeId)
    insert(next)
    mark(nodeId)
    return true
  }

  const active = () => {
    const at = now()
    return [...bans.values()].filter((ban) => !isOver(ban, at)).sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
  }

  return {
    isBanned: (nodeId, at = now()) => {
      const ban = bans.get(nodeId)
      return ban !== undefined && !isOver(ban, at)
    },
    ban,
    unban: (nodeId) => {
      violations.delete(nodeId)
      const present = bans.get(nodeId)
      const held = present !== undefined && !isOver(present, now())
      remove(nodeId)
      return held
    },
    list: () => active().map((ban) => ban.nodeId),
    bans: active,
    sweep: () => {
      const at = now()
      let ended = 0
      for (const ban of bans.values()) {
        if (isOver(ban, at) && remove(ban.nodeId)) ended++
      }
      return ended
    },
    recordDrop: (nodeId, reason) => {
      if (options.misbehaviorThreshold <= 0 || !isProvenViolation(reason)) return false
      const at = now()
      const known = violations.get(nodeId)
      const next = known !== undefined && at - known.since < options.misbehaviorWindowMillis
        ? { count: known.count + 1, since: known.since }
        : { count: 1, since: at }
      violations.delete(nodeId)
      if (next.count >= options.misbehaviorThreshold) {
        const text = `${next.count} violations, the last: ${DropReason.text(reason)}`
        return ban(nodeId, { untilMillis: at + options.automaticBanMillis, reason: text })
      }
      violations.set(nodeId, next)
      if (violations.size > options.maxTracked) {
        for (const oldest of violations.keys()) {
          violations.delete(oldest)
          break
        }
      }
      return false
    },
    onBan: (listener) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          listeners.add(listener)
        }),
        () =>
          Effect.sync(() => {
            listeners.delete(listener)
          })
      ),
    onUnban: (listener) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          unbanListeners.add(listener)
        }),
        () =>
          Effect.sync(() => {
            unbanListeners.delete(listener)
          })
      ),
    clear: () => {
      violations.clear()
      for (const nodeId of bans.keys()) remove(nodeId)
      if (!writer.status().loaded) discardStored = true
    },
    flush: writer.flush,
    alerts: writer.alerts,
    status: writer.status
  }
})

/**
 * A store over a map that can be given to share it between lists.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMemoryStore = (stored: Map<NodeId, Ban> = new Map()): BanStore => ({
  loadAll: Effect.sync(() => [...stored.values()]),
  write: ({ put, remove }) =>
    Effect.sync(() => {
      for (const nodeId of remove) stored.delete(nodeId)
      for (const ban of put) stored.set(ban.nodeId, ban)
    })
})

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class BanList extends Context.Service<BanList, BanListShape>()("@stellar-overlay/overlay/BanList") {
  /**
   * Forgets all bans with the process. `SqlBanList.layer` of `@stellar-overlay/overlay-sql` keeps them.
   *
   * @since 0.1.0
   */
  static readonly layerMemory: Layer.Layer<BanList> = Layer.effect(this, Effect.suspend(() => make(makeMemoryStore())))
}
