/** The order of the checks of HELLO and AUTH (protocol.md 2.4 and 2.5): for any two that fail, the earlier decides. */
import { assert, describe, it } from "@effect/vitest"
import type { EndOptions } from "@stellar-overlay/overlay-test/SessionPair"
import * as DropReason from "../../src/DropReason.ts"
import type { RemoteFacts, Role } from "../../src/protocol/Handshake.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { Auth } from "../../src/wire/StellarMessage.ts"
import { type HelloChanges, Remote, sha256 } from "../scenarios/remote.ts"

const own = sha256(Buffer.from("seed of the session under test"))
const elsewhere = sha256(Buffer.from("another network"))

interface Failure {
  /** The row of 2.4. */
  readonly row: number
  readonly name: string
  readonly hello?: HelloChanges
  readonly end?: EndOptions
  readonly address?: PeerAddress
  readonly text: string
  /** The ERROR_MSG, where the table has one. */
  readonly error?: string
}

const failures: ReadonlyArray<Failure> = [
  {
    row: 2,
    name: "bad certificate",
    hello: { tamper: (cert) => ({ ...cert, expiration: cert.expiration + 1n }) },
    text: "failed to verify auth cert"
  },
  { row: 3, name: "banned", end: { admission: { isBanned: () => true } }, text: "node is banned" },
  { row: 4, name: "degenerate key", hello: { curveKey: new Uint8Array(32) }, text: "Bad crypto request" },
  { row: 5, name: "unknown address", address: PeerAddress.make("", 0), text: "failed to determine remote address" },
  {
    row: 8,
    name: "version",
    hello: { overlayVersion: 37, overlayMinVersion: 30 },
    text: "wrong protocol version",
    error: "ERROR_MSG ERR_CONF wrong protocol version"
  },
  {
    row: 9,
    name: "self",
    hello: { seed: own },
    text: "connecting to self",
    error: "ERROR_MSG ERR_CONF connecting to self"
  },
  {
    row: 10,
    name: "network",
    hello: { networkId: elsewhere },
    text: "wrong network passphrase",
    error: "ERROR_MSG ERR_CONF wrong network passphrase"
  },
  { row: 11, name: "port", hello: { listeningPort: 0 }, text: "bad address", error: "ERROR_MSG ERR_CONF bad address" },
  {
    row: 13,
    name: "duplicate",
    end: { admission: { helloReceived: () => DropReason.make("AlreadyConnected", "GABCD") } },
    text: "already-connected peer: GABCD",
    error: "ERROR_MSG ERR_CONF already-connected peer: GABCD"
  }
]

const roles: ReadonlyArray<Role> = ["initiator", "acceptor"]

/** What the remote hears when the check of a row fails: what 2.1 says was sent before, and the ERROR_MSG. */
const heardAt = (role: Role, { error, row }: Failure): Array<string> => [
  ...(role === "initiator" || row >= 8 ? ["HELLO"] : []),
  ...(error === undefined ? [] : [error])
]

const run = (role: Role, wrong: ReadonlyArray<Failure>, admitted: Array<RemoteFacts> = []): Remote => {
  const refuse = wrong.find(({ row }) => row === 13)?.end?.admission?.helloReceived
  const remote = new Remote({
    role,
    seed: own,
    ...Object.assign({}, ...wrong.map(({ end, address }) => ({ ...end, ...(address && { address }) }))),
    admission: {
      ...Object.assign({}, ...wrong.map(({ end }) => end?.admission)),
      helloReceived: (facts: RemoteFacts) => {
        admitted.push(facts)
        return refuse?.(facts)
      }
    }
  })
  return remote.say(remote.hello(Object.assign({}, ...wrong.map(({ hello }) => hello))))
}

describe("HELLO", () => {
  for (const role of roles) {
    for (const [i, first] of failures.entries()) {
      it(`HSK-07 ${role}: ${first.name} alone`, () => {
        const admitted: Array<RemoteFacts> = []
        const remote = run(role, [first], admitted)
        assert.strictEqual(remote.subject.dropText, first.text)
        assert.deepStrictEqual(remote.names, heardAt(role, first))
        // Step 12 happens before the duplicate check, so that even a duplicate updates the address table, and no sooner.
        assert.strictEqual(admitted.length, first.row >= 13 ? 1 : 0)
      })

      for (const second of failures.slice(i + 1)) {
        it(`HSK-07 ${role}: ${first.name} before ${second.name}`, () => {
          const remote = run(role, [second, first])
          assert.strictEqual(remote.subject.dropText, first.text)
          assert.deepStrictEqual(remote.names, heardAt(role, first))
        })
      }
    }

    it(`HSK-07 ${role}: nothing wrong`, () => {
      const admitted: Array<RemoteFacts> = []
      const remote = run(role, [], admitted)
      assert.isUndefined(remote.subject.dropped)
      assert.strictEqual(remote.session.state, "GotHello")
      assert.deepStrictEqual(remote.names, role === "initiator" ? ["HELLO", "AUTH"] : ["HELLO"])
      assert.strictEqual(admitted.length, 1)
    })

    it(`HSK-07 HSK-10 ${role}: all at once, taken away one after the other in the order of the table`, () => {
      for (let i = 0; i < failures.length; i++) {
        assert.strictEqual(run(role, failures.slice(i)).subject.dropText, failures[i]!.text)
      }
    })
  }

  it("HSK-07 H16 a budget for signature checks comes before the signature, and costs none", () => {
    const remote = new Remote({ admission: { beforeVerify: () => DropReason.make("HandshakeRateLimited") } })
    const before = remote.subject.crypto.counts().ed25519Verify
    remote.say(remote.hello())
    assert.strictEqual(remote.subject.dropped?._tag, "HandshakeRateLimited")
    assert.strictEqual(remote.subject.crypto.counts().ed25519Verify - before, 0)
    assert.deepStrictEqual(remote.names, [])
  })
})

