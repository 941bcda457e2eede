/** `stellar-overlay watch`: the typed messages of nodes as they arrive, or the peers of a node as its operator sees them. */
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import { coreName, type MessageTag } from "@stellar-overlay/overlay/wire/MessageType"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { ExitCode, worst } from "../ExitCode.ts"
import * as Client from "../net/client.ts"
import * as Target from "../net/Target.ts"
import { Unique } from "../net/Unique.ts"
import { messageOf } from "../net/WireTap.ts"
import { dim, type Line, red } from "../render/Line.ts"
import * as Link from "../render/link.ts"
import { describe, type Hashing, toJson } from "../render/message.ts"
import { Screen } from "../render/Screen.ts"
import { table } from "../render/table.ts"
import * as Types from "../render/types.ts"
import { bytes, count, plural, rate, timeOfDay } from "../render/units.ts"
import * as NodeView from "../watch/node.ts"
import * as PeerRow from "../watch/PeerRow.ts"
import { work } from "../work.ts"

interface Options extends Client.Options {
  readonly types: ReadonlySet<MessageTag> | undefined
  readonly count: number | undefined
}

const shows = ({ types }: Options, message: StellarMessage): boolean => types === undefined || types.has(message._tag)

/** What is said about the link now and then where it cannot stay in place. */
const statusParts = (peer: Peer, unique: Unique, perSecond: number): ReadonlyArray<Line> => {
  const { session } = peer
  return [
    [`${rate(perSecond)} msg/s`],
    [`credit used ${Link.localInUse(session)}/${session.options.flow.floodReadingCapacity}, theirs left ${
      count(Link.remoteCredit(session))
    }`],
    [Link.queueText(session)],
    [Link.roundTripText(session)],
    [`unique ${count(unique.messages)} of ${count(unique.messages + unique.duplicates)}`],
    [`${plural(unique.nodes, "validator")}, ${plural(unique.slots, "slot")}`],
    [`${bytes(session.stats.bytesRead)} read`]
  ]
}

const statusJson = (peer: Peer, unique: Unique) => ({
  ...Link.toJson(peer.session),
  uniqueMessages: unique.messages,
  duplicateMessages: unique.duplicates,
  validators: unique.nodes,
  slots: unique.slots
})

/** The links of the live view, each with what it says of itself. */
type Rows = Set<() => PeerRow.PeerRow>

const run = Effect.fnUntraced(function*(options: Options, rows: Rows) {
  const { json } = options
  const screen = yield* Screen
  const clock = yield* Clock.Clock
  const crypto = yield* OverlayCrypto
  const unique = new Unique(crypto)
  const show = (messages: ReadonlyArray<StellarMessage>) => {
    const now = clock.currentTimeMillisUnsafe()
    return json
      ? screen.json(messages.map((message) => messageJson(message, crypto, now)))
      : screen.print(messages.map((message) => messageLine(message, crypto, now)), { cut: true })
  }

  // What the session settles by itself passes by here: it is shown when it is asked for by name.
  const control: Array<StellarMessage> = []
  const wantsControl = [...Types.controlTags].some((tag) => options.types?.has(tag) === true)
  const received = wantsControl
    ? (body: Uint8Array) => {
      const message = messageOf(body)
      if (message === undefined || !Types.controlTags.has(message._tag) || !shows(options, message)) return
      if (control.length < MAX_CONTROL) control.push(message.retain())
    }
    : undefined

  let shown = 0
  let last = ""
  const take = Effect.fnUntraced(function*(batch: ReadonlyArray<StellarMessage>) {
    for (const message of batch) unique.add(message)
    const newest = batch.at(-1)
    if (newest !== undefined) last = coreName(newest.type)
    const all = [...control.splice(0), ...batch.filter((message) => shows(options, message))]
    const left = options.count === undefined ? all.length : options.count - shown
    const chosen = left < all.length ? all.slice(0, left) : all
    shown += chosen.length
    yield* show(chosen)
    return options.count === undefined || shown < options.count
  })

  const use = Effect.fnUntraced(function*(peer: Peer) {
    let before = 0
    let beforeAt = clock.currentTimeMillisUnsafe()
    const rateNow = () => {
      const now = clock.currentTimeMillisUnsafe()
      const total = unique.messages + unique.duplicates
      const perSecond = (total - before) / Math.max(0.001, (now - beforeAt) / 1000)
      before = total
      beforeAt = now
      return perSecond
    }
    if (screen.isTerminal && !json) {
      const monotonic = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
      const row = () => PeerRow.ofPeer(peer, unique, rateNow(), monotonic(), last)
      yield* Effect.acquireRelease(Effect.sync(() => rows.add(row)), () => Effect.sync(() => rows.delete(row)))
    } else {
      yield* Client.status(json, () => ({
        parts: statusParts(peer, unique, rateNow()),
        object: statusJson(peer, unique)
      }))
    }
    yield* Stream.runForEachWhile(Stream.chunks(peer.messages), take)
  })
  return yield* Client.run(options, { peer: {}, received, use })
}, Effect.provide(NodeOverlayCrypto.layer))

