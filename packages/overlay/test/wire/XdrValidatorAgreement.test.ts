import { assert, describe, it } from "@effect/vitest"
import { mutateXdr } from "@stellar-overlay/overlay-test/MutateXdr"
import { type Chance, type RandomXdr, randomXdr, seeded } from "@stellar-overlay/overlay-test/RandomXdr"
import { xdr } from "@stellar/stellar-base"
import { readUint32, toHex } from "../../src/internal/bytes.ts"
import { MessageType } from "../../src/wire/MessageType.ts"
import type { XdrDefinition } from "../../src/wire/XdrShape.ts"
import * as XdrValidator from "../../src/wire/XdrValidator.ts"

const types: ReadonlyArray<number> = Object.values(MessageType)

/** A struct or union of stellar-base. */
interface Codec extends XdrDefinition {
  readonly fromXDR: (input: Buffer) => { readonly toXDR: () => Buffer }
}

/** What stellar-base makes of bytes: the bytes it would write for the value it read, or why it read none. */
const viaStellarBase = (type: Codec, bytes: Uint8Array): Uint8Array | Error => {
  try {
    return type.fromXDR(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).toXDR()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

const hex = (words: string): Buffer => Buffer.from(words.replaceAll(" ", ""), "hex")
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
const validate = (bytes: Uint8Array): number => XdrValidator.validateStellarMessage(bytes, 0, bytes.length)

/**
 * Every known difference between the two, with the rule that recognizes it and a message that shows it. stellar-base is
 * nowhere laxer than the validator; it is stricter in the two enum fields that stellar-core tolerates.
 */
const differences: ReadonlyArray<{
  readonly name: string
  readonly applies: (bytes: Uint8Array) => boolean
  readonly vector: string
  readonly stellarBase: RegExp
}> = [
  {
    name: "stellar-base refuses an ERROR_MSG whose code is not 0 to 4",
    applies: (bytes) => readUint32(bytes, 0) === 0 && readUint32(bytes, 4) > 4,
    vector: "00000000 00000005 00000000",
    stellarBase: /unknown ErrorCode member for value 5/
  },
  {
    name: "stellar-base refuses a DONT_HAVE whose item type is not a message type",
    applies: (bytes) => readUint32(bytes, 0) === 3 && !types.includes(readUint32(bytes, 4)),
    vector: `00000003 00000001 ${"11".repeat(32)}`,
    stellarBase: /unknown MessageType member for value 1/
  }
]

/** Rules of RFC 4506 that a decoder may well neglect. stellar-base 15.0.0 neglects none of these. */
const suspicions: ReadonlyArray<readonly [rule: string, type: Codec, vector: string, offset: number]> = [
  ["trailing word", xdr.StellarMessage, "0000000c 00000001 00000000", 8],
  ["trailing byte", xdr.StellarMessage, "0000000c 00000001 00", 8],
  ["padding not zero", xdr.StellarMessage, "00000000 00000001 00000001 61000001", 15],
  ["padding missing", xdr.StellarMessage, "00000000 00000001 00000001 610000", 8],
  ["boolean 2", xdr.ScVal, "00000000 00000002", 4],
  ["boolean -1", xdr.ScVal, "00000000 ffffffff", 4],
  ["optional flag 2", xdr.ScVal, "00000010 00000002 00000000", 4],
  ["unknown enum value", xdr.ScVal, "00000002 00000001 0000000a", 8],
  ["unknown union discriminant", xdr.StellarMessage, "00000001", 0],
  ["unknown integer discriminant", xdr.StellarMessage, "00000011 00000000", 4],
  ["list above its maximum", xdr.StellarMessage, `00000012 000003e9 ${"00".repeat(32 * 1001)}`, 4],
  ["string above its maximum", xdr.StellarMessage, `00000000 00000001 00000065 ${"61".repeat(104)}`, 8],
  ["opaque above its maximum", xdr.DecoratedSignature, `00000000 00000041 ${"00".repeat(68)}`, 4],
  ["list longer than the message", xdr.StellarMessage, `00000012 00000002 ${"00".repeat(32)}`, 4],
  ["level 201", xdr.StellarMessage, `0000000a ${"000000010000000000000001".repeat(100)} ${"00".repeat(12)}`, 1204]
]

/** Messages of all types in turn, between them as many of the four kinds that contain most. */
const generate = (chance: Chance, i: number): RandomXdr => {
  const heavy = [MessageType.Transaction, MessageType.TxSet, MessageType.GeneralizedTxSet, MessageType.ScpMessage]
  const discriminant = i % 2 === 0 ? types[(i / 2) % types.length] : heavy[((i - 1) / 2) % heavy.length]
  return randomXdr(xdr.StellarMessage, chance, { discriminant, budget: 100 + (i % 5) * 150 })
}

describe("XdrValidator and stellar-base", () => {
  for (const { applies, name, stellarBase, vector } of differences) {
    it(`COD-03 X1 difference: ${name}`, () => {
      const bytes = hex(vector)
      assert.isTrue(applies(bytes))
      assert.strictEqual(validate(bytes), -1)
      const outcome = viaStellarBase(xdr.StellarMessage, bytes)
      assert.instanceOf(outcome, Error)
      assert.match(String(outcome), stellarBase)
    })
  }

  for (const [rule, type, vector, offset] of suspicions) {
    it(`COD-03 X4 both refuse: ${rule}`, () => {
      const bytes = hex(vector)
      assert.throws(() => type.fromXDR(bytes))
      assert.strictEqual(XdrValidator.make(type).validate(bytes, 0, bytes.length), offset)
    })
  }

  it("COD-03 both accept a string that is not UTF-8", () => {
    const bytes = hex("00000000 00000001 00000004 fffe80c0")
    assert.strictEqual(validate(bytes), -1)
    const outcome = viaStellarBase(xdr.StellarMessage, bytes)
    assert.isTrue(outcome instanceof Uint8Array && same(outcome, bytes))
  })

  it(
    "COD-03 X4 50,000 generated messages are valid for both, and re-encode to themselves",
    { timeout: 120_000 },
    () => {
      const chance = seeded(0x5eed)
      for (let i = 0; i < 50_000; i++) {
        const { bytes } = generate(chance, i)
        const outcome = viaStellarBase(xdr.StellarMessage, bytes)
        if (validate(bytes) !== -1 || outcome instanceof Error || !same(outcome, bytes)) {
          assert.fail(`message ${i}: ${validate(bytes)}, ${outcome}, ${toHex(bytes)}`)
        }
      }
    }
  )

  it(
    "COD-03 X1 X2 X4 X5 70,000 mutated messages: both agree, but for the listed differences",
    { timeout: 120_000 },
    () => {
      const chance = seeded(0xbad)
      const acceptedTypes = new Set<number>()
      const problems = new Map<string, number>()
      let accepted = 0
      let differing = 0
      let previous = generate(chance, 0).bytes
      for (let i = 0; i < 70_000; i++) {
        const message = generate(chance, i)
        const bytes = mutateXdr(message, chance, previous)
        previous = message.bytes
        const offset = validate(bytes)
        const explanation = XdrValidator.explainInvalid(bytes, 0, bytes.length)
        const outcome = viaStellarBase(xdr.StellarMessage, bytes)
        const label = `mutation ${i}: ${offset}, ${explanation?.problem}, ${outcome}, ${toHex(bytes)}`
        if (offset === -1) {
          accepted++
          acceptedTypes.add(readUint32(bytes, 0))
          if (explanation !== undefined) assert.fail(label)
          if (outcome instanceof Error) {
            differing++
            if (!differences.some((difference) => difference.applies(bytes))) assert.fail(label)
          } else if (!same(outcome, bytes)) assert.fail(label)
        } else {
          if (explanation?.offset !== offset || !(outcome instanceof Error)) assert.fail(label)
          if (offset < 0 || offset > bytes.length) assert.fail(label)
          const kind = explanation.problem.replace(/[A-Z]\w+|-?\d+/g, "").replace(/ +/g, " ")
          problems.set(kind, (problems.get(kind) ?? 0) + 1)
        }
      }
      // The mutations must not all be harmless, nor all be fatal in the same way.
      assert.isAbove(accepted, 7_000)
      assert.isBelow(accepted, 35_000)
      assert.strictEqual(acceptedTypes.size, 21)
      assert.isAbove(differing, 100)
      for (
        const kind of ["unknown discriminant of ", "unknown value ", "length above the maximum of ", "bytes left over"]
      ) {
        assert.isAbove(problems.get(kind) ?? problems.get(` ${kind}`) ?? 0, 50, `${kind} in ${[...problems.keys()]}`)
      }
    }
  )

  it("COD-03 X3 5,000 deeply nested values around the limit: both agree", { timeout: 120_000 }, () => {
    const chance = seeded(3)
    const scVal = XdrValidator.make(xdr.ScVal)
    const outcomes = { accepted: 0, tooDeep: 0, otherwise: 0 }
    for (let i = 0; i < 5_000; i++) {
      const levels: Array<number> = []
      // A vector (16) adds three levels, a map (17) four.
      const target = 170 + Math.floor(chance() * 40)
      for (let level = 0; level < target;) {
        const isMap = chance() < 0.3
        level += isMap ? 4 : 3
        // Half of the maps go on in the value of their entry, the others in its key.
        levels.push(isMap ? 17 : 16, 1, 1, ...(isMap && chance() < 0.5 ? [1] : []))
      }
      const bytes = Uint8Array.from([...levels, 1, 1, 1, 1, 1, 1, 1].flatMap((word) => [0, 0, 0, word]))
      const end = trimmed(scVal, bytes)
      const outcome = viaStellarBase(xdr.ScVal, bytes.subarray(0, end))
      const offset = scVal.validate(bytes, 0, end)
      assert.strictEqual(scVal.explain(bytes, 0, end)?.offset ?? -1, offset)
      assert.strictEqual(outcome instanceof Error, offset !== -1, `${i}: ${offset} ${outcome}`)
      if (offset === -1) outcomes.accepted++
      else if (/depth/.test(String(outcome))) outcomes.tooDeep++
      else outcomes.otherwise++
    }
    assert.isAbove(outcomes.accepted, 500)
    assert.isAbove(outcomes.tooDeep, 500)
  })

  it("COD-03 every type of stellar-base compiles, and both agree on random and mutated values of it", {
    timeout: 120_000
  }, () => {
    const isCodec = (u: unknown): u is Codec => typeof u === "function" && ("structName" in u || "unionName" in u)
    const definitions = Object.entries(xdr).flatMap(([name, type]) => (isCodec(type) ? [{ name, type }] : []))
    assert.isAbove(definitions.length, 300)
    const chance = seeded(9)
    const mayTolerate = new Set([
      "Error",
      "DontHave",
      "StellarMessage",
      "AuthenticatedMessage",
      "AuthenticatedMessageV0"
    ])
    for (const { name, type } of definitions) {
      const validator = XdrValidator.make(type)
      for (let i = 0; i < 20; i++) {
        const value = randomXdr(type, chance, { budget: 200 })
        const bytes = i % 2 === 0 ? value.bytes : mutateXdr(value, chance)
        const offset = validator.validate(bytes, 0, bytes.length)
        const outcome = viaStellarBase(type, bytes)
        const label = `${name} ${i}: ${offset}, ${outcome}, ${toHex(bytes)}`
        if (i % 2 === 0) assert.strictEqual(offset, -1, label)
        if (!mayTolerate.has(name)) assert.strictEqual(outcome instanceof Error, offset !== -1, label)
        assert.strictEqual(validator.explain(bytes, 0, bytes.length)?.offset ?? -1, offset, label)
        if (outcome instanceof Uint8Array) assert.isTrue(same(outcome, bytes), label)
      }
    }
  })
})

/** The length at which the value, if it is one, ends: what is left over is cut off. */
const trimmed = (validator: XdrValidator.XdrValidator, bytes: Uint8Array): number => {
  const explanation = validator.explain(bytes, 0, bytes.length)
  return explanation?.problem.endsWith("left over") === true ? explanation.offset : bytes.length
}
