/**
 * Where a demo keeps what its nodes know: a database for each node, and who the nodes are. The next demo in the same
 * place starts the same nodes, and they start from their databases.
 */
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"

/** A directory that cannot be used. */
export class DirectoryError extends Data.TaggedError("DirectoryError")<{
  readonly path: string
  readonly problem: string
}> {}

/** A node before it runs. */
export interface NodePlace {
  /** `S…`; worth nothing beyond the demo. */
  readonly seed: Redacted.Redacted<string>
  /** Where it listened the last time; 0 takes any free port. */
  readonly port: number
  /** Its database. */
  readonly db: string
  /** Whether there is one of an earlier demo. */
  readonly isKnown: boolean
}

export interface Directory {
  readonly path: string
  readonly nodes: ReadonlyArray<NodePlace>
  /** Why this is not the usual place: another demo runs there. */
  readonly instead: string | undefined
  /** Notes where the nodes listen, for the next demo. */
  readonly save: (ports: ReadonlyArray<number>) => Effect.Effect<void, DirectoryError>
}

const Saved = Schema.fromJsonString(Schema.Struct({
  network: Schema.Literal(passphrases.standalone),
  nodes: Schema.Array(Schema.Struct({
    seed: Schema.String.check(Schema.isPattern(/^S[A-Z2-7]{55}$/)),
    port: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))
  }))
}))

const decodeSaved = Schema.decodeUnknownResult(Saved)

/** Every user of this machine has a place of their own. */
export const defaultPath = (): string =>
  join(tmpdir(), `stellar-overlay-${userInfo().username}`, "stellar-overlay-demo")

/** Whether a process of this machine has the number. */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

const lockOf = (path: string): string => join(path, "running")

/** Takes the directory for this process; the number of the process that has it, if another has. */
const take = (path: string): number | undefined => {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  // In a place for temporary files anybody can be first.
  const user = process.getuid?.()
  if (user !== undefined && lstatSync(path).uid !== user) throw new Error("it belongs to somebody else")
  const lock = lockOf(path)
  for (let tries = 0; tries < 3; tries++) {
    try {
      writeFileSync(lock, `${process.pid}\n`, { flag: "wx" })
      return undefined
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
    }
    const owner = existsSync(lock) ? Number.parseInt(readFileSync(lock, "utf8"), 10) : Number.NaN
    if (owner > 0 && owner !== process.pid && isAlive(owner)) return owner
    rmSync(lock, { force: true }) // of a process that was killed
  }
  throw new Error("somebody else keeps taking it")
}

const attempt = <A>(path: string, f: () => A): Effect.Effect<A, DirectoryError> =>
  Effect.try({
    try: f,
    catch: (error) => new DirectoryError({ path, problem: error instanceof Error ? error.message : String(error) })
  })

const readSaved = (file: string): ReadonlyArray<{ readonly seed: string; readonly port: number }> => {
  if (!existsSync(file)) return []
  const decoded = decodeSaved(readFileSync(file, "utf8"))
  return Result.isSuccess(decoded) ? decoded.success.nodes : [] // of another version: start anew
}

const newSeed = (): string => NodeId.encodeStrKey(NodeId.StrKeyVersion.Seed, randomBytes(32))

const load = (path: string, count: number, instead: string | undefined): Directory => {
  const file = join(path, "demo.json")
  const saved = readSaved(file)
  const nodes = Array.from({ length: count }, (_, i) => {
    const { port, seed } = saved[i] ?? { port: 0, seed: newSeed() }
    const db = join(path, `node-${i + 1}.db`)
    return { seed, port, db, isKnown: saved[i] !== undefined && existsSync(db) }
  })
  return {
    path,
    instead,
    nodes: nodes.map(({ seed, ...node }) => ({ ...node, seed: Redacted.make(seed) })),
    save: (ports) =>
      attempt(path, () => {
        const present = nodes.map(({ seed }, i) => ({ seed, port: ports[i] ?? 0 }))
        const all = [...present, ...saved.slice(count)]
        writeFileSync(file, JSON.stringify({ network: passphrases.standalone, nodes: all }, null, 2), { mode: 0o600 })
      })
  }
}

/**
 * Opens a directory for so many nodes, until the end of the scope. While another demo runs in the usual place this one
 * has a place that is removed when it ends; a place that was asked for is that or none.
 */
export const open = Effect.fnUntraced(function*(
  wanted: string | undefined,
  count: number
): Effect.fn.Return<Directory, DirectoryError, Scope.Scope> {
  const path = wanted ?? defaultPath()
  const release = (directory: string) => Effect.sync(() => rmSync(lockOf(directory), { force: true }))
  const owner = yield* attempt(path, () => take(path))
  if (owner === undefined) {
    yield* Effect.addFinalizer(() => release(path))
    return yield* attempt(path, () => load(path, count, undefined))
  }
  if (wanted !== undefined) {
    return yield* new DirectoryError({ path, problem: `process ${owner} runs a demo there` })
  }
  const other = yield* Effect.acquireRelease(
    attempt(tmpdir(), () => mkdtempSync(join(tmpdir(), "stellar-overlay-demo-"))),
    (other) => Effect.sync(() => rmSync(other, { recursive: true, force: true }))
  )
  return yield* attempt(other, () => load(other, count, `process ${owner} runs a demo in ${path}`))
})
