/** How a node is made to dial attackers: its operator's port, ours or stellar-core's, and what may be wrong with it. */
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ExitCode } from "../ExitCode.ts"
import * as AdminPort from "../net/AdminPort.ts"

/** Why nothing can be dialled: no fault of the node's that an attack would have shown. */
export class CannotDial extends Data.TaggedError("CannotDial")<{
  readonly code: ExitCode
  readonly problem: string
  readonly hint: string
}> {
  override get message(): string {
    return this.problem
  }
}

/** Nobody said where the operator's port is. */
export const unknown = new CannotDial({
  code: ExitCode.Usage,
  problem: "the node cannot be told to dial",
  hint: "--admin 127.0.0.1:PORT names its operator's port."
})

const hints: { readonly [reason in AdminPort.AdminErrorReason]: string } = {
  Unreachable:
    "Is this the node's operator port? It is 11626 unless it was given another; `demo` has one with --admin.",
  TimedOut: "Is the node busy, or is something else listening there?",
  NotANode: "Is this the operator's port of a node, and not the one where peers connect?",
  Refused: "The node said so itself."
}

const cannot = ({ detail, reason, url }: AdminPort.AdminError): CannotDial =>
  new CannotDial({
    code: reason === "Refused" ? ExitCode.Rejected : ExitCode.Unreachable,
    problem: `${url}: ${detail}`,
    hint: hints[reason]
  })

/** Whether a URL leads to this machine, by its address and not by a name: whoever is commanded must be ours. */
export const isLoopbackUrl = (url: string): boolean => {
  const { hostname } = new URL(url)
  return hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

/** Orders a node to dial; `force` needs no word in either implementation, an order always goes before back-off. */
export const order = (url: string, { host, port }: PeerAddress): Effect.Effect<void, CannotDial> =>
  AdminPort.get(url, "connect", { peer: host, port: String(port) }).pipe(
    Effect.flatMap((text) =>
      text.startsWith("Connect to")
        ? Effect.void
        : Effect.fail(
          new AdminPort.AdminError({
            url,
            reason: "Refused",
            detail: `answered connect with ${text.replace(/\s+/g, " ").trim().slice(0, 200)}`
          })
        )
    ),
    Effect.mapError(cannot)
  )

const Directions = Schema.Struct({ outbound: Schema.NullOr(Schema.Array(Schema.Unknown)) })
const Peers = Schema.Struct({ authenticated_peers: Directions, pending_peers: Directions })

/** Outbound connections of a node, those under way included. */
export const outbound = (url: string): Effect.Effect<number, CannotDial> =>
  AdminPort.json(url, "peers", Peers).pipe(
    Effect.map(({ authenticated_peers, pending_peers }) =>
      (authenticated_peers.outbound?.length ?? 0) + (pending_peers.outbound?.length ?? 0)
    ),
    Effect.mapError(cannot)
  )
