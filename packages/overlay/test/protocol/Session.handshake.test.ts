/** The handshake between two sessions, and between one of them and a remote that is told what to say. */
import { assert, describe, it } from "@effect/vitest"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import { xdr } from "@stellar/stellar-base"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import type { RemoteFacts, Role } from "../../src/protocol/Handshake.ts"
import * as NodeId from "../../src/wire/NodeId.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { Auth, GetTxSet } from "../../src/wire/StellarMessage.ts"
import { hashOf } from "../scenarios/fixtures.ts"
import { type HelloChanges, Remote, sha256 } from "../scenarios/remote.ts"

const tags = (pair: SessionPair.SessionPair) => [pair.initiator.dropped?._tag, pair.acceptor.dropped?._tag]
const roles: ReadonlyArray<Role> = ["initiator", "acceptor"]
const T0 = 1_767_225_600

describe("two sessions", () => {
  it("HSK-06 HSK-001 FLC-022 both sides authenticate and hold full credit", () => {
    const pair = SessionPair.connected()
    assert.deepStrictEqual([pair.initiator.session.state, pair.acceptor.session.state], ["GotAuth", "GotAuth"])
    assert.strictEqual(pair.acceptor.session.remote?.id, pair.initiator.id)
    for (const { session } of pair.ends) {
      assert.strictEqual(session.flow.messageCredit, 200n)
      assert.strictEqual(session.flow.byteCredit, 300_000n)
    }
  })

  it("HSK-06 HELLO, HELLO, AUTH, AUTH: nobody speaks before its turn", () => {
    const pair = SessionPair.make()
    const { acceptor, initiator, now } = pair
    const names = (end: SessionPair.End): Array<number> => {
      const types: Array<number> = []
      for (let slab; (slab = end.session.nextWrite(now)) !== undefined; end.session.wrote(now)) {
        end.outgoing.push(slab)
        for (let at = 0; at < slab.length;) {
          const view = new DataView(slab.buffer, slab.byteOffset + at)
          types.push(view.getUint32(16))
          at += 4 + (view.getUint32(0) & 0x7fff_ffff)
        }
      }
      return types
    }
    const deliver = (from: SessionPair.End, to: SessionPair.End) => {
      for (const chunk of from.outgoing.splice(0)) to.session.receive(chunk, now)
    }
    assert.deepStrictEqual([names(initiator), names(acceptor)], [[], []], "before TCP stands")
    initiator.session.connected(now)
    assert.deepStrictEqual([names(initiator), names(acceptor)], [[13], []])
    deliver(initiator, acceptor)
    assert.deepStrictEqual([names(initiator), names(acceptor)], [[], [13]])
    deliver(acceptor, initiator)
    assert.deepStrictEqual([names(initiator), names(acceptor)], [[2], []])
    deliver(initiator, acceptor)
    assert.deepStrictEqual([names(initiator), names(acceptor)], [[], [2, 20, 12]])
    deliver(acceptor, initiator)
    assert.deepStrictEqual([names(initiator), names(acceptor)], [[20, 12], []])
  })

  it("CFG-07 HSK-06 after the handshake each fact is what the remote announced", () => {
    const pair = SessionPair.connected({
      initiator: {
        config: {
          versionString: "one\u0000\u001b[31m",
          peerPort: 4711,
          ledgerVersion: 26,
          overlayVersion: 41,
          overlayMinVersion: 39
        }
      },
      acceptor: {
        config: { versionString: "é".repeat(50), peerPort: 65_535, ledgerVersion: 27, overlayMinVersion: 38 }
      }
    })
    const networkId = new Uint8Array(sha256(new TextEncoder().encode("Standalone Network ; February 2017")))
    const certificateExpiration = BigInt(T0 + 3600)
    assert.deepStrictEqual(pair.acceptor.session.remote, {
      role: "acceptor",
      id: pair.initiator.id,
      address: PeerAddress.make("127.0.0.1", 4711),
      ledgerVersion: 26,
      overlayVersion: 41,
      overlayMinVersion: 39,
      version: "one\u0000\u001b[31m",
      networkId,
      listeningPort: 4711,
      certificateExpiration
    })
    assert.deepStrictEqual(pair.initiator.session.remote, {
      role: "initiator",
      id: pair.acceptor.id,
      address: PeerAddress.make("127.0.0.1", 65_535),
      ledgerVersion: 27,
      overlayVersion: 42,
      overlayMinVersion: 38,
      version: "é".repeat(50),
      networkId,
      listeningPort: 65_535,
      certificateExpiration
    })
  })

  it("HSK-020 H8 another passphrase: the certificate fails first, silently", () => {
    const pair = SessionPair.connected({ acceptor: { config: { networkPassphrase: "(V) (;,,;) (V)" } } })
    assert.deepStrictEqual(tags(pair), ["RemoteClosed", "CertificateInvalid"])
    assert.strictEqual(pair.acceptor.session.stats.bytesWritten, 0)
  })

  it("HSK-030 HSK-08 H10 one seed on both sides", () => {
    const pair = SessionPair.connected({ both: { seed: new Uint8Array(32).fill(7) } })
    assert.strictEqual(pair.acceptor.dropText, "connecting to self")
  })

  it("HSK-03 a second connection of the same nodes does no X25519", () => {
    const first = SessionPair.connected()
    const again = SessionPair.connected({
      initiator: { session: { auth: first.initiator.auth } },
      acceptor: { session: { auth: first.acceptor.auth } }
    })
    assert.isTrue(again.initiator.session.isAuthenticated && again.acceptor.session.isAuthenticated)
    assert.deepStrictEqual([first.initiator.auth.agreements, first.acceptor.auth.agreements], [1, 1])
    assert.deepStrictEqual([first.initiator.auth.cacheHits, first.acceptor.auth.cacheHits], [1, 1])
  })

  it("HSK-01 after 1801 s the next HELLO carries a new expiration, and the old certificate until then", () => {
    const expirations = [0, 1800, 1801].map((seconds) => {
      const pair = SessionPair.make({ unixSeconds: T0 + seconds, initiator: { session: { auth } } })
      return pair.connect().acceptor.session.remote!.certificateExpiration - BigInt(T0)
    })
    assert.deepStrictEqual(expirations, [3600n, 3600n, 1801n + 3600n])
  })
  const { auth } = SessionPair.make().initiator

  it("HSK-10 H11 a node that is known already is refused while the other handshake is half done", () => {
    const pending = new Set<string>()
    const admission = {
      helloReceived: ({ id }: RemoteFacts) => {
        if (pending.has(id)) return { _tag: "AlreadyConnected", detail: NodeId.short(id) } as const
        pending.add(id)
        return undefined
      }
    }
    const first = SessionPair.make({ acceptor: { admission } })
    first.initiator.session.connected(first.now)
    first.step(first.initiator, first.acceptor) // HELLO arrives and no more
    assert.strictEqual(first.acceptor.session.state, "GotHello")
    const second = SessionPair.connected({ acceptor: { admission } })
    assert.strictEqual(second.acceptor.dropText, `already-connected peer: ${second.initiator.id.slice(0, 5)}`)
    first.settle()
    assert.deepStrictEqual(tags(first), [undefined, undefined])
  })
})

