/**
 * Whether one SCP statement makes an earlier one of the same node and slot pointless to send.
 *
 * It reads the XDR where it lies, at the offsets of protocol.md 1.5 less 12, and allocates nothing. Both messages must
 * be valid XDR.
 *
 * Implements protocol.md 4.6 (stellar-core: `SCP::isNewerNominationOrBallotSt`, `NominationProtocol` and
 * `BallotProtocol::isNewerStatement`). Core also asks that the slot be known to its SCP instance; an overlay has none,
 * and slots that are not remembered are shed from the queue anyway.
 *
 * @since 0.1.0
 */
import { readUint32 } from "../internal/bytes.ts"
import type { ScpMessage } from "../wire/StellarMessage.ts"

const PREPARE = 0
const EXTERNALIZE = 2
const NOMINATE = 3

// From the discriminant on: key type 4, key 8, slot 40, statement type 48, pledges 52.
const KEY = 8
const STATEMENT_TYPE = 48
const PLEDGES = 52

/**
 * Tells whether `newer` supersedes `older`: same node, same slot, and
 *
 * - both nominate: its votes and accepted values contain the older ones, and one of the two grew
 * - both are ballot statements: it stands later in the order PREPARE 0 < CONFIRM 1 < EXTERNALIZE 2, or, of one kind, is
 *   greater by (ballot, prepared, preparedPrime, nH) or (ballot, nPrepared, nH); EXTERNALIZE never supersedes itself
 *
 * @category guards
 * @since 0.1.0
 */
export const isNewerNominationOrBallot = (older: ScpMessage, newer: ScpMessage): boolean => {
  const a = older.bytes
  const b = newer.bytes
  for (let i = KEY; i < STATEMENT_TYPE; i++) if (a[i] !== b[i]) return false // key and slot are adjacent
  const before = readUint32(a, STATEMENT_TYPE)
  const after = readUint32(b, STATEMENT_TYPE)
  if (before === NOMINATE || after === NOMINATE) return before === after && isNewerNomination(a, b)
  if (before !== after) return before < after
  if (after === EXTERNALIZE) return false
  return after === PREPARE ? isNewerPrepare(a, b) : isNewerConfirm(a, b)
}

/** Bytes a variable opaque takes at `at`: length, content, padding. */
const opaqueSize = (bytes: Uint8Array, at: number): number => 4 + ((readUint32(bytes, at) + 3) & ~3)

/** Lexicographic order of two variable opaques, which is how core orders values. */
const compareOpaque = (a: Uint8Array, atA: number, b: Uint8Array, atB: number): number => {
  const lengthA = readUint32(a, atA)
  const lengthB = readUint32(b, atB)
  const common = Math.min(lengthA, lengthB)
  for (let i = 4; i < 4 + common; i++) {
    const difference = a[atA + i]! - b[atB + i]!
    if (difference !== 0) return difference
  }
  return lengthA - lengthB
}

const compareUint32 = (a: Uint8Array, atA: number, b: Uint8Array, atB: number): number =>
  readUint32(a, atA) - readUint32(b, atB)

/** Ballots: by counter, then by value. */
const compareBallots = (a: Uint8Array, atA: number, b: Uint8Array, atB: number): number =>
  compareUint32(a, atA, b, atB) || compareOpaque(a, atA + 4, b, atB + 4)

/** Optional ballots: an absent one is the smallest. */
const compareOptionalBallots = (a: Uint8Array, atA: number, b: Uint8Array, atB: number): number => {
  const presence = compareUint32(a, atA, b, atB)
  return presence !== 0 || readUint32(a, atA) === 0 ? presence : compareBallots(a, atA + 4, b, atB + 4)
}

const ballotSize = (bytes: Uint8Array, at: number): number => 4 + opaqueSize(bytes, at + 4)

const optionalBallotSize = (bytes: Uint8Array, at: number): number =>
  readUint32(bytes, at) === 0 ? 4 : 4 + ballotSize(bytes, at + 4)

/** PREPARE: quorumSetHash, ballot, prepared?, preparedPrime?, nC, nH. */
const isNewerPrepare = (a: Uint8Array, b: Uint8Array): boolean => {
  let atA = PLEDGES + 32
  let atB = PLEDGES + 32
  let order = compareBallots(a, atA, b, atB)
  if (order !== 0) return order < 0
  atA += ballotSize(a, atA)
  atB += ballotSize(b, atB)
  for (let optional = 0; optional < 2; optional++) {
    order = compareOptionalBallots(a, atA, b, atB)
    if (order !== 0) return order < 0
    atA += optionalBallotSize(a, atA)
    atB += optionalBallotSize(b, atB)
  }
  return compareUint32(a, atA + 4, b, atB + 4) < 0
}

/** CONFIRM: ballot, nPrepared, nCommit, nH, quorumSetHash. */
const isNewerConfirm = (a: Uint8Array, b: Uint8Array): boolean => {
  const order = compareBallots(a, PLEDGES, b, PLEDGES)
  if (order !== 0) return order < 0
  const atA = PLEDGES + ballotSize(a, PLEDGES)
  const atB = PLEDGES + ballotSize(b, PLEDGES)
  const prepared = compareUint32(a, atA, b, atB)
  return prepared !== 0 ? prepared < 0 : compareUint32(a, atA + 8, b, atB + 8) < 0
}

/** NOMINATE: quorumSetHash, votes, accepted; both lists sorted. */
const isNewerNomination = (a: Uint8Array, b: Uint8Array): boolean => {
  const votesA = PLEDGES + 32
  const votesB = PLEDGES + 32
  if (!isSubset(a, votesA, b, votesB)) return false
  const acceptedA = listEnd(a, votesA)
  const acceptedB = listEnd(b, votesB)
  if (!isSubset(a, acceptedA, b, acceptedB)) return false
  return readUint32(a, votesA) !== readUint32(b, votesB) || readUint32(a, acceptedA) !== readUint32(b, acceptedB)
}

const listEnd = (bytes: Uint8Array, at: number): number => {
  let end = at + 4
  for (let left = readUint32(bytes, at); left > 0; left--) end += opaqueSize(bytes, end)
  return end
}

/** Whether the sorted list of values at `atA` is contained in the one at `atB`. */
const isSubset = (a: Uint8Array, atA: number, b: Uint8Array, atB: number): boolean => {
  let leftA = readUint32(a, atA)
  let leftB = readUint32(b, atB)
  let at = atA + 4
  let other = atB + 4
  while (leftA > 0) {
    if (leftA > leftB) return false
    const order = compareOpaque(a, at, b, other)
    if (order < 0) return false // everything left in b is greater still
    if (order === 0) {
      at += opaqueSize(a, at)
      leftA--
    }
    other += opaqueSize(b, other)
    leftB--
  }
  return true
}

/**
 * A hash of node, slot and kind (nomination or ballot), equal for every pair that may supersede each other. It is a small
 * integer, so that a scan over many compares no bytes.
 *
 * @category getters
 * @since 0.1.0
 */
export const supersedeKey = (message: ScpMessage): number => {
  const bytes = message.bytes
  const nomination = bytes[STATEMENT_TYPE + 3] === NOMINATE ? 1 : 0
  return ((readUint32(bytes, 36) ^ Math.imul(readUint32(bytes, 44), 0x9e3779b1)) & 0x3ffffffe) | nomination
}

/**
 * The slot of a message as a number, rounded above 2^53, where no ledger is.
 *
 * @category getters
 * @since 0.1.0
 */
export const slotOf = (message: ScpMessage): number =>
  readUint32(message.bytes, 40) * 0x1_0000_0000 + readUint32(message.bytes, 44)
