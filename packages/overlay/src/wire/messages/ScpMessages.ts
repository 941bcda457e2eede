/**
 * SCP_MESSAGE and SCP_QUORUMSET: what validators say, and whom they listen to.
 *
 * Layouts of protocol.md section 1.5 (stellar-core: `Stellar-SCP.x`), less 12: `bytes` begins at the discriminant.
 *
 * @since 0.1.0
 */
import type { xdr } from "@stellar/stellar-base"
import { equals, readUint32, readUint64, toHex } from "../../internal/bytes.ts"
import * as F from "../../internal/xdrFields.ts"
import { toXdr } from "../../internal/xdrValue.ts"
import { MessageType } from "../MessageType.ts"
import * as NodeId from "../NodeId.ts"
import { Base, type Json } from "./Base.ts"

/**
 * The kinds of SCP statement in the order of their codes: PREPARE is 0.
 *
 * @category models
 * @since 0.1.0
 */
export const StatementTypes = ["PREPARE", "CONFIRM", "EXTERNALIZE", "NOMINATE"] as const

/**
 * The kind of an SCP statement.
 *
 * @category models
 * @since 0.1.0
 */
export type StatementType = (typeof StatementTypes)[number]

const codeOf = (bytes: Uint8Array): number => bytes[51]!

const quorumSetHashAt = (bytes: Uint8Array): number => {
  switch (codeOf(bytes)) {
    case 1: // after the ballot: nPrepared, nCommit, nH
      return F.skipOpaque(bytes, 56) + 12
    case 2: // after the ballot: nH
      return F.skipOpaque(bytes, 56) + 4
    default: // PREPARE and NOMINATE begin with it
      return 52
  }
}

/** Gives the offset after the statement, and the values on the way when asked to collect them. */
const walk = (bytes: Uint8Array, values: Array<Uint8Array> | undefined): number => {
  const value = (at: number): number => {
    if (values !== undefined) values.push(F.opaque(bytes, at))
    return F.skipOpaque(bytes, at)
  }
  let at: number
  switch (codeOf(bytes)) {
    case 0: {
      at = value(88)
      for (let optional = 0; optional < 2; optional++) at = readUint32(bytes, at) === 0 ? at + 4 : value(at + 8)
      return at + 8
    }
    case 1:
      return value(56) + 44
    case 2:
      return value(56) + 36
    default: {
      at = 84
      for (let list = 0; list < 2; list++) {
        const count = readUint32(bytes, at)
        at += 4
        for (let i = 0; i < count; i++) at = value(at)
      }
      return at
    }
  }
}

/**
 * SCP_MESSAGE: one signed statement of a validator about a slot.
 *
 * @category models
 * @since 0.1.0
 */
export class ScpMessage extends Base {
  override readonly _tag = "ScpMessage"
  override readonly type = MessageType.ScpMessage

  /**
   * Builds the message from an SCPEnvelope: its XDR, which must be valid, or stellar-base's value.
   *
   * Throws `RangeError` when stellar-base cannot encode the value.
   */
  static make(options: { readonly envelope: Uint8Array | xdr.ScpEnvelope }): ScpMessage {
    return new ScpMessage(F.prefixed(MessageType.ScpMessage, toXdr(options.envelope)))
  }

  /** The validator's Ed25519 public key: a view of 32 bytes. */
  get nodeKey(): Uint8Array {
    return this.bytes.subarray(8, 40)
  }

  /** The validator that made the statement. */
  get nodeId(): NodeId.NodeId {
    return NodeId.fromBytesAt(this.bytes, 8)
  }

  /** The slot, which is a ledger number on Stellar, though the wire allows any unsigned 64-bit number. */
  get slotIndex(): bigint {
    return readUint64(this.bytes, 40)
  }

  /** The slot as a number, without a bigint, or undefined above 2^53 - 1. */
  get slotNumber(): number | undefined {
    const high = readUint32(this.bytes, 40)
    return high < 0x200000 ? high * 0x100000000 + readUint32(this.bytes, 44) : undefined
  }

  /** The code of the statement's kind: 0 PREPARE, 1 CONFIRM, 2 EXTERNALIZE, 3 NOMINATE. */
  get statementCode(): number {
    return codeOf(this.bytes)
  }

  /** The kind of the statement. */
  get statementType(): StatementType {
    return StatementTypes[this.statementCode]!
  }

