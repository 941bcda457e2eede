/** `stellar-overlay watch <host:port>`: the typed messages of one node as they arrive. */
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import type { MessageTag } from "@stellar-overlay/overlay/wire/MessageType"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ExitCode } from "../ExitCode.ts"
import * as Client from "../net/client.ts"
import { Unique } from "../net/Unique.ts"
import { messageOf } from "../net/WireTap.ts"
import { dim, type Line } from "../render/Line.ts"
import * as Link from "../render/link.ts"
import { describe, type Hashing, toJson } from "../render/message.ts"
import { Screen } from "../render/Screen.ts"
import * as Types from "../render/types.ts"
import { bytes, count, plural, rate, timeOfDay } from "../render/units.ts"
import { work } from "../work.ts"

interface Options extends Client.Options {
  readonly types: ReadonlySet<MessageTag> | undefined
  readonly count: number | undefined
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
  ...Link.toJson(peer.session),
  uniqueMessages: unique.messages,
  duplicateMessages: unique.duplicates,
  validators: unique.nodes,
  slots: unique.slots
})

const run = Effect.fnUntraced(function*(options: Options) {
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
  const take = Effect.fnUntraced(function*(batch: ReadonlyArray<StellarMessage>) {
    for (const message of batch) unique.add(message)
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
    yield* Client.status(json, () => {
      const now = clock.currentTimeMillisUnsafe()
      const total = unique.messages + unique.duplicates
      const perSecond = (total - before) / Math.max(0.001, (now - beforeAt) / 1000)
      before = total
      beforeAt = now
      return { parts: statusParts(peer, unique, perSecond), object: statusJson(peer, unique) }
    })
    yield* Stream.runForEachWhile(Stream.chunks(peer.messages), take)
  })
  return yield* Client.run(options, { peer: {}, received, use })
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
  ...Client.flags,
  types: typesFlag,
  count: Flag.Int("count").pipe(
    Flag.withAlias("n"),
    Flag.withDescription("End after so many messages were shown"),
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
      ...Client.options(parsed),
      types: Option.getOrUndefined(parsed.types),
      count: Option.getOrUndefined(parsed.count)
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
