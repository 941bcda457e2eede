/**
 * Attacks on the handshake and on identity that one connection can make: H1 to H14, H19, H20.
 *
 * H10 and H11 need a victim with many connections, H17 one with many handshakes: their scripts are here, their
 * invariants where such a victim is built.
 *
 * @since 0.1.0
 */
import { core } from "@stellar-overlay/overlay/OverlayConfig"
import type { MessageTag } from "@stellar-overlay/overlay/wire/MessageType"
import { Auth, ErrorMsg } from "@stellar-overlay/overlay/wire/StellarMessage"
import { type CertificateOverrides, type HelloOverrides, lowOrderPoints } from "../HandshakeScript.ts"
import { mutateXdr } from "../MutateXdr.ts"
import type { HandshakeStage, PeerScript } from "../PeerScript.ts"
import { seeded } from "../RandomXdr.ts"
import type { Script } from "../Script.ts"
import { AT_ONCE, type Attack, attack, bothRoles, type Case } from "./Attack.ts"
import { everyTag, hash, random, sample } from "./messages.ts"

const silently = { within: AT_ONCE, error: "silent" } as const

/** Nothing was heard beyond these, in this order. */
const heardOnly = (peer: PeerScript, ...tags: ReadonlyArray<MessageTag>): void => {
  if (peer.tags.join() !== tags.join()) throw peer.failure(`to hear ${tags.join()}`, `it was ${peer.tags.join()}`)
}

/** What an acceptor says before it judges a HELLO's contents; an initiator has said its own HELLO long before. */
const helloFirst = (peer: PeerScript): ReadonlyArray<MessageTag> => peer.role === "initiator" ? [] : ["Hello"]

/**
 * AUTH before HELLO.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h1 = attack<Case & { mac: "zero" | Uint8Array }>({
  id: "H1",
  title: "AUTH before HELLO is out of order",
  roles: bothRoles,
  cases: [
    { name: "with a zero MAC", drop: "OutOfOrderAuth", mac: "zero" },
    { name: "with a made-up MAC", drop: "OutOfOrderAuth", mac: new Uint8Array(32).fill(7) }
  ],
  *run(peer, { mac }) {
    yield* peer.handshake("Connected")
    yield* peer.say(Auth.make(), { mac })
    yield* peer.expectError(0, "out-of-order AUTH message", AT_ONCE)
    heardOnly(peer, ...helloFirst(peer), "ErrorMsg")
  }
})

/**
 * A second HELLO, to change the keys.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h2 = attack<Case & { until: HandshakeStage; hello: HelloOverrides; authenticated?: boolean }>({
  id: "H2",
  title: "a second HELLO never changes keys",
  roles: bothRoles,
  cases: [
    { name: "the same HELLO again", drop: "UnexpectedMac", until: "GotHello", hello: {} },
    { name: "another nonce", drop: "UnexpectedMac", until: "GotHello", hello: { nonce: hash(2) } },
    {
      name: "another Curve25519 key",
      drop: "UnexpectedMac",
      until: "GotHello",
      hello: { certificate: { pubkey: hash(9) } }
    },
    {
      name: "another node",
      drop: "UnexpectedMac",
      until: "GotHello",
      hello: { peerId: hash(3) }
    },
    { name: "after authentication", drop: "UnexpectedAuthSequence", until: "GotAuth", hello: {} },
    {
      name: "with a good MAC",
      drop: "UnexpectedHello",
      until: "GotHello",
      hello: { nonce: hash(2) },
      authenticated: true
    },
    {
      name: "with a good MAC after authentication",
      drop: "UnexpectedHello",
      until: "GotAuth",
      hello: { nonce: hash(2) },
      authenticated: true
    }
  ],
  *run(peer, { authenticated, drop, hello, until }) {
    yield* peer.handshake(until)
    yield* peer.say(peer.hello(hello), authenticated === true ? { authenticated } : {})
    if (drop === "UnexpectedHello") return yield* peer.expectClosed(silently)
    const text = drop === "UnexpectedMac" ? "unexpected MAC" : "unexpected auth sequence"
    return yield* peer.expectError(3, text, AT_ONCE)
  }
})

const unwelcome = everyTag.filter((tag) => tag !== "Hello" && tag !== "Auth" && tag !== "ErrorMsg")

/**
 * Every other message before the handshake is done.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h3 = attack({
  id: "H3",
  title: "no other message is heard before authentication",
  roles: bothRoles,
  cases: (["Connected", "GotHello"] as const).flatMap((until) =>
    unwelcome.map((tag) => ({ name: `${tag} in ${until}`, drop: "MessageBeforeHandshake" as const, tag, until }))
  ),
  *run(peer, { tag, until }) {
    yield* peer.handshake(until)
    const heard = peer.heard.length
    yield* peer.say(sample(tag))
    yield* peer.expectClosed(silently)
    if (peer.heard.length !== heard) throw peer.failure("silence", "something was said")
  }
})

const badSignatures: ReadonlyArray<readonly [name: string, certificate: CertificateOverrides]> = [
  ["zeros", { signature: new Uint8Array(64) }],
  ["empty", { signature: new Uint8Array(0) }],
  ["63 bytes", { signature: new Uint8Array(63).fill(1) }],
  ["one bit flipped", { damage: (signature) => void (signature[20]! ^= 1) }],
  ["the last bit flipped", { damage: (signature) => void (signature[63]! ^= 0x80) }],
  ["of another signer", { signer: hash(77) }],
  ["for another network", { networkId: hash(5) }]
]

/**
 * Certificates whose signature does not fit.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h4 = attack<Case & { hello: HelloOverrides }>({
  id: "H4",
  title: "a bad certificate signature ends it silently, after one check at most",
  roles: bothRoles,
  cases: [
    ...badSignatures.map(([name, certificate]) => ({
      name,
      drop: "CertificateInvalid" as const,
      hello: { certificate }
    })),
    { name: "another node's HELLO under this name", drop: "CertificateInvalid" as const, hello: { peerId: hash(3) } }
  ],
  *run(peer, { hello }) {
    yield* peer.handshake("Connected")
    yield* peer.say(peer.hello(hello))
    yield* peer.expectClosed(silently)
    heardOnly(peer, ...helloFirst(peer))
  }
})

/** A certificate that must do, or must not, by the seconds until it expires. */
const expiring = (seconds: number, drop?: "CertificateExpired" | "CertificateTooFarAhead") => ({
  name: `expires in ${seconds} s`,
  drop,
  certificate: { expiresIn: seconds }
})

