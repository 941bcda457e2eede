/** What attacks on the handshake cost, what they leave behind, and the whole tables of what is let in. */
import { assert, describe, it } from "@effect/vitest"
import type { Attack } from "@stellar-overlay/overlay-test/hostile/Attack"
import * as AttackTrial from "@stellar-overlay/overlay-test/hostile/AttackTrial"
import * as Hostile from "@stellar-overlay/overlay-test/hostile/HandshakeAttacks"
import * as Identity from "@stellar-overlay/overlay-test/hostile/IdentityAttacks"
import { note } from "@stellar-overlay/overlay-test/hostile/parts"
import type { PeerScriptOptions } from "@stellar-overlay/overlay-test/ScriptedNode"
import { ScriptedSession } from "@stellar-overlay/overlay-test/ScriptedSession"
import * as DropReason from "../../src/DropReason.ts"
import { PeerAuth } from "../../src/protocol/PeerAuth.ts"
import { ErrorMsg } from "../../src/wire/StellarMessage.ts"
import { authenticated, noted, toyCrypto } from "./fixtures.ts"

const trials = (attack: Attack) =>
  attack.variants.map((variant) => ({ variant, trial: AttackTrial.onSession(variant) }))

/** How a HELLO was taken, as the tag of the reason or "admitted". */
const admitted = (peer: PeerScriptOptions, unixSeconds?: number): DropReason.DropReason | undefined => {
  const wire = new ScriptedSession({ peer, unixSeconds })
  wire.run(function*(script) {
    yield* script.handshake("Connected")
    yield* script.say(script.hello())
    yield* script.wait(1)
  })
  return wire.dropped
}

