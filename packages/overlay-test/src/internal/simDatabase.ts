import type { Ban, BanStore } from "@stellar-overlay/overlay/BanList"
import * as PeerStore from "@stellar-overlay/overlay/PeerStore"
import { StorageError, type StorageErrorReason } from "@stellar-overlay/overlay/StorageError"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import * as Effect from "effect/Effect"
import type { NodeFault, Of } from "../SimFault.ts"
import type { ActiveFault } from "./simFaults.ts"

type DatabaseKind = "DatabaseFull" | "DatabaseLocked" | "DatabaseCorrupt" | "DatabaseSlow" | "CrashInWrite"

/** The faults that are about a database. */
export type DatabaseFault = ActiveFault<Of<DatabaseKind>>

const databaseKinds: ReadonlySet<NodeFault["_tag"]> = new Set<DatabaseKind>([
  "DatabaseFull",
  "DatabaseLocked",
  "DatabaseCorrupt",
  "DatabaseSlow",
  "CrashInWrite"
])

export const isDatabaseFault = (fault: ActiveFault): fault is DatabaseFault =>
  databaseKinds.has(fault.fault._tag as NodeFault["_tag"]) // a kind of the network is none of them

/** Backups that are kept, and how old the newest is before another is made. */
export const MAX_BACKUPS = 8
export const BACKUP_MILLIS = 5_000

interface Rows {
  readonly peers: ReadonlyMap<string, PeerStore.PeerRecord>
  readonly bans: ReadonlyMap<NodeId, Ban>
}

/** What the rows that changed since a moment were at it; undefined where there was none. */
interface Backup {
  readonly at: number
  readonly peers: Map<string, PeerStore.PeerRecord | undefined>
  readonly bans: Map<NodeId, Ban | undefined>
}

/** Notes what rows are, unless that was noted before. */
const note = <K, V>(before: Map<K, V | undefined>, rows: ReadonlyMap<K, V>, keys: Iterable<K>): void => {
  for (const key of keys) if (!before.has(key)) before.set(key, rows.get(key))
}

/** Makes rows what they were. */
const undo = <K, V>(rows: Map<K, V>, before: ReadonlyMap<K, V | undefined>): void => {
  for (const [key, value] of before) {
    if (value === undefined) rows.delete(key)
    else rows.set(key, value)
  }
}

const equalMaps = <K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean =>
  a.size === b.size && [...a].every(([key, value]) => b.get(key) === value)

/**
 * What a node has on disk: rows that survive its process, whatever happens to it. A batch is written whole or not at all,
 * and nothing by a process that is gone.
 */
export class SimDatabase {
  /** The faults of the moment. */
  readonly faults = new Set<DatabaseFault>()
  private readonly where: string
  private readonly millis: () => number
  private readonly crash: Effect.Effect<void>
  private peers = new Map<string, PeerStore.PeerRecord>()
  private bans = new Map<NodeId, Ban>()
  /** Oldest first. */
  private backups: Array<Backup> = []
  /** Which process may use it. */
  private session = 0

  constructor(options: {
    readonly where: string
    readonly millis: () => number
    /** Ends the process, in a fiber of its own. */
    readonly crash: Effect.Effect<void>
  }) {
    this.where = options.where
    this.millis = options.millis
    this.crash = options.crash
  }

  get counts() {
    return { peers: this.peers.size, bans: this.bans.size }
  }

  /** Nobody uses it any more. */
  close(): void {
    this.session++
  }

  /** For a new process; those before it are shut out. */
  open(): { readonly peers: PeerStore.PeerStoreShape; readonly bans: BanStore } {
    const session = ++this.session
    const guard = <A>(operation: string, effect: Effect.Effect<A, StorageError>) =>
      this.guard(session, operation, false, effect)
    const write = (
      operation: string,
      effect: Effect.Effect<void, StorageError>,
      peers: () => Iterable<string>,
      bans: () => Iterable<NodeId>
    ) =>
      this.guard(
        session,
        operation,
        true,
        Effect.andThen(Effect.sync(() => this.backUp(peers(), bans())), effect)
      )
    const none = () => []
    const rows = PeerStore.makeMemory(this.peers)
    return {
      peers: {
        loadAll: (limit) => guard("loadAll", rows.loadAll(limit)),
        load: (address) => guard("load", rows.load(address)),
        write: (changes) =>
          write(
            "write",
            rows.write(changes),
            () => [...changes.put.map(({ address }) => address.key), ...changes.remove.map(({ key }) => key)],
            none
          ),
        loadRandom: (query, size) => guard("loadRandom", rows.loadRandom(query, size)),
        count: (query) => guard("count", rows.count(query)),
        clear: write("clear", rows.clear, () => this.peers.keys(), none)
      },
      bans: {
        loadAll: guard("loadAll", Effect.sync(() => [...this.bans.values()])),
        write: ({ put, remove }) =>
          write(
            "write",
            Effect.sync(() => {
              for (const id of remove) this.bans.delete(id)
              for (const ban of put) this.bans.set(ban.nodeId, ban)
            }),
            none,
            () => [...put.map(({ nodeId }) => nodeId), ...remove]
          )
      }
    }
  }

