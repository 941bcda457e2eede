/**
 * The XDR a toy ledger makes, written byte by byte: quorum sets, values, transaction sets and SCP statements. Statements
 * are read back the same way, sets through stellar-base.
 */
import { ENVELOPE_TYPE_SCP } from "@stellar-overlay/overlay/protocol/ScpSignature"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import { toBytes } from "@stellar-overlay/overlay/wire/NodeId"
import {
  GeneralizedTxSet,
  ScpMessage,
  ScpQuorumSet,
  type Transaction
} from "@stellar-overlay/overlay/wire/StellarMessage"

export interface Signer {
  readonly publicKey: Uint8Array
  readonly sign: (message: Uint8Array) => Uint8Array
}

export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

export const u32 = (value: number): Uint8Array => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)

const u64 = (value: number): Uint8Array => concat(u32(Math.floor(value / 0x1_0000_0000)), u32(value >>> 0))

/** A variable opaque: length, bytes, zeros up to a multiple of four. */
const opaque = (bytes: Uint8Array): Uint8Array => concat(u32(bytes.length), bytes, new Uint8Array(-bytes.length & 3))

/** A node id: an Ed25519 key (0). */
const key = (publicKey: Uint8Array): Uint8Array => concat(u32(0), publicKey)

/** ENVELOPE_TYPE_SCPVALUE */
const ENVELOPE_TYPE_SCPVALUE = 4

const signed = (networkId: Uint8Array, envelopeType: number, data: Uint8Array): Uint8Array =>
  concat(networkId, u32(envelopeType), data)

export const quorumSet = (threshold: number, validators: ReadonlyArray<NodeId>): ScpQuorumSet =>
  ScpQuorumSet.make({
    body: concat(u32(threshold), u32(validators.length), ...validators.map((id) => key(toBytes(id))), u32(0))
  })

/** A StellarValue without upgrades, signed by who proposes it. */
export const stellarValue = (
  signer: Signer,
  networkId: Uint8Array,
  txSetHash: Uint8Array,
  closeTime: number
): Uint8Array => {
  const facts = concat(txSetHash, u64(closeTime))
  const signature = signer.sign(signed(networkId, ENVELOPE_TYPE_SCPVALUE, facts))
  return concat(facts, u32(0), u32(1), key(signer.publicKey), opaque(signature))
}

const BASE_FEE = 100

/** A generalized set of two phases, classic and Soroban, with all transactions in the first, in the order given. */
export const txSet = (previousLedgerHash: Uint8Array, transactions: ReadonlyArray<Transaction>): GeneralizedTxSet => {
  const classic = transactions.length === 0
    ? [u32(0)]
    : [
      u32(1), // one component
      u32(0), // TXSET_COMP_TXS_MAYBE_DISCOUNTED_FEE
      u32(1), // with a base fee
      u64(BASE_FEE),
      u32(transactions.length),
      ...transactions.map(({ envelope }) => envelope)
    ]
  return GeneralizedTxSet.make({
    body: concat(u32(1), previousLedgerHash, u32(2), u32(0), ...classic, u32(0), u32(0))
  })
}

/** The envelopes of a set's transactions, of all phases without dependencies, in order. */
export const envelopesOf = (txSet: GeneralizedTxSet): ReadonlyArray<Uint8Array> =>
  txSet.xdr.generalizedTxSet().v1TxSet().phases().flatMap((phase) =>
    phase.switch() !== 0
      ? []
      : phase.v0Components().flatMap((component) =>
        component.txsMaybeDiscountedFee().txes().map((tx) => new Uint8Array(tx.toXDR()))
      )
  )

export interface Ballot {
  readonly counter: number
  readonly value: Uint8Array
}

/** What a statement says. */
export type Pledge =
  | { readonly kind: "NOMINATE"; readonly value: Uint8Array }
  | { readonly kind: "PREPARE"; readonly ballot: Ballot; readonly prepared: Ballot | undefined }
  | { readonly kind: "CONFIRM" | "EXTERNALIZE"; readonly ballot: Ballot }

const ballotXdr = ({ counter, value }: Ballot): Uint8Array => concat(u32(counter), opaque(value))

const pledgeXdr = (pledge: Pledge, quorumSetHash: Uint8Array): Uint8Array => {
  switch (pledge.kind) {
    case "PREPARE": {
      const prepared = pledge.prepared === undefined ? [u32(0)] : [u32(1), ballotXdr(pledge.prepared)]
      return concat(u32(0), quorumSetHash, ballotXdr(pledge.ballot), ...prepared, u32(0), u32(0), u32(0))
    }
    case "CONFIRM": {
      const { ballot } = pledge
      return concat(
        u32(1),
        ballotXdr(ballot),
        u32(ballot.counter),
        u32(ballot.counter),
        u32(ballot.counter),
        quorumSetHash
      )
    }
    case "EXTERNALIZE":
      return concat(u32(2), ballotXdr(pledge.ballot), u32(pledge.ballot.counter), quorumSetHash)
    case "NOMINATE":
      return concat(u32(3), quorumSetHash, u32(1), opaque(pledge.value), u32(0))
  }
}

/** A signed statement. */
export const scpMessage = (
  signer: Signer,
  networkId: Uint8Array,
  slot: number,
  pledge: Pledge,
  quorumSetHash: Uint8Array
): ScpMessage => {
  const statement = concat(key(signer.publicKey), u64(slot), pledgeXdr(pledge, quorumSetHash))
  const signature = signer.sign(signed(networkId, ENVELOPE_TYPE_SCP, statement))
  return ScpMessage.make({ envelope: concat(statement, opaque(signature)) })
}

/** Where the pledges of a statement begin: after its type, node, slot and kind. PREPARE begins with its quorum set. */
const PLEDGES = 52
const PREPARE_BALLOT = PLEDGES + 32

const readUint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

const readBallot = (bytes: Uint8Array, at: number): Ballot => {
  const value = at + 8
  return { counter: readUint32(bytes, at), value: bytes.subarray(value, value + readUint32(bytes, at + 4)) }
}

/**
 * Reads a statement as one of a toy ledger; of another's statements what there is no room for is left out. By offset, as
 * every node reads every statement: a valid message has the bytes that are read here. Values are views of the message.
 */
export const pledgeOf = (message: ScpMessage): Pledge | undefined => {
  const { bytes, statementType: kind } = message
  switch (kind) {
    case "NOMINATE": {
      const [value] = message.values
      return value === undefined ? undefined : { kind, value: value.slice() }
    }
    case "PREPARE": {
      const ballot = readBallot(bytes, PREPARE_BALLOT)
      const prepared = PREPARE_BALLOT + 8 + (ballot.value.length + 3 & ~3)
      const isPrepared = readUint32(bytes, prepared) === 1
      return { kind, ballot, prepared: isPrepared ? readBallot(bytes, prepared + 4) : undefined }
    }
    case "CONFIRM":
    case "EXTERNALIZE":
      return { kind, ballot: readBallot(bytes, PLEDGES) }
  }
}
