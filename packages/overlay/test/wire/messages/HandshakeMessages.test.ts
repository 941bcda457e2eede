import { assert, describe, it } from "@effect/vitest"
import { Keypair, StrKey, xdr } from "@stellar/stellar-base"
import { Result } from "effect"
import { inspect } from "node:util"
import { fromHex, toHex } from "../../../src/internal/bytes.ts"
import * as NodeId from "../../../src/wire/NodeId.ts"
import { Auth, ErrorCode, ErrorMsg, fromBytes, fromUntrusted, Hello } from "../../../src/wire/StellarMessage.ts"
import { many, Source, within } from "./samples.ts"

const text = (value: string | Buffer): Buffer => Buffer.from(value)

const helloOf = (versionStr: string | Uint8Array): Hello =>
  Hello.make({
    ledgerVersion: 23,
    overlayVersion: 42,
    overlayMinVersion: 38,
    networkId: fromHex("cee0302d59844d32bdca915c8203dd44b33fbb7edc19051ea37abedf28ecd472")!,
    versionStr,
    listeningPort: 11625,
    peerId: Result.getOrThrow(NodeId.parse("GDIEVMRSOQV3JKZ2CNUL2RQV4TTNAISKW4NAC25PQUQKGMWJO6DTOAE7")),
    cert: {
      pubkey: fromHex("a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209")!,
      expiration: 1_700_003_600n,
      signature: fromHex(
        "0d31b939f2c6b95f2e1245a1ce80a624d7730e5cfdcfbbf438067ee0dd151eff"
          + "945005f29aea8dacc652cc8286b7004bbc01af7f003527580bd619a96897730d"
      )!
    },
    nonce: new Uint8Array(32).fill(0xaa)
  })