describe("a HELLO of ours", () => {
  for (const role of roles) {
    it(`CFG-02 HSK-12 ${role}: public key, network, versions, version string, port, and a certificate that verifies`, () => {
      const remote = new Remote({
        role,
        config: {
          versionString: "v".repeat(100),
          peerPort: 12345,
          ledgerVersion: 27,
          overlayVersion: 42,
          overlayMinVersion: 38
        }
      })
      remote.say(remote.hello())
      const [heard] = remote.heard
      assert.deepStrictEqual([heard?.sequence, heard?.mac], [0n, undefined])
      const hello = heard!.message.xdr.hello() // stellar-base reads it
      assert.deepStrictEqual(
        [hello.ledgerVersion(), hello.overlayVersion(), hello.overlayMinVersion(), hello.listeningPort()],
        [27, 42, 38, 12345]
      )
      assert.strictEqual(hello.versionStr().toString(), "v".repeat(100))
      assert.deepStrictEqual(hello.networkId(), sha256(Buffer.from("Standalone Network ; February 2017")))
      assert.strictEqual(NodeId.fromBytes(hello.peerId().ed25519()), remote.subject.id)
      assert.strictEqual(hello.cert().expiration().toString(), String(T0 + 3600))
      assert.strictEqual(hello.nonce().length, 32)
      const preimage = Buffer.concat([
        hello.networkId(),
        Buffer.from([0, 0, 0, xdr.EnvelopeType.envelopeTypeAuth().value]),
        hello.cert().expiration().toXDR(),
        hello.cert().pubkey().key()
      ])
      assert.strictEqual(preimage.length, 76)
      const { primitives } = remote.subject.crypto
      assert.isTrue(primitives.ed25519Verify(hello.peerId().ed25519(), sha256(preimage), hello.cert().sig()))
    })
  }

  it("HSK-01 the nonce is new for every connection", () => {
    const nonces = Array.from({ length: 20 }, () => SessionPair.make().initiator)
      .map(({ crypto }) => Buffer.from(crypto.primitives.randomBytes(32)).toString("hex"))
    assert.strictEqual(new Set(nonces).size, 1, "seeded chance repeats: what follows would prove nothing otherwise")
    const { auth, crypto } = SessionPair.make().initiator
    const seen = new Set<string>()
    for (let i = 0; i < 20; i++) {
      const nonce = crypto.primitives.randomBytes(32)
      const remote = new Remote({ role: "initiator", session: { auth, nonce } })
      const [hello] = remote.all("Hello")
      assert.deepStrictEqual(hello!.nonce, nonce)
      seen.add(Buffer.from(hello!.nonce).toString("hex"))
    }
    assert.strictEqual(seen.size, 20)
  })
})

