/**
 * Why a connection ended: one closed union shared by metrics, logs, events, bans and the command line.
 *
 * Every peer dies in exactly one place and with exactly one of these. A reason says who ended it, which ERROR_MSG (if
 * any) travels, the text stellar-core uses for the same event, and a hint for the person who reads it.
 *
 * Implements protocol.md section 3 (stellar-core: `Peer::drop`, `Peer::sendErrorAndDrop`).
 *
 * @since 0.1.0
 */

import { ErrorCode, errorCodeName } from "./wire/messages/HandshakeMessages.ts"

/**
 * Who ended the connection: we did, the remote did (by ERROR_MSG), or the network underneath both.
 *
 * @category models
 * @since 0.1.0
 */
export type DroppedBy = "us" | "remote" | "network"

/**
 * What a reason says about the future of an address, which decides back-off, bans and exit codes:
 *
 * - `unreachable`: no connection came to be, or it broke
 * - `rejected`: one side refused the other on policy or configuration
 * - `load`: refused for lack of room, try again later or elsewhere
 * - `violation`: the peer broke the protocol
 * - `timeout`: the peer did not keep up
 * - `local`: our own decision, the peer did nothing wrong
 * - `bug`: a defect on our side
 *
 * @category models
 * @since 0.1.0
 */
export type DropKind = "unreachable" | "rejected" | "load" | "violation" | "timeout" | "local" | "bug"

interface Definition {
  readonly by: DroppedBy
  readonly kind: DropKind
  /** The code of the ERROR_MSG that precedes the drop; undefined where core drops silently. */
  readonly code: ErrorCode | undefined
  /** Core's text; `{}` stands for the reason's detail. */
  readonly text: string
  readonly hint: string
}

const reason = (
  by: DroppedBy,
  kind: DropKind,
  code: ErrorCode | undefined,
  text: string,
  hint: string
): Definition => ({ by, kind, code, text, hint })

const { ERR_AUTH, ERR_CONF, ERR_DATA, ERR_LOAD, ERR_MISC } = ErrorCode

