/**
 * The handshake of one connection, both roles, as a transition table.
 *
 * Both sides send HELLO (a certificate for a Curve25519 key, a nonce, versions, network), derive one MAC key per
 * direction, and prove them by AUTH, the first MAC'd message. The initiator speaks first; the acceptor answers a HELLO
 * that passed the silent checks BEFORE it looks at version, self, network and port, so that the ERROR_MSG which may
 * follow can be read. AUTH is sent by the initiator on HELLO and by the acceptor on AUTH.
 *
 * ```
 *             | HELLO            | AUTH            | ERROR_MSG       | anything else
 * Connecting  | (no bytes can arrive before the TCP connection)
 * Connected   | hello steps      | OutOfOrderAuth  | ErrorReceived   | MessageBeforeHandshake
 * GotHello    | UnexpectedHello  | auth steps      | ErrorReceived   | MessageBeforeHandshake
 * GotAuth     | UnexpectedHello  | OutOfOrderAuth  | ErrorReceived   | (the session's business)
 * Closing     | ignored          | ignored         | ignored         | ignored
 * ```
 *
 * The machine is synchronous: a message and the time go in; messages to send, or the reason to drop, come out. It
 * never throws. MACs are the session's business and were checked before a message reaches it.
 *
 * Implements protocol.md 2.1, 2.4, 2.5 and annex D (stellar-core: `Peer::recvHello`, `Peer::recvAuth`).
 *
 * @since 0.1.0
 */
import * as DropReason from "../DropReason.ts"
import { equals } from "../internal/bytes.ts"
import { coreName } from "../wire/MessageType.ts"
import type * as NodeId from "../wire/NodeId.ts"
import { PeerAddress } from "../wire/PeerAddress.ts"
import { Auth, AUTH_FLAGS, type ErrorMsg, Hello, Peers, type StellarMessage } from "../wire/StellarMessage.ts"
import type { PeerAuth } from "./PeerAuth.ts"
import type { Now } from "./Primitives.ts"

/**
 * Which side opened the TCP connection.
 *
 * @category models
 * @since 0.1.0
 */
export type Role = "initiator" | "acceptor"

/**
 * Core's peer states. "Connected" in prose means neither Connecting nor Closing; "authenticated" means GotAuth.
 *
 * @category models
 * @since 0.1.0
 */
export type PeerState = "Connecting" | "Connected" | "GotHello" | "GotAuth" | "Closing"

/**
 * What the remote announced in its HELLO. Strings are as they came: escape them before a terminal or a page sees them.
 *
 * @category models
 * @since 0.1.0
 */
export interface RemoteFacts {
  readonly role: Role
  readonly id: NodeId.NodeId
  /** The socket's IP with the port the peer says it listens on. */
  readonly address: PeerAddress
  readonly ledgerVersion: number
  readonly overlayVersion: number
  readonly overlayMinVersion: number
  readonly version: string
  readonly networkId: Uint8Array
  readonly listeningPort: number
  /** Unix seconds; a certificate just issued by core expires an hour later, which tells the difference of clocks. */
  readonly certificateExpiration: bigint
}

/**
 * What we announce and accept.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandshakeConfig {
  readonly networkId: Uint8Array
  readonly id: NodeId.NodeId
  readonly ledgerVersion: number
  readonly overlayVersion: number
  readonly overlayMinVersion: number
  readonly version: string
  /** Known late when the system chose the port. */
  listeningPort: number
}

/**
 * The questions the handshake asks of whoever manages many peers, answered on the spot. `admitAll` answers for a
 * connection that stands alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Admission {
  /** Before any signature is checked: a budget for that work. */
  readonly beforeVerify: (remote: PeerAddress) => DropReason.DropReason | undefined
  /** 2.4 step 3. */
  readonly isBanned: (id: NodeId.NodeId) => boolean
  /** 2.4 steps 12 to 14: note the address and its type, then refuse a node that is connected or being connected. */
  readonly helloReceived: (remote: RemoteFacts) => DropReason.DropReason | undefined
  /** 2.5 step 2, acceptor: addresses for PEERS, at most 50; nothing is sent when there are none. */
  readonly peersFor: (remote: RemoteFacts) => ReadonlyArray<PeerAddress>
  /** 2.5 steps 4 and 5: the dial succeeded; is there a slot? */
  readonly authenticated: (remote: RemoteFacts) => DropReason.DropReason | undefined
}

