import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { toHex } from "../../../src/internal/bytes.ts"
import { PeerAddress } from "../../../src/wire/PeerAddress.ts"
import {
  DontHave,
  fromBytes,
  fromUntrusted,
  GetScpQuorumSet,
  GetScpState,
  GetTxSet,
  Peers,
  SendMore,
  SendMoreExtended
} from "../../../src/wire/StellarMessage.ts"
import { many, Source, within } from "./samples.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

describe("requests and their negative reply", () => {
  it("COD-04 GET_TX_SET and GET_SCP_QUORUMSET read and encode as in stellar-base", () => {
    for (const [, value] of many("GetTxSet", 30)) {
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "GetTxSet")
      assert.strictEqual(hex(message.hash), hex(value.txSetHash()))
      assert.strictEqual(toHex(GetTxSet.make({ hash: value.txSetHash() }).bytes), value.toXDR("hex"))
    }
    for (const [, value] of many("GetScpQuorumSet", 30)) {
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "GetScpQuorumSet")
      assert.strictEqual(hex(message.hash), hex(value.qSetHash()))
      assert.strictEqual(toHex(GetScpQuorumSet.make({ hash: value.qSetHash() }).bytes), value.toXDR("hex"))
    }
    assert.throws(() => GetTxSet.make({ hash: new Uint8Array(31) }), RangeError)
    assert.throws(() => GetScpQuorumSet.make({ hash: new Uint8Array(33) }), RangeError)
  })

  it("COD-04 GET_SCP_STATE reads and encodes as in stellar-base", () => {
    for (const [, value] of many("GetScpState", 30)) {
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "GetScpState")
      assert.strictEqual(message.ledgerSeq, value.getScpLedgerSeq())
      assert.strictEqual(toHex(GetScpState.make({ ledgerSeq: message.ledgerSeq }).bytes), value.toXDR("hex"))
    }
    for (const ledgerSeq of [-1, 0x100000000, 0.5, Number.NaN]) {
      assert.throws(() => GetScpState.make({ ledgerSeq }), RangeError)
    }
  })

  it("COD-04 DONT_HAVE reads and encodes as in stellar-base", () => {
    for (const [, value] of many("DontHave", 30)) {
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "DontHave")
      const { hash, itemType } = message
      assert.strictEqual(itemType, value.dontHave().type().value)
      assert.strictEqual(hex(hash), hex(value.dontHave().reqHash()))
      assert.strictEqual(toHex(DontHave.make({ itemType, hash }).bytes), value.toXDR("hex"))
    }
    assert.throws(() => DontHave.make({ itemType: 7, hash: new Uint8Array(31) }), RangeError)
    assert.throws(() => DontHave.make({ itemType: 1e10, hash: new Uint8Array(32) }), RangeError)
  })

  it("COD-04 DONT_HAVE of an unknown type is data, in the message and in its stellar-base value", () => {
    for (let itemType = -2; itemType < 40; itemType++) {
      const made = DontHave.make({ itemType, hash: new Uint8Array(32).fill(3) })
      const result = fromUntrusted(made.bytes)
      assert(Result.isSuccess(result))
      assert(result.success._tag === "DontHave")
      assert.strictEqual(result.success.itemType, itemType)
      assert.strictEqual(result.success.xdr.dontHave().type().value as number, itemType)
      assert.strictEqual(result.success.xdr.toXDR("hex"), toHex(made.bytes))
    }
  })
})

describe("flow control", () => {
  it("COD-04 SEND_MORE_EXTENDED(200, 300000) has the bytes of annex B", () => {
    assert.strictEqual(
      toHex(SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 }).bytes),
      "00000014000000c8000493e0"
    )
  })

  it("COD-04 SEND_MORE and SEND_MORE_EXTENDED read and encode as in stellar-base", () => {
    for (const [, value] of many("SendMoreExtended", 30)) {
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "SendMoreExtended")
      const { numBytes, numMessages } = message
      assert.strictEqual(numMessages, value.sendMoreExtendedMessage().numMessages())
      assert.strictEqual(numBytes, value.sendMoreExtendedMessage().numBytes())
      assert.strictEqual(toHex(SendMoreExtended.make({ numMessages, numBytes }).bytes), value.toXDR("hex"))
    }
    for (const [, value] of many("SendMore", 30)) {
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "SendMore")
      assert.strictEqual(message.numMessages, value.sendMoreMessage().numMessages())
      assert.strictEqual(toHex(SendMore.make({ numMessages: message.numMessages }).bytes), value.toXDR("hex"))
    }
    assert.throws(() => SendMore.make({ numMessages: -1 }), RangeError)
    assert.throws(() => SendMoreExtended.make({ numMessages: 1, numBytes: 2 ** 32 }), RangeError)
  })
})

describe("Peers", () => {
  it("COD-04 entries read as stellar-base reads them, IPv4 and IPv6, whatever their ports", () => {
    for (const [seed, value] of many("Peers")) {
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "Peers")
      const expected = value.peers().map((peer) => ({
        ip: hex(peer.ip().value()),
        port: peer.port(),
        numFailures: peer.numFailures()
      }))
      assert.strictEqual(message.count, expected.length, `seed ${seed}`)
      assert.deepStrictEqual(
        message.entries.map(({ ip, numFailures, port }) => ({ ip: hex(ip), port, numFailures })),
        expected
      )
      const callable = expected.filter(({ port }) => port >= 1 && port <= 65_535)
      assert.deepStrictEqual(
        message.addresses.map((address) => ({ ip: toHex(address.ipBytes!), port: address.port })),
        callable.map(({ ip, port }) => ({ ip, port }))
      )
    }
  })

  it("COD-04 PDB-001 make encodes addresses with failure count 0, as stellar-base would", () => {
    const texts = ["1.25.50.200:256", "127.0.0.1:11625", "[2001:db8::1]:65535"]
    const addresses = texts.map((text) => Result.getOrThrow(PeerAddress.parse(text)))
    const message = Peers.make({ addresses })
    assert.strictEqual(
      toHex(message.bytes),
      `
        00000005 00000003
        00000000 011932c8 00000100 00000000
        00000000 7f000001 00002d69 00000000
        00000001 20010db8 00000000 00000000 00000001 0000ffff 00000000
      `.replaceAll(/\s/g, "")
    )
    assert.strictEqual(message.xdr.toXDR("hex"), toHex(message.bytes))
    assert.deepStrictEqual(message.addresses.map(String), texts)
    assert.deepStrictEqual(message.entries.map(({ numFailures }) => numFailures), [0, 0, 0])
    assert.strictEqual(toHex(Peers.make({ addresses: [] }).bytes), "0000000500000000")
  })

  it("COD-04 make refuses more than 100 addresses, and host names", () => {
    const s = new Source(1)
    const addresses = Array.from({ length: 101 }, () => PeerAddress.make(s.bytes(4).join("."), 11_625))
    assert.strictEqual(Peers.make({ addresses: addresses.slice(1) }).count, 100)
    assert.throws(() => Peers.make({ addresses }), RangeError, "100")
    assert.throws(
      () => Peers.make({ addresses: [PeerAddress.make("core.example", 11_625)] }),
      RangeError,
      "core.example"
    )
  })
})