const definitions = {
  // decoding and authentication
  CorruptXdr: reason(
    "us",
    "violation",
    ERR_DATA,
    "received corrupt XDR",
    "The peer sent bytes that are not a StellarMessage of this protocol: {}."
  ),
  CryptoError: reason(
    "us",
    "violation",
    ERR_DATA,
    "crypto error",
    "A cryptographic operation refused what the peer sent."
  ),
  UnexpectedAuthSequence: reason(
    "us",
    "violation",
    ERR_AUTH,
    "unexpected auth sequence",
    "A message was lost, repeated or reordered on the way, or the peer counts wrongly."
  ),
  ReceiveMacKeyZero: reason(
    "us",
    "violation",
    ERR_AUTH,
    "receive mac key is zero",
    "An authenticated message arrived before keys were agreed."
  ),
  UnexpectedMac: reason(
    "us",
    "violation",
    ERR_AUTH,
    "unexpected MAC",
    "A message was changed on the way, or the peer derived other keys."
  ),
  BadCryptoRequest: reason(
    "us",
    "violation",
    undefined,
    "Bad crypto request",
    "The peer's Curve25519 key is degenerate, so no secret can be shared with it."
  ),
  SequenceExhausted: reason(
    "us",
    "local",
    undefined,
    "message sequence exhausted",
    "2^64 messages were exchanged; reconnecting starts a new sequence."
  ),

  // handshake
  UnexpectedHello: reason("us", "violation", undefined, "received unexpected HELLO", "The peer sent HELLO twice."),
  CertificateExpired: reason(
    "us",
    "rejected",
    undefined,
    "failed to verify auth cert",
    "The peer's certificate has expired ({}): compare both clocks."
  ),
  CertificateTooFarAhead: reason(
    "us",
    "rejected",
    undefined,
    "failed to verify auth cert",
    "The peer's certificate expires too far in the future ({}): compare both clocks; or it counts in milliseconds, as js-stellar-node-connector does, which a greater maxCertificateSeconds tolerates."
  ),
  CertificateInvalid: reason(
    "us",
    "rejected",
    undefined,
    "failed to verify auth cert",
    "The signature does not fit: most often the peer is on another network (passphrase)."
  ),
  NodeBanned: reason(
    "us",
    "rejected",
    undefined,
    "node is banned",
    "This node is on the ban list; unban it to let it in."
  ),
  UnknownRemoteAddress: reason(
    "us",
    "unreachable",
    undefined,
    "failed to determine remote address",
    "The socket had no remote address any more."
  ),
  WrongProtocolVersion: reason(
    "us",
    "rejected",
    ERR_CONF,
    "wrong protocol version",
    "The overlay version windows do not overlap ({}); widen overlayMinVersion or upgrade."
  ),
  ConnectingToSelf: reason(
    "us",
    "rejected",
    ERR_CONF,
    "connecting to self",
    "The address leads back to this node, or two nodes share one seed."
  ),
  WrongNetwork: reason("us", "rejected", ERR_CONF, "wrong network passphrase", "The peer belongs to another network."),
  BadAddress: reason(
    "us",
    "violation",
    ERR_CONF,
    "bad address",
    "The peer announced the listening port {}, which cannot be one."
  ),
  AlreadyConnected: reason(
    "us",
    "rejected",
    ERR_CONF,
    "already-connected peer: {}",
    "A connection with this node exists or is being made."
  ),
  OutOfOrderAuth: reason(
    "us",
    "violation",
    ERR_MISC,
    "out-of-order AUTH message",
    "AUTH must come once, right after HELLO."
  ),
  FlowControlBytesDisabled: reason(
    "us",
    "rejected",
    ERR_CONF,
    "flow control bytes disabled",
    "The peer's AUTH flags were {} instead of 200: it is older than stellar-core v21.3.0."
  ),
  MessageBeforeHandshake: reason(
    "us",
    "violation",
    undefined,
    "received {} before completed handshake",
    "Only HELLO, AUTH and ERROR_MSG may come before authentication."
  ),
  HandshakeTimeout: reason(
    "us",
    "timeout",
    undefined,
    "idle timeout (handshake not completed)",
    "The handshake did not finish within {} ms: the port may belong to another service."
  ),
  HandshakeRateLimited: reason(
    "us",
    "load",
    undefined,
    "too many handshakes",
    "Signature checks of unknown nodes are limited per address and per second."
  ),

  // message rules
  ReceivedPeers: reason("us", "violation", undefined, "received PEERS", "Only the node that was called sends PEERS."),
  TooManyPeersMessages: reason("us", "violation", undefined, "too many msgs PEERS", "PEERS comes once per connection."),
  FloodCapacityExceeded: reason(
    "us",
    "violation",
    undefined,
    "unexpected flood message, peer at capacity",
    "The peer sent more than it was granted ({})."
  ),
  UnexpectedSendMore: reason(
    "us",
    "violation",
    undefined,
    "unexpected message type SEND_MORE",
    "Plain SEND_MORE ended with stellar-core v21.3.0."
  ),
  InvalidSendMoreExtended: reason(
    "us",
    "violation",
    undefined,
    "invalid message SEND_MORE_EXTENDED",
    "A grant must carry bytes."
  ),
  CapacityOverflow: reason(
    "us",
    "violation",
    undefined,
    "Peer capacity overflow",
    "The peer's grants add up to more than 2^64 - 1."
  ),
  SurveySignature: reason(
    "us",
    "violation",
    ERR_MISC,
    "Survey has invalid signature",
    "The peer relayed a survey message that its author did not sign."
  ),
  RateLimited: reason(
    "us",
    "load",
    ERR_LOAD,
    "peer exceeded rate limit",
    "The peer sent more {} than the configured rate allows."
  ),
  TooManyBadSignatures: reason(
    "us",
    "violation",
    undefined,
    "too many invalid SCP signatures",
    "The peer keeps relaying SCP messages that nobody signed."
  ),

  // time
  IdleTimeout: reason("us", "timeout", undefined, "idle timeout", "Nothing was read or written for {} ms."),
  NoCapacityTimeout: reason(
    "us",
    "timeout",
    undefined,
    "idle timeout (no new flood requests)",
    "The peer granted no flow-control credit for {} ms."
  ),
  Straggling: reason(
    "us",
    "timeout",
    undefined,
    "straggling (cannot keep up)",
    "The peer did not take what was sent to it for {} ms."
  ),
  SlowBody: reason(
    "us",
    "timeout",
    undefined,
    "message body too slow",
    "The rest of an announced message came slower than {} bytes/s."
  ),

  // framing and transport
  FrameTooLarge: reason(
    "us",
    "violation",
    undefined,
    "error during read",
    "The peer announced a message of {} bytes, over the limit."
  ),
  FrameEmpty: reason("us", "violation", undefined, "error during read", "The peer announced a message of no bytes."),
  ShortRead: reason(
    "network",
    "unreachable",
    undefined,
    "short read of message body",
    "The connection ended in the middle of a message."
  ),
  RemoteClosed: reason(
    "remote",
    "unreachable",
    undefined,
    "error reading message header: end of file",
    "The peer closed the connection without saying why: before the handshake is done that often means another network, a ban, or a full node."
  ),
  ReadError: reason(
    "network",
    "unreachable",
    undefined,
    "error reading message header: {}",
    "The connection broke while reading."
  ),
  WriteError: reason(
    "network",
    "unreachable",
    undefined,
    "error during write",
    "The connection broke while writing: {}."
  ),
  ConnectionRefused: reason(
    "network",
    "unreachable",
    undefined,
    "unable to connect: {}",
    "Nothing listens at that address and port."
  ),
  ConnectTimeout: reason(
    "network",
    "unreachable",
    undefined,
    "unable to connect: {}",
    "The address does not answer: a firewall, a wrong address, or a node that is off."
  ),
  ConnectFailed: reason(
    "network",
    "unreachable",
    undefined,
    "unable to connect: {}",
    "The connection could not be made."
  ),
  NameNotResolved: reason(
    "network",
    "unreachable",
    undefined,
    "unable to resolve: {}",
    "The host name has no usable address: check the spelling and the resolver."
  ),

  // admission
  PeerRejected: reason("us", "load", ERR_LOAD, "peer rejected", "No slot is free for this peer."),
  PreferredPeerSelected: reason(
    "us",
    "load",
    ERR_LOAD,
    "preferred peer selected instead",
    "A preferred peer took the slot."
  ),
  OutOfSyncRotation: reason(
    "us",
    "load",
    ERR_LOAD,
    "random disconnect due to out of sync",
    "This node is out of sync and tries other peers."
  ),
  PendingInboundFull: reason(
    "us",
    "load",
    undefined,
    "all pending inbound connections are taken",
    "Too many handshakes are under way."
  ),
  OutboundFull: reason("us", "load", undefined, "all outbound connections taken", "No outbound slot is free."),
  PerAddressLimit: reason(
    "us",
    "load",
    undefined,
    "too many pending connections from {}",
    "One address may only open a few handshakes at a time."
  ),
  PerSubnetLimit: reason(
    "us",
    "load",
    undefined,
    "too many pending connections from subnet {}",
    "One subnet may only open a few handshakes at a time."
  ),
  DialRefused: reason(
    "us",
    "local",
    undefined,
    "not dialled: {}",
    "NotDue: back-off; HostLimit: dialled too often; Port: not one that gossip may name; Self: it is this node."
  ),
  MutualDialLost: reason(
    "us",
    "local",
    ERR_CONF,
    "already-connected peer: {}",
    "Both nodes dialled at once; the other connection was kept."
  ),
  InboundEvicted: reason(
    "us",
    "load",
    ERR_LOAD,
    "peer rejected",
    "The least useful inbound peer made room for a new one."
  ),

  // ends without fault
  Shutdown: reason("us", "local", ERR_MISC, "shutdown", "This side closed the connection."),
  DroppedByUser: reason("us", "local", ERR_MISC, "dropped by user", "An operator asked for it."),
  ErrorReceived: reason("remote", "rejected", undefined, "{}", "The peer said why it ended the connection."),
  LoadErrorReceived: reason(
    "remote",
    "load",
    undefined,
    "{}",
    "The peer has no room now; it is alive, and its address stays good."
  ),
  ShutdownReceived: reason("remote", "unreachable", undefined, "{}", "The peer is shutting down."),
  Defect: reason("us", "bug", undefined, "internal error", "This is a bug in the overlay; please report it: {}.")
} as const satisfies Record<string, Definition>

