/**
 * The operator's HTTP port of a node, ours or stellar-core's, as its clients ask it: GET, and text, JSON or events. What it
 * answers was partly said by strangers: it is bounded, checked, and never shown unescaped.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import * as Https from "node:https"

/** A longer answer is cut off: a thousand results of a survey with full lists take about 30 MB. */
export const MAX_BYTES = 268_435_456

/** An answer must be there within this time. */
export const ANSWER_MILLIS = 20_000

/** An event longer than this is none of ours. */
export const MAX_EVENT_LENGTH = 65_536

/** Events that wait to be looked at; then the oldest go. */
const EVENT_CAPACITY = 1024

export type AdminErrorReason = "Unreachable" | "TimedOut" | "NotANode" | "Refused"

/** Why a command was not carried out; `detail` may be remote text. */
export class AdminError extends Data.TaggedError("AdminError")<{
  readonly url: string
  readonly reason: AdminErrorReason
  readonly detail: string
}> {
  override get message(): string {
    return `${this.url}: ${this.detail}`
  }
}

/** Reads `127.0.0.1:11626`, `11626`, or a URL; undefined when it is none. */
export const parseUrl = (text: string): string | undefined => {
  const whole = /^\d+$/.test(text) ? `http://127.0.0.1:${text}` : /^https?:\/\//.test(text) ? text : `http://${text}`
  if (!URL.canParse(whole)) return undefined
  const url = new URL(whole)
  if (url.search !== "" || url.hash !== "" || url.username !== "" || !/^\d*$/.test(url.port)) return undefined
  const hasPort = url.port !== "" || /^https?:/.test(text)
  return `${url.protocol}//${url.hostname}:${
    hasPort ? url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port : "11626"
  }${url.pathname.replace(/\/$/, "")}`
}

export type Query = Readonly<Record<string, string>>

const fail = (url: string, reason: AdminErrorReason, detail: string) =>
  Effect.fail(new AdminError({ url, reason, detail }))

const open = (
  base: string,
  path: string,
  query: Query,
  onResponse: (response: Http.IncomingMessage) => void
): Http.ClientRequest => {
  const parameters = new URLSearchParams(query).toString()
  const url = `${base}/${path}${parameters === "" ? "" : `?${parameters}`}`
  return (base.startsWith("https:") ? Https : Http).get(url, { agent: false }, onResponse)
}

/** One GET request: its text. `base` is as `parseUrl` gave it. */
export const get = (base: string, path: string, query: Query = {}): Effect.Effect<string, AdminError> =>
  Effect.callback<string, AdminError>((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    const request = open(base, path, query, (response) => {
      response.on("data", (chunk: Buffer) => {
        size += chunk.length
        if (size <= MAX_BYTES) chunks.push(chunk)
        else {
          resume(fail(base, "NotANode", `answered more than ${MAX_BYTES} bytes`))
          request.destroy()
        }
      })
      response.on("error", (error) => resume(fail(base, "Unreachable", error.message)))
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8")
        const { statusCode = 0 } = response
        resume(
          statusCode === 200
            ? Effect.succeed(text)
            : fail(base, "NotANode", `answered ${statusCode} ${text.trim().split("\n")[0]!.slice(0, 200)}`)
        )
      })
    })
    request.on(
      "error",
      (error: NodeJS.ErrnoException) => resume(fail(base, "Unreachable", error.code ?? error.message))
    )
    return Effect.sync(() => request.destroy())
  }).pipe(
    Effect.timeoutOrElse({
      duration: ANSWER_MILLIS,
      orElse: () => fail(base, "TimedOut", `no answer in ${ANSWER_MILLIS / 1000} s`)
    })
  )

/** The JSON of a text; undefined when it is none. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** One GET request: its JSON, checked. */
export const json = <A, I>(
  base: string,
  path: string,
  schema: Schema.Codec<A, I>,
  query: Query = {}
): Effect.Effect<A, AdminError> =>
  Effect.flatMap(get(base, path, query), (text) =>
    Option.match(Schema.decodeUnknownOption(schema)(parseJson(text)), {
      onNone: () => fail(base, "NotANode", `/${path} has not the form of a node's`),
      onSome: (value) => Effect.succeed(value)
    }))

const EventData = Schema.Record(Schema.String, Schema.Unknown)
const decodeEvent = Schema.decodeUnknownOption(EventData)

/** An event of a node: its `time`, its `type`, and what belongs to the type. */
export type NodeEvent = typeof EventData.Type

/** The data of the whole events in a text, and the text after the last of them. */
export const takeEvents = (text: string): { readonly events: ReadonlyArray<NodeEvent>; readonly rest: string } => {
  const blocks = text.split("\n\n")
  const rest = blocks.pop() ?? ""
  const events = blocks.flatMap((block) => {
    const data = block.split("\n").flatMap((line) => line.startsWith("data: ") ? [line.slice(6)] : []).join("\n")
    return data === "" ? [] : Option.toArray(decodeEvent(parseJson(data)))
  })
  return { events, rest }
}

/** The events of one of our nodes as they happen, until it ends; fails at once where there are none. */
export const events = (base: string): Stream.Stream<NodeEvent, AdminError> =>
  Stream.callback<NodeEvent, AdminError>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const end = (reason: AdminErrorReason, detail: string) =>
          Queue.failCauseUnsafe(queue, Cause.fail(new AdminError({ url: base, reason, detail })))
        const request = open(base, "events", {}, (response) => {
          const { statusCode = 0 } = response
          if (statusCode !== 200) {
            end("Refused", `answered ${statusCode}`)
            return
          }
          let text = ""
          response.setEncoding("utf8")
          response.on("data", (chunk: string) => {
            const taken = takeEvents(text + chunk)
            text = taken.rest.slice(-MAX_EVENT_LENGTH)
            for (const event of taken.events) Queue.offerUnsafe(queue, event)
          })
          response.on("error", (error) => end("Unreachable", error.message))
          response.on("end", () => Queue.endUnsafe(queue))
        })
        request.on("error", (error: NodeJS.ErrnoException) => end("Unreachable", error.code ?? error.message))
        return request
      }),
      (request) => Effect.sync(() => request.destroy())
    ), { bufferSize: EVENT_CAPACITY, strategy: "sliding" })
