/**
 * When a polite sender should wait for a peer.
 *
 * @since 0.1.0
 */
import type { OutboundQueues, OutboundQueuesOptions } from "./OutboundQueues.ts"
import { Priority } from "./Priority.ts"

/**
 * What may wait, of messages that are never shed, before senders should: in messages more than the credit of the default
 * configuration, so that a write is always full, and not many times that, since the rest would only wait here.
 *
 * @category constants
 * @since 0.1.0
 */
export const POLITE_COUNT = 256

/**
 * The same in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const POLITE_BYTES = 1_048_576

/**
 * Whether half of a limit that sheds is reached, or a mebibyte or 256 of the messages that are never shed wait.
 *
 * @category getters
 * @since 0.1.0
 */
export const isCongested = (queues: OutboundQueues, limits: OutboundQueuesOptions): boolean => {
  const half = queues.ledger.maxTxSetSize >> 1
  return queues.lengthOf(Priority.Scp) > POLITE_COUNT || queues.bytesOf(Priority.Scp) > POLITE_BYTES
    || queues.directLength > POLITE_COUNT || queues.directBytes > POLITE_BYTES
    || queues.lengthOf(Priority.Transaction) > half
    || queues.bytesOf(Priority.Transaction) > limits.txQueueByteLimit >> 1
    || queues.hashesOf(Priority.Demand) > half || queues.hashesOf(Priority.Advert) > half
}
