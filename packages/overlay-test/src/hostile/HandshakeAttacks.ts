/**
 * Attacks on the order and the contents of the handshake: H1 to H3, H9, H12, H14, H19, H20. Certificates and keys are in
 * `IdentityAttacks`.
 *
 * @since 0.1.0
 */
import { Auth } from "@stellar-overlay/overlay/wire/StellarMessage"
import type { HelloOverrides } from "../HandshakeScript.ts"
import { mutateXdr } from "../MutateXdr.ts"
import type { HandshakeStage, PeerScript } from "../PeerScript.ts"
import { seeded } from "../RandomXdr.ts"
import type { Script } from "../Script.ts"
import { AT_ONCE, type Attack, attack, bothRoles, type Case } from "./Attack.ts"
import { everyTag, hash, heardOnly, helloFirst, random, refusedHello, sample, silently } from "./parts.ts"

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
    // Another node has another window (protocol.md, Annex A): all fit into everything, and what ends before it begins
    // fits nowhere.
    strict: overlayMinVersion <= overlayVersion && (overlayMinVersion > 0 || overlayVersion < 0xffff_ffff),
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
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const handshakeAttacks: ReadonlyArray<Attack> = [h1, h2, h3, h9, h12, h14, h19, h20]
