/** `stellar-overlay demo`: real nodes on this machine that talk to each other, and what they say. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { run } from "../demo/run.ts"
import { ExitCode } from "../ExitCode.ts"
import { work } from "../work.ts"

/** A mesh of more nodes says nothing that this does not. */
const MAX_NODES = 5

/** Payments that one process can make and sign per second, with room to spare. */
const MAX_RATE = 1000

const parseRate = (text: string): number | "max" | undefined => {
  if (text === "max") return text
  const value = Number(text)
  return text.trim() !== "" && value >= 0 && value <= MAX_RATE ? value : undefined
}

export const demo = Command.make("demo", {
  nodes: Flag.Int("nodes").pipe(
    Flag.withDescription(`How many nodes, 2 to ${MAX_NODES} (default: 3)`),
    Flag.withDefault(3),
    Flag.filter((n) => n >= 2 && n <= MAX_NODES, () => `a number from 2 to ${MAX_NODES}`)
  ),
  seconds: Flag.Finite("seconds").pipe(
    Flag.withDescription("End after so many seconds (default: at Ctrl-C)"),
    Flag.filter((n) => n > 0, () => "a number above 0"),
    Flag.optional
  ),
  rate: Flag.String("rate").pipe(
    Flag.withMetavar("number|max"),
    Flag.withDescription("Payments per second (default: 1), or as many messages as flow control lets through"),
    Flag.withDefault("1"),
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(parseRate(text)),
      () => `max, or a number from 0 to ${MAX_RATE}`
    )
  ),
  port: Flag.Int("port").pipe(
    Flag.withDescription("The port of the first node; the others follow (default: 0, any free ones)"),
    Flag.withDefault(0),
    Flag.filter((n) => n >= 0 && n <= 65535 - MAX_NODES, () => `a port from 0 to ${65535 - MAX_NODES}`)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One JSON object per line instead of text"),
    Flag.withDefault(false)
  )
}, (parsed) => work(run({ ...parsed, seconds: Option.getOrUndefined(parsed.seconds) }), { interrupted: ExitCode.Ok }))
  .pipe(
    Command.withDescription(
      "Start nodes on loopback TCP that authenticate each other, exchange transactions and close ledgers by signed SCP messages; print each typed message as it arrives, and a summary at the end. It shows real messages and real flow control, and only a sketch of consensus."
    ),
    Command.withShortDescription("Real nodes on this machine, and what they say to each other"),
    Command.withExamples([
      { command: "stellar-overlay demo --seconds 10" },
      { command: "stellar-overlay demo --rate max --seconds 20", description: "As much as flow control lets through" }
    ])
  )
