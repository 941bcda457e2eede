/** A survey from its start, or from where it was left, to its results. */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { ExitCode } from "../ExitCode.ts"
import type { AdminError, AdminErrorReason } from "../net/AdminPort.ts"
import { bold, dim, fit, green, type Line, red, yellow } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { plural, seconds } from "../render/units.ts"
import { writeFile } from "../topology/output.ts"
import * as AdminPort from "./AdminPort.ts"
import * as Keep from "./keep.ts"
import { coverageParts, summary } from "./show.ts"
import * as State from "./state.ts"
import { type Limits, SurveyPlan } from "./SurveyPlan.ts"

export interface Options extends Keep.KeepOptions {
  /** Admin ports; the first that will is surveyed through. */
  readonly urls: ReadonlyArray<string>
  /** Nodes to ask besides the peers of ours. */
  readonly nodes: ReadonlyArray<string>
  readonly nonce: number | undefined
  readonly collectMillis: number
  /** Time for the word to stop to reach everybody. */
  readonly settleMillis: number
  readonly pollMillis: number
  /** The answers are waited for no longer than this. */
  readonly limitMillis: number
  readonly limits: Partial<Limits>
  readonly json: boolean
}

/** Ends the survey with a code; what is to be said comes with it. */
class Stop extends Data.TaggedError("Stop")<{
  readonly code: ExitCode
  readonly problem: string
  readonly hint: string
}> {}

/** Polls that may fail one after the other before the node counts as lost. */
const MAX_FAILED_POLLS = 5

/** How often a node that stopped to report is told to go on. */
const MAX_RESTARTS = 3

/** The state is written at most so often. */
const SAVE_MILLIS = 10_000

/** However long an answer takes to come, the next look is no later than this. */
const MAX_PAUSE_MILLIS = 30_000

/** Where nobody watches, the coverage is said this often. */
const PROGRESS_MILLIS = 30_000

const hints: { readonly [reason in AdminErrorReason]: string } = {
  Unreachable: "Is the node running, and is this its admin port (11626 unless it was given another)?",
  TimedOut: "Is the node busy, or is something else listening there?",
  NotANode: "Is this the admin port of a node? `curl` it with /info.",
  Refused: "The node said so itself."
}

const stopOf = (error: AdminError): Stop =>
  new Stop({
    code: error.reason === "Refused" ? ExitCode.Rejected : ExitCode.Unreachable,
    problem: `${error.url}: ${error.detail}`,
    hint: hints[error.reason]
  })

interface Found {
  readonly port: AdminPort.AdminPort
  readonly identity: AdminPort.Identity
}