describe("a HELLO of theirs", () => {
  const refused = (role: Role, changes: HelloChanges): Remote => {
    const remote = new Remote({ role })
    return remote.say(remote.hello(changes))
  }

  for (const role of roles) {
    const mine = role === "initiator" ? ["HELLO"] : []

    it(`HSK-02 H4 H5 ${role}: expired, bad signature, other network, other key: refused before anything is answered`, () => {
      const bad: ReadonlyArray<[string, HelloChanges]> = [
        ["CertificateExpired", { expiration: BigInt(T0 - 1) }],
        ["CertificateInvalid", {
          tamper: (cert) => ({ ...cert, signature: cert.signature.map((b, i) => i === 5 ? b ^ 1 : b) })
        }],
        ["CertificateInvalid", { tamper: (cert) => ({ ...cert, signature: cert.signature.subarray(0, 63) }) }],
        ["CertificateInvalid", { tamper: (cert) => ({ ...cert, signature: new Uint8Array(0) }) }],
        ["CertificateInvalid", { certNetworkId: sha256(Buffer.from("other")) }],
        ["CertificateInvalid", {
          tamper: (cert) => ({ ...cert, pubkey: cert.pubkey.map((b, i) => i === 31 ? b ^ 1 : b) })
        }]
      ]
      for (const [tag, changes] of bad) {
        const remote = refused(role, changes)
        assert.strictEqual(remote.subject.dropped?._tag, tag)
        assert.strictEqual(remote.subject.dropText, "failed to verify auth cert")
        assert.deepStrictEqual(remote.names, mine)
      }
    })

    it(`HSK-02 ${role}: a certificate that ends in this very second is good`, () => {
      assert.isUndefined(refused(role, { expiration: BigInt(T0) }).subject.dropped)
    })

    it(`HSK-08 HSK-10 ${role}: nothing at all is sent back to a banned key`, () => {
      const banned: Array<string> = []
      const remote = new Remote({
        role,
        admission: {
          isBanned: (id) => {
            banned.push(id)
            return true
          }
        }
      })
      remote.say(remote.hello()).advance(10_000)
      assert.deepStrictEqual(banned, [NodeId.fromBytes(new Uint8Array(remote.publicKey))])
      assert.deepStrictEqual(remote.names, mine)
    })

    it(`HSK-08 H12 ${role}: ports that cannot be are ERR_CONF, those that can are not`, () => {
      for (const listeningPort of [0, -1, 65_536, 65_537, 11_625 + 65_536, 0x7fff_ffff, -0x8000_0000]) {
        const remote = refused(role, { listeningPort })
        assert.strictEqual(remote.names.at(-1), "ERROR_MSG ERR_CONF bad address", String(listeningPort))
      }
      for (const listeningPort of [1, 1024, 11_625, 65_535]) {
        const remote = refused(role, { listeningPort })
        assert.isUndefined(remote.subject.dropped)
        assert.strictEqual(remote.session.remote?.address.toString(), `192.0.2.1:${listeningPort}`)
      }
    })

    it(`HSK-08 H8 ${role}: a certificate for our network and another network in HELLO is ERR_CONF`, () => {
      const remote = refused(role, { networkId: sha256(Buffer.from("other")) })
      assert.strictEqual(remote.names.at(-1), "ERROR_MSG ERR_CONF wrong network passphrase")
    })
  }

  it("HSK-09 one build talks to every release since v25.2.0, and is refused by and refuses those before", () => {
    // Annex A of protocol.md: minimum and maximum of each release.
    const releases: ReadonlyArray<[string, number, number, boolean]> = [
      ["v22.4.1", 35, 37, false],
      ["v23.0.0 - v25.1.3", 35, 38, true],
      ["v25.2.0", 38, 39, true],
      ["v26.0.0", 38, 40, true],
      ["v27.0.0", 38, 41, true],
      ["v27.1.0", 40, 41, true],
      ["master", 41, 42, true]
    ]
    for (const [name, overlayMinVersion, overlayVersion, meets] of releases) {
      const window = { overlayMinVersion, overlayVersion }
      for (
        const pair of [
          SessionPair.connected({ initiator: { config: window } }),
          SessionPair.connected({ acceptor: { config: window } })
        ]
      ) {
        assert.deepStrictEqual(pair.ends.map(({ session }) => session.isAuthenticated), [meets, meets], name)
      }
    }
    assert.deepStrictEqual([OverlayConfig.defaults.overlayMinVersion, OverlayConfig.defaults.overlayVersion], [38, 42])
  })
})

