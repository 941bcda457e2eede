/** `stellar-overlay ping <host:port>…`: who answers there, how fast, and if nobody does, why not. */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as ExitCode from "../ExitCode.ts"
import { type Attempt, connect, type Dialled, type HelloFacts } from "../net/Dial.ts"
import { networkId } from "../net/networkId.ts"
import * as Target from "../net/Target.ts"
import * as Clock from "../render/clock.ts"
import * as Drop from "../render/drop.ts"
import { bold, dim, green, type Line } from "../render/Line.ts"
import { looksLike } from "../render/looksLike.ts"
import { Screen } from "../render/Screen.ts"
import { millis } from "../render/units.ts"
import { work } from "../work.ts"

/** More than this many handshakes at once would time each other. */
const CONCURRENCY = 16

const field = (name: string, ...value: Line): Line => ["  ", dim(name.padEnd(10)), ...value]

const networkName = (hello: HelloFacts): string => networkId.nameOf(hello.networkId) ?? `unknown, id ${hello.networkId}`

const times = ({ authMillis, helloMillis, tcpMillis }: Attempt["facts"]): string =>
  [
    tcpMillis === undefined ? "" : `TCP ${millis(tcpMillis)}`,
    helloMillis === undefined ? "" : `HELLO +${millis(helloMillis)}`,
    authMillis === undefined ? "" : `AUTH +${millis(authMillis)}`
  ].filter((text) => text !== "").join(", ")

const describeFacts = ({ facts }: Attempt): Array<Line> => {
  const { hello, tcpMillis } = facts
  const lines: Array<Line> = []
  if (hello !== undefined) {
    lines.push(
      field("node", hello.id),
      field("version", hello.version),
      field("overlay", `${hello.overlayVersion}, accepts ${hello.overlayMinVersion} to ${hello.overlayVersion}`),
      field("ledger", `protocol ${hello.ledgerVersion}`),
      field("network", networkName(hello)),
      field("listens", `on port ${hello.listeningPort}`),
      field("clock", Clock.describe(hello.certificateSecondsLeft))
    )
  }
  if (tcpMillis !== undefined) lines.push(field("times", times(facts)))
  return lines
}

const describeFailure = (
  { facts, network }: Attempt,
  earlier: ReadonlyArray<Attempt>,
  reason: DropReason.DropReason
) => {
  const lines: Array<Line> = [Drop.hint(reason)]
  const kind = DropReason.kind(reason)
  const guess = kind === "violation" && facts.hello === undefined ? looksLike(facts.firstBytes) : undefined
  if (guess !== undefined) lines.push(["  ", guess])
  if (facts.hello !== undefined && facts.hello.networkId !== networkId.of(network.passphrase)) {
    lines.push(["  ", `It is on another network: ${networkName(facts.hello)}.`])
  } else if (earlier.length > 0) {
    const tried = [...earlier.map((other) => other.network), network].map(({ name }) => name ?? "the given passphrase")
    lines.push(["  ", `Tried as ${tried.join(", ")}; for a private network give --passphrase.`])
  } else if (reason._tag === "RemoteClosed" && network.name !== undefined) {
    lines.push(["  ", `Tried as ${network.name} only; without --network the well-known networks are tried in turn.`])
  }
  return lines
}

/** The answer for one target, as lines. */
export const describe = (target: PeerAddress, { earlier, last }: Dialled): Array<Line> => {
  const { outcome } = last
  if (Result.isSuccess(outcome)) return [[bold(target.key), "  ", green("ok")], ...describeFacts(last)]
  return [
    [bold(target.key), "  ", ...Drop.headline(outcome.failure)],
    ...describeFailure(last, earlier, outcome.failure),
    ...describeFacts(last)
  ]
}

/** The answer for one target, as an object. */
export const toJson = (target: PeerAddress, { earlier, last }: Dialled): Record<string, unknown> => {
  const { facts, network, outcome } = last
  const { hello } = facts
  return {
    target: target.key,
    ok: Result.isSuccess(outcome),
    exitCode: exitCode(last),
    ...(Result.isFailure(outcome) ? Drop.toJson(outcome.failure) : {}),
    tcpMillis: facts.tcpMillis,
    helloMillis: facts.helloMillis,
    authMillis: facts.authMillis,
    triedAs: [...earlier.map((other) => other.network), network].map(({ name, passphrase }) => name ?? passphrase),
    ...(hello === undefined ? {} : {
      nodeId: hello.id,
      version: hello.version,
      overlayVersion: hello.overlayVersion,
      overlayMinVersion: hello.overlayMinVersion,
      ledgerVersion: hello.ledgerVersion,
      network: networkId.nameOf(hello.networkId),
      networkId: hello.networkId,
      listeningPort: hello.listeningPort,
      certificateSecondsLeft: hello.certificateSecondsLeft,
      clockSkewSeconds: Clock.skewSeconds(hello.certificateSecondsLeft)
    }),
    ...(facts.hello === undefined && facts.firstBytes.length > 0
      ? { firstBytes: Buffer.from(facts.firstBytes).toString("hex") }
      : {})
  }
}

const exitCode = ({ outcome }: Attempt): ExitCode.ExitCode =>
  Result.isSuccess(outcome) ? ExitCode.ExitCode.Ok : ExitCode.ofDrop(outcome.failure)

const run = Effect.fnUntraced(function*(targets: ReadonlyArray<PeerAddress>, options: Target.Options, json: boolean) {
  const screen = yield* Screen
  const answers = targets.map((target) => ({ target, dialled: Deferred.makeUnsafe<Dialled>() }))
  const probe = ({ dialled, target }: (typeof answers)[number]) =>
    Effect.scoped(
      // The answer is given before the goodbye, which may take a moment.
      Effect.flatMap(
        connect(target, { ...options, peer: { scpStateFrom: "none" } }),
        (result) => Deferred.succeed(dialled, result)
      )
    ).pipe(Effect.onError((cause) => Deferred.failCause(dialled, cause)))
  yield* Effect.forkScoped(Effect.forEach(answers, probe, { concurrency: CONCURRENCY, discard: true }))
  const codes: Array<ExitCode.ExitCode> = []
  for (const [i, { dialled, target }] of answers.entries()) {
    const answer = yield* Deferred.await(dialled)
    codes.push(exitCode(answer.last))
    if (json) yield* screen.json([toJson(target, answer)])
    else yield* screen.print([...(i === 0 ? [] : [[]]), ...describe(target, answer)])
  }
  return ExitCode.worst(codes)
})

/** `ping`: shakes hands with a node and says who it is. */
export const ping = Command.make("ping", {
  targets: Target.address("target").pipe(
    Argument.withDescription("Where to ask; the port is 11625 when left out"),
    Argument.variadic({ min: 1 })
  ),
  ...Target.flags,
  json: Flag.Boolean("json").pipe(Flag.withDescription("One JSON object per target"), Flag.withDefault(false))
}, (parsed) => work(run(parsed.targets, Target.options(parsed), parsed.json))).pipe(
  Command.withDescription(
    "Connect to nodes, authenticate, and say who they are and how fast they answer; or why not. The exit code is the worst of all: 0 ok, 3 unreachable, 4 rejected."
  ),
  Command.withShortDescription("Ask nodes who they are, and how fast they answer"),
  Command.withExamples([
    { command: "stellar-overlay ping core-testnet1.stellar.org", description: "A well-known node" },
    {
      command: "stellar-overlay ping 10.0.0.1 10.0.0.2:11725 --passphrase 'My Network'",
      description: "A private network"
    }
  ])
)
