/**
 * What can go wrong with the database under `PeerStore` and `BanList`, and how the operator hears of it.
 *
 * A node outlives its database: the authoritative copy of peers and bans is in memory, and what could not be written is
 * kept and written later. So these errors reach only those who ask for a write to be done (`flush`), and everybody else
 * as a `StorageAlert`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Why an operation on the database failed:
 *
 * - `Locked`: another process or connection holds it; waiting helps
 * - `Full`: no room on the disk or in the quota; writing resumes when there is
 * - `Corrupt`: the file is not a database, or a damaged one; somebody has to move it away
 * - `Unavailable`: the database cannot be opened or reached
 * - `TimedOut`: the operation took longer than its limit
 * - `Failed`: anything else, a defect of a driver included
 *
 * @category models
 * @since 0.1.0
 */
export const StorageErrorReason = Schema.Literals(["Locked", "Full", "Corrupt", "Unavailable", "TimedOut", "Failed"])

/**
 * One of the reasons.
 *
 * @category models
 * @since 0.1.0
 */
export type StorageErrorReason = typeof StorageErrorReason.Type

/**
 * A failed operation on the database. `operation` is the method of the store, `detail` the database's own words.
 *
 * @category errors
 * @since 0.1.0
 */
export class StorageError extends Schema.TaggedError<StorageError>()("StorageError", {
  operation: Schema.String,
  reason: StorageErrorReason,
  detail: Schema.String
}) {
  override get message() {
    return `${this.operation}: ${this.reason}: ${this.detail}`
  }
}

/**
 * What is kept in the database that an alert is about.
 *
 * @category models
 * @since 0.1.0
 */
export type StorageName = "peers" | "bans"

/**
 * A change in the health of the database: one alert when it fails, one more each time the reason changes, one when a
 * write succeeds again.
 *
 * @category models
 * @since 0.1.0
 */
export type StorageAlert =
  | {
    readonly _tag: "StorageFailed"
    readonly store: StorageName
    readonly error: StorageError
    /** Rows that only memory holds at this moment. */
    readonly pending: number
  }
  | {
    readonly _tag: "StorageRecovered"
    readonly store: StorageName
    /** For how long nothing could be written. */
    readonly millis: number
  }

/**
 * The health of the database as numbers, for metrics and the admin interface.
 *
 * @category models
 * @since 0.1.0
 */
export interface StorageStatus {
  /** The last error while the database fails, undefined while it works. */
  readonly failing: StorageError | undefined
  /** Whether the rows of the last run were read. False means: started from nothing, and will merge when they can be. */
  readonly loaded: boolean
  /** Rows that only memory holds. */
  readonly pending: number
  /** Failed operations since the start. */
  readonly failures: number
  /** Batches written since the start. */
  readonly batches: number
}
