/**
 * The urgency of flow-controlled messages.
 *
 * Implements protocol.md 4.6 (stellar-core: the indices of `FlowControl`'s outbound queues).
 *
 * @since 0.1.0
 */
import { MessageType } from "../wire/MessageType.ts"

/**
 * The four flow-controlled priorities, the most urgent first, as indices of `OutboundBatch.taken`.
 *
 * @category models
 * @since 0.1.0
 */
export const Priority = { Scp: 0, Transaction: 1, Demand: 2, Advert: 3 } as const

/**
 * A flow-controlled priority.
 *
 * @category models
 * @since 0.1.0
 */
export type Priority = (typeof Priority)[keyof typeof Priority]

/**
 * The priority of a message type, or undefined for the direct lane: everything that costs no credit.
 *
 * @category getters
 * @since 0.1.0
 */
export const priorityOf = (type: MessageType): Priority | undefined => {
  switch (type) {
    case MessageType.ScpMessage:
      return Priority.Scp
    case MessageType.Transaction:
      return Priority.Transaction
    case MessageType.FloodDemand:
      return Priority.Demand
    case MessageType.FloodAdvert:
      return Priority.Advert
    default:
      return undefined
  }
}