/** The table of all links, drawn again and again at the bottom of a terminal until the scope ends. */
const drawRows = Effect.fnUntraced(function*(rows: Rows) {
  const screen = yield* Screen
  const draw = Effect.suspend(() => {
    const now = [...rows].map((row) => row())
    return screen.live(now.length === 0 ? [] : table(PeerRow.columns, now, screen.columns() - 1))
  })
  yield* Effect.addFinalizer(() => screen.live([]))
  yield* Effect.forkScoped(Effect.repeat(draw, Schedule.spaced(DRAW_MILLIS)))
})

const DRAW_MILLIS = 1000

const usage = Effect.fnUntraced(function*(problem: string) {
  const screen = yield* Screen
  yield* screen.note([[red("error"), `: ${problem}`], ["  stellar-overlay watch --help says more"]])
  return ExitCode.Usage
})

/** Every target by itself; the worst end counts. */
const runAll = Effect.fnUntraced(function*(targets: ReadonlyArray<PeerAddress>, options: Omit<Options, "address">) {
  if (options.record !== undefined && targets.length > 1) return yield* usage("--record takes one node at a time")
  const screen = yield* Screen
  const rows: Rows = new Set()
  if (screen.isTerminal && !options.json) yield* drawRows(rows)
  const codes = yield* Effect.forEach(targets, (address) => Effect.scoped(run({ ...options, address }, rows)), {
    concurrency: "unbounded"
  })
  return worst(codes)
})

/** Control messages that wait to be shown with the next batch; more are not shown. */
const MAX_CONTROL = 1000

const messageLine = (message: StellarMessage, hashing: Hashing, now: number): Line => [
  dim(timeOfDay(now)),
  " ",
  ...describe(message, hashing)
]

const messageJson = (message: StellarMessage, hashing: Hashing, now: number) => ({
  event: "message",
  time: new Date(now).toISOString(),
  ...toJson(message, hashing)
})

/** The types of messages to show. */
export const typesFlag = Flag.String("types").pipe(
  Flag.withMetavar("scp,tx,…"),
  Flag.withDescription(`Only these types: ${Types.typeNames.join(", ")}, or stellar-core's names`),
  Flag.filterMap(
    (text) => {
      const parsed = Types.parse(text)
      return "unknown" in parsed ? Option.none() : Option.some(parsed)
    },
    (text) => {
      const parsed = Types.parse(text)
      return `types separated by commas, of ${Types.typeNames.join(", ")}${
        "unknown" in parsed ? `; not ${parsed.unknown}` : ""
      }`
    }
  ),
  Flag.optional
)

/** `watch`: follows the messages of a node. */
export const watch = Command.make("watch", {
  ...Client.flags,
  target: Target.address("target").pipe(
    Argument.withDescription("The nodes to connect with; the port is 11625 when left out"),
    Argument.variadic()
  ),
  admin: Target.adminFlag.pipe(
    Flag.withDescription("Instead: the peers of the node whose operator's port this is, ours or stellar-core's"),
    Flag.optional
  ),
  types: typesFlag,
  count: Flag.Int("count").pipe(
    Flag.withAlias("n"),
    Flag.withDescription("End after so many messages of a node were shown"),
    Flag.filter((n) => n > 0, () => "a number above 0"),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One JSON object per line: messages, and now and then a status"),
    Flag.withDefault(false)
  )
}, (parsed) => {
  const { admin, json, target } = parsed
  const seconds = Option.getOrUndefined(parsed.seconds)
  if (Option.isSome(admin) === target.length > 0) {
    return work(usage("give one or more nodes to connect with, or --admin host:port"))
  }
  const all = Option.isSome(admin)
    ? NodeView.run({ admin: admin.value, seconds, json })
    : runAll(target, {
      target: Target.options(parsed),
      json,
      seconds,
      record: Option.getOrUndefined(parsed.record),
      types: Option.getOrUndefined(parsed.types),
      count: Option.getOrUndefined(parsed.count)
    })
  return work(all, { interrupted: ExitCode.Ok })
}).pipe(
  Command.withDescription(
    "Connect to nodes as a peer and print the messages they send, one readable line each; on a terminal the links stay in view below. A reader that is slower than a node slows the node down, by flow control. With --admin, the peers of a running node instead: round-trip times, ages, rates, duplicates, credit, queues, and who comes and goes."
  ),
  Command.withShortDescription("Print the messages of nodes as they arrive, or watch a node's peers"),
  Command.withExamples([
    { command: "stellar-overlay watch core-testnet1.stellar.org --types scp --count 20" },
    { command: "stellar-overlay watch 127.0.0.1:11625 --json | jq .type" },
    { command: "stellar-overlay watch --admin 127.0.0.1:11626", description: "All peers of the node on this machine" }
  ])
)