describe("Hello", () => {
  it("COD-04 every field reads as stellar-base reads it, and make encodes it byte for byte", () => {
    for (const [seed, value] of many("Hello")) {
      const encoded = value.toXDR()
      const hello = value.hello()
      const message = fromBytes(within(encoded))
      assert(message._tag === "Hello")
      const where = `seed ${seed}`
      assert.strictEqual(message.ledgerVersion, hello.ledgerVersion(), where)
      assert.strictEqual(message.overlayVersion, hello.overlayVersion(), where)
      assert.strictEqual(message.overlayMinVersion, hello.overlayMinVersion(), where)
      assert.strictEqual(toHex(message.networkId), hello.networkId().toString("hex"), where)
      assert.strictEqual(toHex(message.versionBytes), text(hello.versionStr()).toString("hex"), where)
      assert.strictEqual(message.versionStr, text(hello.versionStr()).toString("utf8"), where)
      assert.strictEqual(message.listeningPort, hello.listeningPort(), where)
      assert.strictEqual(toHex(message.peerKey), hello.peerId().ed25519().toString("hex"), where)
      assert.strictEqual(message.peerId, StrKey.encodeEd25519PublicKey(hello.peerId().ed25519()), where)
      assert.strictEqual(toHex(message.cert.pubkey), hello.cert().pubkey().key().toString("hex"), where)
      assert.strictEqual(message.cert.expiration, hello.cert().expiration().toBigInt(), where)
      assert.strictEqual(toHex(message.cert.signature), hello.cert().sig().toString("hex"), where)
      assert.strictEqual(toHex(message.nonce), hello.nonce().toString("hex"), where)
      for (const peerId of [message.peerId, message.peerKey]) {
        const made = Hello.make({
          ledgerVersion: message.ledgerVersion,
          overlayVersion: message.overlayVersion,
          overlayMinVersion: message.overlayMinVersion,
          networkId: message.networkId,
          versionStr: message.versionBytes,
          listeningPort: message.listeningPort,
          peerId,
          cert: message.cert,
          nonce: message.nonce
        })
        assert.strictEqual(toHex(made.bytes), encoded.toString("hex"), where)
        assert.strictEqual(made.retain(), made, where)
      }
    }
  })

  it("COD-04 a HELLO with a 2-byte version has a body of 280 bytes, its fields at the documented offsets", () => {
    const message = helloOf("v1")
    const overhead = 44 // version, sequence and MAC of the AuthenticatedMessage
    assert.strictEqual(message.size + overhead, 280)
    const body = Buffer.concat([Buffer.alloc(12), message.bytes])
    assert.strictEqual(body.readUInt32BE(12), 13)
    assert.strictEqual(body.readUInt32BE(16), 23)
    assert.strictEqual(body.readUInt32BE(20), 42) // overlayVersion precedes overlayMinVersion
    assert.strictEqual(body.readUInt32BE(24), 38)
    assert.strictEqual(body.toString("hex", 28, 32), "cee0302d")
    assert.strictEqual(body.readUInt32BE(60), 2)
    assert.strictEqual(body.toString("hex", 64, 68), "76310000")
    assert.strictEqual(body.readInt32BE(68), 11625)
    assert.strictEqual(body.readUInt32BE(72), 0)
    assert.strictEqual(
      body.toString("hex", 76, 108),
      "d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737"
    )
    assert.strictEqual(body.toString("hex", 108, 112), "a4e09292")
    assert.strictEqual(body.readBigUInt64BE(140), 1_700_003_600n)
    assert.strictEqual(body.readUInt32BE(148), 64)
    assert.strictEqual(body.toString("hex", 152, 156), "0d31b939")
    assert.strictEqual(body.toString("hex", 216, 248), "aa".repeat(32))
    assert.strictEqual(helloOf(new Uint8Array(100)).size + overhead, 376) // the largest
    assert.strictEqual(message.peerId, Keypair.fromRawEd25519Seed(Buffer.alloc(32, 0x11)).publicKey())
  })

  it("H13 a hostile version string survives as data", () => {
    const hostile = [
      "\u001b[2J\u001b]0;owned\u0007",
      "a\u0000b\u0000",
      "\r\n200 OK",
      "‮gnp.exe",
      "\ufeffbom",
      "x".repeat(100),
      "é".repeat(50)
    ]
    for (const version of hostile) {
      const message = fromBytes(within(helloOf(version).bytes))
      assert(message._tag === "Hello")
      assert.strictEqual(message.versionStr, version)
      assert.strictEqual(message.toJSON()["versionStr"], version)
      assert.isTrue(Result.isSuccess(fromUntrusted(message.bytes)))
      // escaped on the way to a terminal: console.log adds line feeds and nothing else below a space
      const shown = Array.from(inspect(message), (character) => character.codePointAt(0) ?? 0)
      assert.isTrue(shown.every((code) => code >= 32 || code === 10))
    }
    const invalid = Uint8Array.of(0xff, 0x41, 0xc3, 0xed, 0xa0, 0x80)
    const message = helloOf(invalid)
    assert.strictEqual(message.versionStr, Buffer.from(invalid).toString("utf8"))
    assert.include(message.versionStr, "\ufffd")
    assert.strictEqual(toHex(message.versionBytes), toHex(invalid))
  })

  it("COD-04 make refuses what does not fit its field", () => {
    const s = new Source(1)
    const good = {
      ledgerVersion: 1,
      overlayVersion: 1,
      overlayMinVersion: 1,
      networkId: s.bytes(32),
      versionStr: "",
      listeningPort: 1,
      peerId: s.bytes(32),
      cert: { pubkey: s.bytes(32), expiration: 1n, signature: s.bytes(64) },
      nonce: s.bytes(32)
    }
    assert.isTrue(Result.isSuccess(fromUntrusted(Hello.make(good).bytes)))
    const refused = [
      { ...good, ledgerVersion: -1 },
      { ...good, overlayVersion: 0x100000000 },
      { ...good, overlayMinVersion: 1.5 },
      { ...good, listeningPort: 0x80000000 },
      { ...good, networkId: s.bytes(31) },
      { ...good, versionStr: "é".repeat(51) },
      { ...good, versionStr: new Uint8Array(101) },
      { ...good, peerId: s.bytes(33) },
      { ...good, nonce: s.bytes(0) },
      { ...good, cert: { ...good.cert, pubkey: s.bytes(31) } },
      { ...good, cert: { ...good.cert, expiration: -1n } },
      { ...good, cert: { ...good.cert, expiration: 1n << 64n } },
      { ...good, cert: { ...good.cert, signature: s.bytes(65) } }
    ]
    for (const options of refused) assert.throws(() => Hello.make(options), RangeError)
  })
})

