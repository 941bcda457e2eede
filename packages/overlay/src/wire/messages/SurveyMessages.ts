/**
 * The four messages of the time-sliced survey.
 *
 * Layouts of protocol.md section 1.5, less 12: `bytes` begins at the discriminant. The documented offsets hold for a
 * signature of 64 bytes; the XDR allows shorter ones, so everything behind the signature is found from its length.
 * What is signed is the inner struct alone (section 12.2).
 *
 * @since 0.1.0
 */
import { readInt32, readUint32, toHex, writeUint32 } from "../../internal/bytes.ts"
import * as F from "../../internal/xdrFields.ts"
import { MessageType } from "../MessageType.ts"
import * as NodeId from "../NodeId.ts"
import { Base, type Json } from "./Base.ts"
import { MAX_SIGNATURE_LENGTH } from "./HandshakeMessages.ts"

/**
 * Largest encrypted body of a survey response, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_ENCRYPTED_BODY = 64_000

/**
 * The only survey command there is: TIME_SLICED_SURVEY_TOPOLOGY.
 *
 * @category constants
 * @since 0.1.0
 */
export const SURVEY_TOPOLOGY = 1

/** What the four share: a signature in front, and behind it a struct that begins with the surveyor. */
abstract class Signed extends Base {
  /** The signature: a view of 64 bytes when honest, at most 64. */
  get signature(): Uint8Array {
    return F.opaque(this.bytes, 4)
  }

  /** The bytes the signature is over, all that follow it: a view. */
  get signedBytes(): Uint8Array {
    return this.bytes.subarray(this.signedAt)
  }

  /** The surveyor's Ed25519 public key: a view of 32 bytes. */
  get surveyorKey(): Uint8Array {
    return this.key(0)
  }

  /** The node that runs the survey. */
  get surveyorId(): NodeId.NodeId {
    return NodeId.fromBytes(this.surveyorKey)
  }

  protected get signedAt(): number {
    return F.skipOpaque(this.bytes, 4)
  }

  /** The key of the NodeID at an offset in the signed bytes, behind its 4 bytes of key type. */
  protected key(at: number): Uint8Array {
    const start = this.signedAt + at + 4
    return this.bytes.subarray(start, start + 32)
  }

  protected uint32(at: number): number {
    return readUint32(this.bytes, this.signedAt + at)
  }
}

/** Starts a message: the signature written, and the offset of the signed bytes. */
const startSigned = (
  type: MessageType,
  signature: Uint8Array,
  signedLength: number
): { readonly bytes: Uint8Array; readonly at: number } => {
  F.atMost("signature", signature, MAX_SIGNATURE_LENGTH)
  const bytes = F.start(type, 4 + F.padded(signature.length) + signedLength)
  return { bytes, at: F.writeOpaque(bytes, 4, signature) }
}

const writeNode = (bytes: Uint8Array, at: number, name: string, node: NodeId.NodeId | Uint8Array): void => {
  bytes.set(F.hash(name, typeof node === "string" ? NodeId.toBytes(node) : node), at + 4)
}

/**
 * The fields of TIME_SLICED_SURVEY_START_COLLECTING and TIME_SLICED_SURVEY_STOP_COLLECTING.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyCollectingFields {
  readonly signature: Uint8Array
  readonly surveyorId: NodeId.NodeId | Uint8Array
  readonly nonce: number
  readonly ledgerNum: number
}

const collecting = (type: MessageType, options: SurveyCollectingFields): Uint8Array => {
  const { at, bytes } = startSigned(type, options.signature, 44)
  writeNode(bytes, at, "surveyorId", options.surveyorId)
  writeUint32(bytes, at + 36, F.uint32("nonce", options.nonce))
  writeUint32(bytes, at + 40, F.uint32("ledgerNum", options.ledgerNum))
  return bytes
}

abstract class Collecting extends Signed {
  /** The number that names the survey. */
  get nonce(): number {
    return this.uint32(36)
  }

  /** The surveyor's ledger when it sent this. */
  get ledgerNum(): number {
    return this.uint32(40)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return {
      surveyorId: this.surveyorId,
      nonce: this.nonce,
      ledgerNum: this.ledgerNum,
      signature: toHex(this.signature)
    }
  }
}

