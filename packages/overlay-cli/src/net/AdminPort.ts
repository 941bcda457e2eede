/** The admin port of a node, ours or stellar-core's, as its operator asks it: GET, and an answer as text or JSON. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Schema from "effect/Schema"

/** How long an answer may take. */
export const TIMEOUT_MILLIS = 5000

/** A request was not answered, or not as it should be. */
export class AdminPortError extends Data.TaggedError("AdminPortError")<{
  readonly url: string
  readonly problem: string
}> {
  override get message(): string {
    return `${this.url}: ${this.problem}`
  }
}

/** Parameters of a command. */
export type Query = Readonly<Record<string, string | number>>

const urlOf = (base: string, command: string, query: Query): string => {
  const parameters = Object.entries(query).map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
  return `http://${base}/${command}${parameters.length === 0 ? "" : `?${parameters.join("&")}`}`
}

const ask = <A, E extends { readonly message: string }>(
  base: string,
  command: string,
  query: Query,
  read: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<A, E>
): Effect.Effect<A, AdminPortError> => {
  const url = urlOf(base, command, query)
  return HttpClient.get(url).pipe(
    Effect.flatMap((response) =>
      response.status === 200
        ? read(response)
        : Effect.fail({ message: `answered ${response.status}` })
    ),
    Effect.timeoutOrElse({
      duration: TIMEOUT_MILLIS,
      orElse: () => Effect.fail({ message: `no answer within ${TIMEOUT_MILLIS / 1000} s` })
    }),
    Effect.mapError((error) => new AdminPortError({ url, problem: error.message.replace(/\s+/g, " ") })),
    Effect.provide(FetchHttpClient.layer)
  )
}

/** The text of an answer; `base` is `host:port`. */
export const text = (base: string, command: string, query: Query = {}): Effect.Effect<string, AdminPortError> =>
  ask(base, command, query, (response) => response.text)

/** The JSON of an answer, checked. */
export const json = <A, I>(
  base: string,
  command: string,
  schema: Schema.Codec<A, I>,
  query: Query = {}
): Effect.Effect<A, AdminPortError> =>
  ask(base, command, query, (response) => Effect.flatMap(response.json, Schema.decodeUnknownEffect(schema)))
