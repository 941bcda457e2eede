/**
 * Mutations of XDR bytes: what a faulty or hostile encoder might send.
 *
 * @since 0.1.0
 */
import type { Chance, Mark, RandomXdr } from "./RandomXdr.ts"

/**
 * The ways bytes are mutated: `bit` flips one, `byte` and `word` overwrite, `mark` overwrites a place XDR constrains
 * (a discriminant, flag, length, count or padding) with a value near or far from what is valid there, `truncate`,
 * `extend`, `insert` and `remove` change the length, `splice` continues with the tail of another message.
 *
 * @category models
 * @since 0.1.0
 */
export type Mutation = (typeof mutations)[number]

const mutations = ["bit", "byte", "word", "mark", "truncate", "extend", "insert", "remove", "splice"] as const

/**
 * Applies one to three random mutations and returns a new array; the input is left as it is.
 *
 * `input` may be bare bytes, or what {@link RandomXdr} is, whose marks let a third of the mutations aim; `other` is where
 * splices take their tails from (default: the input itself).
 *
 * @category mapping
 * @since 0.1.0
 */
export const mutateXdr = (
  input: Uint8Array | RandomXdr,
  chance: Chance,
  other?: Uint8Array
): Uint8Array => {
  const { bytes, marks } = input instanceof Uint8Array ? { bytes: input, marks: [] } : input
  let out = bytes
  const rounds = 1 + Math.floor(chance() * chance() * 3)
  // Marks hold for the first round only: after it their offsets may have moved.
  for (let round = 0; round < rounds; round++) {
    out = once(out, round === 0 ? marks : [], chance, other ?? bytes)
  }
  return out
}

const once = (bytes: Uint8Array, marks: ReadonlyArray<Mark>, chance: Chance, other: Uint8Array): Uint8Array => {
  const below = (n: number): number => Math.floor(chance() * n)
  const aimed = marks.length > 0 && chance() < 0.33
  const mutation = aimed ? "mark" : mutations[below(mutations.length)]!
  const out = bytes.slice()
  switch (mutation) {
    case "bit": {
      const bit = below(8 * out.length)
      if (out.length > 0) out[bit >> 3]! ^= 1 << (bit & 7)
      return out
    }
    case "byte":
      if (out.length > 0) out[below(out.length)] = below(256)
      return out
    case "word":
      if (out.length >= 4) setWord(out, 4 * below(out.length >> 2), interesting(chance, out.length))
      return out
    case "mark": {
      const mark = marks[below(marks.length)]
      if (mark === undefined) return out
      if (mark.kind === "padding") out[mark.offset + below(mark.bytes)] = 1 + below(255)
      else setWord(out, mark.offset, near(mark, out, chance))
      return out
    }
    case "truncate":
      return out.slice(0, Math.max(0, out.length - (chance() < 0.5 ? 4 * (1 + below(4)) : 1 + below(out.length))))
    case "extend":
      return join(out, noise(1 + below(8), chance))
    case "insert": {
      const at = 4 * below((out.length >> 2) + 1)
      return join(out.subarray(0, at), noise(4 * (1 + below(3)), chance), out.subarray(at))
    }
    case "remove": {
      const at = 4 * below((out.length >> 2) + 1)
      return join(out.subarray(0, at), out.subarray(at + 4 * (1 + below(3))))
    }
    case "splice": {
      const at = 4 * below((out.length >> 2) + 1)
      return join(out.subarray(0, at), other.subarray(4 * below((other.length >> 2) + 1)))
    }
  }
}

const near = (mark: Mark, bytes: Uint8Array, chance: Chance): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const value = view.getInt32(mark.offset)
  const max = mark.shape.kind === "bytes" || mark.shape.kind === "list" ? mark.shape.max : 31
  const rest = bytes.length - mark.offset - 4
  const values = [value + 1, value - 1, 0, 1, 2, -1, max, max + 1, rest, rest + 1, rest >> 2, 0x7fffffff, -0x80000000]
  return chance() < 0.7 ? values[Math.floor(chance() * values.length)]! : interesting(chance, bytes.length)
}

const interesting = (chance: Chance, length: number): number => {
  const draw = Math.floor(chance() * 6)
  if (draw === 0) return Math.floor(chance() * 32)
  if (draw === 1) return -1 - Math.floor(chance() * 4)
  if (draw === 2) return Math.floor(chance() * (length + 8))
  if (draw === 3) return Math.trunc(2 ** Math.floor(chance() * 32)) - Math.floor(chance() * 2)
  return Math.floor(chance() * 0x1_0000_0000)
}

const noise = (length: number, chance: Chance): Uint8Array =>
  chance() < 0.5 ? new Uint8Array(length) : Uint8Array.from({ length }, () => Math.floor(chance() * 256))

const setWord = (bytes: Uint8Array, at: number, value: number): void =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setInt32(at, value | 0)

const join = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
