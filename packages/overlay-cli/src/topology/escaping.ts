/**
 * Remote text made safe for pictures, pages and files. In what people look at, everything invisible is written out first,
 * as on a terminal; in what programs read, text stays what it was as far as the format can carry it.
 */
import { escape, toJsonText } from "../render/escape.ts"

const entityOf: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;",
  "\t": "&#9;",
  "\n": "&#10;",
  "\r": "&#13;"
}

/** Text that is written out already, in SVG or HTML, also inside a quoted attribute. */
export const entities = (text: string): string => text.replace(/[&<>"'\t\n\r]/g, (character) => entityOf[character]!)

/** Remote text in the same places. */
export const markup = (text: string): string => entities(escape(text))

/** Control characters but tab and line ends (those above U+007E are legal), halves of pairs, and two that are none. */
const illegalInXml = /[^\P{Cc}\t\n\r\u007f-\u009f]|[\p{Cs}\ufffe\uffff]/gu

/** Text for programs in XML 1.0, which cannot carry most control characters: those become U+FFFD. */
export const xmlData = (text: string): string => entities(text.replace(illegalInXml, "\ufffd"))

/** Text that is written out already as a quoted string of DOT, where a backslash before another is one. */
export const dotQuoted = (text: string): string => `"${text.replace(/"/g, "\\\"")}"`

/** Remote text as a quoted string of DOT: nothing in it is an escape, a newline or markup. */
export const dotString = (text: string): string => dotQuoted(escape(text))

/** JSON that can stand between script tags: no character in it means anything to HTML. */
export const scriptJson = (value: unknown): string =>
  toJsonText(value).replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)

/** At most so many characters, with an ellipsis in place of the rest. */
export const cut = (text: string, most: number): string => {
  const characters = Array.from(text)
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join("")}…`
}