/**
 * The tag of a drop reason.
 *
 * @category models
 * @since 0.1.0
 */
export type DropTag = keyof typeof definitions

/**
 * Why a connection ended. `detail` is what the text and the hint of some reasons mention: a number, a name, a remote
 * text already made safe to print.
 *
 * @category models
 * @since 0.1.0
 */
export interface DropReason {
  readonly _tag: DropTag
  readonly detail: string
}

/**
 * Every tag, for tables and exhaustive tests.
 *
 * @category models
 * @since 0.1.0
 */
export const tags: ReadonlyArray<DropTag> = Object.keys(definitions) as Array<DropTag>

/**
 * Makes a reason. `detail` must be safe to print; remote text goes through `sanitize` first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (_tag: DropTag, detail: string | number = ""): DropReason => ({ _tag, detail: String(detail) })

const definitionOf = (self: DropReason): Definition => definitions[self._tag]

const fill = (template: string, detail: string): string =>
  detail === "" ? template.replace(/ \(\{\}\)|: \{\}/, "").replace("{}", "?") : template.replace("{}", () => detail)

/**
 * Who ended the connection.
 *
 * @category getters
 * @since 0.1.0
 */
export const droppedBy = (self: DropReason): DroppedBy => definitionOf(self).by

/**
 * What the reason says about the peer; see `DropKind`.
 *
 * @category getters
 * @since 0.1.0
 */
