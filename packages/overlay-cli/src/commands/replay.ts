/** `stellar-overlay replay <capture>`: what a recorded node was told is told to a simulated one. */
import * as Capture from "@stellar-overlay/overlay-test/Capture"
import * as CaptureReplay from "@stellar-overlay/overlay-test/CaptureReplay"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { coreName, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { Ended, ExitCode } from "../ExitCode.ts"
import * as Drop from "../render/drop.ts"
import { bold, dim, green, type Line, red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { plural } from "../render/units.ts"
import { work } from "../work.ts"

/** Bytes of a file that is replayed at most: it is held in memory. */
const MAX_BYTES = 268_435_456

const unreadable = Effect.fnUntraced(function*(path: string, why: string) {
  const screen = yield* Screen
  yield* screen.note([[red("error"), `: ${path}: ${why}`]])
  return yield* new Ended({ code: ExitCode.Usage })
})

const load = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  const read = Effect.gen(function*() {
    const { size } = yield* fs.stat(path)
    return size > MAX_BYTES ? undefined : yield* fs.readFileString(path)
  })
  const text = yield* Effect.catch(read, (error) => unreadable(path, error.message))
  if (text === undefined) return yield* unreadable(path, `larger than ${MAX_BYTES} bytes`)
  const parsed = Capture.parse(text)
  return Result.isSuccess(parsed) ? parsed.success : yield* unreadable(path, parsed.failure.message)
})

const linkLine = ({ address, drop, failure, link, messages, said }: CaptureReplay.LinkReport): Line => [
  `  link ${link} `,
  bold(address),
  `: ${plural(said, "message")} of ${messages} said, `,
  ...(drop !== undefined
    ? Drop.headline(drop)
    : failure !== undefined
    ? [red("no handshake"), `: expected ${failure.expected}, but ${failure.actual}`]
    : [green("borne to the end")])
]

const linkJson = ({ address, drop, failure, link, messages, said }: CaptureReplay.LinkReport) => ({
  event: "link",
  link,
  address,
  messages,
  said,
  ...(drop === undefined ? {} : Drop.toJson(drop)),
  ...(failure === undefined ? {} : { failure: failure.message })
})

const run = Effect.fnUntraced(function*(path: string, seed: string, json: boolean) {
  const screen = yield* Screen
  const capture = yield* load(path)
  const { exit, millis, traceHash } = yield* CaptureReplay.simulate(capture, { seed })
  if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
  const { delivered, links } = exit.value
  const types = [...delivered].map(([tag, count]) => [coreName(MessageType[tag]), count] as const)
  if (json) {
    yield* screen.json([
      ...links.map(linkJson),
      { event: "replayed", links: links.length, millis, seed, traceHash, delivered: Object.fromEntries(types) }
    ])
  } else {
    yield* screen.print([
      ...links.map(linkLine),
      ["delivered: ", types.map(([name, count]) => `${name} ${count}`).join(", ") || "nothing"],
      [dim(
        `${plural(links.length, "link")}, ${Math.round(millis)} ms of virtual time, seed ${seed}, trace ${traceHash}`
      )]
    ])
  }
  const bad = links.some(({ drop, failure }) =>
    failure !== undefined || (drop !== undefined && DropReason.kind(drop) === "violation")
  )
  return bad ? ExitCode.Rejected : ExitCode.Ok
})

/** `replay`: plays a recording of links again. */
export const replay = Command.make("replay", {
  path: Argument.String("capture").pipe(Argument.withDescription("A file that --record has written")),
  seed: Flag.String("seed").pipe(
    Flag.withDescription("Decides the order of what happens at one moment (default: 0)"),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("One JSON object per line"), Flag.withDefault(false))
}, ({ json, path, seed }) => work(run(path, Option.getOrElse(seed, () => "0"), json))).pipe(
  Command.withDescription(
    "Play a capture to a relaying node in a simulation: every remote of the capture says again what it said, at the same moments of virtual time, and the node's answer is shown. The same capture and seed give the same run on any machine. Exit code 4: the node dropped a link for a violation."
  ),
  Command.withShortDescription("Play a recorded capture to a simulated node"),
  Command.withExamples([
    { command: "stellar-overlay watch core-testnet1.stellar.org --seconds 30 --record net.jsonl" },
    { command: "stellar-overlay replay net.jsonl" }
  ])
)
