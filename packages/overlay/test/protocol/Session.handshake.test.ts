import { assert, describe, it } from "@effect/vitest"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import * as DropReason from "../../src/DropReason.ts"
import { ErrorMsg } from "../../src/wire/StellarMessage.ts"

const tags = (pair: SessionPair.SessionPair) => [pair.initiator.dropped?._tag, pair.acceptor.dropped?._tag]

describe("handshake", () => {
  it("HSK-001 HSK-06 FLC-022 both sides authenticate and hold full credit", () => {
    const pair = SessionPair.connected()
    assert.deepStrictEqual([pair.initiator.session.state, pair.acceptor.session.state], ["GotAuth", "GotAuth"])
    assert.strictEqual(pair.acceptor.session.remote?.id, pair.initiator.id)
    for (const { session } of pair.ends) {
      assert.strictEqual(session.flow.messageCredit, 200n)
      assert.strictEqual(session.flow.byteCredit, 300_000n)
    }
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
  it("HSK-14 T3 a silent peer is gone at 2 s", () => {
    const pair = SessionPair.make()
    pair.initiator.corked = true
    pair.connect().advance(1999)
    assert.deepStrictEqual(tags(pair), [undefined, undefined])
    pair.advance(1)
    assert.deepStrictEqual(tags(pair), ["HandshakeTimeout", "HandshakeTimeout"])
  })
})
