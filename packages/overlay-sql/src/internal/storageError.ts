/**
 * What databases say about a failure, as a `StorageError`.
 */
import { StorageError, type StorageErrorReason } from "@stellar-overlay/overlay/StorageError"
import * as Cause from "effect/Cause"
import { isSqlError, type SqlError } from "effect/sql/SqlError"

/** Primary result codes of SQLite; the extended ones have them in the low byte. */
const sqliteReasons: Readonly<Record<number, StorageErrorReason>> = {
  5: "Locked", // SQLITE_BUSY
  6: "Locked", // SQLITE_LOCKED
  8: "Unavailable", // SQLITE_READONLY
  10: "Unavailable", // SQLITE_IOERR
  11: "Corrupt", // SQLITE_CORRUPT
  13: "Full", // SQLITE_FULL
  14: "Unavailable", // SQLITE_CANTOPEN
  26: "Corrupt" // SQLITE_NOTADB
}

/** SQLSTATE of PostgreSQL, where the driver's classes do not tell. */
const postgresReasons: Readonly<Record<string, StorageErrorReason>> = {
  "53100": "Full", // disk_full
  XX001: "Corrupt", // data_corrupted
  XX002: "Corrupt" // index_corrupted
}

const property = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && name in value ? (value as Record<string, unknown>)[name] : undefined

const reasonOf = (error: SqlError): StorageErrorReason => {
  const { cause } = error.reason
  const errcode = property(cause, "errcode")
  const sqlite = typeof errcode === "number" ? sqliteReasons[errcode & 0xff] : undefined
  if (sqlite !== undefined) return sqlite
  const code = property(cause, "code")
  const postgres = typeof code === "string" ? postgresReasons[code] : undefined
  if (postgres !== undefined) return postgres
  switch (error.reason._tag) {
    case "LockTimeoutError":
    case "DeadlockError":
    case "SerializationError":
      return "Locked"
    case "ConnectionError":
    case "AuthenticationError":
    case "AuthorizationError":
      return "Unavailable"
    case "StatementTimeoutError":
      return "TimedOut"
    default:
      return "Failed"
  }
}

/** The innermost `SqlError` of an error: a migration that fails wraps it. */
const findSqlError = (error: unknown): SqlError | undefined => {
  for (let at = error, depth = 0; at !== undefined && depth < 8; at = property(at, "cause"), depth++) {
    if (isSqlError(at)) return at
  }
  return undefined
}

const describe = (error: unknown): string => {
  const cause = isSqlError(error) ? error.reason.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}

/**
 * The error of a failed operation. Defects count like errors: the driver reports a full disk as one, because SQLite has
 * rolled back by itself by then and the driver's own ROLLBACK fails. The first error of a cause is the one that matters.
 */
export const fromCause = (operation: string, cause: Cause.Cause<unknown>): StorageError => {
  let first: unknown
  for (const reason of cause.reasons) {
    const error = Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : undefined
    const sql = findSqlError(error)
    if (sql !== undefined) return new StorageError({ operation, reason: reasonOf(sql), detail: describe(sql) })
    first ??= error
  }
  return new StorageError({ operation, reason: "Failed", detail: describe(first) })
}
