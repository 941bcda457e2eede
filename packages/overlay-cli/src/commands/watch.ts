/** `stellar-overlay watch <host:port>`: the typed messages of one node as they arrive. */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import type { MessageTag } from "@stellar-overlay/overlay/wire/MessageType"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { ExitCode, ofDrop } from "../ExitCode.ts"
import { connect } from "../net/Dial.ts"
import * as Target from "../net/Target.ts"
import { Unique } from "../net/Unique.ts"
import { messageOf } from "../net/WireTap.ts"
import * as Drop from "../render/drop.ts"
import { dim, fit, type Line } from "../render/Line.ts"
import * as Link from "../render/link.ts"
import { describe, type Hashing, toJson } from "../render/message.ts"
import { Screen } from "../render/Screen.ts"
import * as Types from "../render/types.ts"
import { bytes, count, plural, rate, timeOfDay } from "../render/units.ts"
import { work } from "../work.ts"
import * as Ping from "./ping.ts"

/** How often the status is shown: on a terminal, where it stays in place, and elsewhere. */
const STATUS_MILLIS = { terminal: 1000, plain: 10_000 }

interface Options {
  readonly address: PeerAddress
  readonly target: Target.Options
  readonly json: boolean
  readonly types: ReadonlySet<MessageTag> | undefined
  readonly count: number | undefined
  readonly seconds: number | undefined
}

const shows = ({ types }: Options, message: StellarMessage): boolean => types === undefined || types.has(message._tag)

/** What is said about the link now and then. */
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
  event: "status",
  ...Link.toJson(peer.session),
  uniqueMessages: unique.messages,
  duplicateMessages: unique.duplicates,
  validators: unique.nodes,
  slots: unique.slots
})

const run = Effect.fnUntraced(function*(options: Options) {
  const { address, json } = options
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

  const dialled = yield* connect(address, { ...options.target, peer: {}, received })
  const { outcome } = dialled.last
  if (Result.isFailure(outcome)) {
    if (json) yield* screen.json([{ event: "failed", ...Ping.toJson(address, dialled) }])
    else yield* screen.note(Ping.describe(address, dialled))
    return ofDrop(outcome.failure)
  }
  const peer = outcome.success
  if (json) yield* screen.json([{ event: "connected", ...Ping.toJson(address, dialled) }])
  else {
    const { id, version } = peer.remote
    const network = dialled.last.network.name ?? "private network"
    yield* screen.print([[dim("connected: "), ...Link.name(peer), ` on ${network}, ${version}, ${id}`]])
  }

  let before = 0
  let beforeAt = clock.currentTimeMillisUnsafe()
  const tick = Effect.suspend(() => {
    const now = clock.currentTimeMillisUnsafe()
    const total = unique.messages + unique.duplicates
    const perSecond = (total - before) / Math.max(0.001, (now - beforeAt) / 1000)
    before = total
    beforeAt = now
    if (json) return screen.json([statusJson(peer, unique)])
    const line = fit(statusParts(peer, unique, perSecond), dim(" | "), screen.columns() - 1)
    return screen.isTerminal ? screen.status(line) : screen.print([[dim("status: "), ...line]])
  })
  yield* Effect.forkScoped(
    Effect.repeat(tick, Schedule.spaced(screen.isTerminal && !json ? STATUS_MILLIS.terminal : STATUS_MILLIS.plain))
      .pipe(
        Effect.delay(screen.isTerminal && !json ? 0 : STATUS_MILLIS.plain)
      )
  )

  let shown = 0
  const take = Effect.fnUntraced(function*(batch: ReadonlyArray<StellarMessage>) {
    for (const message of batch) unique.add(message)
    const all = [...control.splice(0), ...batch.filter((message) => shows(options, message))]
    const left = options.count === undefined ? all.length : options.count - shown
    const chosen = left < all.length ? all.slice(0, left) : all
    shown += chosen.length
    yield* show(chosen)
    return options.count === undefined || shown < options.count
  })
  const reading = peer.messages.pipe(
    Stream.chunks,
    Stream.runForEachWhile(take),
    Effect.match({ onFailure: ({ reason }) => reason, onSuccess: () => undefined })
  )
  const ended = options.seconds === undefined
    ? yield* reading
    : Option.getOrUndefined(yield* Effect.timeoutOption(reading, options.seconds * 1000))
  yield* screen.status(undefined)
  if (ended === undefined) return ExitCode.Ok
  if (json) yield* screen.json([{ event: "ended", ...Drop.toJson(ended) }])
  else yield* screen.note([[dim("ended: "), ...Link.name(peer), ": ", ...Drop.headline(ended)], Drop.hint(ended)])
  return DropReason.kind(ended) === "local" ? ExitCode.Ok : ofDrop(ended)
}, Effect.provide(NodeOverlayCrypto.layer))

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

export const watch = Command.make("watch", {
  target: Target.address("target").pipe(Argument.withDescription("The node; the port is 11625 when left out")),
  ...Target.flags,
  types: typesFlag,
  count: Flag.Int("count").pipe(
    Flag.withAlias("n"),
    Flag.withDescription("End after so many messages were shown"),
    Flag.filter((n) => n > 0, () => "a number above 0"),
    Flag.optional
  ),
  seconds: Flag.Finite("seconds").pipe(
    Flag.withDescription("End after so many seconds"),
    Flag.filter((n) => n > 0, () => "a number above 0"),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One JSON object per line: messages, and now and then a status"),
    Flag.withDefault(false)
  )
}, (parsed) =>
  work(
    run({
      address: parsed.target,
      target: Target.options(parsed),
      json: parsed.json,
      types: Option.getOrUndefined(parsed.types),
      count: Option.getOrUndefined(parsed.count),
      seconds: Option.getOrUndefined(parsed.seconds)
    }),
    { interrupted: ExitCode.Ok }
  )).pipe(
    Command.withDescription(
      "Connect to a node as a peer and print the messages it sends, one readable line each. A reader that is slower than the node slows the node down, by flow control."
    ),
    Command.withShortDescription("Print the messages of a node as they arrive"),
    Command.withExamples([
      { command: "stellar-overlay watch core-testnet1.stellar.org --types scp --count 20" },
      { command: "stellar-overlay watch 127.0.0.1:11625 --json | jq .type" }
    ])
  )
