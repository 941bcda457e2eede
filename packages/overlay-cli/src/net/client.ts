/** What `watch`, `mempool` and `scp` share: one connection to one node, from its first line to the reason of its end. */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { PeerDropped } from "@stellar-overlay/overlay/OverlayError"
import type { Peer, PeerOptions } from "@stellar-overlay/overlay/Peer"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type { FileSystem } from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Ping from "../commands/ping.ts"
import { type Ended, ExitCode, ofDrop } from "../ExitCode.ts"
import * as Drop from "../render/drop.ts"
import { dim, fit, type Line } from "../render/Line.ts"
import * as Link from "../render/link.ts"
import { Screen } from "../render/Screen.ts"
import { connect } from "./Dial.ts"
import { recorder, recordFlag } from "./record.ts"
import * as Target from "./Target.ts"

/** How often the status is shown: on a terminal, where it stays in place, and elsewhere. */
const STATUS_MILLIS = { terminal: 1000, plain: 10_000 }

/** The arguments of a client. */
export const flags = {
  target: Target.address("target").pipe(Argument.withDescription("The node; the port is 11625 when left out")),
  ...Target.flags,
  seconds: Flag.Finite("seconds").pipe(
    Flag.withDescription("End after so many seconds"),
    Flag.filter((n) => n > 0, () => "a number above 0"),
    Flag.optional
  ),
  record: recordFlag
}

export interface Options {
  readonly address: PeerAddress
  readonly target: Target.Options
  readonly json: boolean
  /** Undefined runs until somebody ends it. */
  readonly seconds: number | undefined
  /** Where to record what the connection carries. */
  readonly record: string | undefined
}

/** What the arguments say. */
export const options = (
  parsed: Parameters<typeof Target.options>[0] & {
    readonly target: PeerAddress
    readonly seconds: Option.Option<number>
    readonly record: Option.Option<string>
    readonly json: boolean
  }
): Options => ({
  address: parsed.target,
  target: Target.options(parsed),
  json: parsed.json,
  seconds: Option.getOrUndefined(parsed.seconds),
  record: Option.getOrUndefined(parsed.record)
})

/**
 * Connects, says so, and lets `use` have the peer until it is done, the time is over, or the connection ends; what ends
 * it is said, and is the exit code. `finished` runs in any case once the peer was there.
 */
export const run = Effect.fnUntraced(function*<R>(
  { address, json, record, seconds, target }: Options,
  how: {
    readonly peer: PeerOptions
    /** Called for every frame body that arrives. */
    readonly received?: ((body: Uint8Array) => void) | undefined
    readonly use: (peer: Peer) => Effect.Effect<void, PeerDropped, R>
    readonly finished?: Effect.Effect<void> | undefined
  }
): Effect.fn.Return<ExitCode, Ended, R | FileSystem | Scope.Scope> {
  const screen = yield* Screen
  const dialled = yield* connect(address, {
    ...target,
    peer: how.peer,
    received: how.received,
    recorder: record === undefined ? undefined : yield* recorder(record)
  })
  const { network, outcome } = dialled.last
  if (Result.isFailure(outcome)) {
    if (json) yield* screen.json([{ event: "failed", ...Ping.toJson(address, dialled) }])
    else yield* screen.note(Ping.describe(address, dialled))
    return ofDrop(outcome.failure)
  }
  const peer = outcome.success
  const { id, version } = peer.remote
  yield* json
    ? screen.json([{ event: "connected", ...Ping.toJson(address, dialled) }])
    : screen.print([
      [dim("connected: "), ...Link.name(peer), ` on ${network.name ?? "private network"}, ${version}, ${id}`]
    ])
  const using = how.use(peer).pipe(Effect.match({ onFailure: ({ reason }) => reason, onSuccess: () => undefined }))
  const ended = yield* (seconds === undefined
    ? using
    : Effect.map(Effect.timeoutOption(using, seconds * 1000), Option.getOrUndefined)).pipe(
      Effect.ensuring(Effect.andThen(screen.status(undefined), how.finished ?? Effect.void))
    )
  if (ended === undefined) return ExitCode.Ok
  if (json) yield* screen.json([{ event: "ended", ...Drop.toJson(ended) }])
  else yield* screen.note([[dim("ended: "), ...Link.name(peer), ": ", ...Drop.headline(ended)], Drop.hint(ended)])
  return DropReason.kind(ended) === "local" ? ExitCode.Ok : ofDrop(ended)
})

/** Shows a status now and then until the end of the scope: in place on a terminal, and as a line elsewhere. */
export const status = Effect.fnUntraced(function*(
  json: boolean,
  take: () => { readonly parts: ReadonlyArray<Line>; readonly object: object }
): Effect.fn.Return<void, never, Scope.Scope> {
  const screen = yield* Screen
  const show = Effect.suspend(() => {
    const { object, parts } = take()
    if (json) return screen.json([{ event: "status", ...object }])
    const line = fit(parts, dim(" | "), screen.columns() - 1)
    return screen.isTerminal ? screen.status(line) : screen.print([[dim("status: "), ...line]])
  })
  const inPlace = screen.isTerminal && !json
  const every = inPlace ? STATUS_MILLIS.terminal : STATUS_MILLIS.plain
  yield* Effect.forkScoped(Effect.delay(Effect.repeat(show, Schedule.spaced(every)), inPlace ? 0 : every))
})