const certificate = function*(
  peer: PeerScript,
  { certificate, drop }: { readonly certificate: CertificateOverrides; readonly drop?: string | undefined }
): Script {
  if (drop === undefined) {
    yield* peer.handshake()
    return yield* peer.expectOpen(1000)
  }
  yield* peer.handshake("Connected")
  yield* peer.say(peer.hello({ certificate }))
  yield* peer.expectClosed(silently)
  return heardOnly(peer, ...helloFirst(peer))
}

const withCertificate = <C extends { readonly certificate: CertificateOverrides }>(parameters: C) => ({
  ...parameters,
  attacker: { hello: { certificate: parameters.certificate } }
})

/**
 * Certificates at both sides of their expiry: a peer whose clock is an hour slow, or that kept one for too long.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h5 = attack({
  id: "H5",
  title: "an expired certificate ends it silently; the second it expires in is good",
  roles: bothRoles,
  cases: [
    expiring(-3600, "CertificateExpired"),
    expiring(-2, "CertificateExpired"),
    expiring(2),
    expiring(3600),
    { ...expiring(0), name: "expired in 1970", drop: "CertificateExpired" as const, certificate: { expiration: 0n } }
  ].map(withCertificate),
  run: certificate
})

/**
 * Certificates that would be good for ever: a stolen one never ends.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h6 = attack({
  id: "H6",
  title: "a certificate more than an hour and five minutes ahead ends it silently",
  roles: bothRoles,
  cases: [
    expiring(3898),
    expiring(3902, "CertificateTooFarAhead"),
    expiring(7200, "CertificateTooFarAhead"),
    ...[2n ** 31n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n].map((expiration) => ({
      name: `expires at ${expiration}`,
      drop: "CertificateTooFarAhead" as const,
      certificate: { expiration }
    })),
    {
      name: "expires at 2^64 - 1, borne as core does",
      certificate: { expiration: 2n ** 64n - 1n },
      victim: { config: { maxCertificateSeconds: core.maxCertificateSeconds ?? 0 } }
    }
  ].map(withCertificate),
  run: certificate
})

/**
 * Curve25519 keys with which every agreement is zero.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h7 = attack({
  id: "H7",
  title: "a low-order Curve25519 key is a bad crypto request, and no key",
  roles: bothRoles,
  cases: lowOrderPoints.map((pubkey, i) => ({
    name: `point ${i >> 1}${(i & 1) === 0 ? "" : " with bit 255"}`,
    drop: "BadCryptoRequest" as const,
    pubkey
  })),
  *run(peer, { pubkey }) {
    yield* peer.handshake("Connected")
    yield* peer.say(peer.hello({ certificate: { pubkey } }))
    yield* peer.expectClosed(silently)
    heardOnly(peer, ...helloFirst(peer))
  }
})

/** HELLOs that are refused with words; an acceptor answers them with its own first. */
const refusedHello = function*(peer: PeerScript, { hello, text }: { hello: HelloOverrides; text: string }): Script {
  yield* peer.handshake("Connected")
  yield* peer.say(peer.hello(hello))
  yield* peer.expectError(2, text, AT_ONCE)
  heardOnly(peer, "Hello", "ErrorMsg")
}

