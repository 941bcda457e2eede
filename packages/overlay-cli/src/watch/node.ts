/** `watch --admin`: all peers of a running node, as its operator sees them, on a terminal in place. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { ExitCode } from "../ExitCode.ts"
import * as AdminPort from "../net/AdminPort.ts"
import { bold, dim, green, type Line, red, yellow } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { table } from "../render/table.ts"
import { count, rate, timeOfDay } from "../render/units.ts"
import { AdminPeers, Answer, type Snapshot } from "./AdminPeers.ts"
import { columns, type PeerRow } from "./PeerRow.ts"

/** How often the node is asked: on a terminal, where the table stays in place, and elsewhere. */
const EVERY_MILLIS = { terminal: 1000, plain: 10_000 }

export interface Options {
  /** The operator's port, as `AdminPort.parseUrl` gave it. */
  readonly admin: string
  readonly seconds: number | undefined
  readonly json: boolean
}

const total = (rows: ReadonlyArray<PeerRow>, of: (row: PeerRow) => number): number =>
  rows.reduce((sum, row) => sum + of(row), 0)

const headline = (admin: string, { pending, rows }: Snapshot): Line => {
  const inbound = rows.filter(({ direction }) => direction === "in").length
  return [
    bold(admin),
    `  ${rows.length - inbound} outbound, ${inbound} inbound, ${pending} pending, `,
    `${rate(total(rows, ({ messagesPerSecond }) => messagesPerSecond))} msg/s, `,
    `${count(total(rows, ({ unique }) => unique))} unique, ${
      count(total(rows, ({ duplicates }) => duplicates))
    } duplicate`
  ]
}

const came = (verb: Line[number], { address, direction, id, version }: PeerRow, now: number): Line => [
  dim(timeOfDay(now)),
  " ",
  verb,
  ` ${direction === "in" ? "inbound" : "outbound"} `,
  bold(id.slice(0, 5)),
  ` at ${address}`,
  dim(` ${version}`)
]

/** Steps on the way to what counts: a peer that is there, or why it is not. */
const quiet = new Set(["PeerConnecting", "PeerConnected", "PeerHello", "PeerReadThrottled", "PeerReadResumed"])

/** An event of a node in one line; its values are strangers' words, which every line escapes. */
const eventLine = ({ time, type, ...facts }: AdminPort.NodeEvent): Line => [
  dim(timeOfDay(Date.parse(String(time)))),
  " ",
  bold(String(type)),
  ...Object.entries(facts).flatMap(([key, value]): Line =>
    value === null || value === undefined
      ? []
      : [" ", dim(`${key}=`), typeof value === "string" ? value : JSON.stringify(value)]
  )
]

export const run = Effect.fnUntraced(function*({ admin, json, seconds }: Options) {
  const screen = yield* Screen
  const clock = yield* Clock.Clock
  const peers = new AdminPeers()
  const inPlace = screen.isTerminal && !json
  const every = inPlace ? EVERY_MILLIS.terminal : EVERY_MILLIS.plain
  const ask = AdminPort.json(admin, "peers", Answer, { compact: "false", fullkeys: "true" })

  let latest: ReadonlyArray<Line> = []
  // A node of ours tells its events; of stellar-core's, comings and goings show between two answers.
  let tells = false
  const show = Effect.fnUntraced(function*(answer: typeof Answer.Type) {
    const unix = clock.currentTimeMillisUnsafe()
    const snapshot = peers.take(answer, Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
    if (json) return yield* screen.json([{ event: "peers", time: new Date(unix).toISOString(), ...snapshot }])
    if (!tells) {
      yield* screen.print([
        ...snapshot.joined.map((row) => came(green("joined"), row, unix)),
        ...snapshot.left.map((row) => came(yellow("left"), row, unix))
      ], { cut: true })
    }
    latest = [headline(admin, snapshot), ...table(columns, snapshot.rows, screen.columns() - 1)]
    yield* inPlace ? screen.live(latest) : screen.print([...latest, []])
  })

  // What was shown last stays on the terminal: the prompt comes below it.
  const leave = Effect.suspend(() => Effect.andThen(screen.live([]), screen.print(latest, { cut: true })))

  const first = yield* Effect.result(ask)
  if (Result.isFailure(first)) {
    yield* screen.note([[red("error"), `: ${first.failure.message}`], [
      "  Is a node running there, with --admin-port?"
    ]])
    return ExitCode.Unreachable
  }
  yield* show(first.success)
  const events = AdminPort.events(admin).pipe(
    Stream.filter(({ type }) => !(typeof type === "string" && quiet.has(type))),
    Stream.runForEach((event) => {
      tells = true
      return json ? screen.json([{ event: "event", ...event }]) : screen.print([eventLine(event)], { cut: true })
    }),
    Effect.ignore,
    // When they end the node is asked at once whether it is still there.
    Effect.andThen(Effect.suspend(() => tells ? Effect.flatMap(ask, show) : Effect.never))
  )
  const answers = Effect.forever(Effect.flatMap(Effect.delay(ask, every), show))
  const watching = Effect.raceFirst(answers, Effect.andThen(events, Effect.never)).pipe(
    Effect.catch((error) => Effect.as(screen.note([[red("ended"), `: ${error.message}`]]), ExitCode.Unreachable))
  )
  const ended = seconds === undefined
    ? watching
    : Effect.timeoutOrElse(watching, { duration: seconds * 1000, orElse: () => Effect.succeed<ExitCode>(ExitCode.Ok) })
  return yield* Effect.ensuring(ended, inPlace ? leave : Effect.void)
})
