/**
 * Events as they happen, as server-sent events: `GET /events`, `GET /events?type=PeerDropped,NodeBanned`.
 *
 * ```
 * event: PeerDropped
 * data: {"time":"2026-01-01T00:00:00.000Z","type":"PeerDropped",…}
 * ```
 *
 * One event is one line of data in printable ASCII, whatever peers call themselves. A comment comes when nothing else does,
 * so that both ends notice a connection that is gone. Each client has a buffer of its own: one that reads too slowly loses
 * the oldest events and is told how many (`EventsLost`), and nothing is written to it until it has taken what was. When
 * the node ends, `event: end` is the last it says.
 */
import * as OverlayEventJson from "@stellar-overlay/overlay/OverlayEventJson"
import * as OverlayEvents from "@stellar-overlay/overlay/OverlayEvents"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { refuse } from "./responses.ts"

/** Clients at once; more are refused with 503. */
export const MAX_CLIENTS = 8

/** Events that wait for one client. */
export const CLIENT_CAPACITY = 256

/** The longest silence. */
export const HEARTBEAT_MILLIS = 5000

/** How long clients may take to read the end. */
export const GOODBYE_MILLIS = 200

/** What the endpoint has done. */
export interface EventStreamStats {
  clients: number
  refused: number
  sent: number
  lost: number
}

const encoder = new TextEncoder()
const isTag = (text: string): text is OverlayEvents.OverlayEventTag =>
  (OverlayEvents.tags as ReadonlyArray<string>).includes(text)

/** The types asked for by `type`, given once or more, with commas or without; undefined for all, or the one unknown. */
const wanted = (
  params: URLSearchParams
): { readonly tags: ReadonlyArray<OverlayEvents.OverlayEventTag> | undefined } | { readonly unknown: string } => {
  const names = params.getAll("type").flatMap((text) => text.split(",")).filter((text) => text !== "")
  const unknown = names.find((name) => !isTag(name))
  if (unknown !== undefined) return { unknown }
  return { tags: names.length === 0 ? undefined : names.filter(isTag) }
}

/** Makes the endpoint over the events of a node. */
export const make = Effect.fnUntraced(function*(events: OverlayEvents.Shape) {
  const clock = yield* Clock.Clock
  const stats: EventStreamStats = { clients: 0, refused: 0, sent: 0, lost: 0 }
  const closing = Latch.makeUnsafe(false)
  const idle = Latch.makeUnsafe(true)

  const text = (event: OverlayEvents.OverlayEvent): string => {
    stats.sent++
    if (event._tag === "EventsLost") stats.lost += event.count
    const time = new Date(clock.currentTimeMillisUnsafe()).toISOString()
    return `event: ${event._tag}\ndata: ${OverlayEventJson.stringify({ time, ...OverlayEventJson.toJson(event) })}\n\n`
  }

  const body = (tags: ReadonlyArray<OverlayEvents.OverlayEventTag> | undefined): Stream.Stream<Uint8Array> => {
    const client = Effect.acquireRelease(
      Effect.sync(() => {
        stats.clients++
        idle.closeUnsafe()
      }),
      () =>
        Effect.sync(() => {
          stats.clients--
          if (stats.clients === 0) idle.openUnsafe()
        })
    )
    const told = Stream.unwrap(Effect.gen(function*() {
      const pull = yield* Stream.toPull(OverlayEvents.subscribe(events, { tags, capacity: CLIENT_CAPACITY }))
      return Stream.fromEffectRepeat(Effect.map(
        Effect.timeoutOption(pull, HEARTBEAT_MILLIS),
        Option.match({ onNone: () => ": still here\n\n", onSome: (some) => some.map(text).join("") })
      ))
    }))
    const all = Stream.make("retry: 3000\n: events of a stellar-overlay node\n\n").pipe(
      Stream.concat(Stream.interruptWhen(told, closing.await)),
      Stream.concat(Stream.make("event: end\ndata: {}\n\n")),
      Stream.map((chunk) => encoder.encode(chunk))
    )
    return Stream.unwrap(Effect.as(client, all))
  }

  const respond = (params: URLSearchParams): HttpServerResponse.HttpServerResponse => {
    const chosen = wanted(params)
    if ("unknown" in chosen) {
      return refuse(400, `No such type of event. Types: ${OverlayEvents.tags.join(", ")}`)
    }
    if (stats.clients >= MAX_CLIENTS || closing.isOpen()) {
      stats.refused++
      return HttpServerResponse.setHeader(refuse(503, `${MAX_CLIENTS} clients listen already`), "retry-after", "5")
    }
    return HttpServerResponse.stream(body(chosen.tags), {
      contentType: "text/event-stream",
      headers: { "cache-control": "no-store", "x-content-type-options": "nosniff", connection: "close" }
    })
  }

  /** Ends all streams, and waits a moment until their clients have been told. */
  const close = Effect.suspend(() => {
    closing.openUnsafe()
    return Effect.timeoutOption(idle.await, GOODBYE_MILLIS)
  })

  return { respond, close, stats }
})

export type EventStream = Effect.Success<ReturnType<typeof make>>
