/**
 * Spans of a share of connections and searches, for whoever has a tracer. With a share of 0 nothing is drawn, made or kept.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Tracer from "effect/Tracer"
import type { FetchEvent, OverlayEvent } from "../OverlayEvents.ts"

/** Whether what begins now is one of those that are traced. */
export const sampled = (rate: number): Effect.Effect<boolean> =>
  rate <= 0 ? Effect.succeed(false) : Effect.map(Random.next, (draw) => draw < rate)

/** Runs an effect in a span, or as it is. Attributes are made for a span: texts of addresses are not for every handshake. */
export const traced =
  (isTraced: boolean, name: string, attributes: () => Readonly<Record<string, unknown>>) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    // Nothing in here asks for a parent span.
    isTraced ? Effect.withSpan(self, name, { attributes: attributes() }) as Effect.Effect<A, E, R> : self

/** Open searches that have a span at most; a search beyond has none. */
const MAX_SPANS = 1024

const isFetch = (event: OverlayEvent): event is FetchEvent => event._tag.startsWith("Fetch")

/** The spans of searches, made of their events: a search is not one effect. Undefined when none is to be traced. */
export const fetchSpans = Effect.fnUntraced(function*(
  rate: number,
  clock: Clock.Clock
): Effect.fn.Return<((event: OverlayEvent) => void) | undefined> {
  if (rate <= 0) return undefined
  const tracer = yield* Effect.tracer
  const random = yield* Random.Random
  const open = new Map<string, Tracer.Span>()
  const now = () => clock.currentTimeNanosUnsafe()

  const start = (item: string, hash: string): Tracer.Span => {
    const span = tracer.span({
      name: "overlay.fetch",
      parent: Option.none(),
      annotations: Context.empty(),
      links: [],
      startTime: now(),
      kind: "client",
      root: true,
      sampled: true
    })
    span.attribute("item", item)
    span.attribute("hash", hash)
    return span
  }

  return (event) => {
    if (!isFetch(event)) return
    const key = `${event.item} ${event.hash}`
    const span = open.get(key)
    switch (event._tag) {
      case "FetchStarted":
        if (span === undefined && open.size < MAX_SPANS && random.nextDoubleUnsafe() < rate) {
          open.set(key, start(event.item, event.hash))
        }
        break
      case "FetchAsked":
        span?.event("asked", now(), { peer: event.id })
        break
      case "FetchReceived":
        open.delete(key)
        span?.end(now(), Exit.void)
        break
      case "FetchGivenUp":
        open.delete(key)
        span?.end(now(), Exit.fail(event.reason))
    }
  }
})
