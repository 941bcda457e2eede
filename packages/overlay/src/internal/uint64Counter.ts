/**
 * An unsigned 64-bit counter in two 32-bit limbs: exact over the whole range, without a bigint per operation.
 *
 * Amounts are plain integers: at most 2^32 - 1 to add (what a grant can carry), at most 2^53 - 1 to take.
 */
const LIMB = 0x1_0000_0000
const MAX_LIMB = 0xffff_ffff

export class Uint64Counter {
  #high = 0
  #low = 0

  /** Tells whether `amount` fits under 2^64. */
  canAdd(amount: number): boolean {
    return this.#high < MAX_LIMB || this.#low + amount <= MAX_LIMB
  }

  /** Adds and gives true, or changes nothing and gives false when the sum would not fit. */
  add(amount: number): boolean {
    if (!this.canAdd(amount)) return false
    const low = this.#low + amount
    if (low > MAX_LIMB) {
      this.#high++
      this.#low = low - LIMB
    } else {
      this.#low = low
    }
    return true
  }

  /** Tells whether the counter holds at least `amount`. */
  has(amount: number): boolean {
    // Above 2^53 the sum is rounded, which does not matter: `amount` is below it.
    return this.#high * LIMB + this.#low >= amount
  }

  /** Takes away and gives true, or changes nothing and gives false when the counter holds less. */
  subtract(amount: number): boolean {
    if (!this.has(amount)) return false
    let high = this.#high - Math.floor(amount / LIMB)
    let low = this.#low - amount % LIMB
    if (low < 0) {
      high--
      low += LIMB
    }
    this.#high = high
    this.#low = low
    return true
  }

  /** The exact value. */
  get value(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low)
  }

  /** Sets the value, taken modulo 2^64. */
  set value(value: bigint) {
    this.#high = Number(BigInt.asUintN(32, value >> 32n))
    this.#low = Number(BigInt.asUintN(32, value))
  }
}
