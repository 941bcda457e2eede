/**
 * Bytes as hex and back, for vectors and failure texts: brief rather than fast or strict.
 */

const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

export const hex = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += digits[byte]
  return text
}

export const bytes = (text: string): Uint8Array =>
  Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16))

export const utf8 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

export const join = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => bytes(parts.map(hex).join(""))
