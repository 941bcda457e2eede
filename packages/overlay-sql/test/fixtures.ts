import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import { OverlayDatabase } from "@stellar-overlay/overlay-sql/OverlayDatabase"
import { Effect, type Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"

/** The path of a database of its own for each test, removed with the test's scope. */
export const file = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "overlay-sql-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  ),
  (directory) => join(directory, "overlay.db")
)

export const lazy = (filename: string): Layer.Layer<OverlayDatabase> =>
  OverlayDatabase.layerLazy(NodeSqlite.layer({ filename }))

/** Looks at a database file from outside, through a connection of its own. */
export const inspect = <A>(filename: string, look: (db: DatabaseSync) => A): A => {
  const db = new DatabaseSync(filename)
  try {
    return look(db)
  } finally {
    db.close()
  }
}

export const query = (filename: string, sql: string): Array<Record<string, unknown>> =>
  inspect(filename, (db) => db.prepare(sql).all())

/** A second connection that has run some SQL and stays open. */
export const inspectOpen = (filename: string, sql: string): DatabaseSync => {
  const db = new DatabaseSync(filename)
  db.exec(sql)
  return db
}
