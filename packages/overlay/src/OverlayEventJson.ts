/**
 * Events as JSON, for programs, logs and pages.
 *
 * Names are flat and stable: `type` is the tag of the event, nodes are strkeys, addresses are `host:port`, directions are
 * `outbound` and `inbound`, hashes are hex, times are Unix milliseconds, durations are milliseconds. Strings that a peer
 * chose (versions, texts of ERROR_MSG) are in the object as they came; `stringify` writes them so that neither a terminal,
 * a log reader, a browser nor an event stream can mistake them for anything but text.
 *
 * @since 0.1.0
 */
import * as DropReason from "./DropReason.ts"
import type { OverlayEvent, OverlayEventTag } from "./OverlayEvents.ts"
import type { RemoteFacts, Role } from "./protocol/Handshake.ts"

/**
 * A value without depth, as all values of an event are.
 *
 * @category models
 * @since 0.1.0
 */
export type JsonScalar = string | number | boolean | null

/**
 * An event as a flat object. Which names there are depends on `type`.
 *
 * @category models
 * @since 0.1.0
 */
export interface OverlayEventJson {
  readonly type: OverlayEventTag
  readonly [name: string]: JsonScalar
}

const direction = (role: Role): "outbound" | "inbound" => role === "initiator" ? "outbound" : "inbound"

const remoteFacts = (
  { address, id, ledgerVersion, overlayMinVersion, overlayVersion, role, version }: RemoteFacts
) => ({
  id,
  direction: direction(role),
  announced: address.key,
  version,
  ledgerVersion,
  overlayVersion,
  overlayMinVersion
})

/**
 * The object for an event.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toJson = (event: OverlayEvent): OverlayEventJson => {
  const type = event._tag
  switch (event._tag) {
    case "PeerConnecting":
      return { type, address: event.address.key }
    case "PeerConnected":
      return { type, address: event.address.key, direction: direction(event.role) }
    case "PeerHello":
    case "PeerAuthenticated":
      return { type, address: event.address.key, ...remoteFacts(event.remote) }
    case "PeerReadThrottled":
      return { type, address: event.address.key, id: event.id ?? null }
    case "PeerReadResumed":
      return { type, address: event.address.key, id: event.id ?? null, millis: event.millis }
    case "PeerDropped": {
      const { address, authenticated, id, reason, role } = event
      return {
        type,
        address: address.key,
        direction: direction(role),
        id: id ?? null,
        authenticated,
        reason: reason._tag,
        kind: DropReason.kind(reason),
        by: DropReason.droppedBy(reason),
        text: DropReason.text(reason)
      }
    }
    case "PeerBackedOff":
      return { type, address: event.address.key, failures: event.failures, untilMillis: event.untilMillis }
    case "NodeBanned":
      return { type, id: event.id, untilMillis: event.untilMillis ?? null, reason: event.reason }
    case "NodeUnbanned":
      return { type, id: event.id, cause: event.cause }
    case "SurveyPhaseChanged":
      return { type, phase: event.phase, nonce: event.nonce ?? null, surveyorId: event.surveyorId ?? null }
    case "SurveyReporting":
      return { type, isReporting: event.isReporting }
    case "SurveyRequested":
      return { type, surveyedId: event.surveyedId }
    case "SurveyAnswered":
      return { type, surveyorId: event.surveyorId }
    case "SurveyResult": {
      const { peers, surveyedId } = event
      const isReadable = peers !== undefined
      return { type, surveyedId, isReadable, inbound: peers?.inbound ?? null, outbound: peers?.outbound ?? null }
    }
    case "FetchStarted":
      return { type, item: event.item, hash: event.hash }
    case "FetchAsked":
      return { type, item: event.item, hash: event.hash, id: event.id }
    case "FetchReceived":
      return { type, item: event.item, hash: event.hash, millis: event.millis }
    case "FetchGivenUp":
      return { type, item: event.item, hash: event.hash, reason: event.reason }
    case "ListenerOpened":
    case "ListenerClosed":
      return { type, address: event.address.key }
    case "ListenerFailed":
      return { type, address: event.address.key, detail: event.detail }
    case "SyncLost":
      return { type, ledgerSeq: event.ledgerSeq }
    case "SyncRegained":
      return { type, ledgerSeq: event.ledgerSeq, millis: event.millis ?? null }
    case "StoreFailed":
      return { type, store: event.store, reason: event.reason, detail: event.detail, pending: event.pending }
    case "StoreRecovered":
      return { type, store: event.store, millis: event.millis }
    case "EventsSuppressed":
      return { type, kind: event.kind, count: event.count }
    case "EventsLost":
      return { type, count: event.count }
  }
}

/**
 * Everything that is not printable ASCII, and what HTML takes for markup. Outside of strings JSON has none of it but the
 * line feeds of its indentation, which strings do not have.
 */
const special = /[^ -~\n]|[<>&']/gu

const written = (character: string): string => {
  let result = ""
  for (let i = 0; i < character.length; i++) result += `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`
  return result
}

/**
 * JSON text, indented or not, written so that it means the same and is safe wherever it is shown; see `stringify`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const escapeJson = (json: string): string => json.replace(special, written)

/**
 * One line of JSON in printable ASCII without `<`, `>`, `&` and `'`, which parses to the value: safe in a terminal, a log,
 * a page, a quoted attribute of it, and a line of an event stream.
 *
 * **Example** (A hostile version string)
 *
 * ```ts
 * import { stringify } from "@stellar-overlay/overlay/OverlayEventJson"
 *
 * stringify({ version: "v1\u001b[2J</script>" }) // {"version":"v1\u001b[2J\u003c/script\u003e"}
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const stringify = (value: Readonly<Record<string, unknown>>): string => escapeJson(JSON.stringify(value))
