/** `--record file`, for every command that has links. */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { Ended, ExitCode } from "../ExitCode.ts"
import { dim, red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { bytes, count, plural } from "../render/units.ts"
import * as Recorder from "./Recorder.ts"

/** Writes what links carry into a file. */
export const recordFlag = Flag.String("record").pipe(
  Flag.withMetavar("file"),
  Flag.withDescription("Write everything that goes over the wire into this file, for `replay`"),
  Flag.optional
)

/** The recorder into a file; the end says what was recorded. A file that cannot be written ends the program. */
export const recorder = Effect.fnUntraced(function*(path: string) {
  const screen = yield* Screen
  const made = yield* Effect.catch(Recorder.make(path), (error) =>
    Effect.andThen(
      screen.note([[red("error"), `: --record ${path}: ${error.message}`]]),
      new Ended({ code: ExitCode.Usage })
    ))
  yield* Effect.addFinalizer(() => {
    const { bytes: size, lost, messages } = made.counts()
    const said = `${plural(messages, "message")}, ${bytes(size)}${lost > 0 ? `; ${count(lost)} more did not fit` : ""}`
    return screen.note([[dim("recorded: "), `${path}: ${said}`]])
  })
  return made
})
