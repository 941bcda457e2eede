/**
 * Attacks with certificates, keys and names: H4 to H8, H13.
 *
 * @since 0.1.0
 */
import { core } from "@stellar-overlay/overlay/OverlayConfig"
import { ErrorMsg } from "@stellar-overlay/overlay/wire/StellarMessage"
import { type CertificateOverrides, type HelloOverrides, lowOrderPoints } from "../HandshakeScript.ts"
import type { PeerScript } from "../PeerScript.ts"
import type { Script } from "../Script.ts"
import { type Attack, attack, bothRoles, type Case } from "./Attack.ts"
import { hash, heardOnly, helloFirst, refusedHello, silently } from "./parts.ts"

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

/** A certificate that must do, or must not, by the seconds until it expires. Core has no bound on how far ahead. */
const expiring = (seconds: number, drop?: "CertificateExpired" | "CertificateTooFarAhead") => ({
  name: `expires in ${seconds} s`,
  drop,
  strict: drop === "CertificateTooFarAhead",
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
      strict: true,
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
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const identityAttacks: ReadonlyArray<Attack> = [h4, h5, h6, h7, h8, h13]
