/**
 * Bytes as hex and back, for vectors and failure texts: brief rather than fast or strict.
 */

export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

export const bytes = (text: string): Uint8Array =>
  Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16))

export const utf8 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

export const join = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => bytes(parts.map(hex).join(""))