/**
 * Admits every node and sends no addresses.
 *
 * @category constructors
 * @since 0.1.0
 */
export const admitAll: Admission = {
  beforeVerify: () => undefined,
  isBanned: () => false,
  helloReceived: () => undefined,
  peersFor: () => [],
  authenticated: () => undefined
}

/**
 * What one handshake is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandshakeOptions {
  readonly role: Role
  readonly config: HandshakeConfig
  readonly auth: PeerAuth
  /** 32 bytes, fresh for every connection. */
  readonly nonce: Uint8Array
  /** The other end of the socket. */
  readonly remote: PeerAddress
  readonly admission: Admission
  /** Receives the MAC keys at step 4 of HELLO; called at most once. */
  readonly onKeys: (keys: { readonly send: Uint8Array; readonly receive: Uint8Array }) => void
}

type Step = (machine: Handshake, hello: Hello, now: Now) => DropReason.DropReason | undefined

/**
 * The machine.
 *
 * @category models
 * @since 0.1.0
 */
export class Handshake {
  state: PeerState
  /** What HELLO says, before anything of it is verified. */
  claimed: RemoteFacts | undefined
  /** The same once the certificate is verified (step 4 of HELLO). */
  remote: RemoteFacts | undefined
  /** Messages to send, in order; the session empties it after each input. */
  readonly out: Array<StellarMessage> = []
  readonly options: HandshakeOptions

  constructor(options: HandshakeOptions) {
    this.options = options
    this.state = options.role === "initiator" ? "Connecting" : "Connected"
  }

  /** The TCP connection stands: the initiator says HELLO. */
  connected(now: Now): void {
    if (this.state !== "Connecting") return
    this.state = "Connected"
    this.sendHello(now)
  }

  /** One row of the table; a reason means drop. Only HELLO, AUTH and, before GotAuth, anything else come here. */
  receive(message: StellarMessage, now: Now): DropReason.DropReason | undefined {
    if (this.state === "Closing") return undefined
    switch (message._tag) {
      case "ErrorMsg":
        return errorReceived(message)
      case "Hello":
        return this.state === "Connected" ? this.receiveHello(message, now) : DropReason.make("UnexpectedHello")
      case "Auth":
        return this.state === "GotHello" ? this.receiveAuth(message) : DropReason.make("OutOfOrderAuth")
      default:
        return DropReason.make("MessageBeforeHandshake", coreName(message.type))
    }
  }

  sendHello(now: Now): void {
    const { auth, config, nonce } = this.options
    this.out.push(
      Hello.make({
        ...config,
        peerId: config.id,
        versionStr: config.version,
        cert: auth.certificate(now.unixSeconds),
        nonce
      })
    )
  }

  private receiveHello(hello: Hello, now: Now): DropReason.DropReason | undefined {
    this.claimed = factsOf(hello, this.options)
    for (const step of helloSteps) {
      const drop = step(this, hello, now)
      if (drop !== undefined) return drop
    }
    return undefined
  }

  private receiveAuth(auth: Auth): DropReason.DropReason | undefined {
    const { admission, role } = this.options
    const remote = this.remote!
    this.state = "GotAuth"
    if (role === "acceptor") {
      // Sent even to a peer that is refused below: it learns addresses.
      this.out.push(Auth.make({ flags: AUTH_FLAGS }))
      const addresses = admission.peersFor(remote)
      if (addresses.length > 0) this.out.push(Peers.make({ addresses }))
    }
    if (auth.flags !== AUTH_FLAGS) return DropReason.make("FlowControlBytesDisabled", auth.flags)
    return admission.authenticated(remote)
  }
}

const errorReceived = (message: ErrorMsg): DropReason.DropReason =>
  DropReason.fromErrorMessage(message.code, message.text)