/**
 * A node of another network.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h8 = attack<Case & { hello: HelloOverrides; text: string }>({
  id: "H8",
  title: "another network is told apart by the certificate first, by its name second",
  roles: bothRoles,
  cases: [
    {
      name: "a whole node of another network",
      drop: "CertificateInvalid",
      attacker: { networkPassphrase: "(V) (;,,;) (V)" },
      hello: {},
      text: ""
    },
    {
      name: "a certificate for this network under another id",
      drop: "WrongNetwork",
      hello: { networkId: hash(1) },
      text: "wrong network passphrase"
    }
  ],
  *run(peer, parameters) {
    if (parameters.drop === "WrongNetwork") return yield* refusedHello(peer, parameters)
    yield* peer.handshake("Connected")
    yield* peer.say(peer.hello())
    yield* peer.expectClosed(silently)
    return heardOnly(peer, ...helloFirst(peer))
  }
})

/**
 * Version windows against ours of 38 to 42.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h9 = attack({
  id: "H9",
  title: "versions that do not meet end it with words",
  roles: bothRoles,
  cases: ([
    [37, 37, false],
    [0, 37, false],
    [0, 38, true],
    [38, 38, true],
    [42, 42, true],
    [42, 99, true],
    [43, 43, false],
    [43, 99, false],
    [0, 0xffff_ffff, true],
    [41, 40, false],
    [0xffff_ffff, 0, false],
    [42, 38, false]
  ] as const).map(([overlayMinVersion, overlayVersion, fits]) => ({
    name: `${overlayMinVersion} to ${overlayVersion}`,
    drop: fits ? undefined : "WrongProtocolVersion" as const,
    attacker: { hello: { overlayMinVersion, overlayVersion } },
    hello: {},
    text: "wrong protocol version"
  })),
  *run(peer, parameters) {
    if (parameters.drop !== undefined) return yield* refusedHello(peer, parameters)
    yield* peer.handshake()
    return yield* peer.expectOpen(1000)
  }
})

/**
 * Ports nobody can listen on.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h12 = attack({
  id: "H12",
  title: "a listening port outside 1 to 65535 is a bad address",
  roles: bothRoles,
  cases: [
    ...[0, -1, 65_536, 0x7fff_ffff, -0x8000_0000].map((port) => ({ port, drop: "BadAddress" as const })),
    ...[1, 65_535].map((port) => ({ port, drop: undefined }))
  ].map(({ drop, port }) => ({
    name: `${port}`,
    drop,
    attacker: { hello: { listeningPort: port } },
    hello: {},
    text: "bad address"
  })),
  *run(peer, parameters) {
    if (parameters.drop !== undefined) return yield* refusedHello(peer, parameters)
    yield* peer.handshake()
    return yield* peer.expectOpen(1000)
  }
})

const hostileTexts: ReadonlyArray<readonly [name: string, text: string | Uint8Array]> = [
  ["escape sequences", "\u001b[2J\u001b]0;owned\u0007\u001b[31mred"],
  ["a NUL and line ends", "a\0b\r\nERROR (fake): c\u2028d"],
  ["a hundred bytes", "x".repeat(100)],
  ["bytes that are not UTF-8", new Uint8Array(100).fill(0xff)],
  ["markup", "<script>alert(1)</script>\"'&"],
  ["right-to-left override", "\u202egnp.exe"],
  ["nothing", ""]
]

/**
 * Texts that want to be executed where they are shown.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h13 = attack<Case & { goodbye: string | undefined }>({
  id: "H13",
  title: "hostile texts are data",
  roles: bothRoles,
  cases: [
    ...hostileTexts.map(([name, versionStr]) => ({
      name: `${name} as version`,
      attacker: { hello: { versionStr } },
      goodbye: undefined
    })),
    ...hostileTexts.map(([name, text]) => ({
      name: `${name} as goodbye`,
      drop: "ErrorReceived" as const,
      goodbye: typeof text === "string" ? text : "\uffff".repeat(33)
    }))
  ],
  *run(peer, { goodbye }) {
    yield* peer.handshake()
    if (goodbye === undefined) return yield* peer.expectOpen(1000)
    yield* peer.say(ErrorMsg.make({ code: 2, text: goodbye }))
    return yield* peer.expectClosed(silently)
  }
})

/**
 * AUTH with flags of older nodes, or of none.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h14 = attack({
  id: "H14",
  title: "AUTH flags other than 200 end it with words",
  roles: bothRoles,
  cases: [0, 1, 100, 199, 201, -200, 0x7fff_ffff, -0x8000_0000].map((authFlags) => ({
    name: `${authFlags}`,
    drop: "FlowControlBytesDisabled" as const,
    authFlags
  })),
  *run(peer, { authFlags }) {
    yield* peer.handshake("GotHello")
    yield* peer.say(Auth.make({ flags: authFlags }))
    yield* peer.expectError(2, "flow control bytes disabled", AT_ONCE)
    // Both sides have said AUTH: the acceptor before it looks at the flags.
    heardOnly(peer, "Hello", "Auth", "ErrorMsg")
  }
})

/**
 * HELLO and AUTH of another connection, byte for byte.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h19 = attack<Case & { key: Uint8Array }>({
  id: "H19",
  title: "a recorded handshake opens nothing",
  cases: [
    { name: "an AUTH of other keys", drop: "UnexpectedMac", key: hash(8) },
    { name: "an AUTH of zero keys", drop: "UnexpectedMac", key: new Uint8Array(32) }
  ],
  *run(peer, { key }) {
    yield* peer.handshake("GotHello")
    const auth = peer.encode(Auth.make(), { mac: "zero" })
    peer.crypto.macKey(key).sign(auth, [8, auth.length - 32], 1)
    yield* peer.sayBytes(auth)
    yield* peer.expectError(3, "unexpected MAC", AT_ONCE)
  }
})

/** Mutations of the two messages of the handshake, decided by a number. */
const mutated = (peer: PeerScript, stage: "HELLO" | "AUTH", seed: number): Uint8Array => {
  const chance = seeded(seed)
  const message = stage === "HELLO" ? peer.hello() : Auth.make()
  const like = random(stage === "HELLO" ? "Hello" : "Auth", seed)
  return mutateXdr(message.bytes, chance, like.bytes)
}

