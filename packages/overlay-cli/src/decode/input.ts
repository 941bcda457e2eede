/** From what a person has at hand to bytes: hexadecimal, base64, or the bytes themselves. */

/** Bytes, or what is wrong with the text and at which of its characters. */
export type Input =
  | { readonly _tag: "Bytes"; readonly encoding: "hex" | "base64" | "raw"; readonly bytes: Uint8Array }
  | { readonly _tag: "BadText"; readonly problem: string; readonly at: number | undefined }

const bad = (problem: string, at?: number): Input => ({ _tag: "BadText", problem, at })

const ofHex = (text: string): Input => ({
  _tag: "Bytes",
  encoding: "hex",
  bytes: new Uint8Array(Buffer.from(text, "hex"))
})

const ofBase64 = (text: string): Input => ({
  _tag: "Bytes",
  encoding: "base64",
  bytes: new Uint8Array(Buffer.from(text, "base64"))
})

/** Characters that are not of an alphabet; where in the original text the first of them is. */
const firstOutside = (text: string, alphabet: RegExp): number => {
  for (let i = 0; i < text.length; i++) if (!alphabet.test(text[i]!) && !/\s/.test(text[i]!)) return i
  return -1
}

/**
 * Reads hexadecimal (in any case, with `0x`, white space, colons between bytes) or base64 (either alphabet, with or
 * without padding). A text that could be both is hexadecimal, unless it has an odd number of digits.
 */
export const ofText = (text: string): Input => {
  const compact = text.replace(/\s+/g, "")
  if (compact === "") return bad("there is nothing to decode")
  const digits = compact.replace(/^0x/i, "").replace(
    /^([0-9a-f]{2})(:[0-9a-f]{2})+$/i,
    (all) => all.replaceAll(":", "")
  )
  const isHex = /^[0-9a-f]+$/i.test(digits)
  if (isHex && digits.length % 2 === 0) return ofHex(digits)
  const letters = compact.replace(/=+$/, "")
  const isBase64 = /^[A-Za-z0-9+/_-]+$/.test(letters) && !/^0x/i.test(compact)
  if (isBase64 && letters.length % 4 !== 1) return ofBase64(letters)
  if (isHex) return bad(`the input is hexadecimal, which needs an even number of digits, and has ${digits.length}`)
  if (isBase64) return bad(`the input is base64 and cut short: ${letters.length} characters`)
  return bad("the input is neither hexadecimal nor base64", firstOutside(text, /[A-Za-z0-9+/_=-]/))
}

/** Reads a file or a pipe: text as above, or else the bytes themselves. */
export const ofBytes = (bytes: Uint8Array): Input => {
  if (bytes.some((byte) => byte > 0x7e || (byte < 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09))) {
    return { _tag: "Bytes", encoding: "raw", bytes }
  }
  return ofText(Buffer.from(bytes).toString("latin1"))
}