/**
 * TIME_SLICED_SURVEY_START_COLLECTING: nodes begin to collect.
 *
 * @category models
 * @since 0.1.0
 */
export class TimeSlicedSurveyStartCollecting extends Collecting {
  override readonly _tag = "TimeSlicedSurveyStartCollecting"
  override readonly type = MessageType.TimeSlicedSurveyStartCollecting

  /**
   * Builds the message.
   *
   * Throws `RangeError` for a key that does not have 32 bytes, a signature above 64 or a number that does not fit.
   */
  static make(options: SurveyCollectingFields): TimeSlicedSurveyStartCollecting {
    return new TimeSlicedSurveyStartCollecting(collecting(MessageType.TimeSlicedSurveyStartCollecting, options))
  }
}

/**
 * TIME_SLICED_SURVEY_STOP_COLLECTING: nodes freeze what they collected.
 *
 * @category models
 * @since 0.1.0
 */
export class TimeSlicedSurveyStopCollecting extends Collecting {
  override readonly _tag = "TimeSlicedSurveyStopCollecting"
  override readonly type = MessageType.TimeSlicedSurveyStopCollecting

  /**
   * Builds the message.
   *
   * Throws `RangeError` for a key that does not have 32 bytes, a signature above 64 or a number that does not fit.
   */
  static make(options: SurveyCollectingFields): TimeSlicedSurveyStopCollecting {
    return new TimeSlicedSurveyStopCollecting(collecting(MessageType.TimeSlicedSurveyStopCollecting, options))
  }
}

/** A request or its response, which begin alike. */
abstract class Surveyed extends Signed {
  /** The surveyed node's Ed25519 public key: a view of 32 bytes. */
  get surveyedKey(): Uint8Array {
    return this.key(36)
  }

  /** The node that is asked, and that signs the response. */
  get surveyedId(): NodeId.NodeId {
    return NodeId.fromBytes(this.surveyedKey)
  }

  /** The surveyor's ledger when it asked. */
  get ledgerNum(): number {
    return this.uint32(72)
  }
}

/**
 * The fields of TIME_SLICED_SURVEY_REQUEST.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyRequestFields {
  readonly signature: Uint8Array
  readonly surveyorId: NodeId.NodeId | Uint8Array
  readonly surveyedId: NodeId.NodeId | Uint8Array
  readonly ledgerNum: number
  /** The surveyor's Curve25519 key for sealed boxes: 32 bytes. */
  readonly encryptionKey: Uint8Array
  /** 1 when left out. */
  readonly commandType?: number
  readonly nonce: number
  readonly inboundPeersIndex: number
  readonly outboundPeersIndex: number
}

/**
 * TIME_SLICED_SURVEY_REQUEST: asks one node for what it collected.
 *
 * @category models
 * @since 0.1.0
 */
export class TimeSlicedSurveyRequest extends Surveyed {
  override readonly _tag = "TimeSlicedSurveyRequest"
  override readonly type = MessageType.TimeSlicedSurveyRequest

  /**
   * Builds the message.
   *
   * Throws `RangeError` for a key that does not have 32 bytes, a signature above 64 or a number that does not fit.
   */
  static make(options: SurveyRequestFields): TimeSlicedSurveyRequest {
    const { at, bytes } = startSigned(MessageType.TimeSlicedSurveyRequest, options.signature, 124)
    writeNode(bytes, at, "surveyorId", options.surveyorId)
    writeNode(bytes, at + 36, "surveyedId", options.surveyedId)
    writeUint32(bytes, at + 72, F.uint32("ledgerNum", options.ledgerNum))
    bytes.set(F.hash("encryptionKey", options.encryptionKey), at + 76)
    writeUint32(bytes, at + 108, F.int32("commandType", options.commandType ?? SURVEY_TOPOLOGY))
    writeUint32(bytes, at + 112, F.uint32("nonce", options.nonce))
    writeUint32(bytes, at + 116, F.uint32("inboundPeersIndex", options.inboundPeersIndex))
    writeUint32(bytes, at + 120, F.uint32("outboundPeersIndex", options.outboundPeersIndex))
    return new TimeSlicedSurveyRequest(bytes)
  }

