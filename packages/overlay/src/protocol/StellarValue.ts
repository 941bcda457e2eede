/**
 * What validators agree on: a transaction set, a close time, upgrades, and who proposed them.
 *
 * To SCP a value is opaque, so that nothing checked its structure when a message was validated. Here it is read where
 * it lies, by offsets, with every length checked.
 *
 * Layout of `StellarValue` in `Stellar-ledger.x`; the rules are those of protocol.md 5.3 and of `PendingEnvelopes` and
 * `HerderSCPDriver` in stellar-core.
 *
 * @since 0.1.0
 */
import { isZero, readUint32 } from "../internal/bytes.ts"

/**
 * The kinds of value. `Basic` has no signature and is not accepted; `EmptyTxSet` exists since ledger protocol 28.
 *
 * @category constants
 * @since 0.1.0
 */
export const StellarValueType = { Basic: 0, Signed: 1, EmptyTxSet: 2 } as const

/**
 * The first ledger protocol with values of the kind `EmptyTxSet` (CAP-0083).
 *
 * @category constants
 * @since 0.1.0
 */
export const EMPTY_TX_SET_SINCE = 28

/**
 * MAX_TIME_SLIP_SECONDS: how far in the future a ledger may say it closes.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_TIME_SLIP_SECONDS = 60

const MAX_UPGRADES = 6
const MAX_UPGRADE_LENGTH = 128
const MAX_SIGNATURE_LENGTH = 64

/**
 * A value that was read. The hash is a view.
 *
 * @category models
 * @since 0.1.0
 */
export interface StellarValue {
  readonly txSetHash: Uint8Array
  /** Unix time in seconds; above 2^53 it is not exact. */
  readonly closeTime: number
  readonly upgrades: number
  /** One of `StellarValueType`. */
  readonly type: number
}

/**
 * Reads a value; undefined when the bytes are not exactly one StellarValue of a known kind.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (bytes: Uint8Array): StellarValue | undefined => {
  if (bytes.length < 48) return undefined
  const closeTime = readUint32(bytes, 32) * 0x1_0000_0000 + readUint32(bytes, 36)
  const upgrades = readUint32(bytes, 40)
  if (upgrades > MAX_UPGRADES) return undefined
  let at = 44
  for (let i = 0; i < upgrades; i++) {
    at = skipOpaque(bytes, at, MAX_UPGRADE_LENGTH)
    if (at < 0) return undefined
  }
  if (at + 4 > bytes.length) return undefined
  const type = readUint32(bytes, at)
  at += 4
  switch (type) {
    case StellarValueType.Basic:
      break
    case StellarValueType.Signed:
      at = skipSignature(bytes, at)
      break
    case StellarValueType.EmptyTxSet: // the proposed set, the previous ledger's hash and version
      at = skipSignature(bytes, at + 68)
      break
    default:
      return undefined
  }
  return at === bytes.length ? { txSetHash: bytes.subarray(0, 32), closeTime, upgrades, type } : undefined
}

/** Whose signature, and the signature. */
const skipSignature = (bytes: Uint8Array, at: number): number =>
  at + 36 <= bytes.length && readUint32(bytes, at) === 0 ? skipOpaque(bytes, at + 36, MAX_SIGNATURE_LENGTH) : -1

const skipOpaque = (bytes: Uint8Array, at: number, max: number): number => {
  if (at + 4 > bytes.length) return -1
  const length = readUint32(bytes, at)
  const end = at + 4 + ((length + 3) & ~3)
  if (length > max || end > bytes.length) return -1
  return isZero(bytes.subarray(at + 4 + length, end)) ? end : -1
}

/**
 * Whether the values of one SCP statement may be taken up: there is at least one, all are signed values (or, from
 * ledger protocol 28 on, empty-set values), and at least one closes no later than a minute from `unixSeconds`.
 *
 * stellar-core compares close times with the last closed ledger as well, which takes a ledger.
 *
 * @category guards
 * @since 0.1.0
 */
export const areAcceptable = (
  values: ReadonlyArray<Uint8Array>,
  ledgerVersion: number,
  unixSeconds: number
): boolean => {
  let isTimely = false
  for (const bytes of values) {
    const value = parse(bytes)
    if (value === undefined || value.type === StellarValueType.Basic) return false
    if (value.type === StellarValueType.EmptyTxSet && ledgerVersion < EMPTY_TX_SET_SINCE) return false
    isTimely ||= value.closeTime <= unixSeconds + MAX_TIME_SLIP_SECONDS
  }
  return isTimely
}
