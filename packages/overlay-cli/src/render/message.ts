/** One message in one line: its name, what it says, and its size. */
import { coreName } from "@stellar-overlay/overlay/wire/MessageType"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import type { StellarMessage, Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import { cyan, dim, green, type Line, magenta, type Piece, type Span, yellow } from "./Line.ts"
import { bytes, count, plural } from "./units.ts"

/** Hashes of what is shown: SHA-256 of the envelope is what adverts and demands name. */
export interface Hashing {
  readonly sha256: (data: Uint8Array) => Uint8Array
}

/** The first eight digits of a hash. */
export const shortHash = (hash: Uint8Array): string => Buffer.from(hash.subarray(0, 4)).toString("hex")

/** The hash that adverts and demands give a transaction. */
export const transactionHash = (message: Transaction, { sha256 }: Hashing): Uint8Array => sha256(message.envelope)

/** The width that the longest name of daily traffic needs. */
const NAME_WIDTH = 18

const colorOf = (message: StellarMessage): (text: string) => Span => {
  switch (message._tag) {
    case "ScpMessage":
    case "ScpQuorumSet":
      return cyan
    case "Transaction":
    case "TxSet":
    case "GeneralizedTxSet":
      return green
    case "FloodAdvert":
    case "FloodDemand":
      return yellow
    case "ErrorMsg":
      return magenta
    default:
      return dim
  }
}

const transactionFacts = (message: Transaction, hashing: Hashing): string => {
  const hash = shortHash(transactionHash(message, hashing))
  const envelope = message.xdr.transaction()
  switch (envelope.switch().name) {
    case "envelopeTypeTx": {
      const tx = envelope.v1().tx()
      return `${hash} ${plural(tx.operations().length, "operation")}, fee ${count(tx.fee())}`
    }
    case "envelopeTypeTxV0": {
      const tx = envelope.v0().tx()
      return `${hash} ${plural(tx.operations().length, "operation")}, fee ${count(tx.fee())}, legacy`
    }
    default:
      return `${hash} fee bump, fee ${count(BigInt(envelope.feeBump().tx().fee().toString()))}`
  }
}

const hashesFacts = (message: { readonly count: number; hash(index: number): Uint8Array }): string => {
  const shown = Math.min(3, message.count)
  const hashes = Array.from({ length: shown }, (_, i) => shortHash(message.hash(i))).join(" ")
  return `${plural(message.count, "transaction")} ${hashes}${message.count > shown ? " …" : ""}`
}

/** What a message says, without its name; remote text in it is not escaped yet. */
export const facts = (message: StellarMessage, hashing: Hashing): string => {
  switch (message._tag) {
    case "ScpMessage":
      return `slot ${message.slotIndex} ${message.statementType} by ${NodeId.short(message.nodeId)}`
    case "Transaction":
      return transactionFacts(message, hashing)
    case "FloodAdvert":
    case "FloodDemand":
      return hashesFacts(message)
    case "ScpQuorumSet": {
      const members = message.validatorCount + message.innerSetCount
      return `${shortHash(hashing.sha256(message.body))} ${message.threshold} of ${members}`
    }
    case "TxSet":
      return `${plural(message.count, "transaction")} on ledger ${shortHash(message.previousLedgerHash)}`
    case "GeneralizedTxSet":
      return `${shortHash(hashing.sha256(message.body))} on ledger ${shortHash(message.previousLedgerHash)}`
    case "GetTxSet":
    case "GetScpQuorumSet":
      return shortHash(message.hash)
    case "GetScpState":
      return message.ledgerSeq === 0 ? "all it has" : `from ledger ${message.ledgerSeq}`
    case "DontHave":
      return `type ${message.itemType} ${shortHash(message.hash)}`
    case "Peers":
      return plural(message.count, "address", "addresses")
    case "SendMore":
      return `+${message.numMessages} messages`
    case "SendMoreExtended":
      return `+${message.numMessages} messages, +${bytes(message.numBytes)}`
    case "Hello":
      return `${
        NodeId.short(message.peerId)
      } overlay ${message.overlayMinVersion}..${message.overlayVersion} ${message.versionStr}`
    case "Auth":
      return `flags ${message.flags}`
    case "ErrorMsg":
      return `${message.codeName} ${message.text}`
    case "TimeSlicedSurveyStartCollecting":
    case "TimeSlicedSurveyStopCollecting":
      return `survey ${message.nonce} by ${NodeId.short(message.surveyorId)} in ledger ${message.ledgerNum}`
    case "TimeSlicedSurveyRequest":
      return `survey ${message.nonce} by ${NodeId.short(message.surveyorId)} of ${NodeId.short(message.surveyedId)}`
    case "TimeSlicedSurveyResponse":
      return `survey ${message.nonce} to ${NodeId.short(message.surveyorId)} from ${NodeId.short(message.surveyedId)}`
  }
}

/** The pieces of a message's line: `SCP_MESSAGE  slot 7 PREPARE by GABCD  316 B`. */
export const describe = (message: StellarMessage, hashing: Hashing): Line => {
  const name: Piece = colorOf(message)(coreName(message.type).padEnd(NAME_WIDTH))
  return [name, " ", facts(message, hashing), " ", dim(bytes(message.size))]
}

/** The object of a message's JSON line: stellar-core's name of the type, the hash of a transaction, and its fields. */
export const toJson = (message: StellarMessage, hashing: Hashing): Record<string, unknown> => {
  const { _tag, ...fields } = message.toJSON()
  const hash = message._tag === "Transaction"
    ? { hash: Buffer.from(transactionHash(message, hashing)).toString("hex") }
    : {}
  return { type: coreName(message.type), ...fields, ...hash }
}
