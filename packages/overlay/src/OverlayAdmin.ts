/**
 * The operator's commands with stellar-core's names, parameters, texts and JSON, as plain requests and responses: whoever
 * runs an HTTP server passes them through, and whoever writes a test needs none.
 *
 * Implements protocol.md section 14 (stellar-core: `CommandHandler.cpp`).
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { BanList } from "./BanList.ts"
import { exception, json, noneIfEmpty, text } from "./internal/adminResponse.ts"
import { readNow } from "./internal/peerRuntime.ts"
import { LocalNode } from "./LocalNode.ts"
import * as NodeIds from "./NodeIds.ts"
import { Overlay } from "./Overlay.ts"
import { OverlayMetrics } from "./OverlayMetrics.ts"
import * as OverlayMetricsJson from "./OverlayMetricsJson.ts"
import type { Peer } from "./Peer.ts"
import * as PeerJson from "./PeerJson.ts"
import { Survey } from "./Survey.ts"
import * as SurveyAdmin from "./SurveyAdmin.ts"
import * as NodeId from "./wire/NodeId.ts"
import { PeerAddress } from "./wire/PeerAddress.ts"

/**
 * The longest path with its query that is looked at.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_URL_LENGTH = 4096

/**
 * What goes back to the operator: JSON, or core's plain text.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdminResponse {
  readonly status: 200 | 404
  readonly contentType: "application/json" | "text/plain"
  readonly body: string
}

/**
 * The commands that `handle` knows.
 *
 * @category constants
 * @since 0.1.0
 */
export const commands = [
  "info",
  "peers",
  "connect",
  "droppeer",
  "ban",
  "unban",
  "bans",
  "metrics",
  "clearmetrics",
  ...SurveyAdmin.commands
] as const

/** The part of core's registry that is here: names up to the first dot. */
const METRICS_DOMAIN = "overlay"

/**
 * Carries out one GET request, given as its path and query. Never fails: what core answers with an exception is
 * `{"exception": …}` here too.
 *
 * @category commands
 * @since 0.1.0
 */
export const handle = (url: string): Effect.Effect<AdminResponse, never, Overlay | BanList | LocalNode> =>
  Effect.catchDefect(
    url.length > MAX_URL_LENGTH ? Effect.succeed(exception("request too long")) : carryOut(url),
    (defect) => Effect.as(Effect.logError("An operator's command failed", defect), exception("internal error"))
  )

const carryOut = Effect.fnUntraced(function*(
  url: string
): Effect.fn.Return<AdminResponse, never, Overlay | BanList | LocalNode> {
  const overlay = yield* Overlay
  const bans = yield* BanList
  const local = yield* LocalNode
  const now = readNow(yield* Clock.Clock).millis
  const question = url.indexOf("?")
  const path = (question < 0 ? url : url.slice(0, question)).replace(/^\/+/, "").replace(/\/$/, "")
  const params = new URLSearchParams(question < 0 ? "" : url.slice(question + 1))

  const resolve = (name: string): NodeId.NodeId | undefined =>
    NodeIds.resolve(name, {
      names: new Map(),
      others: [...overlay.peers.authenticated().map((peer) => peer.id), ...bans.list()]
    })

  switch (path) {
    case "info":
      return json({
        info: {
          build: local.config.versionString,
          network: local.config.networkPassphrase,
          node: local.handshake.id,
          peers: {
            pending_count: overlay.peers.registry.pendingCount("initiator")
              + overlay.peers.registry.pendingCount("acceptor"),
            authenticated_count: overlay.peers.registry.authenticatedCount()
          }
        }
      })
    case "peers": {
      const isCompact = params.get("compact") !== "false"
      const isShort = params.get("fullkeys") === "false"
      const render = ({ id, session }: Peer) => ({
        ...(isCompact ? PeerJson.compact(session, now) : PeerJson.full(session, now)),
        id: isShort ? NodeId.short(id) : id
      })
      const { peers } = overlay
      return json({
        pending_peers: {
          inbound: noneIfEmpty(peers.pending("acceptor").map(String)),
          outbound: noneIfEmpty(peers.pending("initiator").map(String))
        },
        authenticated_peers: {
          inbound: noneIfEmpty(peers.authenticated("acceptor").map(render)),
          outbound: noneIfEmpty(peers.authenticated("initiator").map(render))
        }
      })
    }
    case "connect": {
      const [peer, port] = [params.get("peer"), params.get("port")]
      if (peer === null || port === null) return text("Must specify a peer and port: connect&peer=PEER&port=PORT")
      const address = PeerAddress.parse(peer.includes(":") ? `[${peer}]:${port}` : `${peer}:${port}`, {
        ipv6: local.config.ipv6
      })
      if (Result.isFailure(address)) return exception(address.failure.message)
      overlay.peers.dial(address.success, { force: true })
      return text(`Connect to: ${address.success}`)
    }
    case "droppeer": {
      const name = params.get("node")
      if (name === null) return text("Must specify at least peer id: droppeer?node=NODE_ID")
      const id = resolve(name)
      if (id === undefined || overlay.peers.get(id) === undefined) return text(`Peer ${name} not found`)
      if (params.get("ban") !== "1") {
        overlay.drop(id)
        return text(`Drop peer: ${name}`)
      }
      overlay.drop(id) // before the ban, which would drop it without a word
      overlay.ban(id)
      return text(`Drop and ban peer: ${name}`)
    }
    case "ban": {
      const name = params.get("node")
      if (name === null) return text("Must specify at least peer id: ban?node=NODE_ID")
      const id = resolve(name)
      if (id === undefined) return text(`Peer ${name} not found`)
      overlay.ban(id)
      return text(`Ban peer: ${name}`)
    }
    case "unban": {
      const name = params.get("node")
      if (name === null) return text("Must specify at least peer id: unban?node=NODE_ID")
      const id = resolve(name)
      if (id === undefined) return text(`Peer ${name} not found`)
      overlay.unban(id)
      return text(`Unban peer: ${name}`)
    }
    case "bans":
      return json({ bans: noneIfEmpty(bans.list()) })
    case "metrics": {
      const enable = params.get("enable")
      return json(OverlayMetricsJson.render((yield* OverlayMetrics).snapshot(), enable?.split(",") ?? undefined))
    }
    case "clearmetrics": {
      const domain = params.get("domain") ?? ""
      if (domain === "" || domain === METRICS_DOMAIN) (yield* OverlayMetrics).clear()
      return text(`Cleared ${domain} metrics!`)
    }
    default: {
      const answer = yield* SurveyAdmin.handle(path, params).pipe(Effect.provideService(Survey, overlay.survey))
      return answer ??
        { status: 404, contentType: "text/plain", body: `Unknown command. Known: ${commands.join(", ")}\n` }
    }
  }
})