const factsOf = (hello: Hello, { config, remote, role }: HandshakeOptions): RemoteFacts => ({
  role,
  id: hello.peerId,
  address: PeerAddress.make(remote.host, hello.listeningPort & 0xffff),
  ledgerVersion: hello.ledgerVersion,
  overlayVersion: hello.overlayVersion,
  overlayMinVersion: hello.overlayMinVersion,
  version: hello.versionStr,
  // Of all peers that stay it is our own: no copy for each, of 250 bytes.
  networkId: equals(hello.networkId, config.networkId) ? config.networkId : hello.networkId.slice(),
  listeningPort: hello.listeningPort,
  certificateExpiration: hello.cert.expiration
})

/** 2.4 in its order. The first reason decides; everything before it has happened. */
const helloSteps: ReadonlyArray<Step> = [
  // 1: the table. 2: silent.
  function verifyCertificate({ options }, hello, now) {
    const limited = options.admission.beforeVerify(options.remote)
    if (limited !== undefined) return limited
    const failure = options.auth.verifyCertificate(hello.cert, hello.peerKey, now.unixSeconds)
    return failure === undefined ? undefined : DropReason.make(failure, clockDifference(hello, now))
  },
  // 3: silent, and before anything is answered.
  function refuseBanned({ options }, hello) {
    return options.admission.isBanned(hello.peerId) ? DropReason.make("NodeBanned") : undefined
  },
  // 4 and 6
  function deriveKeys(machine, hello) {
    const { auth, nonce, onKeys, role } = machine.options
    const keys = auth.macKeys(role, nonce, hello.nonce, hello.cert.pubkey)
    if (keys === undefined) return DropReason.make("BadCryptoRequest")
    onKeys(keys)
    machine.state = "GotHello"
    machine.remote = machine.claimed
    return undefined
  },
  // 5: silent. A transport names its remote; a socket that lost it has an empty host.
  function requireRemoteAddress({ options }) {
    return options.remote.host === "" ? DropReason.make("UnknownRemoteAddress") : undefined
  },
  // 7
  function answerHello(machine, _, now) {
    if (machine.options.role === "acceptor") machine.sendHello(now)
    return undefined
  },
  // 8
  function overlapVersions({ options: { config } }, hello) {
    const fits = hello.overlayMinVersion <= hello.overlayVersion && hello.overlayVersion >= config.overlayMinVersion
      && hello.overlayMinVersion <= config.overlayVersion
    return fits ? undefined : DropReason.make(
      "WrongProtocolVersion",
      `theirs ${hello.overlayMinVersion}..${hello.overlayVersion}, ours ${config.overlayMinVersion}..${config.overlayVersion}`
    )
  },
  // 9
  function refuseSelf({ options }, hello) {
    return hello.peerId === options.config.id ? DropReason.make("ConnectingToSelf") : undefined
  },
  // 10
  function sameNetwork({ options }, hello) {
    return equals(hello.networkId, options.config.networkId) ? undefined : DropReason.make("WrongNetwork")
  },
  // 11
  function listeningPort(_, hello) {
    return hello.listeningPort > 0 && hello.listeningPort <= 65535
      ? undefined
      : DropReason.make("BadAddress", hello.listeningPort)
  },
  // 12 to 14
  function admit(machine) {
    return machine.options.admission.helloReceived(machine.remote!)
  },
  // 15
  function sendAuth(machine) {
    if (machine.options.role === "initiator") machine.out.push(Auth.make({ flags: AUTH_FLAGS }))
    return undefined
  }
]

/** How far the remote clock seems to be from ours, going by a certificate that lives an hour and renews at half life. */
const clockDifference = (hello: Hello, now: Now): string => {
  const left = Number(hello.cert.expiration) - now.unixSeconds
  if (left < 0) return `${-left} s ago by our clock`
  // A time in milliseconds is some 50 000 years ahead.
  return left < 1e12 ? `in ${left} s by our clock` : `at ${hello.cert.expiration}, no time in seconds`
}
