/**
 * The numbers flow control runs on: as configured, as derived from the greatest transaction, and what can be wrong with
 * them.
 *
 * Implements protocol.md 4.1, 4.2 and 16 (stellar-core: `Config.cpp`, `OverlayManagerImpl::getFlowControlBytesTotal`,
 * `getFlowControlBytesBatch`).
 *
 * @since 0.1.0
 */

/**
 * Total byte capacity that must stay free for reading to go on: one message of the greatest size (16 MiB) with its
 * record mark.
 *
 * @category constants
 * @since 0.1.0
 */
export const BYTE_CAPACITY_READ_FLOOR = 16_777_220

/**
 * Flood byte capacity when it is automatic and transactions are not larger than 200 000 bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const AUTO_FLOOD_CAPACITY_BYTES = 300_000

/**
 * Bytes processed before credit goes back, when automatic.
 *
 * @category constants
 * @since 0.1.0
 */
export const AUTO_BATCH_BYTES = 100_000

const MAX_UINT32 = 0xffff_ffff

/**
 * The configured numbers, in messages and bytes. The two flood byte values are 0 together for automatic values.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlowControlOptions {
  /** PEER_READING_CAPACITY: messages of any kind that may be in process. */
  readonly readingCapacity: number
  /** PEER_FLOOD_READING_CAPACITY: flood messages that may be in process, and the messages of the first grant. */
  readonly floodReadingCapacity: number
  /** FLOW_CONTROL_SEND_MORE_BATCH_SIZE: flood messages processed before credit goes back. */
  readonly sendMoreBatchSize: number
  /** PEER_FLOOD_READING_CAPACITY_BYTES. */
  readonly floodReadingCapacityBytes: number
  /** FLOW_CONTROL_SEND_MORE_BATCH_SIZE_BYTES. */
  readonly sendMoreBatchSizeBytes: number
  /** PEER_TOTAL_READING_CAPACITY_BYTES: bytes in process, beyond the floor, before reading pauses. */
  readonly totalReadingCapacityBytes: number
  /** The greatest TRANSACTION message that counts as valid now (protocol.md 4.2, M). */
  readonly maxTransactionSize: number
}

/**
 * Stellar-core's defaults, for a network without Soroban transactions above 100 400 bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: FlowControlOptions = {
  readingCapacity: 201,
  floodReadingCapacity: 200,
  sendMoreBatchSize: 40,
  floodReadingCapacityBytes: 0,
  sendMoreBatchSizeBytes: 0,
  totalReadingCapacityBytes: 1_048_576,
  maxTransactionSize: 102_400
}

/**
 * The two byte values in force.
 *
 * @category models
 * @since 0.1.0
 */
export interface ByteParameters {
  /** Bytes of flood messages the peer may have under way, and the bytes of the first grant. */
  readonly floodReadingCapacityBytes: number
  /** Bytes of flood messages processed before credit goes back. */
  readonly sendMoreBatchSizeBytes: number
}

/**
 * The byte values in force: automatic when both configured ones are 0, else as configured, unchecked.
 *
 * Automatic is 300 000 / 100 000, or M + 100 000 / 100 000 when M is above 200 000. Configured values are the business
 * of `checkOptions`; a connection that is made with values it would refuse works as far as they let it (with a batch
 * above the capacity it never grants by bytes). Implements protocol.md 4.2.
 *
 * @example
 * ```ts
 * import { deriveByteParameters } from "@stellar-overlay/overlay/protocol/FlowControl"
 *
 * deriveByteParameters({ floodReadingCapacityBytes: 0, sendMoreBatchSizeBytes: 0, maxTransactionSize: 134_096 })
 * // { floodReadingCapacityBytes: 300000, sendMoreBatchSizeBytes: 100000 }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const deriveByteParameters = (
  options: Pick<FlowControlOptions, "floodReadingCapacityBytes" | "sendMoreBatchSizeBytes" | "maxTransactionSize">
): ByteParameters =>
  isAutomatic(options)
    ? {
      floodReadingCapacityBytes: AUTO_FLOOD_CAPACITY_BYTES - AUTO_BATCH_BYTES >= options.maxTransactionSize
        ? AUTO_FLOOD_CAPACITY_BYTES
        : Math.min(options.maxTransactionSize + AUTO_BATCH_BYTES, MAX_UINT32), // a grant carries a uint32
      sendMoreBatchSizeBytes: AUTO_BATCH_BYTES
    }
    : {
      floodReadingCapacityBytes: options.floodReadingCapacityBytes,
      sendMoreBatchSizeBytes: options.sendMoreBatchSizeBytes
    }

const isAutomatic = (options: Pick<FlowControlOptions, "floodReadingCapacityBytes" | "sendMoreBatchSizeBytes">) =>
  options.floodReadingCapacityBytes === 0 && options.sendMoreBatchSizeBytes === 0

/**
 * What can be wrong with flow-control options:
 *
 * - `BatchAboveFloodCapacity`: sendMoreBatchSize is above floodReadingCapacity, so that no grant would be sent
 * - `NoRoomForControl`: readingCapacity is not above floodReadingCapacity
 * - `BatchBytesAboveFloodCapacity`: the same as the first, in bytes
 * - `NoHeadRoom`: capacity less batch is below the greatest transaction, so that credit for one might never come
 *
 * @category models
 * @since 0.1.0
 */
export type FlowControlProblem =
  | "BatchAboveFloodCapacity"
  | "NoRoomForControl"
  | "BatchBytesAboveFloodCapacity"
  | "NoHeadRoom"

/**
 * The first thing wrong with options, or undefined. To be asked when a node starts, as stellar-core does.
 *
 * Core computes the head-room in unsigned 32-bit arithmetic, so that a batch above the capacity wraps around and passes
 * there; here it is `BatchBytesAboveFloodCapacity`. Implements protocol.md 4.2, configuration checks.
 *
 * @category guards
 * @since 0.1.0
 */
export const checkOptions = (options: FlowControlOptions): FlowControlProblem | undefined => {
  const bytes = deriveByteParameters(options)
  if (options.sendMoreBatchSize > options.floodReadingCapacity) return "BatchAboveFloodCapacity"
  if (options.readingCapacity <= options.floodReadingCapacity) return "NoRoomForControl"
  if (bytes.sendMoreBatchSizeBytes > bytes.floodReadingCapacityBytes) return "BatchBytesAboveFloodCapacity"
  return bytes.floodReadingCapacityBytes - bytes.sendMoreBatchSizeBytes < options.maxTransactionSize
    ? "NoHeadRoom"
    : undefined
}
