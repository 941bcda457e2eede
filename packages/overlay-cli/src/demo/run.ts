/** A demo from its first line to its summary. */
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import { short } from "@stellar-overlay/overlay/wire/NodeId"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { ExitCode } from "../ExitCode.ts"
import { steadyNow } from "../net/steadyNow.ts"
import * as Event from "../render/event.ts"
import { bold, dim, fit, type Line, red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { plural } from "../render/units.ts"
import * as Directory from "./Directory.ts"
import { Journal } from "./Journal.ts"
import { Ledgers } from "./Ledgers.ts"
import * as Network from "./Network.ts"
import * as Report from "./report.ts"
import * as Traffic from "./traffic.ts"

/** How often the live line is drawn on a terminal, and a line of it printed elsewhere. */
const STATUS_MILLIS = { terminal: 500, plain: 2000, json: 1000 }

/** How often there is a line for each node. */
const TABLE_MILLIS = 10_000

/** How often what happened is printed. */
const FLUSH_MILLIS = 20

/**
 * No payments are made in the last part of a demo whose end is known, so that all of them can be in a ledger by then;
 * and if they are not, that is waited for, up to as long again.
 */
const SETTLE_MILLIS = 2500

export interface Options {
  readonly nodes: number
  readonly port: number
  /** The port of the first node's operator, the next one for the second, and so on; 0 takes free ones, undefined none. */
  readonly adminPort: number | undefined
  /** Payments per second. */
  readonly tps: number
  /** Whether every link carries as many messages as flow control lets through. */
  readonly isFlood: boolean
  /** Where the databases are; the usual place when undefined. */
  readonly directory: string | undefined
  /** Whether every message is shown, or a sample. */
  readonly all: boolean
  /** Undefined runs until somebody ends it. */
  readonly seconds: number | undefined
  readonly json: boolean
}

const memory = (): Report.Memory => {
  const { heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed, rss }
}

const passphrase = passphrases[Network.NETWORK]

const adminUrl = (port: number | undefined): string | undefined =>
  port === undefined ? undefined : `http://127.0.0.1:${port}/`

const listeningJson = (
  { address, adminPort, identity, known, seed }: Network.DemoNode,
  directory: Directory.Directory
) => ({
  event: "listening",
  node: identity.nodeId,
  address: address.key,
  admin: adminUrl(adminPort),
  network: passphrase,
  known,
  seed: seed?.key,
  directory: directory.path
})

/** What the nodes know of each other when they start. */
const knowledge = (nodes: ReadonlyArray<Network.DemoNode>, { instead, path }: Directory.Directory): Array<Line> => {
  const told = nodes.filter(({ seed }) => seed !== undefined).length
  const first = nodes[0] === undefined ? "" : short(nodes[0].identity.nodeId)
  return [
    ...(instead === undefined ? [] : [[dim(`  ${instead}; this one keeps nothing`)]]),
    told === 0
      ? [bold("  they start from the databases of the last run"), ` in ${path}, and no seed is given`]
      : told === nodes.length - 1
      ? [`  the others are told of ${first} and nobody else; databases are in ${path}`]
      : [
        bold(`  ${nodes.length - told} of them start from their databases`),
        ` in ${path}, the others are told of ${first} and nobody else`
      ]
  ]
}

const listeningLines = (nodes: ReadonlyArray<Network.DemoNode>, directory: Directory.Directory): Array<Line> => {
  const first = nodes[0]?.address.key ?? ""
  return [
    [bold(`${plural(nodes.length, "node")} on "${passphrase}"`), dim("; Ctrl-C ends it")],
    ...nodes.map(({ address, adminPort, identity, known }): Line => [
      "  ",
      bold(short(identity.nodeId)),
      dim(identity.nodeId.slice(5)),
      ` listens on ${address.key}`,
      adminPort === undefined ? "" : `, answers on ${adminUrl(adminPort)}`,
      known === 0 ? "" : dim(`, knows ${plural(known, "address", "addresses")}`)
    ]),
    ...knowledge(nodes, directory),
    [dim(`  try: stellar-overlay ping ${first}, or watch, scp, mempool and peers --of`)],
    []
  ]
}

const hooksOf = (
  journal: Journal,
  books: Ledgers,
  drops: Map<string, number>,
  now: () => number
): Network.Hooks => ({
  frame: (from, to, body) => journal.frame(from, to, body),
  event: ({ identity }, event) => {
    if (event._tag === "PeerDropped" && event.authenticated) Report.countDrop(drops, event.reason)
    const shown = Event.show(event)
    if (shown === undefined) return
    const { event: name, ...facts } = shown.object
    journal.event([dim(short(identity.nodeId)), "       ", ...shown.line], {
      event: name,
      node: identity.nodeId,
      ...facts
    })
  },
  closed: ({ identity, index, ledger: { submit } }, ledger) => {
    books.closed(index, ledger, now())
    const { hash, jumpedFrom, ledgerSeq, rounds, transactions } = ledger
    // A node that missed ledgers forgets what was pending, because it cannot know what of it was in them.
    if (jumpedFrom !== undefined) { for (const payment of books.unsettled(index)) submit(payment) }
    const text = Buffer.from(hash).toString("hex")
    journal.event(
      [
        dim(short(identity.nodeId)),
        `       closed ledger ${ledgerSeq}: ${plural(transactions.length, "transaction")}, hash ${text.slice(0, 8)}`,
        rounds > 1 ? dim(`, in ${rounds} rounds`) : "",
        jumpedFrom === undefined ? "" : dim(`, after ${jumpedFrom}`)
      ],
      {
        event: "closed",
        node: identity.nodeId,
        ledger: ledgerSeq,
        hash: text,
        transactions: transactions.length,
        rounds,
        jumpedFrom
      }
    )
  },
  alert: ({ identity }, alert) => {
    const { _tag, ...facts } = alert
    const text = alert._tag === "StorageFailed" ? `fails: ${alert.error.message}` : "works again"
    journal.event([dim(short(identity.nodeId)), "       ", red("database"), ` ${text}`], {
      event: _tag,
      node: identity.nodeId,
      ...facts
    })
  }
})

const refuse = Effect.fnUntraced(function*(problem: string, hint: string) {
  const screen = yield* Screen
  yield* screen.note([[red("error"), `: ${problem}`], ["  ", hint]])
  return ExitCode.Usage as ExitCode
})

export const run = Effect.fnUntraced(
  function*(options: Options) {
    const { isFlood, json, seconds, tps } = options
    const screen = yield* Screen
    const clock = yield* Clock.Clock
    const now = yield* steadyNow
    const crypto = yield* OverlayCrypto
    const journal = new Journal({ screen, clock, hashing: crypto, json, sample: !options.all })
    const drops = new Map<string, number>()
    const books = new Ledgers(options.nodes)
    const directory = yield* Directory.open(options.directory, options.nodes)
    const hooks = hooksOf(journal, books, drops, now)
    const { adminPort, port } = options
    const nodes = yield* Network.start({ places: directory.nodes, port, adminPort, hooks })
    yield* directory.save(nodes.map(({ address }) => address.port))
    yield* json
      ? screen.json(nodes.map((node) => listeningJson(node, directory)))
      : screen.print(listeningLines(nodes, directory))

    const take = () => Report.sample(nodes, books, now(), memory())
    const first = take()
    let before = first
    let peak = first.memory
    const observe = () => {
      const sample = take()
      peak = { heap: Math.max(peak.heap, sample.memory.heap), rss: Math.max(peak.rss, sample.memory.rss) }
      return sample
    }
    const status = Effect.suspend(() => {
      const sample = observe()
      const previous = before
      before = sample
      if (json) return Effect.andThen(journal.flush, screen.json([Report.statusJson(previous, sample, drops)]))
      const line = fit(Report.statusParts(previous, sample, drops), dim(" | "), screen.columns() - 1)
      return Effect.andThen(journal.flush, screen.isTerminal ? screen.status(line) : screen.print([line]))
    })
    const table = Effect.suspend(() => Effect.andThen(journal.flush, screen.print(Report.nodeLines(observe()))))
    let problem: string | undefined
    const summary = Effect.suspend(() => {
      journal.close()
      const result = { nodes, journal, drops, first, last: observe(), peak }
      problem = Report.problem(result.last)
      return screen.status(undefined).pipe(
        Effect.andThen(journal.flush),
        Effect.andThen(json ? screen.json([Report.summaryJson(result)]) : screen.print(Report.summaryLines(result)))
      )
    })

    const every = json ? STATUS_MILLIS.json : screen.isTerminal ? STATUS_MILLIS.terminal : STATUS_MILLIS.plain
    const periodically = <E, R>(effect: Effect.Effect<void, E, R>, period: number) =>
      Effect.delay(Effect.repeat(effect, Schedule.spaced(period)), period)
    yield* Effect.forkScoped(Effect.all([
      periodically(journal.flush, FLUSH_MILLIS),
      periodically(status, every),
      json ? Effect.void : periodically(table, TABLE_MILLIS)
    ], { concurrency: "unbounded", discard: true }))

    const traffic = Effect.all([
      Traffic.payments(nodes, tps, { crypto, books, now }),
      isFlood ? Traffic.flood(nodes, crypto) : Effect.void,
      Effect.never
    ], { concurrency: "unbounded", discard: true })
    const isSettled = () => {
      const { inStep, underWay } = books.result()
      return inStep && underWay === 0
    }
    const untilSettled = Effect.repeat(Effect.sleep(FLUSH_MILLIS), { while: () => Effect.sync(() => !isSettled()) })
    const main = Effect.gen(function*() {
      yield* Network.meet(nodes)
      if (seconds === undefined) return yield* traffic
      const settle = Math.min(SETTLE_MILLIS, seconds * 500)
      yield* Effect.timeoutOption(traffic, seconds * 1000 - settle)
      yield* Effect.sleep(settle)
      yield* Effect.timeoutOption(untilSettled, SETTLE_MILLIS)
    })
    // The peers are still there, so that their numbers are.
    yield* Effect.ensuring(main, summary)
    if (problem === undefined) return ExitCode.Ok as ExitCode
    yield* screen.note([[red("error"), `: the demo did not show what it is to show: ${problem}`]])
    return ExitCode.Bug as ExitCode
  },
  Effect.catchTags({
    DirectoryError: ({ path, problem }) => refuse(`cannot use ${path}: ${problem}`, "Choose another --dir."),
    TransportError: ({ detail }) =>
      refuse(`cannot listen: ${detail}`, "Choose another --port, or 0 for any that is free."),
    ServeError: ({ cause }) =>
      refuse(
        `cannot listen for the operator: ${cause instanceof Error ? cause.message : String(cause)}`,
        "Choose another --admin-port, or --admin for any that is free."
      )
  }),
  Effect.provide(NodeOverlayCrypto.layer)
)
