/** `stellar-overlay conformance --target 127.0.0.1:PORT`: whether a node takes hostile peers as it must. */
import { attacks } from "@stellar-overlay/overlay-test/hostile/Catalogue"
import { outsideAttacks } from "@stellar-overlay/overlay-test/hostile/OverlayCatalogue"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as EffectResult from "effect/Result"
import { isLoopback } from "../conformance/loopbackSocket.ts"
import * as NodeTrials from "../conformance/nodeTrials.ts"
import * as Operator from "../conformance/operator.ts"
import * as Plan from "../conformance/plan.ts"
import * as Report from "../conformance/report.ts"
import * as Trials from "../conformance/trials.ts"
import { ExitCode, ofDrop } from "../ExitCode.ts"
import { connect } from "../net/Dial.ts"
import * as Target from "../net/Target.ts"
import { bold, dim, red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import * as Units from "../render/units.ts"
import { work } from "../work.ts"
import * as Ping from "./ping.ts"

const rowIds = new Set([...attacks, ...outsideAttacks].map(({ id }) => id))

/** More at once time each other. */
const DEFAULT_PARALLEL = 32
const MAX_PARALLEL = 60

interface Settings extends Omit<Plan.Options, "dials"> {
  readonly target: PeerAddress
  readonly options: Target.Options
  /** The URL of the node's operator's port. */
  readonly admin: string | undefined
  readonly parallel: number
  readonly json: boolean
}

const refuse = Effect.fnUntraced(function*(code: ExitCode, problem: string, hint: string, json = false) {
  const screen = yield* Screen
  if (json) yield* screen.json([{ event: "failed", problem, hint, exitCode: code }])
  else yield* screen.note([[red("error"), `: ${problem}`], ["  ", hint]])
  return code
})

/** How often the delay of the node's event loop is asked for, and what of it would break G5. */
const LOOK_MILLIS = 250
const LONG_TURN_MILLIS = 50

/** Notes how late the node's event loop is, for as long as it is not interrupted; what the node does not say is not noted. */
const watchLoop = (admin: string | undefined, late: Array<number>): Effect.Effect<never> =>
  admin === undefined ? Effect.never : Effect.forever(Effect.delay(
    Effect.ignore(Effect.map(Operator.eventLoop(admin), (millis) => {
      if (millis !== undefined) late.push(millis)
    })),
    LOOK_MILLIS
  ))

const run = Effect.fnUntraced(
  function*({ admin, json, options, parallel, target: address, ...choice }: Settings) {
    const screen = yield* Screen
    const isElsewhere = !isLoopback(address)
      ? address.key
      : admin === undefined || Operator.isLoopbackUrl(admin)
      ? undefined
      : admin
    if (isElsewhere !== undefined) {
      return yield* refuse(
        ExitCode.Usage,
        `${isElsewhere} is not a loopback address`,
        "These are attacks, and only for nodes of this machine."
      )
    }
    // Only to learn who is there, and on which network.
    const dialled = yield* Effect.scoped(connect(address, { ...options, peer: { scpStateFrom: "none" } }))
    const { facts, network, outcome } = dialled.last
    if (EffectResult.isFailure(outcome)) {
      if (json) yield* screen.json([{ event: "failed", ...Ping.toJson(address, dialled) }])
      else yield* screen.note(Ping.describe(address, dialled))
      return ofDrop(outcome.failure)
    }
    const { hello } = facts
    if (!json) {
      yield* screen.print([[
        bold(address.key),
        `  ${hello?.version ?? "?"}, overlay ${hello?.overlayMinVersion} to ${hello?.overlayVersion}, `,
        network.name ?? "private network",
        dim(`, profile ${choice.profile}`)
      ]])
    }
    const reached: Trials.Target = {
      address,
      parallel,
      dials: undefined,
      passphrase: network.passphrase,
      connectTimeoutMillis: options.connectTimeoutMillis,
      slackMillis: Trials.SLACK_MILLIS + (choice.profile === "core" ? Trials.CORE_CLOSING_MILLIS : 0),
      seed: String(yield* Random.nextInt)
    }
    const dials = admin === undefined
      ? Option.none()
      : yield* Effect.asSome(Trials.canDial(reached, admin, hello?.id))
    const target = { ...reached, dials: Option.getOrUndefined(dials) }
    const plan = Plan.make(attacks, outsideAttacks, { ...choice, dials: target.dials !== undefined })
    const count = plan.chosen.length + plan.nodes.length
    const results: Array<Trials.Result> = []
    const started = yield* Clock.currentTimeMillis
    const progress = (): Effect.Effect<void> =>
      screen.isTerminal && !json
        ? screen.status([dim(`${results.length} of ${count} variants`)])
        : Effect.void
    const done = (result: Trials.Result): Effect.Effect<void> => {
      results.push(result)
      return results.length % 16 === 0 ? progress() : Effect.void
    }
    const late: Array<number> = []
    const { alive, neighbour } = yield* Trials.besideHonest(
      target,
      Effect.andThen(
        Effect.raceFirst(Trials.run(target, plan, done), watchLoop(admin, late)),
        NodeTrials.run(target, plan, done)
      )
    )
    yield* screen.status(undefined)
    const report: Report.Report = {
      rows: Report.rowsOf(plan, results),
      left: plan.left,
      empty: plan.empty,
      neighbour,
      alive,
      untried: Report.untriedOf(results),
      notes: late.length === 0 ? [] : [
        `its event loop was ${Units.millis(Math.max(...late))} late at most, over ${LONG_TURN_MILLIS} ms in ${
          late.filter((millis) => millis > LONG_TURN_MILLIS).length
        } of ${late.length} looks (G5, not judged: it shares the machine with its attackers)`
      ],
      millis: (yield* Clock.currentTimeMillis) - started
    }
    yield* json ? screen.json(Report.toJson(report)) : screen.print(Report.lines(report))
    return Report.isGreen(report) ? ExitCode.Ok : ExitCode.Rejected
  },
  (self, { json }) =>
    Effect.catchTag(self, "CannotDial", ({ code, hint, problem }) => refuse(code, problem, hint, json))
)

/** `T1,M2` as a set; none when a row does not exist. */
const toRows = (text: string): Option.Option<ReadonlySet<string>> => {
  const ids = text.split(",").map((id) => id.trim().toUpperCase()).filter((id) => id !== "")
  return ids.length > 0 && ids.every((id) => rowIds.has(id)) ? Option.some(new Set(ids)) : Option.none()
}

/** `conformance`: attacks a node on this machine and says whether it held. */
export const conformance = Command.make("conformance", {
  target: Target.addressFlag("target").pipe(
    Flag.withDescription("The node, on this machine: 127.0.0.1:PORT or [::1]:PORT")
  ),
  admin: Target.adminFlag.pipe(
    Flag.withDescription(
      "Its operator's port, 127.0.0.1:PORT: also attack as the one who is called, by having it dial, and ask it about itself"
    ),
    Flag.optional
  ),
  ...Target.flags,
  only: Flag.String("only").pipe(
    Flag.withMetavar("rows"),
    Flag.withDescription("Only these rows of the catalogue, as T4,M1"),
    Flag.filterMap(toRows, (text) => `rows out of ${[...rowIds].join(", ")} (not ${text})`),
    Flag.optional
  ),
  slow: Flag.Boolean("slow").pipe(
    Flag.withDescription("Also what takes up to two minutes: time limits of connections, windows of queries"),
    Flag.withDefault(false)
  ),
  profile: Flag.Literals("profile", ["ours", "core"]).pipe(
    Flag.withDescription(
      "What the node is held to: this project's defaults, or what stellar-core does (default: ours)"
    ),
    Flag.withDefault("ours")
  ),
  parallel: Flag.Int("parallel").pipe(
    Flag.withDescription(`Attackers at a time (default: ${DEFAULT_PARALLEL})`),
    Flag.withDefault(DEFAULT_PARALLEL),
    Flag.filter((n) => n >= 1 && n <= MAX_PARALLEL, () => `a number from 1 to ${MAX_PARALLEL}`)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One JSON object per row, and a last one for all"),
    Flag.withDefault(false)
  )
}, (parsed) =>
  work(run({
    target: parsed.target,
    options: Target.options(parsed),
    admin: Option.getOrUndefined(parsed.admin),
    only: Option.getOrUndefined(parsed.only),
    slow: parsed.slow,
    profile: parsed.profile,
    parallel: parsed.parallel,
    json: parsed.json
  }))).pipe(
    Command.withDescription(
      "Attack a node on this machine as hostile and broken peers would, and see whether it does what the protocol demands: "
        + "broken frames, handshakes, MACs, XDR, flow control and queries, over a thousand variants, each over a connection "
        + "of its own, with an honest peer beside them. Attackers come from many addresses of 127.0.0.0/8 where the system "
        + "allows it, so that limits per host do not get in the way. With --admin the node is told to dial attackers too, each "
        + "at an address of its own; it remembers those addresses, so take one whose database does not matter. The exit code "
        + "is 0 when all is as it must be, 4 when not."
    ),
    Command.withShortDescription("Whether a node takes hostile peers as it must"),
    Command.withExamples([
      {
        command: "stellar-overlay conformance --target 127.0.0.1:11625",
        description: "A node, or the first one of a demo"
      },
      {
        command: "stellar-overlay conformance --target 127.0.0.1:11625 --admin 127.0.0.1:11626",
        description: "The same, and as the one whom it dials"
      },
      {
        command: "stellar-overlay conformance --target 127.0.0.1:11625 --profile core --only T4,M1,M2",
        description: "Some rows, on stellar-core"
      }
    ])
  )
