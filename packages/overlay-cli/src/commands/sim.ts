/**
 * `stellar-overlay sim`: whole networks in simulated time, broken on purpose; every seed is one story, always the same.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { run as runMutants } from "../sim/mutants.ts"
import { outcomes, replay, run, shrinkSeed } from "../sim/run.ts"
import { work } from "../work.ts"

const MAX_WORKERS = 64

const from = Flag.Int("from").pipe(
  Flag.withDescription("The first seed (default: 0)"),
  Flag.withDefault(0),
  Flag.filter((n) => n >= 0, () => "0 or more")
)

const seeds = (count: number) =>
  Flag.Int("seeds").pipe(
    Flag.withDescription(`How many seeds (default: ${count})`),
    Flag.withDefault(count),
    Flag.filter((n) => n >= 1, () => "1 or more")
  )

const workers = Flag.Int("workers").pipe(
  Flag.withDescription("Processes that run seeds at the same time (default: 2)"),
  Flag.withDefault(2),
  Flag.filter((n) => n >= 1 && n <= MAX_WORKERS, () => `a number from 1 to ${MAX_WORKERS}`)
)

const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print one JSON object instead of text"),
  Flag.withDefault(false)
)

const scenario = Flag.String("scenario").pipe(
  Flag.withMetavar("file"),
  Flag.withDescription("A scenario as JSON, instead of the one of a seed"),
  Flag.optional
)

const seed = Argument.String("seed").pipe(Argument.withDescription("The seed, any text"), Argument.optional)

const runCommand = Command.make("run", {
  seeds: seeds(100),
  from,
  workers,
  report: Flag.String("report").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Write the whole report to a file as JSON"),
    Flag.optional
  ),
  ledger: Flag.String("ledger").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Append one line about this campaign to a file (JSON lines)"),
    Flag.optional
  ),
  json
}, (parsed) =>
  work(run({
    ...parsed,
    report: Option.getOrUndefined(parsed.report),
    ledger: Option.getOrUndefined(parsed.ledger)
  }))).pipe(
    Command.withDescription(
      "Run many seeds. Each is a network of 5 to 12 whole nodes with settings, links, traffic and faults of its own, for a minute of virtual time: first everything that breaks, then everything that must work again. Fails when a checker found something, or when a kind of fault never took effect."
    ),
    Command.withShortDescription("Run many seeds"),
    Command.withExamples([{ command: "stellar-overlay sim run --seeds 1000 --report report.json" }])
  )

const outcomesCommand = Command.make("outcomes", {
  seeds: seeds(1),
  from,
  stride: Flag.Int("stride").pipe(
    Flag.withDescription("From one seed to the next (default: 1)"),
    Flag.withDefault(1),
    Flag.filter((n) => n >= 1, () => "1 or more")
  ),
  first: Flag.String("first").pipe(
    Flag.withMetavar("seed"),
    Flag.withDescription("Run this seed before all others"),
    Flag.optional
  ),
  stopAtFailure: Flag.Boolean("stop-at-failure").pipe(
    Flag.withDescription("End after the first seed that fails"),
    Flag.withDefault(false)
  )
}, (parsed) => work(outcomes({ ...parsed, first: Option.getOrUndefined(parsed.first) }))).pipe(
  Command.withDescription("Run seeds in this process and print the outcome of each as one line of JSON."),
  Command.withShortDescription("The raw outcome of each seed")
)

const replayCommand = Command.make("replay", {
  seed,
  scenario,
  html: Flag.String("html").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Write the story as a page to open in a browser; it needs nothing else"),
    Flag.optional
  ),
  json
}, ({ html, json, scenario, seed }) =>
  work(replay({
    seed: Option.getOrUndefined(seed),
    scenario: Option.getOrUndefined(scenario),
    html: Option.getOrUndefined(html),
    json
  }))).pipe(
    Command.withDescription("Run one seed, or one scenario, again and tell what happens in it."),
    Command.withShortDescription("Tell the story of one seed"),
    Command.withExamples([{ command: "stellar-overlay sim replay 42 --html story.html" }])
  )

const shrinkCommand = Command.make("shrink", {
  seed,
  scenario,
  maxRuns: Flag.Int("max-runs").pipe(
    Flag.withDescription("Runs it may take (default: 400)"),
    Flag.withDefault(400),
    Flag.filter((n) => n >= 1, () => "1 or more")
  ),
  out: Flag.String("out").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Write the scenario to a file, for `sim replay --scenario`"),
    Flag.optional
  )
}, ({ maxRuns, out, scenario, seed }) =>
  work(shrinkSeed({
    seed: Option.getOrUndefined(seed),
    scenario: Option.getOrUndefined(scenario),
    out: Option.getOrUndefined(out),
    maxRuns
  }))).pipe(
    Command.withDescription(
      "Make a scenario that fails as small as it can be while it fails in the same way: fewer faults, nodes, settings, less time. Prints the scenario."
    ),
    Command.withShortDescription("Make a failing seed small"),
    Command.withExamples([{ command: "stellar-overlay sim shrink 42 --out small.json" }])
  )

const mutantsCommand = Command.make("mutants", {
  seeds: seeds(100),
  from,
  workers,
  only: Flag.String("only").pipe(
    Flag.withMetavar("name,name"),
    Flag.withDescription("Only mutants whose name contains one of these"),
    Flag.optional
  ),
  record: Flag.Boolean("record").pipe(
    Flag.withDescription("Note which seed killed each mutant, to try it first the next time"),
    Flag.withDefault(false)
  ),
  ledger: Flag.String("ledger").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Append one line about this to a file (JSON lines)"),
    Flag.optional
  ),
  json
}, (parsed) =>
  work(runMutants({
    ...parsed,
    only: Option.getOrUndefined(parsed.only),
    ledger: Option.getOrUndefined(parsed.ledger)
  }))).pipe(
    Command.withDescription(
      "Run seeds against planted defects, each in a process of its own, until a checker notices, and print which seed killed which. The seed that killed a mutant before is tried first. Fails when less than 95 % are killed, the canary is not red or the control is not green. In a checkout only, where the defects and the loader that plants them are."
    ),
    Command.withShortDescription("Whether planted defects are noticed"),
    Command.withExamples([{ command: "stellar-overlay sim mutants --seeds 200" }])
  )

/** `sim`: campaigns of simulated networks, and what to do with a seed that failed. */
export const sim = Command.make("sim").pipe(
  Command.withDescription("Simulate whole networks with faults, deterministically: run, replay, shrink."),
  Command.withShortDescription("Simulated networks that break and heal"),
  Command.withSubcommands([runCommand, replayCommand, shrinkCommand, mutantsCommand, outcomesCommand])
)
