/**
 * What links carried, written down: a text of one JSON object per line, made to be read by people, by `jq`, and by
 * `CaptureReplay`, which plays it to a node in a `World`.
 *
 * The first line is the header; every other one is a link that opened, a message on it, or its end, with the milliseconds
 * since the capture began:
 *
 * ```json
 * {"capture":"stellar-overlay","version":1,"passphrase":"Standalone Network ; February 2017","startUnixMillis":1767225600000}
 * {"at":12.5,"link":1,"open":"127.0.0.1:11625","role":"initiator"}
 * {"at":14.25,"link":1,"out":"SEND_MORE_EXTENDED","xdr":"AAAAFAAAACgAACcQ"}
 * {"at":17,"link":1,"in":"SEND_MORE_EXTENDED","xdr":"AAAAFAAAACgAACcQ"}
 * {"at":5000,"link":1,"close":"Eof"}
 * ```
 *
 * Messages are whole `StellarMessage`s without sequence number and MAC: keys are never in a capture. A recording that was
 * cut short (a crash, a full disk) is good up to its last whole line.
 *
 * @since 0.1.0
 */
import type { Role } from "@stellar-overlay/overlay/protocol/Handshake"
import { coreName } from "@stellar-overlay/overlay/wire/MessageType"
import { fromUntrusted, type StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Data from "effect/Data"
import * as Base64 from "effect/encoding/Base64"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * The version of the format, in every header.
 *
 * @category constants
 * @since 0.1.0
 */
export const VERSION = 1

/**
 * Characters of one line at most: the base64 of the largest frame, and the rest of the line.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_LINE = 23_000_000

/**
 * What is known of a capture as a whole.
 *
 * @category models
 * @since 0.1.0
 */
export interface Header {
  /** Of the network the links spoke. */
  readonly passphrase: string
  /** Unix milliseconds of moment 0. */
  readonly startUnixMillis: number
}

/**
 * One thing that happened, `at` milliseconds after the start. `link` tells links apart, and `role` is the recording
 * node's. `from` says who sent a message.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry =
  | {
    readonly _tag: "Open"
    readonly at: number
    readonly link: number
    /** Where the socket led. */
    readonly address: string
    readonly role: Role
  }
  | {
    readonly _tag: "Message"
    readonly at: number
    readonly link: number
    readonly from: "remote" | "local"
    readonly message: StellarMessage
  }
  | {
    readonly _tag: "Close"
    readonly at: number
    readonly link: number
    /** How the transport said it, or who ended it. */
    readonly how: string
  }

/**
 * A capture as a value.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capture {
  readonly header: Header
  /** In the order in which they happened. */
  readonly entries: ReadonlyArray<Entry>
}

/**
 * A text is not a capture, or not a whole one. `line` counts from 1.
 *
 * @category errors
 * @since 0.1.0
 */
export class CaptureError extends Data.TaggedError("CaptureError")<{
  readonly line: number
  readonly reason: string
}> {
  override get message(): string {
    return `line ${this.line}: ${this.reason}`
  }
}

/** Thousandths of a millisecond are enough, and shorter. */
const moment = (millis: number): number => Math.round(millis * 1000) / 1000

/**
 * The first line, with its line feed.
 *
 * @category encoding
 * @since 0.1.0
 */
export const headerLine = ({ passphrase, startUnixMillis }: Header): string =>
  `${JSON.stringify({ capture: "stellar-overlay", version: VERSION, passphrase, startUnixMillis })}\n`

/**
 * The line of an entry, with its line feed.
 *
 * @category encoding
 * @since 0.1.0
 */
export const entryLine = (entry: Entry): string => {
  const at = moment(entry.at)
  const { link } = entry
  switch (entry._tag) {
    case "Open":
      return `${JSON.stringify({ at, link, open: entry.address, role: entry.role })}\n`
    case "Message": {
      const { from, message } = entry
      return `{"at":${at},"link":${link},"${from === "remote" ? "in" : "out"}":"${coreName(message.type)}","xdr":"${
        Base64.encode(message.bytes)
      }"}\n`
    }
    case "Close":
      return `${JSON.stringify({ at, link, close: entry.how })}\n`
  }
}