export const kind = (self: DropReason): DropKind => definitionOf(self).kind

/**
 * The code of the ERROR_MSG we send before dropping, or undefined for a silent drop.
 *
 * @category getters
 * @since 0.1.0
 */
export const errorCode = (self: DropReason): ErrorCode | undefined => definitionOf(self).code

/**
 * The text of the reason, worded as stellar-core does where it has the same reason. It is also the text of the
 * ERROR_MSG, cut to 100 bytes there.
 *
 * @category getters
 * @since 0.1.0
 */
export const text = (self: DropReason): string => fill(definitionOf(self).text, self.detail)

/**
 * One sentence that helps the person who reads the reason.
 *
 * @category getters
 * @since 0.1.0
 */
export const hint = (self: DropReason): string => fill(definitionOf(self).hint, self.detail)

/**
 * The page and anchor that documents the reason.
 *
 * @category getters
 * @since 0.1.0
 */
export const documentation = (self: DropReason): string => `docs/drop-reasons.md#${self._tag.toLowerCase()}`

/**
 * Text and hint on one line, for logs and terminals.
 *
 * @category getters
 * @since 0.1.0
 */
export const format = (self: DropReason): string => `${text(self)}: ${hint(self)}`

/**
 * Makes remote text safe as core does: every character that is not an ASCII letter, digit or space becomes `*`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sanitize = (remote: string): string => remote.replace(/[^A-Za-z0-9 ]/g, "*")

/**
 * The reason for an ERROR_MSG that arrived: `<CODE> (<text>)`, the text made safe.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromErrorMessage = (code: number, remoteText: string): DropReason => {
  const detail = `${errorCodeName(code)} (${sanitize(remoteText)})`
  if (code === ErrorCode.ERR_LOAD) return make("LoadErrorReceived", detail)
  return make(code === ErrorCode.ERR_MISC && remoteText === "shutdown" ? "ShutdownReceived" : "ErrorReceived", detail)
}
