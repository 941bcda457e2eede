/** What happened to a peer, for people and for programs. */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import type { Role } from "@stellar-overlay/overlay/protocol/Handshake"
import { short } from "@stellar-overlay/overlay/wire/NodeId"
import * as Drop from "./drop.ts"
import { bold, dim, green, type Line, yellow } from "./Line.ts"

export interface Shown {
  readonly line: Line
  /** What can be done about it, where something can. */
  readonly hint: Line | undefined
  readonly object: { readonly event: string; readonly [field: string]: unknown }
}

const direction = (role: Role): string => role === "initiator" ? "outbound" : "inbound"

/** Undefined for what is of no interest to an operator. */
export const show = (event: OverlayEvent): Shown | undefined => {
  switch (event._tag) {
    case "PeerAuthenticated": {
      const { address, remote: { id, overlayVersion, role, version } } = event
      return {
        line: [
          green("authenticated"),
          ` ${direction(role)} `,
          bold(short(id)),
          ` at ${address.key}`,
          dim(` ${version}`)
        ],
        hint: undefined,
        object: { event: "authenticated", peer: id, role, address: address.key, version, overlayVersion }
      }
    }
    case "PeerDropped": {
      const { address, authenticated, id, reason, role } = event
      const peer = id === undefined ? [address.key] : [bold(short(id)), ` at ${address.key}`]
      // Who called us is called to prove its address; the second connection ends as what it is, and nothing is wrong.
      const isDuplicate = reason._tag === "AlreadyConnected"
      const verb = authenticated
        ? dim("left")
        : isDuplicate
        ? dim("duplicate")
        : yellow(role === "initiator" ? "failed" : "refused")
      return {
        line: [verb, ` ${direction(role)} `, ...peer, ": ", ...Drop.headline(reason)],
        hint: isDuplicate || DropReason.kind(reason) === "local" ? undefined : Drop.hint(reason),
        object: {
          event: authenticated ? "left" : role === "initiator" ? "failed" : "refused",
          peer: id,
          role,
          address: address.key,
          ...Drop.toJson(reason)
        }
      }
    }
    default:
      return undefined
  }
}