/** Asks every port who it is; those that do not answer are told, and it goes on with the others. */
const identify = Effect.fnUntraced(function*(
  urls: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<Found>, Stop> {
  const screen = yield* Screen
  const found: Array<Found> = []
  let first: AdminError | undefined
  for (const url of urls) {
    const port = AdminPort.make(url)
    const identity = yield* Effect.result(port.identify)
    if (Result.isSuccess(identity)) found.push({ port, identity: identity.success })
    else {
      first ??= identity.failure
      if (urls.length > 1) yield* screen.note([[yellow("skipped"), `: ${url}: ${identity.failure.detail}`]])
    }
  }
  if (found.length === 0 && first !== undefined) return yield* stopOf(first)
  return found
})

const readState = Effect.fnUntraced(function*(
  path: string | undefined
): Effect.fn.Return<State.SurveyState | undefined, Stop, FileSystem.FileSystem> {
  if (path === undefined) return undefined
  const files = yield* FileSystem.FileSystem
  const fail = (problem: string) =>
    new Stop({
      code: ExitCode.Usage,
      problem: `${path}: ${problem}`,
      hint: "Give the file of a survey, or a new name."
    })
  const read = Effect.gen(function*() {
    return (yield* files.exists(path)) ? yield* files.readFileString(path) : undefined
  })
  const text = yield* Effect.mapError(read, (error) => fail(error.message))
  if (text === undefined) return undefined
  const value = Result.try((): unknown => JSON.parse(text))
  const state = Result.isSuccess(value) ? State.fromJson(value.success) : undefined
  return state ?? (yield* fail("not the file of a survey"))
})

interface Running {
  readonly options: Options
  readonly port: AdminPort.AdminPort
  readonly session: Keep.Session
  readonly keeper: Keep.Keeper
}

/** Tells where it stands: in place on a terminal, as objects or now and then elsewhere. */
const makeProgress = Effect.fnUntraced(function*({ options: { json }, session }: Pick<Running, "options" | "session">) {
  const screen = yield* Screen
  let toldAt = Number.NEGATIVE_INFINITY
  let told = ""
  return Effect.fnUntraced(function*(parts: ReadonlyArray<Line>, facts: object) {
    const now = yield* Clock.currentTimeMillis
    const line = fit([[bold(session.phase)], ...parts], dim(" | "), screen.columns() - 1)
    if (screen.isTerminal && !json) return yield* screen.status(line)
    if (now - toldAt < PROGRESS_MILLIS && told === session.phase && !json) return
    const text = JSON.stringify(facts)
    if (json && text === told) return
    toldAt = now
    told = json ? text : session.phase
    yield* json ? screen.json([{ event: "progress", phase: session.phase, ...facts }]) : screen.note([line])
  })
})

type Progress = Effect.Success<ReturnType<typeof makeProgress>>

/** Starts the survey at the first node that will. */
const start = Effect.fnUntraced(function*(
  found: ReadonlyArray<Found>,
  nonce: number
): Effect.fn.Return<Found, Stop> {
  const screen = yield* Screen
  let first: AdminError | undefined
  for (const each of found) {
    const started = yield* Effect.result(each.port.startCollecting(nonce))
    if (Result.isSuccess(started)) return each
    first ??= started.failure
    if (found.length > 1) yield* screen.note([[yellow("skipped"), `: ${each.port.url}: ${started.failure.detail}`]])
  }
  const { detail, reason, url } = first!
  if (reason !== "Refused") return yield* stopOf(first!)
  return yield* new Stop({
    code: ExitCode.Rejected,
    problem: `${url}: ${detail}`,
    hint: detail.includes("Another survey")
      ? "There is one survey at a time in a network, for up to half an hour and three more: go on with yours by --resume, or wait."
      : hints.Refused
  })
})

const collect = Effect.fnUntraced(function*({ port, session }: Running, progress: Progress) {
  const end = session.startedAt + session.collectMillis
  let pingAt = 0
  while (true) {
    const now = yield* Clock.currentTimeMillis
    if (now >= end) break
    yield* progress([["nodes collect for ", seconds(Math.ceil((end - now) / 1000)), " more"]], { endsAt: end })
    if (now >= pingAt) {
      pingAt = now + 15_000
      yield* Effect.ignore(port.ping) // a tunnel to a node far away would be closed otherwise
    }
    yield* Effect.sleep(Math.min(1000, end - now))
  }
})

const stopCollecting = Effect.fnUntraced(function*({ keeper, options, port, session }: Running) {
  const stopped = yield* Effect.result(port.stopCollecting)
  // Collecting ends by itself after half an hour: then there is no survey to stop, and answers can be had.
  if (Result.isFailure(stopped) && stopped.failure.reason !== "Refused") return yield* stopOf(stopped.failure)
  session.phase = "reporting"
  session.stoppedAt = yield* Clock.currentTimeMillis
  yield* keeper.save(session)
  yield* Effect.sleep(options.settleMillis)
})

/** Orders, waits, looks, until everybody was asked or it takes too long. */
const report = Effect.fnUntraced(function*({ keeper, options, port, session }: Running, progress: Progress) {
  const screen = yield* Screen
  const { plan } = session
  const began = yield* Clock.currentTimeMillis
  let savedAt = began
  let failures = 0
  let restarts = 0
  let isRevived = false
  while (true) {
    const now = yield* Clock.currentTimeMillis
    if (now - began >= options.limitMillis) {
      yield* screen.note([[yellow("time is up"), ": who did not answer by now is left out; --resume asks them again"]])
      return
    }
    let took = 0
    const placed = Effect.gen(function*() {
      for (const { id, inbound, outbound } of plan.orders()) {
        const order = yield* Effect.result(port.surveyNode(id, inbound, outbound))
        if (Result.isSuccess(order)) plan.ordered(id, now)
        else if (order.failure.reason === "Refused" && !order.failure.detail.includes("reporting phase")) {
          plan.refused(id)
        } else return yield* order.failure
      }
      const before = yield* Clock.currentTimeMillis
      const results = yield* port.results
      took = (yield* Clock.currentTimeMillis) - before
      return results
    })
    const seen = yield* Effect.result(placed)
    if (Result.isFailure(seen)) {
      // A node that was started again knows nothing of its survey; ours can be told.
      if (seen.failure.reason === "Refused" && !isRevived) {
        isRevived = true
        if (Result.isSuccess(yield* Effect.result(port.resumeSurvey(session.nonce)))) {
          if (!options.json) yield* screen.note([[yellow("started again"), ": the node was told of its survey"]])
          continue
        }
      }
      if (seen.failure.reason === "Refused") {
        return yield* new Stop({
          code: ExitCode.Rejected,
          problem: `${port.url}: ${seen.failure.detail}`,
          hint: "The survey is over on this node: its three hours have passed, or it was started again."
        })
      }
      if (++failures >= MAX_FAILED_POLLS) return yield* stopOf(seen.failure)
      yield* Effect.sleep(options.pollMillis)
      continue
    }
    failures = 0
    if (!seen.success.surveyInProgress && ++restarts > MAX_RESTARTS) {
      yield* screen.note([[yellow("ended"), ": the node no longer reports"]])
      return
    }
    const isNew = plan.observe(seen.success, yield* Clock.currentTimeMillis)
    yield* progress(coverageParts(plan.coverage), plan.coverage)
    if (plan.isDone) return
    if (isNew && now - savedAt >= SAVE_MILLIS) {
      savedAt = now
      yield* keeper.save(session)
    }
    // Looking at a large survey takes the node's time: most of it is left alone.
    yield* Effect.sleep(Math.max(options.pollMillis, Math.min(4 * took, MAX_PAUSE_MILLIS)))
  }
})

/** Ctrl-C: the network is told, and everything that came is kept; all of it within a second. */
const interrupted = Effect.fnUntraced(function*({ keeper, options, port, session }: Running) {
  const screen = yield* Screen
  yield* screen.status(undefined)
  const stop = session.phase === "collecting" ? port.stopCollecting : port.stopSurvey
  const told = yield* Effect.result(Effect.timeout(stop, 300))
  if (session.phase === "collecting" && Result.isSuccess(told)) {
    session.phase = "reporting"
    session.stoppedAt = yield* Clock.currentTimeMillis
  }
  const path = options.resume ?? `survey-${session.nonce}.json`
  if (options.resume === undefined) {
    yield* Effect.ignore(writeFile(path, State.toText(Keep.stateOf(session))))
  }
  yield* keeper.finish(session, { isHurried: true })
  const { answered, known } = session.plan.coverage
  yield* screen.note([
    [
      yellow("stopped"),
      Result.isSuccess(told) ? ": the node was told" : ": the node could not be told",
      `; ${answered} of ${plural(known, "node")} had answered`
    ],
    [`  within three hours, go on with --resume ${path}`]
  ])
})

/** The port of a survey that goes on: where it ran, or where its surveyor is now. */
const portOf = (state: State.SurveyState, found: ReadonlyArray<Found>): Found | undefined =>
  found.find(({ identity }) => state.surveyor !== undefined && identity.id === state.surveyor) ??
    found.find(({ identity, port }) => port.url === state.url && identity.id === undefined)

const prepare = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Running, Stop, FileSystem.FileSystem | Scope.Scope> {
  const screen = yield* Screen
  const state = yield* readState(options.resume)
  const urls = options.urls.length > 0 ? options.urls : state === undefined ? [] : [state.url, ...state.via]
  if (urls.length === 0) {
    return yield* new Stop({
      code: ExitCode.Usage,
      problem: "no node to survey through",
      hint: "Give the address of its admin port, such as 127.0.0.1:11626."
    })
  }
  const found = yield* identify([...new Set(urls)])
  const keeper = yield* Keep.make(options)
  if (state !== undefined) {
    const at = portOf(state, found)
    if (at === undefined) {
      return yield* new Stop({
        code: ExitCode.Usage,
        problem: `${options.resume}: none of the nodes is the one that began this survey`,
        hint: "Only that node can read the answers. Give its admin port."
      })
    }
    const plan = SurveyPlan.restore(state.nodes, state.surveyor, options.limits)
    plan.seed([...at.identity.inbound, ...at.identity.outbound, ...options.nodes])
    const { nodes: _nodes, phase, surveyor: _surveyor, ...rest } = state
    const session = { ...rest, url: at.port.url, plan, phase: phase === "done" ? "reporting" as const : phase }
    if (!options.json) yield* screen.note([[green("goes on"), ` with the survey ${state.nonce} of ${at.port.url}`]])
    return { options, port: at.port, session, keeper }
  }
  const nonce = options.nonce ?? (yield* Random.nextIntBetween(0, 0xffffffff))
  const at = yield* start(found, nonce)
  const plan = new SurveyPlan(options.limits)
  const { id, network } = at.identity
  if (id !== undefined) plan.setSurveyor(id)
  // One node surveys, because others answer only the one that began; the peers of all are where it begins.
  for (const { identity } of found) {
    if (identity.id !== undefined) plan.seed([identity.id])
    plan.seed([...identity.inbound, ...identity.outbound])
  }
  plan.seed(options.nodes)
  const session: Keep.Session = {
    plan,
    url: at.port.url,
    via: urls,
    network,
    nonce,
    phase: "collecting",
    startedAt: yield* Clock.currentTimeMillis,
    collectMillis: options.collectMillis,
    stoppedAt: undefined,
    databaseId: undefined
  }
  if (!options.json) {
    yield* screen.note([
      [green("survey"), ` ${nonce} through ${at.port.url}, ${plural(plan.coverage.known, "node")} to begin with`]
    ])
  }
  return { options, port: at.port, session, keeper }
})

