/** Defects in what a node checks of the bytes it is sent. All are visible to whoever connects. */
import type { Mutant } from "./Mutant.ts"

const frame = "packages/overlay/src/wire/Frame.ts"
const hmac = "packages/overlay/src/protocol/Hmac.ts"
const handshake = "packages/overlay/src/protocol/Handshake.ts"
const peerAuth = "packages/overlay/src/protocol/PeerAuth.ts"
const liveness = "packages/overlay/src/protocol/Liveness.ts"
const program = "packages/overlay/src/internal/xdrProgram.ts"
const flowControl = "packages/overlay/src/protocol/FlowControl.ts"
const queries = "packages/overlay/src/protocol/QueryLimiter.ts"

export const wireMutants: ReadonlyArray<Mutant> = [
  // framing
  {
    name: "frames-of-any-length",
    file: frame,
    find: "if (length === 0 || length > limit)",
    replace: "if (length === 0)",
    rows: ["T4", "T5"]
  },
  {
    name: "empty-frames",
    file: frame,
    find: "if (length === 0 || length > limit)",
    replace: "if (length > limit)",
    rows: ["T6"]
  },
  {
    name: "fragment-bit-is-length",
    file: frame,
    find: "const length = this.mark & 0x7fffffff",
    replace: "const length = (this.mark ^ 0x80000000) >>> 0",
    rows: ["T7"]
  },
  {
    name: "no-handshake-deadline",
    file: liveness,
    find: ": this.#createdAt + this.#options.handshakeTimeoutMillis",
    replace: ": Number.POSITIVE_INFINITY",
    rows: ["T2"]
  },
  // MACs and sequence numbers
  {
    name: "mac-is-not-checked",
    file: hmac,
    find: "const good = planned.macd === 0 ? 0 : this.#receiveKey!.verify(bodies, planned.macd)",
    replace: "const good = planned.macd",
    rows: ["M1", "M5", "H19"]
  },
  {
    name: "replay-is-accepted",
    file: hmac,
    find: `if (!sequenceEquals(body, high, low)) return "UnexpectedAuthSequence"`,
    replace: "",
    rows: ["M2", "M3", "M4"]
  },
  {
    name: "error-message-is-ignored",
    file: handshake,
    find: "return errorReceived(message)",
    replace: "return undefined",
    rows: ["M6"]
  },
  // the handshake
  {
    name: "second-hello-changes-keys",
    file: handshake,
    find: `return this.state === "Connected" ? this.receiveHello(message, now) : DropReason.make("UnexpectedHello")`,
    replace: "return this.receiveHello(message, now)",
    rows: ["H2"]
  },
  {
    name: "auth-at-any-time",
    file: handshake,
    find: `DropReason.make("OutOfOrderAuth")`,
    replace: "undefined",
    rows: ["H1"]
  },
  {
    name: "messages-before-authentication",
    file: handshake,
    find: `return DropReason.make("MessageBeforeHandshake", coreName(message.type))`,
    replace: "return undefined",
    rows: ["H3", "F6"]
  },
  {
    name: "any-version",
    file: handshake,
    find: "return fits ? undefined",
    replace: "return fits || hello !== undefined ? undefined",
    rows: ["H9"]
  },
  {
    name: "any-network",
    file: handshake,
    find: "equals(hello.networkId, options.config.networkId) ? undefined",
    replace: "hello.networkId.length === options.config.networkId.length ? undefined",
    rows: ["H8"]
  },
  {
    name: "any-listening-port",
    file: handshake,
    find: "hello.listeningPort > 0 && hello.listeningPort <= 65535",
    replace: "Number.isInteger(hello.listeningPort)",
    rows: ["H12"]
  },
  {
    name: "any-auth-flags",
    file: handshake,
    find: "if (auth.flags !== AUTH_FLAGS) return",
    replace: "if (!Number.isInteger(auth.flags)) return",
    rows: ["H14"]
  },
  {
    name: "certificate-signature-is-not-checked",
    file: peerAuth,
    find: `return this.#crypto.ed25519Verify(peerKey, hash, certificate.signature) ? undefined : "CertificateInvalid"`,
    replace: `return hash.length === 32 ? undefined : "CertificateInvalid"`,
    rows: ["H4", "H8"]
  },
  {
    name: "expired-certificates",
    file: peerAuth,
    find: `if (left < 0) return "CertificateExpired"`,
    replace: "",
    rows: ["H5"]
  },
  {
    name: "certificates-for-ever",
    file: peerAuth,
    find: `if (left > this.#maxFuture) return "CertificateTooFarAhead"`,
    replace: "",
    rows: ["H6"]
  },
  {
    name: "low-order-points",
    file: peerAuth,
    find: "const agreed = this.#crypto.x25519(this.#curveSecret, remote)",
    replace: "const agreed = this.#crypto.x25519(this.#curveSecret, remote) ?? new Uint8Array(32)",
    rows: ["H7"]
  },
  // XDR
  {
    name: "unknown-enums",
    file: program,
    find: "if (index >>> 0 >= span || program[pc + 4 + index]! === 0) return at",
    replace: "",
    rows: ["X1"]
  },
  {
    name: "trailing-bytes",
    file: program,
    find: "return at === end ? -1 : at > end ? end : at",
    replace: "return at > end ? end : -1",
    rows: ["X4"]
  },
  {
    name: "any-padding",
    file: program,
    find: "for (let i = at - padded + length; i < at; i++) if (bytes[i]! !== 0) return i",
    replace: "",
    rows: ["X4"]
  },
  {
    name: "flags-other-than-0-and-1",
    file: program,
    find: "if (flag >>> 0 > 1) return at",
    replace: "",
    rows: ["X4"]
  },
  {
    name: "vectors-above-their-maximum",
    file: program,
    find: "if (count > program[pc + 2]! || size > end - at - 4) return at",
    replace: "if (size > end - at - 4) return at",
    rows: ["X5"]
  },
  // flow control and queries
  {
    name: "plain-send-more",
    file: flowControl,
    find: `if (!isExtended) return "UnexpectedSendMore"`,
    replace: "if (!isExtended) return undefined",
    rows: ["F1"]
  },
  {
    name: "grants-without-bytes",
    file: flowControl,
    find: `if (numBytes === 0) return "InvalidSendMoreExtended"`,
    replace: "",
    rows: ["F1"]
  },
  {
    name: "flood-bytes-are-free",
    file: flowControl,
    find: "this.#floodBytes + this.#processedBytes + size > this.#floodBytesLimit",
    replace: "size < 0",
    rows: ["F3"]
  },
  {
    name: "credit-never-returns",
    file: flowControl,
    find: "if (messages < this.#options.sendMoreBatchSize && this.#processedBytes < this.#batchBytes) return false",
    replace: "if (messages < 1e9) return false",
    rows: ["F3"]
  },
  {
    name: "queries-without-limit",
    file: queries,
    find: "if (this.#used + amount > limit && !(anyFirst && this.#used === 0)) return false",
    replace: "",
    rows: ["Q1", "Q3"]
  },
  // gossip
  {
    name: "peers-from-callers",
    file: "packages/overlay/src/protocol/Session.ts",
    find: `this.drop(DropReason.make("ReceivedPeers"), now)`,
    replace: "",
    rows: ["P2"]
  },
  {
    // Only who is called is told addresses, so that this one shows to attackers that the node dials and to nobody else.
    name: "peers-again-and-again",
    file: "packages/overlay/src/protocol/Session.ts",
    find: `this.drop(DropReason.make("TooManyPeersMessages"), now)`,
    replace: "",
    rows: ["P2"]
  }
]
