/** What a port that does not speak this protocol seems to speak, going by the first bytes it sent. */

const starts: ReadonlyArray<readonly [start: string, name: string]> = [
  ["HTTP/", "an HTTP server"],
  ["SSH-", "an SSH server"],
  ["\x15\x03", "a TLS server"],
  ["\x16\x03", "a TLS server"],
  ["+OK", "a POP3 server"],
  ["* OK", "an IMAP server"],
  ["220 ", "an SMTP or FTP server"],
  ["220-", "an SMTP or FTP server"]
]

/** How much of it is quoted. */
const QUOTED = 32

/** A sentence, or undefined when nothing came. What it quotes is remote text and not escaped. */
export const looksLike = (firstBytes: Uint8Array): string | undefined => {
  if (firstBytes.length === 0) return undefined
  const text = Buffer.from(firstBytes).toString("latin1")
  const line = text.split(/\r?\n/)[0]!.slice(0, QUOTED)
  const began = /^[\x20-\x7e]{2,}$/.test(line)
    ? `It began with "${line}"`
    : `It began with the bytes ${Buffer.from(firstBytes.subarray(0, 16)).toString("hex")}`
  const known = starts.find(([start]) => text.startsWith(start))
  return known === undefined ? `${began}.` : `${began}: this looks like ${known[1]}.`
}
