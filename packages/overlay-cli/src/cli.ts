/** The command line as a whole: arguments in, exit code out. */
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import { conformance } from "./commands/conformance.ts"
import { crawl } from "./commands/crawl.ts"
import { decode } from "./commands/decode.ts"
import { demo } from "./commands/demo.ts"
import { doctor } from "./commands/doctor.ts"
import { keygen } from "./commands/keygen.ts"
import { mempool } from "./commands/mempool.ts"
import { node } from "./commands/node.ts"
import { peers } from "./commands/peers.ts"
import { ping } from "./commands/ping.ts"
import { replay } from "./commands/replay.ts"
import { scp } from "./commands/scp.ts"
import { sim } from "./commands/sim.ts"
import { survey } from "./commands/survey.ts"
import { topology } from "./commands/topology.ts"
import { watch } from "./commands/watch.ts"
import { Ended, ExitCode } from "./ExitCode.ts"
import { red } from "./render/Line.ts"
import { presenter } from "./render/presenter.ts"
import { Screen } from "./render/Screen.ts"
import { VERSION } from "./version.ts"

const root = Command.make("stellar-overlay").pipe(
  Command.withDescription("Watch, ping, decode and demonstrate the Stellar peer-to-peer overlay."),
  Command.withSubcommands([
    node,
    demo,
    doctor,
    ping,
    peers,
    watch,
    mempool,
    scp,
    replay,
    decode,
    keygen,
    conformance,
    crawl,
    survey,
    topology,
    sim
  ]),
  Command.withExamples([
    { command: "stellar-overlay demo --seconds 10", description: "Nodes on this machine that talk to each other" },
    { command: "stellar-overlay ping core-testnet1.stellar.org", description: "Who answers, and how fast" },
    { command: "stellar-overlay watch core-testnet1.stellar.org --types scp", description: "Consensus as it happens" }
  ])
)

const config = CliConfig.make({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })

/** A defect, or a failure nobody thought of. */
const bug = (cause: Cause.Cause<unknown>): Effect.Effect<ExitCode> =>
  Effect.gen(function*() {
    const screen = yield* Screen
    const lines = Cause.pretty(cause).split("\n").map((line) => [`  ${line.trimEnd()}`])
    yield* screen.note([
      [red("error"), ": this is a bug in stellar-overlay; please report it with these lines"],
      ...lines
    ])
    return ExitCode.Bug
  })

/**
 * Runs the program. Every end is an exit code: there is no failure, and an interruption of the fiber reaches the command,
 * which ends in order.
 */
export const run = (args: ReadonlyArray<string>): Effect.Effect<ExitCode, never, Command.Environment> =>
  Effect.uninterruptible(
    Command.runWith(root, { version: VERSION })(args).pipe(
      Effect.as<ExitCode>(ExitCode.Ok),
      Effect.catch((error) => {
        if (error instanceof Ended) return Effect.succeed(error.code)
        if (CliError.isCliError(error)) {
          const asked = error._tag === "ShowHelp" && error.errors.length === 0
          return Effect.succeed<ExitCode>(asked ? ExitCode.Ok : ExitCode.Usage)
        }
        return bug(Cause.fail(error))
      }),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.succeed<ExitCode>(ExitCode.Interrupted) : bug(cause)
      ),
      Effect.provideService(CliConfig.CliConfig, config),
      Effect.provideService(CliOutput.Presenter, presenter)
    )
  )
