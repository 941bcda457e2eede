/** The process: signals, standard streams and the exit code around `run`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Logger from "effect/Logger"
import { run } from "./cli.ts"
import { ExitCode } from "./ExitCode.ts"
import { loggers } from "./render/log.ts"
import * as NodeScreen from "./render/NodeScreen.ts"
import { Screen } from "./render/Screen.ts"

/** However slow a goodbye is, this long after the first signal the process is gone. */
const SIGNAL_MILLIS = 1000

const { stderr, stdout } = process
const screen = NodeScreen.make({ stdout, stderr, env: process.env })
const brokenPipe = Latch.makeUnsafe(false)
let code: ExitCode | undefined

// Whoever reads our output may leave (`| head`): then there is nobody left to tell anything.
for (const stream of [stdout, stderr]) {
  stream.on("error", () => {
    code ??= ExitCode.Ok
    brokenPipe.openUnsafe()
  })
}

const leave = () => process.exit(code ?? ExitCode.Interrupted)
process.on("SIGHUP", () => process.emit("SIGTERM"))
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    setTimeout(leave, SIGNAL_MILLIS).unref()
    process.on(signal, leave) // a second one means now
  })
}

const program = Effect.gen(function*() {
  const args = process.argv.slice(2)
  // The code is noted before an interruption that is waiting can strike.
  const ended = Effect.uninterruptible(Effect.map(run(args), (result) => {
    code ??= result
  }))
  yield* Effect.raceFirst(ended, brokenPipe.await)
}).pipe(
  Effect.provide(NodeServices.layer),
  Effect.provideService(Screen, screen),
  Effect.provideService(Logger.CurrentLoggers, loggers(screen)),
  Effect.provideService(
    CliOutput.Formatter,
    CliOutput.defaultFormatter({
      colors: NodeScreen.wantsColors(stdout, process.env),
      globalFlags: "summary"
    })
  )
)

NodeRuntime.runMain(program, {
  disableErrorReporting: true,
  // What was printed is still on its way when standard output is a pipe.
  teardown: () => {
    if (stdout.destroyed) leave()
    else stdout.write("", () => stderr.destroyed ? leave() : stderr.write("", leave))
  }
})