describe("AUTH", () => {
  const noSlot = DropReason.make("PeerRejected")
  const peers = [PeerAddress.make("1.1.1.1", 11625)]

  /** Slots and backoff resets asked for, and what was heard from AUTH on. */
  const auth = (role: Role, flags: number, refuses: boolean) => {
    const asked: Array<string> = []
    const remote = new Remote({
      role,
      admission: {
        peersFor: () => {
          asked.push("peers")
          return peers
        },
        authenticated: () => {
          asked.push("slot")
          return refuses ? noSlot : undefined
        }
      }
    })
    remote.say(remote.hello()).say(Auth.make({ flags }))
    return { remote, asked }
  }

  for (const role of roles) {
    // Steps 2 and 15: AUTH and PEERS of an acceptor go out even when it refuses, an initiator's AUTH went before.
    const before = role === "acceptor" ? ["HELLO", "AUTH", "PEERS"] : ["HELLO", "AUTH"]

    it(`HSK-11 HSK-07 H14 ${role}: flags before slots, and bad flags are no success of the dial`, () => {
      for (const refuses of [false, true]) {
        const { asked, remote } = auth(role, 100, refuses)
        assert.strictEqual(remote.subject.dropText, "flow control bytes disabled")
        assert.deepStrictEqual(remote.names, [...before, "ERROR_MSG ERR_CONF flow control bytes disabled"])
        assert.notInclude(asked, "slot")
      }
    })

    it(`HSK-11 H14 ${role}: only 200 will do`, () => {
      for (const flags of [0, 1, 100, 199, 201, 300, -200, 200 << 8, 0x7fff_ffff, -0x8000_0000]) {
        const { remote } = auth(role, flags, false)
        assert.strictEqual(remote.subject.dropped?._tag, "FlowControlBytesDisabled", String(flags))
      }
      assert.isUndefined(auth(role, 200, false).remote.subject.dropped)
    })

    it(`HSK-07 ${role}: no slot is ERR_LOAD, after AUTH${role === "acceptor" ? " and PEERS" : ""}`, () => {
      const { asked, remote } = auth(role, 200, true)
      assert.strictEqual(remote.subject.dropText, "peer rejected")
      assert.deepStrictEqual(remote.names, [...before, "ERROR_MSG ERR_LOAD peer rejected"])
      assert.deepStrictEqual(asked, role === "acceptor" ? ["peers", "slot"] : ["slot"])
    })

    it(`HSK-12 ${role}: the first two messages after AUTH are SEND_MORE_EXTENDED(200, 300000) and GET_SCP_STATE`, () => {
      const remote = new Remote({
        role,
        session: { scpStateFrom: 4711 },
        admission: { peersFor: () => peers }
      }).shakeHands()
      assert.deepStrictEqual(remote.names, [...before, "SEND_MORE_EXTENDED", "GET_SCP_STATE"])
      const [grant] = remote.all("SendMoreExtended")
      assert.deepStrictEqual([grant?.numMessages, grant?.numBytes], [200, 300_000])
      assert.strictEqual(remote.all("GetScpState")[0]?.ledgerSeq, 4711)
      // AUTH is the first message with a MAC and has the number 0; then they count on.
      assert.deepStrictEqual(
        remote.heard.map(({ mac, sequence }) => [sequence, mac]),
        remote.heard.map((_, i) => i === 0 ? [0n, undefined] : [BigInt(i - 1), true])
      )
    })
  }

  it("HSK-12 PEERS is left out when there are no addresses, GET_SCP_STATE when nothing is to be asked", () => {
    const remote = new Remote({ session: { scpStateFrom: undefined } }).shakeHands()
    assert.deepStrictEqual(remote.names, ["HELLO", "AUTH", "SEND_MORE_EXTENDED"])
  })

  it("HSK-13 every frame has bit 31 set, HELLO and ERROR_MSG included, and an incoming bit changes nothing", () => {
    for (const clear of [false, true]) {
      const remote = new Remote()
      const say = (bytes: Buffer) => {
        if (clear) bytes[0]! &= 0x7f
        remote.raw(bytes)
      }
      say(remote.encode(remote.hello()))
      const auth = remote.encode(Auth.make())
      auth[auth.length - 1]! ^= 1 // the MAC is checked, whatever the bit says
      say(auth)
      assert.deepStrictEqual(remote.names, ["HELLO", "ERROR_MSG ERR_AUTH unexpected MAC"])
      assert.isTrue(remote.heard.every(({ bit31 }) => bit31))
    }
  })
})
