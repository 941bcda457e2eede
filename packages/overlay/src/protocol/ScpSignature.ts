/**
 * Signatures of SCP statements: Ed25519 over the network id, ENVELOPE_TYPE_SCP and the statement, not hashed before.
 *
 * Implements protocol.md 5.3 (stellar-core: `HerderImpl::signEnvelope`, `verifyEnvelope`).
 *
 * @since 0.1.0
 */
import { HashMap } from "../internal/hashMap.ts"
import { makeHashSeed } from "../internal/hashTable.ts"
import type { ScpMessage } from "../wire/StellarMessage.ts"
import type { Primitives } from "./Primitives.ts"

/**
 * ENVELOPE_TYPE_SCP.
 *
 * @category constants
 * @since 0.1.0
 */
export const ENVELOPE_TYPE_SCP = 1

/**
 * Envelopes whose check is remembered, by default: two statements each of a hundred validators for 80 slots.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_CHECKED_ENVELOPES = 16_384

/**
 * The bytes that are signed: the 32-byte network id, the envelope type and the XDR of the SCPStatement.
 *
 * @category encoding
 * @since 0.1.0
 */
export const payload = (networkId: Uint8Array, statement: Uint8Array): Uint8Array =>
  writePayload(new Uint8Array(36 + statement.length), networkId, statement)

const writePayload = (bytes: Uint8Array, networkId: Uint8Array, statement: Uint8Array): Uint8Array => {
  bytes.set(networkId)
  bytes[35] = ENVELOPE_TYPE_SCP
  bytes.set(statement, 36)
  return bytes
}

/**
 * Whether the validator that a message names signed its statement, on a network.
 *
 * @category guards
 * @since 0.1.0
 */
export const isValid = (
  crypto: Pick<Primitives, "ed25519Verify">,
  networkId: Uint8Array,
  message: ScpMessage
): boolean => {
  const { nodeKey, signature, statement } = message
  const signed = statement.length > MAX_SCRATCH
    ? payload(networkId, statement)
    : writePayload(scratch.subarray(0, 36 + statement.length), networkId, statement)
  return crypto.ed25519Verify(nodeKey, signed, signature)
}

/** Checking waits for nothing and calls nobody: what is checked can be put together in one place. */
const MAX_SCRATCH = 4096
const scratch = new Uint8Array(36 + MAX_SCRATCH)

/**
 * Checks each distinct envelope once, however many peers send it, and remembers the answer, good or bad.
 *
 * A check costs about 60 us, a look at the memory 1 us. What was checked longest ago is forgotten first.
 *
 * @category models
 * @since 0.1.0
 */
export class ScpSignatures {
  readonly #crypto: Pick<Primitives, "sha256" | "ed25519Verify">
  readonly #networkId: Uint8Array
  readonly #checked: HashMap<boolean>

  /** Checks made, and answers given from memory, since creation. */
  verified = 0
  remembered = 0
  /** Bad signatures found, those from memory included. */
  bad = 0

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict. */
  constructor(
    crypto: Pick<Primitives, "sha256" | "ed25519Verify">,
    networkId: Uint8Array,
    draw: () => number,
    maxEnvelopes = MAX_CHECKED_ENVELOPES
  ) {
    this.#crypto = crypto
    this.#networkId = networkId
    this.#checked = new HashMap(makeHashSeed(draw), maxEnvelopes)
  }

  /** Envelopes remembered. */
  get size(): number {
    return this.#checked.size
  }

  /**
   * Whether the signature is good. `mayVerify` is asked before an envelope is checked that is not remembered; when it
   * says no, nothing is known: undefined.
   */
  check(message: ScpMessage, mayVerify: () => boolean = always): boolean | undefined {
    const key = this.#crypto.sha256(message.envelope)
    let isGood = this.#checked.get(key)
    if (isGood !== undefined) this.remembered++
    else {
      if (!mayVerify()) return undefined
      isGood = isValid(this.#crypto, this.#networkId, message)
      this.verified++
      if (this.#checked.isFull) this.#checked.deleteOldest()
      this.#checked.add(key, isGood)
    }
    if (!isGood) this.bad++
    return isGood
  }
}

const always = (): boolean => true
