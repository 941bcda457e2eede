import { assert, describe, it } from "@effect/vitest"
import { Keypair, StrKey } from "@stellar/stellar-base"
import { Result } from "effect"
import { fromHex } from "../../src/internal/bytes.ts"
import * as NodeId from "../../src/wire/NodeId.ts"

/** The key of annex B of the protocol reference. */
const key = fromHex("d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737")!
const text = "GDIEVMRSOQV3JKZ2CNUL2RQV4TTNAISKW4NAC25PQUQKGMWJO6DTOAE7"
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

const random = (seed: number) => (bound: number): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor((seed / 0x100000000) * bound)
}

const randomBytes = (below: (bound: number) => number, length: number): Uint8Array =>
  Uint8Array.from({ length }, () => below(256))

const failure = (text: string): string => {
  const result = NodeId.parse(text)
  return Result.isFailure(result) ? result.failure.reason : "accepted"
}

describe("NodeId", () => {
  it("CFG-03 a key and its strkey are two forms of one identity", () => {
    assert.strictEqual(NodeId.fromBytes(key), text)
    assert.deepStrictEqual(NodeId.toBytes(NodeId.fromBytes(key)), key)
    assert.strictEqual(Result.getOrThrow(NodeId.parse(text)), text)
    assert.strictEqual(NodeId.short(NodeId.fromBytes(key)), "GDIEV")

    const inside = new Uint8Array(100)
    inside.set(key, 51)
    assert.strictEqual(NodeId.fromBytesAt(inside, 51), text)
  })

  it("CFG-03 stellar-base agrees on a thousand keys", () => {
    const below = random(1)
    for (let i = 0; i < 1000; i++) {
      const bytes = randomBytes(below, 32)
      const id = NodeId.fromBytes(bytes)
      assert.strictEqual(id, StrKey.encodeEd25519PublicKey(Buffer.from(bytes)))
      assert.deepStrictEqual(NodeId.toBytes(id), bytes)
      assert.strictEqual(Result.getOrThrow(NodeId.parse(id)), id)
    }
  })

  it("CFG-03 equal keys are the same entry of a map", () => {
    const map = new Map([[NodeId.fromBytes(key), "first"]])
    map.set(NodeId.fromBytes(key.slice()), "second")
    map.set(Result.getOrThrow(NodeId.parse(text)), "third")
    assert.deepStrictEqual([...map], [[text as NodeId.NodeId, "third"]])
  })

  it("CFG-03 a wrong checksum, length, case or kind of key is refused, with the reason", () => {
    assert.strictEqual(failure(text.slice(0, -1) + "A"), "InvalidChecksum")
    assert.strictEqual(failure("GA" + text.slice(2)), "InvalidChecksum")
    assert.strictEqual(failure(""), "InvalidStrKey")
    assert.strictEqual(failure("G"), "InvalidStrKey")
    assert.strictEqual(failure(text.slice(1)), "InvalidStrKey")
    assert.strictEqual(failure(text + "A"), "InvalidStrKey")
    assert.strictEqual(failure(text.slice(0, -1) + "="), "InvalidStrKey")
    assert.strictEqual(failure(text.toLowerCase()), "InvalidStrKey")
    assert.strictEqual(failure("g" + text.slice(1)), "InvalidStrKey")
    assert.strictEqual(failure(" " + text.slice(1)), "InvalidStrKey")
    assert.strictEqual(failure(text.replace("D", "1")), "InvalidStrKey")
    assert.strictEqual(failure(text.replace("D", "\u0144")), "InvalidStrKey") // the code of D and 256
    assert.strictEqual(failure(Keypair.fromRawEd25519Seed(Buffer.alloc(32, 0x11)).secret()), "WrongKeyType") // S…
    assert.strictEqual(failure(StrKey.encodePreAuthTx(Buffer.from(key))), "WrongKeyType") // T…
    assert.strictEqual(failure(StrKey.encodeSha256Hash(Buffer.from(key))), "WrongKeyType") // X…
    assert.strictEqual(failure(StrKey.encodeContract(Buffer.from(key))), "WrongKeyType") // C…
    assert.strictEqual(failure(StrKey.encodeMed25519PublicKey(Buffer.alloc(40, 1))), "InvalidStrKey") // M…
    assert.isFalse(NodeId.isNodeId(key))
    assert.isFalse(NodeId.isNodeId(text.toLowerCase()))
    assert.isTrue(NodeId.isNodeId(text))
  })

  it("CFG-03 an error tells where, and never repeats a seed", () => {
    const seed = Keypair.fromRawEd25519Seed(Buffer.alloc(32, 0x11)).secret()
    const wrongKind = Result.getOrThrow(Result.flip(NodeId.parse(seed)))
    assert.strictEqual(wrongKind._tag, "WireError")
    for (let i = 0; i + 4 <= seed.length; i++) assert.notInclude(String(wrongKind), seed.slice(i, i + 4))
    const wrongCharacter = Result.getOrThrow(Result.flip(NodeId.parse(text.slice(0, 20) + "*" + text.slice(21))))
    assert.strictEqual(wrongCharacter.offset, 20)
  })

  it("CFG-03 the order is that of the keys' bytes, as core orders NodeIDs", () => {
    const below = random(2)
    const keys = Array.from({ length: 200 }, (_, i) => {
      const bytes = randomBytes(below, 32)
      // Half of the keys differ in a late byte only.
      if (i % 2 === 1) bytes.fill(7, 0, 28 + below(4))
      return bytes
    })
    keys.push(new Uint8Array(32), new Uint8Array(32).fill(255))
    const byBytes = keys.slice().sort(Buffer.compare).map(NodeId.fromBytes)
    const byOrder = keys.map(NodeId.fromBytes).sort(NodeId.Order)
    assert.deepStrictEqual(byOrder, byBytes)
    assert.notDeepEqual(byOrder.slice().sort(), byBytes) // the strings' own order is another one
    assert.strictEqual(NodeId.Order(NodeId.fromBytes(key), NodeId.fromBytes(key.slice())), 0)
  })

  it("CFG-03 bytes that cannot be a key are a defect of the caller", () => {
    assert.throws(() => NodeId.fromBytes(new Uint8Array(31)), RangeError)
    assert.throws(() => NodeId.fromBytes(new Uint8Array(33)), RangeError)
    assert.throws(() => NodeId.fromBytesAt(new Uint8Array(40), 9), RangeError)
    assert.throws(() => NodeId.fromBytesAt(new Uint8Array(40), -1), RangeError)
  })

  it("CRY-010 payloads of 0 to 99 bytes round trip, as a text of (n+3+4)/5*8 characters", () => {
    const below = random(3)
    for (let n = 0; n < 100; n++) {
      const payload = randomBytes(below, n)
      const encoded = NodeId.encodeStrKey(NodeId.StrKeyVersion.Seed, payload)
      assert.strictEqual(encoded.length, Math.floor((n + 3 + 4) / 5) * 8)
      assert.strictEqual(encoded[0], "S")
      const decoded = NodeId.decodeStrKey(NodeId.StrKeyVersion.Seed, encoded)
      assert.deepStrictEqual(Result.getOrThrow(decoded), payload)
      assert.isTrue(Result.isFailure(NodeId.decodeStrKey(NodeId.StrKeyVersion.PublicKey, encoded)))
    }
  })

  it("CRY-010 one payload has one text: padding and unused bits are checked", () => {
    const decode = (text: string) => NodeId.decodeStrKey(NodeId.StrKeyVersion.Seed, text)
    const encoded = NodeId.encodeStrKey(NodeId.StrKeyVersion.Seed, new Uint8Array(0)) // 3 bytes, 5 digits, 1 unused bit
    assert.isTrue(/^[A-Z2-7]{5}===$/.test(encoded))
    assert.isTrue(Result.isSuccess(decode(encoded)))
    const lastDigit = alphabet.indexOf(encoded[4]!)
    const unusedBit = encoded.slice(0, 4) + alphabet[lastDigit | 1]! + "==="
    assert.strictEqual(Result.getOrThrow(Result.flip(decode(unusedBit))).reason, "InvalidStrKey")
    const texts = [
      encoded.slice(0, 5),
      encoded + "========",
      encoded.slice(0, 5) + "A==",
      "========",
      "",
      "S=======",
      "=" + encoded.slice(1)
    ]
    for (const text of texts) assert.isTrue(Result.isFailure(decode(text)), text)
  })

  it("keys that begin alike have texts of their own, however often and in whichever order they are asked for", () => {
    const below = random(5)
    const keys = Array.from({ length: 8 }, () => {
      const key = randomBytes(below, 32)
      key.fill(7, 0, 31) // they differ in the last byte at most
      return key
    })
    for (let i = 0; i < 200; i++) {
      const key = keys[below(keys.length)]!
      assert.strictEqual(NodeId.fromBytes(key), NodeId.encodeStrKey(NodeId.StrKeyVersion.PublicKey, key))
      assert.deepStrictEqual(NodeId.toBytes(NodeId.fromBytesAt(key, 0)), key)
    }
  })

  it("CRY-010 single corruptions of a hundred keys are detected", () => {
    const below = random(4)
    let corruptions = 0
    let undetected = 0
    const count = (original: string, corrupted: string): void => {
      if (corrupted === original) return
      corruptions++
      if (NodeId.isNodeId(corrupted)) undetected++
    }
    for (let i = 0; i < 100; i++) {
      const id = NodeId.fromBytes(randomBytes(below, 32))
      for (let at = 0; at < id.length; at++) {
        const head = id.slice(0, at)
        const tail = id.slice(at + 1)
        assert.isFalse(NodeId.isNodeId(head + tail), "deleted")
        assert.isFalse(NodeId.isNodeId(head + id[at]! + id[at]! + tail), "duplicated")
        count(id, head + alphabet[below(32)]! + tail)
        for (let other = at + 1; other < id.length; other++) {
          count(id, head + id[other]! + id.slice(at + 1, other) + id[at]! + id.slice(other + 1))
        }
      }
    }
    assert.isAbove(corruptions, 100_000)
    assert.isBelow(undetected / corruptions, 0.0001)
  })
})
