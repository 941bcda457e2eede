/** `stellar-overlay demo`: whole nodes on this machine that find each other, close ledgers and say so. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { defaultPath } from "../demo/Directory.ts"
import { run } from "../demo/run.ts"
import { ExitCode } from "../ExitCode.ts"
import { work } from "../work.ts"

/** More than this in one process are busy with themselves. */
const MAX_NODES = 32

/** Enough to see each on its way. */
const DEFAULT_TPS = 5

/** Payments that one process can make and sign per second, with room to spare. */
const MAX_TPS = 1000

/** `demo`: a network of whole nodes on this machine that closes ledgers. */
export const demo = Command.make("demo", {
  nodes: Flag.Int("nodes").pipe(
    Flag.withDescription(`How many nodes, 2 to ${MAX_NODES} (default: 5)`),
    Flag.withDefault(5),
    Flag.filter((n) => n >= 2 && n <= MAX_NODES, () => `a number from 2 to ${MAX_NODES}`)
  ),
  seconds: Flag.Finite("seconds").pipe(
    Flag.withDescription("End after so many seconds, with the last for what is under way (default: at Ctrl-C)"),
    Flag.filter((n) => n > 0, () => "a number above 0"),
    Flag.optional
  ),
  tps: Flag.Finite("tps").pipe(
    Flag.withDescription(`Payments per second (default: ${DEFAULT_TPS}, and with --rate max 0)`),
    Flag.filter((n) => n >= 0 && n <= MAX_TPS, () => `a number from 0 to ${MAX_TPS}`),
    Flag.optional
  ),
  rate: Flag.Literals("rate", ["max"]).pipe(
    Flag.withDescription("Send over every link as many messages as flow control lets through"),
    Flag.optional
  ),
  dir: Flag.String("dir").pipe(
    Flag.withMetavar("directory"),
    Flag.withDescription(`Where the databases of the nodes are, for the next time too (default: ${defaultPath()})`),
    Flag.optional
  ),
  port: Flag.Int("port").pipe(
    Flag.withDescription(
      "The port of the first node; the others follow (default: 0, those of the last time or free ones)"
    ),
    Flag.withDefault(0),
    Flag.filter((n) => n >= 0 && n <= 65535 - MAX_NODES, () => `a port from 0 to ${65535 - MAX_NODES}`)
  ),
  admin: Flag.Boolean("admin").pipe(
    Flag.withDescription("Let each node answer its operator over HTTP, on a free port of 127.0.0.1"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  adminPort: Flag.Int("admin-port").pipe(
    Flag.withDescription("The same from this port on: that of the first node, and the others follow"),
    Flag.filter((n) => n >= 0 && n <= 65535 - MAX_NODES, () => `a port from 0 to ${65535 - MAX_NODES}`),
    Flag.optional
  ),
  all: Flag.Boolean("all").pipe(
    Flag.withDescription("Show every message, not one of each type in half a second"),
    Flag.withDefault(false)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One JSON object per line instead of text"),
    Flag.withDefault(false)
  )
}, (parsed) => {
  const { all, json, nodes, port } = parsed
  const seconds = Option.getOrUndefined(parsed.seconds)
  const directory = Option.getOrUndefined(parsed.dir)
  const isFlood = Option.isSome(parsed.rate)
  const tps = Option.getOrElse(parsed.tps, () => isFlood ? 0 : DEFAULT_TPS)
  const adminPort = Option.getOrElse(parsed.adminPort, () => parsed.admin ? 0 : undefined)
  return work(run({ adminPort, all, directory, isFlood, json, nodes, port, seconds, tps }), {
    interrupted: ExitCode.Ok
  })
}).pipe(
  Command.withDescription(
    "Start whole nodes on loopback TCP that know one of them only, find each other, pull payments from each other and close a ledger every second, in step. Prints what they say, and at the end proves that all are at the same ledger with the same hash and that no payment was lost. The next run starts from the databases of this one. The messages, the flooding and the flow control are real; consensus is a toy."
  ),
  Command.withShortDescription("Whole nodes on this machine, and what they say to each other"),
  Command.withExamples([
    { command: "stellar-overlay demo --seconds 30 --tps 200" },
    { command: "stellar-overlay demo --nodes 20 --admin", description: "A network to survey and to crawl" },
    { command: "stellar-overlay demo --rate max --seconds 20", description: "As much as flow control lets through" }
  ])
)
