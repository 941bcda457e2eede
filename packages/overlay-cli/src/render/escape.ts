/**
 * Remote text made safe for a terminal.
 *
 * Everything that can move a cursor, start an escape sequence, reorder or hide other text is written out: control
 * characters of both kinds, the bidirectional controls, zero-width and other invisible format characters, line and
 * paragraph separators, private-use and unassigned characters, and halves of surrogate pairs. A backslash is doubled, so
 * that what is shown says exactly what was sent.
 */

const dangerous = /[\p{C}\p{Zl}\p{Zp}\\]/gu
const dangerousInJson = /[\p{C}\p{Zl}\p{Zp}]/gu

const written = (character: string): string => {
  switch (character) {
    case "\\":
      return "\\\\"
    case "\n":
      return "\\n"
    case "\r":
      return "\\r"
    case "\t":
      return "\\t"
  }
  const code = character.codePointAt(0)!
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`
}

/** Safe to print anywhere in a line; text of printable characters comes back as it is. */
export const escape = (text: string): string => text.replace(dangerous, written)

const unit = (code: number): string => `\\u${code.toString(16).padStart(4, "0")}`

/** JSON that parses to `value` and is safe to print, on one line unless indented; bigints become decimal strings. */
export const toJsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, (_, v) => typeof v === "bigint" ? String(v) : v, indent)
    .split("\n") // only indentation has these
    .map((line) =>
      line.replace(dangerousInJson, (character) => {
        let result = ""
        for (let i = 0; i < character.length; i++) result += unit(character.charCodeAt(i))
        return result
      })
    )
    .join("\n")
