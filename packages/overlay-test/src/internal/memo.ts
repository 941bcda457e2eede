/** Results that are remembered at most; then all of them are forgotten. */
const MAX_REMEMBERED = 16_384

const same = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** The first six bytes of something evenly spread, as a number: enough to find it, not to tell it. */
export const nameOf = (bytes: Uint8Array): number =>
  ((bytes[0]! << 24 | bytes[1]! << 16 | bytes[2]! << 8 | bytes[3]!) >>> 0) * 0x1_0000 + (bytes[4]! << 8 | bytes[5]!)

/** Results by what they were computed from; an entry counts for exactly the same inputs. */
export class Memo<A> {
  readonly #entries = new Map<number, { readonly inputs: ReadonlyArray<Uint8Array>; readonly result: A }>()

  /** The result for these inputs, which have at least six bytes each; `compute` has it when nobody remembers it. */
  get(inputs: ReadonlyArray<Uint8Array>, compute: () => A): A {
    let name = 0
    for (const input of inputs) name = name * 31 % 0xff_ffff_ffff + nameOf(input)
    const known = this.#entries.get(name)
    if (known !== undefined && known.inputs.every((input, i) => same(input, inputs[i]!))) return known.result
    const result = compute()
    if (this.#entries.size >= MAX_REMEMBERED) this.#entries.clear()
    this.#entries.set(name, { inputs: inputs.map((input) => input.slice()), result })
    return result
  }
}
