/** `stellar-overlay peers --of <host:port>`: the addresses that a node tells whoever calls it. */
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type { Peers } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { ExitCode, ofDrop } from "../ExitCode.ts"
import { connect } from "../net/Dial.ts"
import * as Target from "../net/Target.ts"
import { messageOf } from "../net/WireTap.ts"
import * as Drop from "../render/drop.ts"
import { bold, dim, yellow } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { plural } from "../render/units.ts"
import { work } from "../work.ts"
import * as Ping from "./ping.ts"

/**
 * A node sends PEERS right after AUTH and before it grants the first credit (protocol.md 2.5), also when it is about to
 * say that it has no room; one that knows nobody sends none. So with the first grant, or with the end, it is certain.
 */
const run = Effect.fnUntraced(function*(target: PeerAddress, options: Target.Options, json: boolean) {
  const screen = yield* Screen
  const told = yield* Deferred.make<Peers | undefined>()
  const received = (body: Uint8Array): void => {
    const message = messageOf(body)
    if (message?._tag === "Peers") Deferred.doneUnsafe(told, Effect.succeed(message.retain()))
    else if (message?._tag === "SendMoreExtended") Deferred.doneUnsafe(told, Effect.succeed(undefined))
  }
  const dialled = yield* connect(target, { ...options, peer: { scpStateFrom: "none" }, received })
  const { outcome } = dialled.last
  const ended = Result.isSuccess(outcome) ? outcome.success.closed : Effect.succeed(outcome.failure)
  // Whatever came before an end was looked at before it: the end decides only when nothing came.
  const answer = (yield* Deferred.isDone(told))
    ? yield* Effect.result(Deferred.await(told))
    : Result.isFailure(outcome)
    ? Result.fail(outcome.failure)
    : yield* Deferred.await(told).pipe(
      Effect.timeoutOption(options.handshakeTimeoutSeconds * 1000),
      Effect.map((message) => Result.succeed(Option.getOrUndefined(message))),
      Effect.raceFirst(Effect.map(ended, Result.fail))
    )
  if (Result.isFailure(answer)) {
    if (json) yield* screen.json([{ ...Ping.toJson(target, dialled), ...Drop.toJson(answer.failure), ok: false }])
    else yield* screen.note(Ping.describe(target, dialled))
    return ofDrop(answer.failure)
  }
  const message = answer.success
  const addresses = message?.addresses.map(({ key }) => key) ?? []
  const useless = (message?.count ?? 0) - addresses.length
  if (json) {
    const { exitCode: _code, ok: _ok, ...facts } = Ping.toJson(target, dialled)
    yield* screen.json([{ ...facts, ok: true, exitCode: ExitCode.Ok, addresses, useless }])
    return ExitCode.Ok
  }
  yield* screen.print(addresses.map((address) => [address]))
  if (Result.isFailure(outcome)) {
    yield* screen.note([[yellow("note"), ": it told these and refused us: ", ...Drop.headline(outcome.failure)]])
  }
  if (addresses.length === 0) yield* screen.note([[bold(target.key), dim(" told no addresses")]])
  if (useless > 0) {
    yield* screen.note([[dim(`${plural(useless, "address", "addresses")} that nobody can call left out`)]])
  }
  return ExitCode.Ok
})

/** `peers`: asks a node for the addresses it knows. */
export const peers = Command.make("peers", {
  of: Target.addressFlag("of").pipe(Flag.withDescription("The node to ask; the port is 11625 when left out")),
  ...Target.flags,
  json: Flag.Boolean("json").pipe(Flag.withDescription("One JSON object"), Flag.withDefault(false))
}, (parsed) => work(run(parsed.of, Target.options(parsed), parsed.json))).pipe(
  Command.withDescription(
    "Call a node and print the addresses it passes on, one per line: up to 50 that it has reached or heard of. Also a node without room for us tells them."
  ),
  Command.withShortDescription("Print the addresses a node passes on"),
  Command.withExamples([
    { command: "stellar-overlay peers --of core-testnet1.stellar.org" },
    {
      command: "stellar-overlay peers --of 127.0.0.1 | xargs stellar-overlay ping",
      description: "Ask all of them who they are"
    }
  ])
)
