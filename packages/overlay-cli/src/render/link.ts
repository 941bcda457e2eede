/** The state of a link in a few numbers. */
import type * as Peer from "@stellar-overlay/overlay/Peer"
import { INITIAL_LATENCY_MILLIS } from "@stellar-overlay/overlay/protocol/Liveness"
import { Priority } from "@stellar-overlay/overlay/protocol/Priority"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { bold, type Line } from "./Line.ts"
import { count, millis } from "./units.ts"

/** `outbound GABCD at 127.0.0.1:11625`: the role, the short id and the address. */
export const name = ({ address, id, role }: Pick<Peer.Peer, "address" | "id" | "role">): Line => [
  role === "initiator" ? "outbound " : "inbound ",
  bold(NodeId.short(id)),
  ` at ${address.key}`
]

type Session = Peer.Peer["session"]

/** Messages that wait to be sent, of all priorities. */
export const queued = ({ queues }: Session): number => {
  let sum = queues.directLength
  for (const priority of Object.values(Priority)) sum += queues.lengthOf(priority)
  return sum
}

/** Round trip of the last answered ping in milliseconds; undefined before the first. */
export const roundTrip = ({ liveness }: Session): number | undefined =>
  liveness.latencyMillis >= INITIAL_LATENCY_MILLIS ? undefined : liveness.latencyMillis

/** What of the flood credit that this side gives is in use: messages received and not granted back. */
export const localInUse = ({ flow, options }: Session): number =>
  options.flow.floodReadingCapacity - flow.localFloodMessages

/** Flow-controlled messages that the remote still takes from us. */
export const remoteCredit = ({ flow }: Session): number => Number(flow.messageCredit)

export const roundTripText = (session: Session): string => {
  const measured = roundTrip(session)
  return measured === undefined ? "rtt ?" : `rtt ${millis(measured)}`
}

export const toJson = (session: Session) => ({
  messagesRead: session.stats.messagesRead,
  messagesWritten: session.stats.messagesWritten,
  bytesRead: session.stats.bytesRead,
  bytesWritten: session.stats.bytesWritten,
  remoteCreditMessages: remoteCredit(session),
  remoteCreditBytes: Number(session.flow.byteCredit),
  localInUseMessages: localInUse(session),
  queued: queued(session),
  roundTripMillis: roundTrip(session)
})

export const queueText = (session: Session): string => {
  const total = queued(session)
  if (total === 0) return "queued 0"
  const { queues } = session
  return `queued ${count(total)} (scp ${queues.lengthOf(Priority.Scp)}, tx ${
    queues.lengthOf(Priority.Transaction)
  }, demands ${queues.lengthOf(Priority.Demand)}, adverts ${
    queues.lengthOf(Priority.Advert)
  }, other ${queues.directLength})`
}