  /** SHA-256 of the quorum set the validator uses: a view of 32 bytes. */
  get quorumSetHash(): Uint8Array {
    const at = quorumSetHashAt(this.bytes)
    return this.bytes.subarray(at, at + 32)
  }

  /** The SCPEnvelope XDR: a view. */
  get envelope(): Uint8Array {
    return this.bytes.subarray(4)
  }

  /** The SCPStatement XDR: a view. The signature covers the network id, ENVELOPE_TYPE_SCP and these bytes. */
  get statement(): Uint8Array {
    return this.bytes.subarray(4, walk(this.bytes, undefined))
  }

  /** The signature: a view of 64 bytes when honest, at most 64. */
  get signature(): Uint8Array {
    return F.opaque(this.bytes, walk(this.bytes, undefined))
  }

  /**
   * The values the statement speaks of, in wire order and with repetitions: the ballot's, then the prepared ones
   * (PREPARE), or the votes, then the accepted (NOMINATE). Views; on Stellar each is a StellarValue.
   */
  get values(): Array<Uint8Array> {
    const values: Array<Uint8Array> = []
    walk(this.bytes, values)
    return values
  }

  /**
   * The hashes of the transaction sets of the values, the first 32 bytes of each StellarValue, as views.
   *
   * A hash equal to one of the 8 before it is left out, so as a rule each comes once: statements seldom name more values
   * than that, and a nomination of very many costs no more than a look at each. A value of fewer than 32 bytes, which
   * is not a StellarValue, gives none.
   */
  get txSetHashes(): Array<Uint8Array> {
    const hashes: Array<Uint8Array> = []
    for (const value of this.values) {
      if (value.length < 32) continue
      const hash = value.subarray(0, 32)
      let known = false
      for (let i = Math.max(0, hashes.length - 8); i < hashes.length && !known; i++) known = equals(hashes[i]!, hash)
      if (!known) hashes.push(hash)
    }
    return hashes
  }

  protected override fields(): { readonly [field: string]: Json } {
    return {
      nodeId: this.nodeId,
      slotIndex: String(this.slotIndex),
      statementType: this.statementType,
      quorumSetHash: toHex(this.quorumSetHash),
      valueCount: this.values.length,
      txSetHashes: this.txSetHashes.slice(0, F.MAX_LISTED).map(toHex),
      signature: toHex(this.signature)
    }
  }
}

const validators = (bytes: Uint8Array, count: number): Array<NodeId.NodeId> =>
  Array.from({ length: count }, (_, i) => NodeId.fromBytesAt(bytes, 16 + 36 * i))

/**
 * SCP_QUORUMSET: the reply to GET_SCP_QUORUMSET.
 *
 * @category models
 * @since 0.1.0
 */
export class ScpQuorumSet extends Base {
  override readonly _tag = "ScpQuorumSet"
  override readonly type = MessageType.ScpQuorumSet

  /**
   * Builds the message from an SCPQuorumSet: its XDR, which must be valid, or stellar-base's value.
   *
   * Throws `RangeError` when stellar-base cannot encode the value.
   */
  static make(options: { readonly body: Uint8Array | xdr.ScpQuorumSet }): ScpQuorumSet {
    return new ScpQuorumSet(F.prefixed(MessageType.ScpQuorumSet, toXdr(options.body)))
  }

  /** The SCPQuorumSet XDR: a view. Its SHA-256 is the hash by which a quorum set is asked for. */
  get body(): Uint8Array {
    return this.bytes.subarray(4)
  }

  /** How many of the members (validators and inner sets) must agree. */
  get threshold(): number {
    return readUint32(this.bytes, 4)
  }

  /** The number of validators of the outermost set. */
  get validatorCount(): number {
    return readUint32(this.bytes, 8)
  }

  /** The validators of the outermost set. */
  get validators(): Array<NodeId.NodeId> {
    return validators(this.bytes, this.validatorCount)
  }

  /** The number of inner sets of the outermost set. */
  get innerSetCount(): number {
    return readUint32(this.bytes, 12 + 36 * this.validatorCount)
  }

  /** The quorum set as stellar-base's value, decoded once with `xdr`. */
  get quorumSet(): xdr.ScpQuorumSet {
    return this.xdr.qSet()
  }

  protected override fields(): { readonly [field: string]: Json } {
    return {
      threshold: this.threshold,
      validatorCount: this.validatorCount,
      validators: validators(this.bytes, Math.min(this.validatorCount, F.MAX_LISTED)),
      innerSetCount: this.innerSetCount
    }
  }
}
