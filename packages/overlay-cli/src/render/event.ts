/** What happened to peers and to the node, for people and for programs. */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import type { Role } from "@stellar-overlay/overlay/protocol/Handshake"
import { short } from "@stellar-overlay/overlay/wire/NodeId"
import * as Drop from "./drop.ts"
import { bold, dim, green, type Line, red, yellow } from "./Line.ts"
import { millis } from "./units.ts"

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
    case "NodeBanned": {
      const { id, reason, untilMillis } = event
      const until = untilMillis === undefined ? undefined : new Date(untilMillis).toISOString()
      return {
        line: [
          yellow("banned"),
          " ",
          bold(short(id)),
          until === undefined ? " for good" : ` until ${until}`,
          ...reason === "" ? [] : [`: ${reason}`]
        ],
        hint: undefined,
        object: { event: "banned", peer: id, until, reason }
      }
    }
    case "NodeUnbanned": {
      const { cause, id } = event
      return {
        line: [green("unbanned"), " ", bold(short(id)), cause === "ended" ? ": the ban is over" : ""],
        hint: undefined,
        object: { event: "unbanned", peer: id, cause }
      }
    }
    case "SyncLost":
      return {
        line: [yellow("out of sync"), ` at ledger ${event.ledgerSeq}`],
        hint: undefined,
        object: { event: "syncLost", ledger: event.ledgerSeq }
      }
    case "SyncRegained":
      return {
        line: [
          green("in sync"),
          ` at ledger ${event.ledgerSeq}`,
          event.millis === undefined ? "" : ` after ${millis(event.millis)}`
        ],
        hint: undefined,
        object: { event: "syncRegained", ledger: event.ledgerSeq, millis: event.millis }
      }
    case "ListenerFailed":
      return {
        line: [red("listener"), ` on ${event.address.key} failed: ${event.detail}`],
        hint: ["Nobody can connect any more; restart the node."],
        object: { event: "listenerFailed", address: event.address.key, detail: event.detail }
      }
    case "SurveyPhaseChanged": {
      const { nonce, phase, surveyorId } = event
      const by: Line = surveyorId === undefined ? [] : [" of ", bold(short(surveyorId))]
      return {
        line: [dim("survey"), ...by, `: ${phase.toLowerCase()}`],
        hint: undefined,
        object: { event: "survey", phase, nonce, surveyor: surveyorId }
      }
    }
    case "EventsSuppressed":
    case "EventsLost":
      return {
        line: [yellow("missed"), ` ${event.count} events`, event._tag === "EventsLost" ? "" : ` ${event.kind}`],
        hint: undefined,
        object: { event: "missed", count: event.count, kind: event._tag === "EventsLost" ? undefined : event.kind }
      }
    default:
      return undefined
  }
}
