/**
 * The operator's commands, health, metrics and events over HTTP, on the loopback address only.
 *
 * Whoever can open a connection to the port can command the node, so nothing but GET from this machine is answered, and
 * nothing that a web page could have sent: a page of another site that is open in a browser on this machine can make it
 * request any address. A request that is malformed, too long or too slow gets its 4xx from Node.js and is closed; none of
 * it reaches the node.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type { NodeServices } from "@stellar-overlay/overlay/NodeOverlay"
import * as OverlayAdmin from "@stellar-overlay/overlay/OverlayAdmin"
import { escapeJson } from "@stellar-overlay/overlay/OverlayEventJson"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Effect from "effect/Effect"
import type { ServeError } from "effect/http/HttpServerError"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import { escape } from "../render/escape.ts"
import * as Operations from "./operations.ts"
import { refuse, respondText } from "./responses.ts"

/** Where stellar-core listens for its operator. */
export const DEFAULT_PORT = 11626

/** All headers of a request together; its first line has a bound of its own, `OverlayAdmin.MAX_URL_LENGTH`. */
export const MAX_HEADER_BYTES = 8192

/** A request must have arrived, and an answer must have been taken, within this time. */
export const REQUEST_MILLIS = 5000

/** More connections than this at once are closed unanswered. */
export const MAX_CONNECTIONS = 16

/** What an admin port may be asked for. */
export interface Options extends Operations.Options {
  /** 0 takes any free port. */
  readonly port: number
}

const makeServer = (): Http.Server => {
  const server = Http.createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: REQUEST_MILLIS,
    requestTimeout: REQUEST_MILLIS,
    connectionsCheckingInterval: REQUEST_MILLIS / 5,
    keepAliveTimeout: REQUEST_MILLIS
  })
  server.timeout = 2 * REQUEST_MILLIS
  server.maxConnections = MAX_CONNECTIONS
  server.maxRequestsPerSocket = 1
  return server
}

/** Whether a name in `Host` is one of this machine: any other was resolved by somebody else to reach us. */
const isOurName = (host: string | undefined): boolean => {
  if (host === undefined) return true
  const address = PeerAddress.parse(host, { ipv6: true })
  return Result.isSuccess(address) && (address.success.isLocalhost || address.success.host === "localhost")
}

const respond = Effect.fnUntraced(function*(operations: Operations.Operations) {
  const { headers, method, url } = yield* HttpServerRequest
  if (method !== "GET") {
    return HttpServerResponse.setHeader(refuse(405, "Only GET is answered here"), "allow", "GET")
  }
  if (url.length > OverlayAdmin.MAX_URL_LENGTH) return refuse(414, `Longer than ${OverlayAdmin.MAX_URL_LENGTH}`)
  const site = headers["sec-fetch-site"]
  const isFromPage = headers["origin"] !== undefined ||
    (site !== undefined && site !== "none" && site !== "same-origin")
  if (isFromPage || !isOurName(headers["host"])) return refuse(403, "Not for the pages of other sites")
  const own = operations.respond(url, headers["accept"])
  if (own !== undefined) return own
  const { body, contentType, status } = yield* OverlayAdmin.handle(url)
  // Versions of peers are in the one, and what was asked for in the other.
  const safe = contentType === "application/json" ? escapeJson(body) : body.split("\n").map(escape).join("\n")
  return respondText(safe, contentType, status)
})

/** Serves until the scope closes, and gives the port. */
export const serve = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<number, ServeError, NodeServices | Scope.Scope> {
  const operations = yield* Operations.make(options)
  const node = makeServer()
  const server = yield* NodeHttpServer.make(() => node, {
    host: "127.0.0.1",
    port: options.port,
    gracefulShutdownTimeout: 0
  })
  yield* server.serve(respond(operations))
  // The first to run of all finalizers: streams are ended, and then nobody is waited for who reads or sends slowly.
  yield* Effect.addFinalizer(() => Effect.andThen(operations.close, Effect.sync(() => node.closeAllConnections())))
  const address = node.address()
  return typeof address === "object" && address !== null ? address.port : options.port
})