  /** An empty database; whether any rows were lost. */
  lose(): boolean {
    const lost = this.peers.size + this.bans.size > 0
    this.become({ peers: new Map(), bans: new Map() })
    return lost
  }

  /**
   * The database as it was so long ago, or as far back as is known; whether that makes a difference. A backup is made
   * before a write, so the first one after the moment is what there was in it.
   */
  goBack(ageMillis: number): boolean {
    const at = this.millis() - ageMillis
    const oldest = this.backups.findIndex((kept) => kept.at > at)
    if (oldest < 0) return false
    const rows = { peers: new Map(this.peers), bans: new Map(this.bans) }
    for (const backup of this.backups.slice(oldest).reverse()) {
      undo(rows.peers, backup.peers)
      undo(rows.bans, backup.bans)
    }
    return this.become(rows)
  }

  /** A copy of another; whether that makes a difference. */
  copy(other: SimDatabase): boolean {
    return this.become({ peers: other.peers, bans: other.bans })
  }

  private become(rows: Rows): boolean {
    const changes = !equalMaps(this.peers, rows.peers) || !equalMaps(this.bans, rows.bans)
    this.note([...this.peers.keys(), ...rows.peers.keys()], [...this.bans.keys(), ...rows.bans.keys()])
    this.peers = new Map(rows.peers)
    this.bans = new Map(rows.bans)
    return changes
  }

  /** Before rows are written: these ones. */
  private backUp(peers: Iterable<string>, bans: Iterable<NodeId>): void {
    const at = this.millis()
    const newest = this.backups.at(-1)
    if (newest === undefined || at - newest.at >= BACKUP_MILLIS) {
      this.backups.push({ at, peers: new Map(), bans: new Map() })
      if (this.backups.length > MAX_BACKUPS) this.backups.shift()
    }
    this.note(peers, bans)
  }

  private note(peers: Iterable<string>, bans: Iterable<NodeId>): void {
    const newest = this.backups.at(-1)
    if (newest === undefined) return
    note(newest.peers, this.peers, peers)
    note(newest.bans, this.bans, bans)
  }

  private guard<A>(
    session: number,
    operation: string,
    writes: boolean,
    effect: Effect.Effect<A, StorageError>
  ): Effect.Effect<A, StorageError> {
    return Effect.suspend(() => {
      const fail = (reason: StorageErrorReason, detail: string) =>
        Effect.fail(new StorageError({ operation, reason, detail }))
      if (session !== this.session) return fail("Unavailable", "the process is gone")
      let before: Effect.Effect<void> = Effect.void
      for (const active of this.faults) {
        const { fault } = active
        const fire = () => active.fire(`${this.where} ${operation}`)
        switch (fault._tag) {
          case "DatabaseFull":
            if (!writes) continue
            fire()
            return fail("Full", "database or disk is full")
          case "DatabaseLocked":
            fire()
            return fail("Locked", "database is locked")
          case "DatabaseCorrupt":
            fire()
            return fail("Corrupt", "database disk image is malformed")
          case "DatabaseSlow":
            fire()
            before = Effect.sleep(fault.millis)
            continue
          case "CrashInWrite":
            if (!writes) continue
            fire()
            this.faults.delete(active)
            return Effect.andThen(fault.applied ? effect : Effect.void, Effect.andThen(this.crash, Effect.never))
        }
      }
      // A slow operation of a process that has died meanwhile is not done.
      return Effect.andThen(
        before,
        Effect.suspend(() => session === this.session ? effect : fail("Unavailable", "the process is gone"))
      )
    })
  }
}
