/**
 * The error a user of a peer can meet.
 *
 * Configuration errors are in `OverlayConfig`, those of bytes in `WireError`, those of sockets in `Transport`; all that
 * ends a connection arrives as `PeerDropped` with its `DropReason`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as DropReason from "./DropReason.ts"
import type { RemoteFacts } from "./protocol/Handshake.ts"
import type { NodeId } from "./wire/NodeId.ts"
import type { PeerAddress } from "./wire/PeerAddress.ts"

/**
 * A connection ended, or never came to be. `reason` says why, `message` says it in words with a hint.
 *
 * @category errors
 * @since 0.1.0
 */
export class PeerDropped extends Data.TaggedError("PeerDropped")<{
  readonly address: PeerAddress
  /** Known once the remote's certificate was verified. */
  readonly id: NodeId | undefined
  readonly reason: DropReason.DropReason
  /** What the remote said in its HELLO, if it came so far; nothing of it is verified while `id` is undefined. */
  readonly remote?: RemoteFacts | undefined
}> {
  override get message(): string {
    return `${this.id ?? this.address}: ${DropReason.format(this.reason)}`
  }

  /** Whether trying the same address again later can succeed without anybody changing anything. */
  get retryable(): boolean {
    const kind = DropReason.kind(this.reason)
    return kind === "unreachable" || kind === "load" || kind === "timeout" || kind === "local"
  }
}