/** The survey once it runs; whatever ends it, the node is told and what came is kept. */
const survey = Effect.fnUntraced(function*(running: Running) {
  const screen = yield* Screen
  const { keeper, options, port, session } = running
  const progress = yield* makeProgress(running)
  const work = Effect.gen(function*() {
    yield* keeper.save(session)
    if (session.phase === "collecting") {
      yield* collect(running, progress)
      yield* stopCollecting(running)
    }
    yield* report(running, progress)
  })
  const outcome = yield* Effect.result(work.pipe(Effect.onInterrupt(() => interrupted(running))))
  yield* screen.status(undefined)
  yield* Effect.ignore(port.stopSurvey)
  const isWhole = Result.isSuccess(outcome)
  if (isWhole) {
    session.plan.finish()
    session.phase = "done"
  }
  const written = yield* keeper.finish(session, { isHurried: false })
  yield* options.json
    ? screen.json([{
      event: "done",
      complete: isWhole,
      surveyor: session.plan.surveyor,
      nonce: session.nonce,
      ...session.plan.coverage,
      written
    }])
    : screen.print(summary(session.plan))
  if (Result.isFailure(outcome)) return yield* outcome.failure
  return ExitCode.Ok as ExitCode
})

/** Runs a survey. */
export const run = (options: Options): Effect.Effect<ExitCode, never, FileSystem.FileSystem | Scope.Scope> =>
  Effect.flatMap(prepare(options), survey).pipe(
    Effect.catchTag("Stop", ({ code, hint, problem }) =>
      Effect.gen(function*() {
        const screen = yield* Screen
        yield* screen.note([[red("error"), `: ${problem}`], ["  ", hint]])
        return code
      }))
  )