describe("the handshake, with a hostile peer", () => {
  it("H1 no key is made and none is used for an AUTH before HELLO", () => {
    for (const { trial: { crypto }, variant } of trials(Hostile.h1)) {
      assert.deepStrictEqual([crypto.macKey, crypto.macVerify, crypto.x25519], [0, 0, 0], variant.name)
    }
  })

  it("H2 keys are made once and then serve to the end: a second HELLO agrees nothing", () => {
    for (const { trial: { crypto }, variant } of trials(Hostile.h2)) {
      assert.deepStrictEqual([crypto.macKey, crypto.x25519, crypto.ed25519Verify], [2, 1, 1], variant.name)
    }
  })

  it("H2 two HELLOs in one chunk are one HELLO and a bad MAC", () => {
    const wire = new ScriptedSession()
    wire.run(function*(peer) {
      const hello = peer.encode(peer.hello())
      yield* peer.sayBytes(Uint8Array.of(...hello, ...hello))
      yield* peer.expectError(3, "unexpected MAC")
    })
    assert.strictEqual(wire.victim.crypto.counts().macKey, 2)
  })

  it("H3 nothing is delivered, queued or counted as flood before authentication", () => {
    for (const { trial, variant } of trials(Hostile.h3)) {
      assert.lengthOf(trial.delivered, 0, variant.name)
      assert.isFalse(trial.authenticated, variant.name)
    }
  })

  it("H3 the reason names the message as core does", () => {
    const wire = new ScriptedSession()
    wire.run((peer) => peer.say(note(1)))
    assert.strictEqual(wire.victim.dropText, "received DONT_HAVE before completed handshake")
  })

  it("H4 a bad signature costs one check, a certificate that is bad by its dates or its length none", () => {
    for (const { trial: { crypto }, variant } of trials(Identity.h4)) {
      const short = variant.name.startsWith("empty") || variant.name.startsWith("63 bytes")
      assert.strictEqual(crypto.ed25519Verify, short ? 0 : 1, variant.name)
      assert.deepStrictEqual([crypto.x25519, crypto.macKey], [0, 0], variant.name)
    }
    for (const attack of [Identity.h5, Identity.h6]) {
      for (const { trial: { crypto }, variant } of trials(attack)) {
        assert.strictEqual(crypto.ed25519Verify, variant.drop === undefined ? 1 : 0, variant.name)
      }
    }
  })

  it("H5 H6 every second of an hour around both bounds, and the seconds are in the reason", () => {
    const at = (expiresIn: number) => admitted({ hello: { certificate: { expiresIn } } }, 1_700_000_000)
    for (const seconds of [-3600, -1800, -61, -2, -1]) {
      const reason = at(seconds)
      assert.strictEqual(reason?._tag, "CertificateExpired", `${seconds} s`)
      assert.strictEqual(reason?.detail, `${-seconds} s ago by our clock`)
    }
    for (const seconds of [0, 1, 1800, 3599, 3600, 3601, 3899, 3900]) assert.isUndefined(at(seconds), `${seconds} s`)
    for (const seconds of [3901, 3902, 7200, 7500]) {
      const reason = at(seconds)
      assert.strictEqual(reason?._tag, "CertificateTooFarAhead", `${seconds} s`)
      assert.strictEqual(reason?.detail, `in ${seconds} s by our clock`)
    }
    const inMillis = at(1_700_003_600_000 - 1_700_000_000)!
    assert.strictEqual(inMillis._tag, "CertificateTooFarAhead")
    assert.match(DropReason.format(inMillis), /at 1700003600000, no time in seconds.*counts in milliseconds/)
  })

  it("H5 clocks an hour apart: who is slow by more than a certificate lives is refused, and says nothing of it", () => {
    // The peer's clock differs by `skew`; its certificate has between half and all of its hour left by its own clock.
    for (
      const [skew, left, tag] of [
        [-3600, 3600, undefined],
        [-3600, 1800, "CertificateExpired"],
        [-1801, 1800, "CertificateExpired"],
        [-1800, 1800, undefined],
        [300, 3600, undefined],
        [301, 3600, "CertificateTooFarAhead"],
        [3600, 3600, "CertificateTooFarAhead"]
      ] as const
    ) {
      const reason = admitted({ hello: { certificate: { expiresIn: skew + left } } })
      assert.strictEqual(reason?._tag, tag, `clock ${skew} s, ${left} s left`)
    }
  })

  it("H7 no low-order key leads to a MAC key", () => {
    for (const { trial: { crypto }, variant } of trials(Identity.h7)) {
      assert.deepStrictEqual([crypto.x25519, crypto.macKey], [1, 0], variant.name)
    }
  })

  it("H9 10 x 10 windows of theirs against 10 of ours: let in by one rule alone", () => {
    const versions = [0, 1, 37, 38, 39, 41, 42, 43, 0x7fff_ffff, 0xffff_ffff]
    const windows = [[0, 0], [0, 37], [0, 0xffff_ffff], [1, 38], [38, 38], [38, 42], [41, 42], [42, 42], [43, 99], [
      0xffff_ffff,
      0xffff_ffff
    ]] as const
    const { session: { options: { handshake } } } = new ScriptedSession().victim
    const counts = { admitted: 0, refused: 0 }
    for (const [ownMin, own] of windows) {
      for (const overlayMinVersion of versions) {
        for (const overlayVersion of versions) {
          // The window is put past the configuration, which would refuse some of these.
          const wire = new ScriptedSession({
            peer: { hello: { overlayMinVersion, overlayVersion } },
            victim: { session: { handshake: { ...handshake, overlayVersion: own, overlayMinVersion: ownMin } } }
          })
          wire.run((peer) => peer.say(peer.hello()))
          const fits = overlayMinVersion <= overlayVersion && overlayVersion >= ownMin && overlayMinVersion <= own
          const windowsText = `theirs ${overlayMinVersion}..${overlayVersion}, ours ${ownMin}..${own}`
          assert.strictEqual(wire.dropped?._tag, fits ? undefined : "WrongProtocolVersion", windowsText)
          // The acceptor answers first, in either case, so that its ERROR_MSG can be read.
          assert.deepStrictEqual(wire.peer.tags, fits ? ["Hello"] : ["Hello", "ErrorMsg"], windowsText)
          if (!fits) assert.strictEqual(wire.dropped?.detail, windowsText)
          counts[fits ? "admitted" : "refused"]++
        }
      }
    }
    assert.strictEqual(counts.admitted + counts.refused, 1000)
    assert.isAbove(Math.min(counts.admitted, counts.refused), 200)
  })

  it("H13 what a peer says of itself is kept as it is, and printed nowhere as it is", () => {
    const hostile = "\u001b[2J\u0000\r\nfake \u2028<b>"
    const wire = authenticated({ peer: { hello: { versionStr: hostile } } })
    assert.strictEqual(wire.victim.session.remote?.version, hostile)
    wire.run((peer) => peer.say(ErrorMsg.make({ code: 2, text: hostile })))
    assert.strictEqual(wire.victim.dropText, "ERR_CONF (**2J***fake **b*)")
    for (const text of [DropReason.format(wire.dropped!), DropReason.hint(wire.dropped!), wire.dropped!.detail]) {
      assert.match(text, /^[\x20-\x7e]*$/)
    }
  })

  it("H17 10,000 peers with keys of their own leave 4096 agreed keys behind", () => {
    const crypto = toyCrypto()
    const template = new ScriptedSession()
    const auth = new PeerAuth(crypto, template.peer.networkId, new Uint8Array(32).fill(9))
    const nonce = new Uint8Array(32).fill(1)
    for (let i = 0; i < 10_000; i++) {
      const key = new Uint8Array(32)
      new DataView(key.buffer).setUint32(0, i + 1)
      assert.isDefined(auth.macKeys("acceptor", nonce, nonce, key))
    }
    assert.deepStrictEqual([auth.cachedKeys, auth.agreements], [4096, 10_000])
  })

  it("H19 every byte of a recorded connection, replayed: it opens nothing, and each connection has keys of its own", () => {
    const victim = { name: "victim" }
    const recorded = authenticated({ victim, peer: { seed: "honest" } })
    recorded.run((peer) => peer.say(note(1)))
    assert.deepStrictEqual(noted(recorded.victim.received), [1])
    // The same node later: the same identity and Curve25519 key, another nonce.
    const nonce = recorded.victim.crypto.primitives.randomBytes(32)
    const replayed = new ScriptedSession({
      peer: { seed: "attacker" },
      victim: { ...victim, session: { auth: recorded.victim.auth, nonce } }
    })
    replayed.run(function*(peer) {
      for (const chunk of recorded.peer.written) yield* peer.sayBytes(chunk.slice())
      yield* peer.expectError(3, "unexpected MAC")
    })
    assert.strictEqual(replayed.dropped?._tag, "UnexpectedMac")
    assert.lengthOf(replayed.victim.received, 0)
    assert.isFalse(replayed.events.some(({ _tag }) => _tag === "Authenticated"))
    // The honest peer again, with all of its keys and the very same nonce: its AUTH and ours differ from the first ones.
    const again = authenticated({
      peer: { seed: "honest" },
      victim: {
        ...victim,
        session: { auth: recorded.victim.auth, nonce: recorded.victim.crypto.primitives.randomBytes(32) }
      }
    })
    const auths = (wire: ScriptedSession) =>
      [wire.peer.written[1], wire.peer.heard[1]?.body].map((bytes) => bytes?.join())
    assert.notStrictEqual(auths(again)[0], auths(recorded)[0])
    assert.notStrictEqual(auths(again)[1], auths(recorded)[1])
  })
})
