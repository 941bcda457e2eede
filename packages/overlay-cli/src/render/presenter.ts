/** Wrong arguments: what is wrong and how it is meant, in a few lines on standard error. Help is as effect/cli has it. */
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import { bold, type Line, red } from "./Line.ts"
import { Screen } from "./Screen.ts"

/** The messages of effect/cli have lines of their own; each line is escaped by itself. */
const linesOf = (message: string): Array<Line> => {
  const [first = "", ...rest] = message.split("\n")
  return [[red("error"), ": ", first], ...rest.filter((line) => line.trim() !== "").map((line): Line => [line])]
}

export const presenter: CliOutput.Presenter = {
  present: Effect.fnUntraced(function*(event) {
    if (event._tag !== "InvalidInvocation") return yield* CliOutput.defaultPresenter.present(event)
    const screen = yield* Screen
    const lines = event.errors.flatMap((error) => linesOf(error.message))
    lines.push([bold("usage"), ": ", event.helpDoc.usage], [`  ${event.commandPath.join(" ")} --help says more`])
    yield* screen.note(lines)
  })
}
