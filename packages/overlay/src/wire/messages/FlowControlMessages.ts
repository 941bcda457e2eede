/**
 * SEND_MORE and SEND_MORE_EXTENDED: the return of flow-control credit.
 *
 * Layouts of protocol.md section 1.5, less 12: `bytes` begins at the discriminant.
 *
 * @since 0.1.0
 */
import { readUint32, writeUint32 } from "../../internal/bytes.ts"
import * as F from "../../internal/xdrFields.ts"
import { MessageType } from "../MessageType.ts"
import { Base, type Json } from "./Base.ts"

/**
 * SEND_MORE: credit counted in messages alone. Obsolete: a peer that sends it is dropped.
 *
 * @category models
 * @since 0.1.0
 */
export class SendMore extends Base {
  override readonly _tag = "SendMore"
  override readonly type = MessageType.SendMore

  /** Builds the message. Throws `RangeError` when `numMessages` is not an unsigned 32-bit integer. */
  static make(options: { readonly numMessages: number }): SendMore {
    const bytes = F.start(MessageType.SendMore, 4)
    writeUint32(bytes, 4, F.uint32("numMessages", options.numMessages))
    return new SendMore(bytes)
  }

  /** Flood messages the sender will take on top of earlier grants. */
  get numMessages(): number {
    return readUint32(this.bytes, 4)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { numMessages: this.numMessages }
  }
}

/**
 * SEND_MORE_EXTENDED: credit in messages and in bytes.
 *
 * @category models
 * @since 0.1.0
 */
export class SendMoreExtended extends Base {
  override readonly _tag = "SendMoreExtended"
  override readonly type = MessageType.SendMoreExtended

  /** Builds the message. Throws `RangeError` when a number is not an unsigned 32-bit integer. */
  static make(options: { readonly numMessages: number; readonly numBytes: number }): SendMoreExtended {
    const bytes = F.start(MessageType.SendMoreExtended, 8)
    writeUint32(bytes, 4, F.uint32("numMessages", options.numMessages))
    writeUint32(bytes, 8, F.uint32("numBytes", options.numBytes))
    return new SendMoreExtended(bytes)
  }

  /** Flood messages the sender will take on top of earlier grants. */
  get numMessages(): number {
    return readUint32(this.bytes, 4)
  }

  /** Bytes of flood messages the sender will take on top of earlier grants. */
  get numBytes(): number {
    return readUint32(this.bytes, 8)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { numMessages: this.numMessages, numBytes: this.numBytes }
  }
}
