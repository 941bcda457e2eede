/**
 * The requests a node asks of one peer, and the answer that it does not have the thing.
 *
 * Layouts of protocol.md section 1.5, less 12: `bytes` begins at the discriminant.
 *
 * @since 0.1.0
 */
import { xdr } from "@stellar/stellar-base"
import { readInt32, readUint32, toHex, writeUint32 } from "../../internal/bytes.ts"
import * as F from "../../internal/xdrFields.ts"
import { decodeXdr, unknownMember } from "../../internal/xdrValue.ts"
import { coreName, isMessageType, MessageType } from "../MessageType.ts"
import { Base, type Json } from "./Base.ts"

const hashMessage = (type: MessageType, hash: Uint8Array): Uint8Array => F.prefixed(type, F.hash("hash", hash))

/**
 * GET_TX_SET: asks for the transaction set with a hash.
 *
 * @category models
 * @since 0.1.0
 */
export class GetTxSet extends Base {
  override readonly _tag = "GetTxSet"
  override readonly type = MessageType.GetTxSet

  /** Builds the message. Throws `RangeError` unless `hash` has 32 bytes. */
  static make(options: { readonly hash: Uint8Array }): GetTxSet {
    return new GetTxSet(hashMessage(MessageType.GetTxSet, options.hash))
  }

  /** The hash asked for: a view of 32 bytes. */
  get hash(): Uint8Array {
    return this.bytes.subarray(4, 36)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { hash: toHex(this.hash) }
  }
}

/**
 * GET_SCP_QUORUMSET: asks for the quorum set with a hash. With a hash nobody has it serves as a ping.
 *
 * @category models
 * @since 0.1.0
 */
export class GetScpQuorumSet extends Base {
  override readonly _tag = "GetScpQuorumSet"
  override readonly type = MessageType.GetScpQuorumSet

  /** Builds the message. Throws `RangeError` unless `hash` has 32 bytes. */
  static make(options: { readonly hash: Uint8Array }): GetScpQuorumSet {
    return new GetScpQuorumSet(hashMessage(MessageType.GetScpQuorumSet, options.hash))
  }

  /** The hash asked for: a view of 32 bytes. */
  get hash(): Uint8Array {
    return this.bytes.subarray(4, 36)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { hash: toHex(this.hash) }
  }
}

/**
 * GET_SCP_STATE: asks for the recent SCP messages from a ledger on.
 *
 * @category models
 * @since 0.1.0
 */
export class GetScpState extends Base {
  override readonly _tag = "GetScpState"
  override readonly type = MessageType.GetScpState

  /** Builds the message. Throws `RangeError` when `ledgerSeq` is not an unsigned 32-bit integer. */
  static make(options: { readonly ledgerSeq: number }): GetScpState {
    const bytes = F.start(MessageType.GetScpState, 4)
    writeUint32(bytes, 4, F.uint32("ledgerSeq", options.ledgerSeq))
    return new GetScpState(bytes)
  }

  /** The first ledger asked for; 0 asks from the lowest slot the peer holds. */
  get ledgerSeq(): number {
    return readUint32(this.bytes, 4)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { ledgerSeq: this.ledgerSeq }
  }
}

/**
 * DONT_HAVE: the negative reply to GET_TX_SET and GET_SCP_QUORUMSET.
 *
 * @category models
 * @since 0.1.0
 */
export class DontHave extends Base {
  override readonly _tag = "DontHave"
  override readonly type = MessageType.DontHave

  /**
   * Builds the message. `itemType` is the type of the reply that was hoped for: 7, 10 or 17.
   *
   * Throws `RangeError` unless `hash` has 32 bytes and `itemType` is a 32-bit integer.
   */
  static make(options: { readonly itemType: number; readonly hash: Uint8Array }): DontHave {
    const bytes = F.start(MessageType.DontHave, 36)
    writeUint32(bytes, 4, F.int32("itemType", options.itemType))
    bytes.set(F.hash("hash", options.hash), 8)
    return new DontHave(bytes)
  }

  /**
   * The type of the missing item as sent: TX_SET 7, SCP_QUORUMSET 10 or GENERALIZED_TX_SET 17 when
   * honest. Any other number is valid and means nothing.
   */
  get itemType(): number {
    return readInt32(this.bytes, 4)
  }

  /** The hash that was asked for: a view of 32 bytes. */
  get hash(): Uint8Array {
    return this.bytes.subarray(8, 40)
  }

  protected override fields(): { readonly [field: string]: Json } {
    const type = this.itemType
    return { itemType: type, itemName: isMessageType(type) ? coreName(type) : "UNKNOWN", hash: toHex(this.hash) }
  }

  protected override decode(): xdr.StellarMessage {
    if (isMessageType(this.itemType)) return super.decode()
    const known = new Uint8Array(this.bytes)
    writeUint32(known, 4, MessageType.TxSet)
    const value = decodeXdr(xdr.StellarMessage, known)
    value.dontHave().type(unknownMember(xdr.MessageType.txSet(), this.itemType))
    return value
  }
}
