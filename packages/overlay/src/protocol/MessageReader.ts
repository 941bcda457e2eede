/**
 * From bytes to the bodies of whole messages that are valid XDR: the front of a connection's input, before MACs.
 *
 * It reads several messages at a time, so that their MACs can be checked together, and no more than there is capacity for:
 * what lies beyond stays in the parser, where whoever reads on after a pause finds it.
 *
 * Implements protocol.md 1.1 to 1.3 (stellar-core: `TCPPeer::startRead`, `recvMessage`).
 *
 * @since 0.1.0
 */
import * as DropReason from "../DropReason.ts"
import * as AuthenticatedMessage from "../wire/AuthenticatedMessage.ts"
import { FrameParser, MAX_BODY, MAX_UNAUTHENTICATED_BODY } from "../wire/Frame.ts"
import { validateStellarMessage } from "../wire/XdrValidator.ts"
import type { FlowControl } from "./FlowControl.ts"

/**
 * The reader of one connection.
 *
 * @category models
 * @since 0.1.0
 */
export class MessageReader {
  readonly #parser = new FrameParser()
  /** The bodies of the last `read`; views into what was pushed. */
  readonly bodies: Array<Uint8Array> = []
  /** What stopped the last `read` behind its messages, if anything was wrong. */
  failure: DropReason.DropReason | undefined
  /** How many messages came whole and were corrupt: 0 or 1. */
  unfit = 0

  /** Takes in bytes as they came. */
  push(chunk: Uint8Array): void {
    this.#parser.push(chunk)
  }

  /** Lets go of a chunk that is used up in part, before a pause. */
  compact(): void {
    this.#parser.compact()
  }

  /** Bytes that wait to be read. */
  get bufferedBytes(): number {
    return this.#parser.bufferedBytes
  }

  /** The length of the message that is arriving, 0 between messages. */
  get announcedBytes(): number {
    return this.#parser.announcedBytes
  }

  /** How much of it is still to come. */
  get remainingBytes(): number {
    return this.#parser.remainingBytes
  }

  /** Reads up to `most` messages, as long as `flow` could take one more after them, into `bodies`. Gives how many. */
  read(most: number, isAuthenticated: boolean, flow: FlowControl): number {
    const { bodies } = this
    this.failure = undefined
    this.unfit = 0
    let count = 0
    let bytes = 0
    while (count < most) {
      const body = this.#parser.next(isAuthenticated ? MAX_BODY : MAX_UNAUTHENTICATED_BODY)
      if (body === undefined) break
      if (!(body instanceof Uint8Array)) {
        this.failure = DropReason.make(body._tag, body.length)
        break
      }
      const invalid = invalidAt(body)
      if (invalid >= 0) {
        this.failure = DropReason.make("CorruptXdr", `offset ${invalid} of ${body.length}`)
        this.unfit = 1
        break
      }
      bodies[count++] = body
      bytes += body.length
      if (!flow.canReadAfter(count, bytes)) break
    }
    return count
  }

  /** The first `count` bodies are done with: the array is used again and must not pin them. */
  release(count: number): void {
    for (let i = 0; i < count; i++) this.bodies[i] = noBytes
  }
}

const noBytes = new Uint8Array(0)

/** The offset of the first byte that makes a frame body corrupt XDR, or -1. */
const invalidAt = (body: Uint8Array): number => {
  const outer = AuthenticatedMessage.validate(body)
  return outer >= 0
    ? outer
    : validateStellarMessage(body, AuthenticatedMessage.MESSAGE_OFFSET, body.length - AuthenticatedMessage.MAC_LENGTH)
}
