/**
 * The counters of one connection.
 *
 * @since 0.1.0
 */
import { DelayWindow } from "./DelayWindow.ts"
import { MESSAGE_TYPES } from "./SessionTimers.ts"

/**
 * What one connection has read and written since it was made, as the `peers` command of stellar-core counts it
 * (protocol.md 8.5).
 *
 * @category models
 * @since 0.1.0
 */
export class SessionStats {
  /** Monotonic milliseconds. */
  readonly createdAt: number
  messagesRead = 0
  messagesWritten = 0
  bytesRead = 0
  bytesWritten = 0
  // Plain arrays: a typed one of this length takes 400 bytes.
  /** Messages by type: received, and handed over to be sent, those included that were shed. */
  readonly received = new Array<number>(MESSAGE_TYPES).fill(0)
  readonly sent = new Array<number>(MESSAGE_TYPES).fill(0)
  /** Reads and writes of the socket. */
  asyncReads = 0
  asyncWrites = 0
  /** SEND_MORE_EXTENDED messages. */
  grantsSent = 0
  grantsReceived = 0
  /** Queries over the limits of protocol.md section 7. */
  queriesIgnored = 0
  /** Pings answered. */
  pongs = 0
  readThrottleMillis = 0
  /** Set by whoever knows about all peers: whether a message was seen before from anyone. */
  uniqueFloodMessages = 0
  duplicateFloodMessages = 0
  uniqueFetchMessages = 0
  duplicateFetchMessages = 0
  uniqueFloodBytes = 0
  duplicateFloodBytes = 0
  uniqueFetchBytes = 0
  duplicateFetchBytes = 0
  /** From a demand to its transaction, in milliseconds. */
  readonly pullLatency = new DelayWindow()
  /** Transactions demanded from this peer and then from another. */
  demandTimeouts = 0

  constructor(createdAt: number) {
    this.createdAt = createdAt
  }
}
