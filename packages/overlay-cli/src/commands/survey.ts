/** `stellar-overlay survey <admin port>`: asks every node of a network who its peers are. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ExitCode } from "../ExitCode.ts"
import { parseUrl } from "../net/AdminPort.ts"
import { red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { type Options, run } from "../survey/run.ts"
import { defaultLimits } from "../survey/SurveyPlan.ts"
import { formatOf, knownEndings } from "../topology/output.ts"
import { work } from "../work.ts"

/** Collecting ends by itself after this (protocol.md 12.1). */
const MAX_COLLECT_SECONDS = 1800

/** Reporting ends by itself after this. */
const MAX_LIMIT_SECONDS = 10_800

const secondsFlag = (name: string, text: string, initial: number, most: number) =>
  Flag.Finite(name).pipe(
    Flag.withMetavar("seconds"),
    Flag.withDescription(`${text} (default: ${initial})`),
    Flag.filter((n) => n > 0 && n <= most, () => `seconds, above 0 and at most ${most}`),
    Flag.withDefault(initial)
  )

const isKey = (text: string): boolean => /^G[A-Z2-7]{55}$/.test(text)

const start = Effect.fnUntraced(function*(options: Options) {
  const unknown = options.outputs.find((path) => formatOf(path) === undefined)
  if (unknown === undefined) return yield* run(options)
  const screen = yield* Screen
  yield* screen.note([
    [red("error"), `: ${unknown}: no format by this name`],
    ["  ", `End it in one of ${knownEndings}; --db writes to a database.`]
  ])
  return ExitCode.Usage as ExitCode
})

/** `survey`: has a node survey its network and keeps the result. */
export const survey = Command.make("survey", {
  via: Argument.String("via").pipe(
    Argument.withMetavar("host:port"),
    Argument.filterMap(
      (text) => Option.fromUndefinedOr(parseUrl(text)),
      () => "the admin port of a node, such as 127.0.0.1:11626 or http://127.0.0.1:11626"
    ),
    Argument.variadic({ min: 0 })
  ),
  collect: secondsFlag("collect", "How long nodes count before they are asked", 300, MAX_COLLECT_SECONDS),
  settle: secondsFlag("settle", "How long the word to stop may travel before the first question", 5, 600),
  poll: secondsFlag("poll", "How often to look for answers", 5, 600),
  limit: secondsFlag("limit", "How long to ask and wait for answers at most", 7200, MAX_LIMIT_SECONDS),
  answer: secondsFlag(
    "answer",
    "How long an answer may take before the node is asked again",
    defaultLimits.answerMillis / 1000,
    3600
  ),
  attempts: Flag.Int("attempts").pipe(
    Flag.withDescription(`How often to ask a node that stays silent (default: ${defaultLimits.maxAttempts})`),
    Flag.filter((n) => n >= 1 && n <= 20, () => "a number from 1 to 20"),
    Flag.withDefault(defaultLimits.maxAttempts)
  ),
  maxNodes: Flag.Int("max-nodes").pipe(
    Flag.withDescription(`Ask no more nodes than this (default: ${defaultLimits.maxNodes})`),
    Flag.filter((n) => n >= 1 && n <= defaultLimits.maxNodes, () => `a number from 1 to ${defaultLimits.maxNodes}`),
    Flag.withDefault(defaultLimits.maxNodes)
  ),
  node: Flag.String("node").pipe(
    Flag.withMetavar("G…"),
    Flag.withDescription("A node to ask besides the peers of yours; may be given again"),
    Flag.filter(isKey, () => "the id of a node, G and 55 characters more"),
    Flag.atLeast(0)
  ),
  nonce: Flag.Int("nonce").pipe(
    Flag.withDescription("The number of the survey (default: drawn)"),
    Flag.filter((n) => n >= 0 && n <= 0xffffffff, () => "a number of 32 bits"),
    Flag.optional
  ),
  resume: Flag.String("resume").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Keep the survey in this file, and go on with the one that is in it"),
    Flag.optional
  ),
  db: Flag.String("db").pipe(
    Flag.withMetavar("net.db"),
    Flag.withDescription("Write what comes to this network database, beside the crawls"),
    Flag.optional
  ),
  output: Flag.String("output").pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("file"),
    Flag.withDescription(`Write the result, in the format the name ends in: ${knownEndings}; may be given again`),
    Flag.atLeast(0)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One JSON object per line instead of text"),
    Flag.withDefault(false)
  )
}, (parsed) =>
  work(
    start({
      urls: parsed.via,
      nodes: parsed.node,
      nonce: Option.getOrUndefined(parsed.nonce),
      collectMillis: parsed.collect * 1000,
      settleMillis: parsed.settle * 1000,
      pollMillis: parsed.poll * 1000,
      limitMillis: parsed.limit * 1000,
      limits: { answerMillis: parsed.answer * 1000, maxAttempts: parsed.attempts, maxNodes: parsed.maxNodes },
      resume: Option.getOrUndefined(parsed.resume),
      db: Option.getOrUndefined(parsed.db),
      outputs: parsed.output,
      json: parsed.json
    })
  )).pipe(
    Command.withDescription(
      "Run a time-sliced survey through a node of yours, by its admin port: all nodes collect for a while, then one after the other is asked for its peers, breadth-first from yours. Works with stellar-core's HTTP port too. Of several ports the first that will is the surveyor, and the peers of all are where it begins. A node answers surveyors it permits: those in its SURVEYOR_KEYS or its quorum. Ctrl-C stops the survey and keeps what came; --resume goes on."
    ),
    Command.withShortDescription("Ask every node of a network for its peers"),
    Command.withExamples([
      { command: "stellar-overlay survey 127.0.0.1:11626 --resume survey.json --db net.db -o net.html" },
      {
        command: "stellar-overlay survey 11626 11726 --collect 600 -o results.core.json",
        description: "The form of getsurveyresult, all pages put together"
      }
    ])
  )