  /** The Curve25519 key to seal the response to: a view of 32 bytes. */
  get encryptionKey(): Uint8Array {
    const at = this.signedAt + 76
    return this.bytes.subarray(at, at + 32)
  }

  /** The command, 1 when honest. */
  get commandType(): number {
    return readInt32(this.bytes, this.signedAt + 108)
  }

  /** The number that names the survey. */
  get nonce(): number {
    return this.uint32(112)
  }

  /** Where the list of inbound peers in the response shall begin. */
  get inboundPeersIndex(): number {
    return this.uint32(116)
  }

  /** Where the list of outbound peers in the response shall begin. */
  get outboundPeersIndex(): number {
    return this.uint32(120)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return {
      surveyorId: this.surveyorId,
      surveyedId: this.surveyedId,
      ledgerNum: this.ledgerNum,
      encryptionKey: toHex(this.encryptionKey),
      commandType: this.commandType,
      nonce: this.nonce,
      inboundPeersIndex: this.inboundPeersIndex,
      outboundPeersIndex: this.outboundPeersIndex,
      signature: toHex(this.signature)
    }
  }
}

/**
 * The fields of TIME_SLICED_SURVEY_RESPONSE.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyResponseFields {
  readonly signature: Uint8Array
  readonly surveyorId: NodeId.NodeId | Uint8Array
  readonly surveyedId: NodeId.NodeId | Uint8Array
  readonly ledgerNum: number
  /** 1 when left out. */
  readonly commandType?: number
  /** The sealed box, at most 64,000 bytes. */
  readonly encryptedBody: Uint8Array
  readonly nonce: number
}

/**
 * TIME_SLICED_SURVEY_RESPONSE: what one node collected, for the surveyor's eyes alone.
 *
 * @category models
 * @since 0.1.0
 */
export class TimeSlicedSurveyResponse extends Surveyed {
  override readonly _tag = "TimeSlicedSurveyResponse"
  override readonly type = MessageType.TimeSlicedSurveyResponse

  /**
   * Builds the message.
   *
   * Throws `RangeError` for a key that does not have 32 bytes, a signature above 64, an encrypted body above 64,000 or a
   * number that does not fit.
   */
  static make(options: SurveyResponseFields): TimeSlicedSurveyResponse {
    const body = F.atMost("encryptedBody", options.encryptedBody, MAX_ENCRYPTED_BODY)
    const { at, bytes } = startSigned(
      MessageType.TimeSlicedSurveyResponse,
      options.signature,
      88 + F.padded(body.length)
    )
    writeNode(bytes, at, "surveyorId", options.surveyorId)
    writeNode(bytes, at + 36, "surveyedId", options.surveyedId)
    writeUint32(bytes, at + 72, F.uint32("ledgerNum", options.ledgerNum))
    writeUint32(bytes, at + 76, F.int32("commandType", options.commandType ?? SURVEY_TOPOLOGY))
    writeUint32(bytes, F.writeOpaque(bytes, at + 80, body), F.uint32("nonce", options.nonce))
    return new TimeSlicedSurveyResponse(bytes)
  }

  /** The command, 1 when honest. */
  get commandType(): number {
    return readInt32(this.bytes, this.signedAt + 76)
  }

  /** The sealed box: a view of at most 64,000 bytes. */
  get encryptedBody(): Uint8Array {
    return F.opaque(this.bytes, this.signedAt + 80)
  }

  /** The number that names the survey. */
  get nonce(): number {
    return readUint32(this.bytes, this.bytes.length - 4)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return {
      surveyorId: this.surveyorId,
      surveyedId: this.surveyedId,
      ledgerNum: this.ledgerNum,
      commandType: this.commandType,
      encryptedBodySize: this.encryptedBody.length,
      nonce: this.nonce,
      signature: toHex(this.signature)
    }
  }
}