describe("Auth", () => {
  it("COD-04 AUTH(200) has the bytes of annex B", () => {
    assert.strictEqual(toHex(Auth.make({ flags: 200 }).bytes), "00000002000000c8")
    assert.strictEqual(toHex(Auth.make().bytes), "00000002000000c8")
  })

  it("COD-04 flags read and encode as in stellar-base, negative ones too", () => {
    for (const [, value] of many("Auth")) {
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "Auth")
      assert.strictEqual(message.flags, value.auth().flags())
      assert.strictEqual(toHex(Auth.make({ flags: message.flags }).bytes), value.toXDR("hex"))
    }
    assert.throws(() => Auth.make({ flags: 0x80000000 }), RangeError)
  })
})

describe("ErrorMsg", () => {
  it("COD-04 PEE-04 code and text read and encode as in stellar-base", () => {
    for (const [, value] of many("ErrorMsg")) {
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "ErrorMsg")
      assert.strictEqual(message.code, value.error().code().value)
      assert.strictEqual(toHex(message.textBytes), text(value.error().msg()).toString("hex"))
      assert.strictEqual(message.text, text(value.error().msg()).toString("utf8"))
    }
    const shutdown = xdr.StellarMessage.errorMsg(new xdr.Error({ code: xdr.ErrorCode.errMisc(), msg: "shutdown" }))
    assert.strictEqual(toHex(ErrorMsg.make({ code: 0, text: "shutdown" }).bytes), shutdown.toXDR("hex"))
    for (const [name, code] of Object.entries(ErrorCode)) {
      assert.strictEqual(ErrorMsg.make({ code, text: "" }).codeName, name)
    }
  })

  it("PEE-04 a text of 150 bytes is cut to 100, between characters", () => {
    const cut = (value: string): string => {
      const message = ErrorMsg.make({ code: ErrorCode.ERR_MISC, text: value })
      assert.isTrue(Result.isSuccess(fromUntrusted(message.bytes)))
      assert.isAtMost(message.textBytes.length, 100)
      return message.text
    }
    assert.strictEqual(cut("x".repeat(150)), "x".repeat(100))
    assert.strictEqual(cut("x".repeat(100)), "x".repeat(100))
    assert.strictEqual(cut("é".repeat(75)), "é".repeat(50))
    assert.strictEqual(cut("x" + "é".repeat(75)), "x" + "é".repeat(49)) // 101 bytes would fit 50 and a half
    assert.strictEqual(cut("€".repeat(50)), "€".repeat(33))
    assert.strictEqual(cut("😀".repeat(40)), "😀".repeat(25))
    assert.strictEqual(cut("xxx" + "😀".repeat(40)), "xxx" + "😀".repeat(24))
    assert.strictEqual(cut("\ud83d".repeat(40)), "\ufffd".repeat(33)) // lone surrogates
    assert.strictEqual(cut(""), "")
  })

  it("PEE-04 COD-04 an unknown code is data, in the message and in its stellar-base value", () => {
    for (const code of [5, 99, -1, 0x7fffffff, -0x80000000]) {
      const made = ErrorMsg.make({ code, text: "?" })
      const result = fromUntrusted(within(made.bytes))
      assert(Result.isSuccess(result))
      const message = result.success
      assert(message._tag === "ErrorMsg")
      assert.strictEqual(message.code, code)
      assert.strictEqual(message.codeName, "UNKNOWN")
      assert.strictEqual(message.xdr.error().code().value as number, code)
      assert.strictEqual(message.xdr.toXDR("hex"), toHex(made.bytes))
    }
    assert.throws(() => ErrorMsg.make({ code: 1.5, text: "" }), RangeError)
  })
})