/**
 * Damaged handshakes: of every step, decided by a number. Whatever comes of one, it is typed; see `fuzz` for many.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h20 = attack<Case & { until: HandshakeStage; bytes: (peer: PeerScript) => Uint8Array }>({
  id: "H20",
  title: "a damaged handshake ends typed",
  roles: bothRoles,
  cases: [
    {
      name: "HELLO cut short",
      drop: "CorruptXdr",
      until: "Connected",
      bytes: (peer) => peer.hello().bytes.slice(0, 120)
    },
    {
      name: "HELLO with more behind it",
      drop: "CorruptXdr",
      until: "Connected",
      bytes: (peer) => Uint8Array.of(...peer.hello().bytes, 0, 0, 0, 0)
    },
    {
      name: "a version of 101 bytes",
      drop: "CorruptXdr",
      until: "Connected",
      bytes: (peer) => {
        const bytes = peer.hello({ versionStr: "x".repeat(100) }).bytes.slice()
        bytes[51] = 101
        return bytes
      }
    },
    {
      name: "another type of key",
      drop: "CorruptXdr",
      until: "Connected",
      bytes: (peer) => {
        const bytes = peer.hello({ versionStr: "" }).bytes.slice()
        bytes[59] = 1
        return bytes
      }
    },
    {
      name: "AUTH without flags",
      drop: "CorruptXdr",
      until: "GotHello",
      bytes: () => Auth.make().bytes.slice(0, 4)
    },
    { name: "noise for HELLO", drop: "CorruptXdr", until: "Connected", bytes: (peer) => peer.crypto.randomBytes(300) },
    { name: "noise for AUTH", drop: "CorruptXdr", until: "GotHello", bytes: (peer) => peer.crypto.randomBytes(60) }
  ],
  *run(peer, { bytes, until }) {
    yield* peer.handshake(until)
    yield* peer.say(bytes(peer))
    yield* peer.expectError(1, "received corrupt XDR", AT_ONCE)
  }
})

/**
 * One damaged handshake message, decided by a number: for fuzzing. Nothing is expected but an end or an open connection.
 *
 * @category attacks
 * @since 0.1.0
 */
export const fuzzHandshake = (seed: number) =>
  function*(peer: PeerScript): Script {
    const stage = seed % 3 === 0 ? "AUTH" : "HELLO"
    yield* peer.handshake(stage === "HELLO" ? "Connected" : "GotHello")
    yield* peer.say(mutated(peer, stage, seed))
  }

/**
 * The rows that one connection can carry out.
 *
 * @category attacks
 * @since 0.1.0
 */
export const handshakeAttacks: ReadonlyArray<Attack> = [h1, h2, h3, h4, h5, h6, h7, h8, h9, h12, h13, h14, h19, h20]
