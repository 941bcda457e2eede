/** What the machine offers: the runtime, files and sockets it may open, the port to listen on, the database. */
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import * as NodeTransport from "@stellar-overlay/overlay/NodeTransport"
import type { Values } from "@stellar-overlay/overlay/OverlayConfig"
import { Transport } from "@stellar-overlay/overlay/Transport"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import * as SqlClient from "effect/sql/SqlClient"
import { ExitCode } from "../ExitCode.ts"
import { plural } from "../render/units.ts"
import type { Finding } from "./Finding.ts"

/** The oldest Node.js that runs this program. */
const MIN_NODE = [22, 19]

export const runtime = (version: string): Finding => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  const enough = major > MIN_NODE[0]! || (major === MIN_NODE[0] && minor >= MIN_NODE[1]!)
  return {
    check: "runtime",
    status: enough ? "ok" : "fail",
    text: `Node.js ${version}`,
    hint: enough ? undefined : `Node.js ${MIN_NODE.join(".")} or newer is needed.`
  }
}

/** Files besides sockets: the database, logs, the runtime's own. */
const OTHER_FILES = 64

/** The soft limit in a text such as `/proc/self/limits`; undefined when it says nothing. */
export const openFilesLimit = (limits: string): number | undefined => {
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1]
  return soft === undefined ? undefined : soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft)
}

/** Whether a limit on open files is enough for the connections that a configuration allows. */
export const openFiles = (limit: number | undefined, values: Values): Finding => {
  const check = "open files"
  const needed = values.targetPeerConnections + values.maxAdditionalPeerConnections + values.maxPendingConnections +
    OTHER_FILES
  if (limit === undefined) return { check, status: "skip", text: "this system does not say how many may be open" }
  const text = `${limit} may be open, ${needed} are needed at most`
  return limit >= needed
    ? { check, status: "ok", text }
    : { check, status: "warn", text, hint: `Raise the limit: ulimit -n ${needed}, or lower maxPendingConnections.` }
}

const readLimits = FileSystem.FileSystem.pipe(
  Effect.flatMap((files) => files.readFileString("/proc/self/limits")),
  Effect.match({ onFailure: () => undefined, onSuccess: openFilesLimit })
)

const port = Effect.fnUntraced(function*(values: Values): Effect.fn.Return<Finding> {
  const check = "port"
  if (!values.listen) return { check, status: "skip", text: "the node does not listen" }
  const wanted = values.listenPort ?? values.peerPort
  const bound = yield* Effect.scoped(
    Transport.use((transport) => transport.listen({ host: values.listenHost, port: wanted }))
  ).pipe(Effect.result, Effect.provide(NodeTransport.layer))
  if (Result.isSuccess(bound)) {
    return { check, status: "ok", text: `${values.listenHost}:${wanted === 0 ? "any" : wanted} is free to listen on` }
  }
  const { detail } = bound.failure
  return detail.includes("EADDRINUSE")
    ? { check, status: "ok", text: `${values.listenHost}:${wanted} is in use: by the node, if it runs` }
    : {
      check,
      status: "fail",
      text: `${values.listenHost}:${wanted} cannot be listened on: ${detail}`,
      hint: "Choose another --port or --listen-host."
    }
})

const count = (sql: SqlClient.SqlClient, table: string) =>
  sql.unsafe<{ readonly n: number }>(`select count(*) as n from ${table}`).pipe(
    Effect.map(([row]) => Number(row?.n ?? 0)),
    Effect.orElseSucceed(() => 0) // a table that is not there yet is empty
  )

const database = Effect.fnUntraced(function*(
  filename: string | undefined
): Effect.fn.Return<ReadonlyArray<Finding>, never, FileSystem.FileSystem> {
  const check = "database"
  if (filename === undefined) {
    return [{
      check,
      status: "warn",
      text: "none: addresses and bans are forgotten with every run",
      hint: "Give --db file."
    }]
  }
  const files = yield* FileSystem.FileSystem
  if (!(yield* Effect.orElseSucceed(files.exists(filename), () => false))) {
    return [{ check, status: "ok", text: `${filename} will be made at the first run` }]
  }
  const looked = yield* Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const rows = yield* sql.unsafe<{ readonly quick_check: string }>("pragma quick_check(1)")
    const peers = yield* count(sql, "peers")
    const bans = yield* count(sql, "ban")
    return { damage: rows.map(({ quick_check }) => quick_check).find((said) => said !== "ok"), peers, bans }
  }).pipe(Effect.provide(NodeSqlite.layer({ filename })), Effect.scoped, Effect.result)
  const broken = Result.isFailure(looked) ? String(looked.failure.message) : looked.success.damage
  if (broken !== undefined || Result.isFailure(looked)) {
    return [{
      check,
      status: "fail",
      text: `${filename} cannot be used: ${broken}`,
      hint: "The node runs without it. Move the file away, and it is made anew."
    }]
  }
  const { bans, peers } = looked.success
  return [
    { check, status: "ok", text: `${filename}: whole, ${plural(peers, "address", "addresses")}` },
    bans === 0
      ? { check: "bans", status: "ok", text: "nobody is banned" }
      : { check: "bans", status: "ok", text: `${plural(bans, "node")} banned`, hint: "/unban?node=G... lifts a ban." }
  ]
})

/** All of it. */
export const check = Effect.fnUntraced(function*(
  values: Values,
  filename: string | undefined,
  nodeVersion: string
): Effect.fn.Return<ReadonlyArray<Finding>, never, FileSystem.FileSystem> {
  return [
    runtime(nodeVersion),
    openFiles(yield* readLimits, values),
    yield* port(values),
    ...(yield* database(filename))
  ]
})

/** A configuration that cannot be used. */
export const badConfig = (problem: string, hint: string): Finding => ({
  check: "config",
  status: "fail",
  text: problem,
  hint,
  code: ExitCode.Usage
})
