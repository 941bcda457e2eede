/**
 * Big-endian reads and writes on plain Uint8Arrays. Shifts beat DataView here because no view object is kept per buffer.
 */

export const readUint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

export const readInt32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!

export const readUint64 = (bytes: Uint8Array, at: number): bigint =>
  (BigInt(readUint32(bytes, at)) << 32n) | BigInt(readUint32(bytes, at + 4))

export const writeUint32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

export const writeUint64 = (bytes: Uint8Array, at: number, value: bigint): void => {
  writeUint32(bytes, at, Number((value >> 32n) & 0xffffffffn))
  writeUint32(bytes, at + 4, Number(value & 0xffffffffn))
}

/** Equality that stops at the first difference: not for secrets. */
export const equals = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export const isZero = (bytes: Uint8Array): boolean => {
  let any = 0
  for (let i = 0; i < bytes.length; i++) any |= bytes[i]!
  return any === 0
}

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

const hexDigits: ReadonlyArray<string> = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"))

export const toHex = (bytes: Uint8Array): string => {
  let out = ""
  for (let i = 0; i < bytes.length; i++) out += hexDigits[bytes[i]!]
  return out
}

/** Bytes of a hex string, or undefined when it is not one. */
export const fromHex = (hex: string): Uint8Array | undefined => {
  if (hex.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(hex)) return undefined
  const out = new Uint8Array(hex.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  return out
}

/**
 * The bytes if they own their buffer, else a copy that does, so that keeping it never pins the buffer they came from.
 * (`slice` would not do: on a Node Buffer it is a view.)
 */
export const own = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