const HeaderLine = Schema.fromJsonString(Schema.Struct({
  capture: Schema.Literal("stellar-overlay"),
  version: Schema.Literal(VERSION),
  passphrase: Schema.String,
  startUnixMillis: Schema.Number
}))

const stamp = { at: Schema.Number, link: Schema.Number }

const EntryLine = Schema.fromJsonString(Schema.Union([
  Schema.Struct({ ...stamp, open: Schema.String, role: Schema.Literals(["initiator", "acceptor"]) }),
  Schema.Struct({ ...stamp, in: Schema.String, xdr: Schema.String }),
  Schema.Struct({ ...stamp, out: Schema.String, xdr: Schema.String }),
  Schema.Struct({ ...stamp, close: Schema.String })
]))

const decodeHeader = Schema.decodeUnknownResult(HeaderLine)
const decodeEntry = Schema.decodeUnknownResult(EntryLine)

const parseMessage = (xdr: string): Result.Result<StellarMessage, string> => {
  const bytes = Base64.decode(xdr)
  if (Result.isFailure(bytes)) return Result.fail("its xdr is not base64")
  return Result.mapError(fromUntrusted(bytes.success), (error) => error.message)
}

const parseEntry = (line: string): Result.Result<Entry, string> => {
  const decoded = decodeEntry(line)
  if (Result.isFailure(decoded)) return Result.fail("neither a link that opened or closed nor a message")
  const value = decoded.success
  const { at, link } = value
  if ("open" in value) return Result.succeed({ _tag: "Open", at, link, address: value.open, role: value.role })
  if ("close" in value) return Result.succeed({ _tag: "Close", at, link, how: value.close })
  const from = "in" in value ? "remote" : "local"
  return Result.map(parseMessage(value.xdr), (message): Entry => ({ _tag: "Message", at, link, from, message }))
}

/**
 * Reads captures line by line, so that a file of any size takes the memory of one line: the header first, then entries.
 * Moments must not go back.
 *
 * @category decoding
 * @since 0.1.0
 */
export class Reader {
  /** Undefined before the first line. */
  header: Header | undefined
  private line = 0
  private at = Number.NEGATIVE_INFINITY

  /** The entry of the next line; none for the header and for empty lines. */
  next(text: string): Result.Result<Option.Option<Entry>, CaptureError> {
    this.line++
    const fail = (reason: string) => Result.fail(new CaptureError({ line: this.line, reason }))
    if (text.length > MAX_LINE) return fail(`longer than ${MAX_LINE} characters`)
    if (this.header === undefined) {
      const decoded = decodeHeader(text)
      if (Result.isFailure(decoded)) return fail(`not the header of a capture of version ${VERSION}`)
      const { passphrase, startUnixMillis } = decoded.success
      this.header = { passphrase, startUnixMillis }
      return Result.succeed(Option.none())
    }
    if (text.trim() === "") return Result.succeed(Option.none())
    const entry = parseEntry(text)
    if (Result.isFailure(entry)) return fail(entry.failure)
    if (!(entry.success.at >= this.at)) return fail("earlier than the line before it")
    this.at = entry.success.at
    return Result.succeed(Option.some(entry.success))
  }
}

/**
 * A capture from its text. A last line without a line feed was cut short, and does not count.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Capture, CaptureError> => {
  const lines = text.split("\n")
  lines.pop()
  const reader = new Reader()
  const entries: Array<Entry> = []
  for (const line of lines) {
    const entry = reader.next(line)
    if (Result.isFailure(entry)) return Result.fail(entry.failure)
    if (Option.isSome(entry.success)) entries.push(entry.success.value)
  }
  return reader.header === undefined
    ? Result.fail(new CaptureError({ line: 1, reason: "empty: there is no header" }))
    : Result.succeed({ header: reader.header, entries })
}

/**
 * The text of a capture; `parse` gives it back.
 *
 * @category encoding
 * @since 0.1.0
 */
export const format = ({ entries, header }: Capture): string => headerLine(header) + entries.map(entryLine).join("")
