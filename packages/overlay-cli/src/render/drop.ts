/** Why a connection ended, for people and for programs. */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { dim, type Line, red, yellow } from "./Line.ts"

const verdicts: Readonly<Record<DropReason.DropKind, string>> = {
  unreachable: "unreachable",
  rejected: "rejected",
  load: "full",
  violation: "broke the protocol",
  timeout: "no answer",
  local: "closed",
  bug: "internal error"
}

/** `unreachable: unable to connect: ECONNREFUSED (ConnectionRefused)`. */
export const headline = (reason: DropReason.DropReason): Line => {
  const kind = DropReason.kind(reason)
  const verdict = (kind === "load" || kind === "local" ? yellow : red)(verdicts[kind])
  return [verdict, ": ", DropReason.text(reason), " ", dim(`(${reason._tag})`)]
}

/** The hint, on a line of its own. */
export const hint = (reason: DropReason.DropReason): Line => ["  ", DropReason.hint(reason)]

export const toJson = (reason: DropReason.DropReason) => ({
  reason: reason._tag,
  kind: DropReason.kind(reason),
  droppedBy: DropReason.droppedBy(reason),
  text: DropReason.text(reason),
  hint: DropReason.hint(reason),
  documentation: DropReason.documentation(reason)
})
