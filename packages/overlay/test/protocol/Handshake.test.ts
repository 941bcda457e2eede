/** The handshake machine by itself: signatures and keys are taken for good, messages go in and come out. */
import { assert, describe, it } from "@effect/vitest"
import { primitives } from "../../src/NodeOverlayCrypto.ts"
import { Handshake, type HandshakeConfig, type PeerState, type Role } from "../../src/protocol/Handshake.ts"
import * as HandshakeModule from "../../src/protocol/Handshake.ts"
import { PeerAuth } from "../../src/protocol/PeerAuth.ts"
import { MessageType } from "../../src/wire/MessageType.ts"
import * as NodeId from "../../src/wire/NodeId.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { Auth, ErrorMsg, Hello, type HelloFields, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { sample } from "../scenarios/fixtures.ts"

/** Believes every certificate and agrees on fixed keys. */
class Trusting extends PeerAuth {
  override verifyCertificate() {
    return undefined
  }
  override macKeys() {
    return { send: new Uint8Array(32).fill(1), receive: new Uint8Array(32).fill(2) }
  }
}

const networkId = primitives.sha256(new TextEncoder().encode("a network"))
const seedA = new Uint8Array(32).fill(1)
const seedB = new Uint8Array(32).fill(2)
const auth = new Trusting(primitives, networkId, seedA)
const now = { millis: 0, unixSeconds: 1_767_225_600 }
const roles: ReadonlyArray<Role> = ["initiator", "acceptor"]

const config: HandshakeConfig = {
  networkId,
  id: NodeId.fromBytes(primitives.ed25519PublicKey(seedA)),
  ledgerVersion: 27,
  overlayVersion: 42,
  overlayMinVersion: 38,
  version: "ours",
  listeningPort: 11625
}

const hello = (changes: Partial<HelloFields> = {}): Hello =>
  Hello.make({
    ledgerVersion: 27,
    overlayVersion: 42,
    overlayMinVersion: 38,
    networkId,
    versionStr: "theirs",
    listeningPort: 11625,
    peerId: primitives.ed25519PublicKey(seedB),
    cert: auth.certificate(now.unixSeconds),
    nonce: new Uint8Array(32).fill(3),
    ...changes
  })

const make = (role: Role, changes: Partial<HandshakeConfig> = {}) => {
  const keys: Array<string> = []
  const machine = new Handshake({
    role,
    config: { ...config, ...changes },
    auth,
    nonce: new Uint8Array(32).fill(4),
    remote: PeerAddress.make("192.0.2.1", 40000),
    admission: HandshakeModule.admitAll,
    onKeys: () => keys.push("keys")
  })
  return { machine, keys }
}

const types = (machine: Handshake): Array<number> => machine.out.splice(0).map((message) => message.type)

