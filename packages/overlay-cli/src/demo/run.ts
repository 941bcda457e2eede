/** A demo from its first line to its summary. */
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import { short } from "@stellar-overlay/overlay/wire/NodeId"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { ExitCode, ofDrop } from "../ExitCode.ts"
import * as Drop from "../render/drop.ts"
import { bold, dim, fit, type Line, red, yellow } from "../render/Line.ts"
import * as Links from "../render/link.ts"
import { Screen } from "../render/Screen.ts"
import { millis, plural } from "../render/units.ts"
import { Journal } from "./Journal.ts"
import * as Network from "./Network.ts"
import * as Report from "./report.ts"
import * as Traffic from "./traffic.ts"

/** How often the live line is drawn on a terminal, and a line of it printed elsewhere. */
const STATUS_MILLIS = { terminal: 500, plain: 2000, json: 1000 }

export interface Options {
  readonly nodes: number
  readonly port: number
  /** Payments per second, or as many messages as flow control lets through. */
  readonly rate: number | "max"
  /** Undefined runs until somebody ends it. */
  readonly seconds: number | undefined
  readonly json: boolean
}

const memory = (): Report.Memory => {
  const { heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed, rss }
}

const passphrase = passphrases[Network.NETWORK]

const listeningJson = ({ address, identity }: Network.DemoNode) => ({
  event: "listening",
  node: identity.nodeId,
  address: address.key,
  network: passphrase
})

const listeningLines = (nodes: ReadonlyArray<Network.DemoNode>): Array<Line> => {
  const first = nodes[0]?.address.key ?? ""
  return [
    [bold(`${plural(nodes.length, "node")} on "${passphrase}"`), dim("; Ctrl-C ends it")],
    ...nodes.map(({ address, identity }): Line => [
      "  ",
      bold(short(identity.nodeId)),
      dim(identity.nodeId.slice(5)),
      ` listens on ${address.key}`
    ]),
    [dim(`  try: stellar-overlay ping ${first}, or: stellar-overlay watch ${first}`)],
    []
  ]
}

export const run = Effect.fnUntraced(
  function*(options: Options) {
    const { json, rate, seconds } = options
    const screen = yield* Screen
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    const crypto = yield* OverlayCrypto
    const journal = new Journal({ screen, clock, hashing: crypto, json, sample: rate === "max" })
    const drops = new Map<string, number>()

    const hooks: Network.Hooks = {
      listening: (nodes) => json ? screen.json(nodes.map(listeningJson)) : screen.print(listeningLines(nodes)),
      joined: ({ local, peer }) =>
        journal.event([dim(short(local.identity.nodeId)), "       authenticated ", ...Links.name(peer)], {
          event: "authenticated",
          node: local.identity.nodeId,
          peer: peer.id,
          role: peer.role,
          address: peer.address.key
        }),
      received: (link, messages) => {
        const { nodeId } = link.local.identity
        for (const message of messages) {
          journal.message(link.peer.id, nodeId, message)
          // The transactions of a flood say nothing new.
          if (rate !== "max" || message._tag !== "Transaction") Traffic.receive(link, message, clock)
        }
        for (const { millis: took, slot, transactions } of link.local.validator.closed.splice(0)) {
          journal.event(
            [
              dim(short(nodeId)),
              `       closed ledger ${slot}: ${plural(transactions, "transaction")}, ${millis(took)}`
            ],
            { event: "closed", node: nodeId, slot, transactions, millis: took }
          )
        }
        return journal.flush
      },
      control: (local, from, message) => journal.message(from, local.identity.nodeId, message),
      left: ({ local, peer }, reason) => {
        Report.countDrop(drops, reason)
        journal.event([
          dim(short(local.identity.nodeId)),
          "       left: ",
          ...Links.name(peer),
          ": ",
          ...Drop.headline(reason)
        ], {
          event: "left",
          node: local.identity.nodeId,
          peer: peer.id,
          ...Drop.toJson(reason)
        })
      },
      refused: (local, address, reason) =>
        journal.event(
          [
            dim(short(local.identity.nodeId)),
            "       ",
            yellow("refused "),
            `inbound ${address.key}: `,
            ...Drop.headline(reason)
          ],
          { event: "refused", node: local.identity.nodeId, address: address.key, ...Drop.toJson(reason) }
        )
    }

    const network = yield* Network.start({ nodes: options.nodes, port: options.port, control: rate !== "max", hooks })
    const first = Report.sample(network, now(), memory())
    let before = first
    let peak = first.memory
    const observe = () => {
      const sample = Report.sample(network, now(), memory())
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
    const summary = Effect.suspend(() => {
      journal.close()
      const result = { network, journal, drops, first, last: observe(), peak }
      return screen.status(undefined).pipe(
        Effect.andThen(journal.flush),
        Effect.andThen(json ? screen.json([Report.summaryJson(result)]) : screen.print(Report.summaryLines(result)))
      )
    })

    const every = json ? STATUS_MILLIS.json : screen.isTerminal ? STATUS_MILLIS.terminal : STATUS_MILLIS.plain
    const traffic = [
      Traffic.ledgers(network),
      rate === "max" ? Traffic.flood(network) : Traffic.payments(network, rate),
      Effect.delay(Effect.repeat(status, Schedule.spaced(every)), every),
      Effect.never
    ]
    const everything = Effect.all(traffic, { concurrency: "unbounded", discard: true })
    yield* (seconds === undefined ? everything : Effect.timeoutOption(everything, seconds * 1000)).pipe(
      // The peers are still there, so that their numbers are.
      Effect.ensuring(summary)
    )
    return ExitCode.Ok as ExitCode
  },
  Effect.catchTags({
    TransportError: ({ detail }) =>
      Effect.gen(function*() {
        const screen = yield* Screen
        yield* screen.note([[red("error"), `: cannot listen: ${detail}`], [
          "  Choose another --port, or 0 for any that is free."
        ]])
        return ExitCode.Usage as ExitCode
      }),
    PeerDropped: ({ reason }) =>
      Effect.gen(function*() {
        const screen = yield* Screen
        yield* screen.note([
          [red("error"), ": the nodes cannot reach each other: ", ...Drop.headline(reason)],
          Drop.hint(reason)
        ])
        return ofDrop(reason)
      })
  }),
  Effect.provide(NodeOverlayCrypto.layer)
)