describe("time", () => {
  it("HSK-14 T3 a silent peer is gone at 2 s", () => {
    const pair = SessionPair.make()
    pair.initiator.corked = true
    pair.connect().advance(1999)
    assert.deepStrictEqual(tags(pair), [undefined, undefined])
    pair.advance(1)
    assert.deepStrictEqual(tags(pair), ["HandshakeTimeout", "HandshakeTimeout"])
  })

  for (const every of [1000, 100, 7]) {
    it(`HSK-14 T2 a peer that trickles a byte every ${every} ms is gone 2 s after accept, to the millisecond`, () => {
      const remote = new Remote()
      const bytes = remote.encode(remote.hello())
      let at = 0
      while (remote.subject.dropped === undefined && at < bytes.length) {
        remote.raw(bytes.subarray(at, ++at))
        // Up to the deadline and not beyond it, to see when it comes.
        const left = 2000 - remote.now.millis
        remote.advance(left > 0 ? Math.min(every, left) : every)
      }
      assert.strictEqual(remote.subject.dropped?._tag, "HandshakeTimeout")
      assert.strictEqual(remote.now.millis, 2000)
      assert.deepStrictEqual(remote.names, [])
    })
  }

  it("HSK-14 T2 HELLO at once and then nothing is no handshake either", () => {
    const remote = new Remote()
    const dropped = () => remote.subject.dropped?._tag
    remote.say(remote.hello()).advance(1999)
    assert.isUndefined(dropped())
    remote.advance(1)
    assert.strictEqual(dropped(), "HandshakeTimeout")
  })

  it("HSK-14 a handshake done in the last millisecond stands", () => {
    const remote = new Remote()
    remote.say(remote.hello()).advance(1999)
    remote.say(Auth.make()).advance(1)
    assert.isTrue(remote.session.isAuthenticated)
  })
})

describe("keys", () => {
  it("HSK-04 HSK-05 H19 a recorded conversation replayed to a new connection fails at its first MAC", () => {
    const bytes: Array<Uint8Array> = []
    const first = new Remote()
    const say = (chunk: Buffer) => {
      bytes.push(new Uint8Array(chunk))
      first.raw(chunk)
    }
    say(first.encode(first.hello()))
    say(first.encode(Auth.make()))
    say(first.encode(GetTxSet.make({ hash: hashOf(1) })))
    assert.isTrue(first.session.isAuthenticated)

    const second = new Remote({ session: { nonce: sha256(Buffer.from("another nonce")) } })
    for (const chunk of bytes) second.raw(chunk)
    assert.strictEqual(second.subject.dropText, "unexpected MAC")
    assert.deepStrictEqual(second.names, ["HELLO", "ERROR_MSG ERR_AUTH unexpected MAC"])
  })

  it("HSK-05 H7 a low-order point drops the connection without ERROR_MSG, and no zero key is used", () => {
    for (const curveKey of [new Uint8Array(32), Uint8Array.from({ length: 32 }, (_, i) => i === 0 ? 1 : 0)]) {
      const remote = new Remote()
      remote.say(remote.hello({ curveKey }))
      assert.strictEqual(remote.subject.dropText, "Bad crypto request")
      assert.deepStrictEqual(remote.names, [])
      assert.strictEqual(remote.subject.crypto.counts().macKey, 0)
    }
  })
})
