/** `stellar-overlay topology <net.db> -o out.html`: pictures and numbers of a network that was crawled or surveyed. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ExitCode } from "../ExitCode.ts"
import { bold, dim, green, type Line, red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { bytes, count, plural } from "../render/units.ts"
import { coloringKeys } from "../topology/colorings.ts"
import { facts } from "../topology/facts.ts"
import { load, type LoadOptions } from "../topology/load.ts"
import { type Format, formatOf, formats, knownEndings, Renderer, writeFile } from "../topology/output.ts"
import { type PictureOptions, themes } from "../topology/picture.ts"
import { work } from "../work.ts"

interface Options {
  readonly input: string
  readonly outputs: ReadonlyArray<string>
  readonly format: Format | undefined
  readonly load: LoadOptions
  readonly picture: PictureOptions
  readonly json: boolean
}

const refuse = Effect.fnUntraced(function*(problem: string, hint: string) {
  const screen = yield* Screen
  yield* screen.note([[red("error"), `: ${problem}`], ["  ", hint]])
  return ExitCode.Usage as ExitCode
})

/** Versions that the terminal shows. */
const SHOWN_VERSIONS = 8

const run = Effect.fnUntraced(
  function*(options: Options) {
    const screen = yield* Screen
    for (const path of options.outputs) {
      if (options.format === undefined && formatOf(path) === undefined) {
        return yield* refuse(`${path}: no format by this name`, `End it in one of ${knownEndings}, or give --format.`)
      }
    }
    if (options.format !== undefined && options.outputs.length > 1) {
      return yield* refuse("--format is for one output", "Let the names of several say their formats.")
    }
    const { leftOut, topology } = yield* load(options.input, options.load)
    const renderer = new Renderer(topology, options.picture)
    const written: Array<{ readonly path: string; readonly size: number }> = []
    for (const path of options.outputs) {
      const format = options.format ?? formatOf(path)!
      if ((format === "core-json" || format === "script-json") && topology.source !== "survey") {
        return yield* refuse(`${path}: a crawl has no survey results`, "Write a .json or .graphml of it.")
      }
      const text = renderer.render(format)
      yield* writeFile(path, text)
      written.push({ path, size: Buffer.byteLength(text) })
    }
    const { total } = renderer.analysis
    if (options.json) {
      yield* screen.json([{
        source: topology.source,
        leftOut,
        written: written.map(({ path }) => path),
        statistics: total
      }])
      return ExitCode.Ok as ExitCode
    }
    const lines: Array<Line> = []
    for (const { facts: rows, title } of facts(total, topology.edgeKind)) {
      lines.push([bold(title)], ...rows.map(({ name, value }): Line => ["  ", dim(name.padEnd(18)), value]))
    }
    if (total.versions.length > 0) {
      lines.push([bold("Versions")])
      for (const version of total.versions.slice(0, SHOWN_VERSIONS)) {
        lines.push(["  ", dim(count(version.count).padEnd(18)), version.value])
      }
      const more = total.versions.length - SHOWN_VERSIONS
      if (more > 0) lines.push(["  ", dim(`and ${plural(more, "other")}`)])
    }
    yield* screen.print(lines)
    const notes: Array<Line> = written.map(({ path, size }) => [green("wrote"), ` ${path} (${bytes(size)})`])
    if (leftOut > 0) {
      notes.push([dim(`${plural(leftOut, "address", "addresses")} where nobody answered left out; --all has them`)])
    }
    yield* screen.note(notes)
    return ExitCode.Ok as ExitCode
  },
  Effect.catchTags({
    LoadError: ({ hint, problem }) => refuse(problem, hint),
    PlatformError: ({ message }) => refuse(message, "Choose another place for the output.")
  })
)

/** `topology`: draws a network from a survey or a crawl. */
export const topology = Command.make("topology", {
  input: Argument.String("file").pipe(Argument.withMetavar("net.db")),
  output: Flag.String("output").pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("file"),
    Flag.withDescription(`Where to write, in the format the name ends in: ${knownEndings}; may be given again`),
    Flag.atLeast(0)
  ),
  format: Flag.Literals("format", formats).pipe(
    Flag.withDescription("The format of an output whose name does not say it"),
    Flag.optional
  ),
  colorBy: Flag.Literals("color-by", coloringKeys).pipe(
    Flag.withDescription("What the colours mean at first (default: version)"),
    Flag.optional
  ),
  theme: Flag.Literals("theme", themes).pipe(
    Flag.withDescription("Light, dark, or as the reader's system has it (default: auto)"),
    Flag.withDefault("auto")
  ),
  title: Flag.String("title").pipe(Flag.withDescription("The title of pictures"), Flag.optional),
  source: Flag.Literals("source", ["crawl", "survey"]).pipe(
    Flag.withDescription("What of a database to show (default: the one that began last)"),
    Flag.optional
  ),
  run: Flag.Int("run").pipe(
    Flag.withDescription("Its number in the database (default: the last)"),
    Flag.filter((n) => n > 0, () => "a number from 1"),
    Flag.optional
  ),
  all: Flag.Boolean("all").pipe(
    Flag.withDescription("Also addresses of a crawl where nobody answered"),
    Flag.withDefault(false)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("The statistics as one JSON object"),
    Flag.withDefault(false)
  )
}, (parsed) =>
  work(
    run({
      input: parsed.input,
      outputs: parsed.output,
      format: Option.getOrUndefined(parsed.format),
      load: {
        source: Option.getOrUndefined(parsed.source),
        run: Option.getOrUndefined(parsed.run),
        all: parsed.all
      },
      picture: {
        title: Option.getOrUndefined(parsed.title),
        colorBy: Option.getOrUndefined(parsed.colorBy),
        theme: parsed.theme
      },
      json: parsed.json
    })
  )).pipe(
    Command.withDescription(
      "Print the statistics of a network that `crawl` or `survey` found, and write it as a picture (.svg), as one page to explore it offline (.html), or for other tools (.graphml, .dot, .json, and the JSON forms of surveys). Reads network databases, the results of getsurveyresult, those of stellar-core's survey script, and its own .json."
    ),
    Command.withShortDescription("Pictures and numbers of a network"),
    Command.withExamples([
      { command: "stellar-overlay topology net.db -o net.html -o net.svg" },
      {
        command: "stellar-overlay topology results.json -o net.graphml",
        description: "What getsurveyresult gave, for networkx or Gephi"
      }
    ])
  )