describe("the table", () => {
  /** Brings a machine into a state; what it said on the way is forgotten. */
  const inState = (role: Role, state: PeerState) => {
    const made = make(role)
    const { machine } = made
    if (state !== "Connecting") machine.connected(now)
    if (state === "GotHello" || state === "GotAuth") machine.receive(hello(), now)
    if (state === "GotAuth") machine.receive(Auth.make(), now)
    if (state === "Closing") machine.state = "Closing"
    machine.out.length = 0
    assert.strictEqual(machine.state, state)
    return made
  }

  const inputs: ReadonlyArray<readonly [string, StellarMessage]> = [
    ["HELLO", hello()],
    ["AUTH", Auth.make()],
    ["ERROR_MSG", ErrorMsg.make({ code: 2, text: "no" })],
    ["anything else", sample("GetTxSet")]
  ]

  // Annex D of protocol.md, by state: next state, messages sent, reason.
  type Row = readonly [next: PeerState, sent: ReadonlyArray<number>, reason: string | undefined]
  const table = (role: Role): Partial<Record<PeerState, ReadonlyArray<Row>>> => ({
    Connected: [
      ["GotHello", role === "acceptor" ? [MessageType.Hello] : [MessageType.Auth], undefined],
      ["Connected", [], "OutOfOrderAuth"],
      ["Connected", [], "ErrorReceived"],
      ["Connected", [], "MessageBeforeHandshake"]
    ],
    GotHello: [
      ["GotHello", [], "UnexpectedHello"],
      ["GotAuth", role === "acceptor" ? [MessageType.Auth] : [], undefined],
      ["GotHello", [], "ErrorReceived"],
      ["GotHello", [], "MessageBeforeHandshake"]
    ],
    GotAuth: [
      ["GotAuth", [], "UnexpectedHello"],
      ["GotAuth", [], "OutOfOrderAuth"],
      ["GotAuth", [], "ErrorReceived"]
    ],
    Closing: inputs.map(() => ["Closing", [], undefined])
  })

  for (const role of roles) {
    for (const state of ["Connected", "GotHello", "GotAuth", "Closing"] as const) {
      for (const [i, [next, sent, reason]] of (table(role)[state] ?? []).entries()) {
        const [name, message] = inputs[i]!
        it(`HSK-06 PEE-01 ${role} in ${state}: ${name} gives ${reason ?? next}`, () => {
          const { machine } = inState(role, state)
          assert.strictEqual(machine.receive(message, now)?._tag, reason)
          assert.strictEqual(machine.state, next)
          assert.deepStrictEqual(types(machine), sent)
        })
      }
    }
  }

  it("HSK-06 PEE-01 an initiator starts in Connecting and says HELLO once; an acceptor starts in Connected, silent", () => {
    const initiator = make("initiator").machine
    assert.strictEqual(initiator.state, "Connecting")
    initiator.connected(now)
    assert.deepStrictEqual([initiator.state, types(initiator)], ["Connected", [MessageType.Hello]])
    initiator.connected(now)
    assert.deepStrictEqual(types(initiator), [])
    const acceptor = make("acceptor").machine
    acceptor.connected(now)
    assert.deepStrictEqual([acceptor.state, types(acceptor)], ["Connected", []])
  })

  it("H2 HSK-05 keys are set by one HELLO and by no other", () => {
    for (const role of roles) {
      const { keys, machine } = inState(role, "GotHello")
      machine.receive(hello({ nonce: new Uint8Array(32).fill(9) }), now)
      assert.deepStrictEqual(keys, ["keys"])
    }
  })

  it("H1 HSK-003 AUTH before HELLO uses no key", () => {
    const { keys, machine } = make("acceptor")
    assert.strictEqual(machine.receive(Auth.make(), now)?._tag, "OutOfOrderAuth")
    assert.deepStrictEqual([keys, types(machine), machine.state], [[], [], "Connected"])
  })
})

describe("versions", () => {
  for (const role of roles) {
    it(`HSK-09 H9 ${role}: all 10,000 pairs of windows from 34 to 43, empty ones included`, () => {
      let talking = 0
      for (let ours = 0; ours < 100; ours++) {
        const overlayMinVersion = 34 + ours % 10
        const overlayVersion = 34 + Math.floor(ours / 10)
        for (let theirs = 0; theirs < 100; theirs++) {
          const min = 34 + theirs % 10
          const max = 34 + Math.floor(theirs / 10)
          // Step 8 of 2.4. Our own window is checked when the configuration is made.
          const refused = min > max || max < overlayMinVersion || min > overlayVersion
          const { machine } = make(role, { overlayMinVersion, overlayVersion })
          machine.connected(now)
          const reason = machine.receive(hello({ overlayMinVersion: min, overlayVersion: max }), now)
          assert.strictEqual(
            reason?._tag,
            refused ? "WrongProtocolVersion" : undefined,
            `${min}..${max} ${overlayMinVersion}..${overlayVersion}`
          )
          if (!refused) talking++
        }
      }
      assert.isAbove(talking, 2000)
    })
  }

  it("HSK-09 H9 the extremes of uint32 are numbers like others", () => {
    const { machine } = make("acceptor")
    assert.isUndefined(machine.receive(hello({ overlayMinVersion: 0, overlayVersion: 0xffff_ffff }), now))
    const other = make("acceptor").machine
    assert.strictEqual(
      other.receive(hello({ overlayMinVersion: 0xffff_ffff, overlayVersion: 0xffff_ffff }), now)?._tag,
      "WrongProtocolVersion"
    )
  })
})

describe("facts", () => {
  it("CFG-07 the announced port counts with 16 bits, the socket's IP counts, and what is kept owns its bytes", () => {
    const { machine } = make("acceptor")
    const message = hello({ listeningPort: 65_536 + 4711 })
    assert.strictEqual(machine.receive(message, now)?._tag, "BadAddress")
    assert.strictEqual(machine.remote?.address.toString(), "192.0.2.1:4711")
    message.bytes.fill(0)
    assert.deepStrictEqual(machine.remote?.networkId, networkId)
  })
})
