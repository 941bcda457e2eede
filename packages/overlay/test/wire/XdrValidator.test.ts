import { assert, describe, it } from "@effect/vitest"
import { randomXdr, seeded } from "@stellar-overlay/overlay-test/RandomXdr"
import { xdr } from "@stellar/stellar-base"
import * as XdrShape from "../../src/wire/XdrShape.ts"
import * as XdrValidator from "../../src/wire/XdrValidator.ts"

/** 32-bit words, big-endian; a Uint8Array among them is taken as it is. */
const xdrOf = (...parts: ReadonlyArray<number | Uint8Array>): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "number" ? [part >>> 24, (part >>> 16) & 255, (part >>> 8) & 255, part & 255] : [...part]
    )
  )

const filled = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value)
const hash = filled(32)
const validate = (bytes: Uint8Array): number => XdrValidator.validateStellarMessage(bytes, 0, bytes.length)
const problem = (bytes: Uint8Array) => XdrValidator.explainInvalid(bytes, 0, bytes.length)

/** Both the program and the explanation refuse the bytes at this offset. */
const refusedAt = (offset: number, bytes: Uint8Array, label?: string): void => {
  assert.strictEqual(validate(bytes), offset, label)
  assert.strictEqual(problem(bytes)?.offset, offset, label)
}

const accepted = (bytes: Uint8Array, label?: string): void => {
  assert.strictEqual(validate(bytes), -1, label)
  assert.isUndefined(problem(bytes), label)
}

// Discriminants and layouts as in protocol.md sections 1.4 and 1.5.
const externalize = (counter: number, value: Uint8Array, signature: Uint8Array): Uint8Array =>
  xdrOf(11, 0, hash, 0, 55, 2, counter, value.length, value, 1, hash, signature.length, signature)
const publicKey = xdrOf(0, hash)
/** A quorum set of threshold 1 without validators, around `inner` more of its kind, one in the other. */
const nestedQuorumSet = (inner: number): Uint8Array =>
  xdrOf(10, ...Array.from({ length: inner }, () => [1, 0, 1]).flat(), 1, 0, 0)

describe("XdrValidator", () => {
  it("COD-03 one message of every kind, laid out as the protocol says, is valid", () => {
    const signed = xdrOf(64, filled(64))
    const messages: Record<string, Uint8Array> = {
      "ERROR_MSG": xdrOf(0, 2, 3, Uint8Array.of(97, 98, 99, 0)),
      "AUTH": xdrOf(2, 200),
      "DONT_HAVE": xdrOf(3, 17, hash),
      "PEERS": xdrOf(5, 2, 0, filled(4), 11625, 0, 1, filled(16), 11625, 0),
      "GET_TX_SET": xdrOf(6, hash),
      "TX_SET": xdrOf(7, hash, 0),
      "TRANSACTION": xdrOf(8, 2, 0, hash, 100, 0, 1, 0, 0, 1, 0, 9, 0, 0),
      "GET_SCP_QUORUMSET": xdrOf(9, hash),
      "SCP_QUORUMSET": xdrOf(10, 1, 1, publicKey, 1, 1, 1, publicKey, 0),
      "SCP_MESSAGE": externalize(1, filled(152), filled(64)),
      "GET_SCP_STATE": xdrOf(12, 0),
      "HELLO": xdrOf(13, 25, 42, 38, hash, 4, filled(4), 11625, publicKey, hash, 0, 99, signed, hash),
      "SEND_MORE": xdrOf(16, 1),
      "GENERALIZED_TX_SET": xdrOf(17, 1, hash, 2, 0, 1, 0, 1, 0, 100, 0, 1, 0, 0),
      "FLOOD_ADVERT": xdrOf(18, 2, hash, hash),
      "FLOOD_DEMAND": xdrOf(19, 1, hash),
      "SEND_MORE_EXTENDED": xdrOf(20, 40, 300_000),
      "TIME_SLICED_SURVEY_REQUEST": xdrOf(21, signed, publicKey, publicKey, 7, hash, 1, 1, 0, 0),
      "TIME_SLICED_SURVEY_RESPONSE": xdrOf(22, signed, publicKey, publicKey, 7, 1, 8, filled(8), 1),
      "TIME_SLICED_SURVEY_START_COLLECTING": xdrOf(23, signed, publicKey, 1, 7),
      "TIME_SLICED_SURVEY_STOP_COLLECTING": xdrOf(24, signed, publicKey, 1, 7)
    }
    assert.strictEqual(Object.keys(messages).length, 21)
    for (const [name, bytes] of Object.entries(messages)) {
      accepted(bytes, name)
      assert.doesNotThrow(() => xdr.StellarMessage.fromXDR(Buffer.from(bytes)), name)
      for (let length = 0; length < bytes.length; length++) {
        assert.notStrictEqual(validate(bytes.subarray(0, length)), -1, `${name} cut to ${length} bytes`)
      }
      refusedAt(bytes.length, xdrOf(bytes, 0), `${name} and one word more`)
    }
    assert.strictEqual(messages["SCP_MESSAGE"]?.length, 316)
  })

  it("COD-03 offsets are absolute, and what lies outside the range is not looked at", () => {
    const message = xdrOf(8, 7)
    const around = xdrOf(0xffffffff, filled(3, 255), message, filled(5, 255))
    assert.strictEqual(XdrValidator.validateStellarMessage(around, 7, 15), 11)
    assert.strictEqual(XdrValidator.explainInvalid(around, 7, 15)?.offset, 11)
    const good = xdrOf(filled(9, 255), xdrOf(12, 1), filled(9, 255))
    assert.strictEqual(XdrValidator.validateStellarMessage(good, 9, 17), -1)
    assert.strictEqual(XdrValidator.validateStellarMessage(good, 9, 16), 16)
    assert.strictEqual(XdrValidator.validateStellarMessage(good, 9, 18), 17)
  })

  it("X1 the discriminants of removed and future messages are refused", () => {
    const known = new Set([0, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20, 21, 22, 23, 24])
    for (const type of [-1, 1, 4, 14, 15, 25, 26, 27, 255, 256, 0x7fffffff, -0x80000000, 0x0b000000]) {
      assert.isFalse(known.has(type))
      refusedAt(0, xdrOf(type, hash), `type ${type}`)
    }
    for (let type = -3; type < 40; type++) {
      assert.strictEqual(validate(xdrOf(type)) === 0, !known.has(type), `type ${type}`)
    }
  })

  it("X1 every union and enum a message can contain refuses every sampled unknown value, at its own offset", () => {
    const constrained = XdrShape.reachable(XdrShape.fromDefinition(xdr.StellarMessage)).filter((shape) =>
      shape.kind === "union" || shape.kind === "enum" || shape.kind === "bool" || shape.kind === "optional"
    )
    const met = new Map<XdrShape.XdrShape, number>()
    let refusals = 0
    const chance = seeded(1)
    for (let i = 0; i < 30_000 && (i < 2_000 || met.size < constrained.length); i++) {
      const { bytes, marks } = randomXdr(xdr.StellarMessage, chance, {
        budget: 800,
        discriminant: i % 3 === 0 ? undefined : 8
      })
      for (const { field, kind, offset, shape } of marks) {
        if (kind === "length" || kind === "count" || kind === "padding" || (met.get(shape) ?? 0) >= 5) continue
        met.set(shape, (met.get(shape) ?? 0) + 1)
        if (XdrValidator.tolerantFields.has(field)) continue
        const known = shape.kind === "union"
          ? [...shape.arms.keys()]
          : shape.kind === "enum"
          ? [...shape.members.keys()]
          : [0, 1]
        const samples = [
          -0x80000000,
          -2,
          -1,
          0x7fffffff,
          0x01000000,
          0x00010000,
          256,
          ...Array.from({ length: Math.max(...known) + 3 }, (_, value) => value)
        ]
        const view = new DataView(bytes.buffer)
        const original = view.getInt32(offset)
        for (const value of samples) {
          if (known.includes(value)) continue
          view.setInt32(offset, value)
          refusedAt(offset, bytes, `${value} at ${field}`)
          refusals++
        }
        view.setInt32(offset, original)
        assert.strictEqual(validate(bytes), -1)
      }
    }
    const unmet = constrained.filter((shape) => !met.has(shape)).map((shape) => ("name" in shape ? shape.name : ""))
    assert.deepStrictEqual(unmet, [])
    assert.isAbove(refusals, 3_000)
  })

  it("X1 the two tolerant enum fields, and only they, take values without a name", () => {
    assert.deepStrictEqual([...XdrValidator.tolerantFields], ["Error.code", "DontHave.type"])
    for (const value of [5, 99, -1, 0x7fffffff]) {
      accepted(xdrOf(0, value, 0), `Error.code ${value}`)
      accepted(xdrOf(3, value, hash), `DontHave.type ${value}`)
    }
    // SurveyRequestMessage.commandType has one value, 1 (protocol.md 1.5).
    const request = (command: number) => xdrOf(21, 64, filled(64), publicKey, publicKey, 7, hash, command, 1, 0, 0)
    accepted(request(1))
    refusedAt(180, request(0))
    refusedAt(180, request(2))
  })

  it("X2 a count or length no remaining bytes could satisfy is refused at its word", () => {
    refusedAt(4, xdrOf(18, -1, hash), "FLOOD_ADVERT of 2^32-1 hashes")
    refusedAt(4, xdrOf(18, 2, hash), "FLOOD_ADVERT of 2 hashes with bytes for one")
    refusedAt(36, xdrOf(7, hash, -1, filled(400)), "TX_SET of 2^32-1 transactions")
    refusedAt(36, xdrOf(7, hash, 0x7fffffff, filled(400)), "TX_SET of 2^31-1 transactions")
    refusedAt(56, externalize(1, filled(0), filled(64)).fill(255, 56, 60), "a Value of 2^32-1 bytes")
    refusedAt(8, xdrOf(10, 1, 0x10000000, filled(36)), "a quorum set of 2^28 validators")
    refusedAt(8, xdrOf(10, 1, 2, publicKey, filled(32)), "two validators with bytes for fewer than two")
    // 3 bytes need 4: without its padding an opaque is as impossible as without its bytes.
    refusedAt(8, xdrOf(0, 2, 3, filled(3)), "an error text without room for its padding")
  })

  it("X2 validation allocates nothing", () => {
    const message = externalize(1, filled(152), filled(64))
    const bad = xdrOf(18, -1, hash)
    const grown = (): number => {
      const before = process.memoryUsage().heapUsed
      for (let i = 0; i < 50_000; i++) {
        validate(message)
        validate(bad)
      }
      return process.memoryUsage().heapUsed - before
    }
    // The compiler allocates while the code warms up; an object of the smallest kind per call would be 1,200,000 bytes.
    assert.isBelow(Math.min(...Array.from({ length: 8 }, grown)), 100_000)
  })

  it("X3 100 quorum sets in each other pass, the 101st is refused where it begins, as in stellar-base", () => {
    // The message is level 0, its quorum set level 1, and each set adds a list and a struct: set n lies at level 2n - 1,
    // its lists at 2n, and level 200 is the last.
    accepted(nestedQuorumSet(99))
    assert.doesNotThrow(() => xdr.StellarMessage.fromXDR(Buffer.from(nestedQuorumSet(99))))
    refusedAt(4 + 100 * 12, nestedQuorumSet(100))
    assert.throws(() => xdr.StellarMessage.fromXDR(Buffer.from(nestedQuorumSet(100))), /depth/)
  })

  it("X3 1 MiB of nesting is refused at level 201, without a RangeError", () => {
    const mebibyte = (head: Uint8Array, level: Uint8Array): Uint8Array => {
      const bytes = new Uint8Array(head.length + level.length * Math.ceil(2 ** 20 / level.length))
      bytes.set(head)
      for (let at = head.length; at < bytes.length; at += level.length) bytes.set(level, at)
      return bytes
    }
    refusedAt(1204, mebibyte(xdrOf(10), xdrOf(1, 0, 1)), "quorum sets")
    // An SCVal of type vec (16), present, with one element; ScVal, option and list are three levels.
    const vectors = mebibyte(new Uint8Array(0), xdrOf(16, 1, 1))
    const scVal = XdrValidator.make(xdr.ScVal)
    // Level 201 is a value (201 = 3 * 67) that begins after 67 times 12 bytes.
    assert.strictEqual(scVal.validate(vectors, 0, vectors.length), 67 * 12)
    assert.strictEqual(scVal.explain(vectors, 0, vectors.length)?.offset, 67 * 12)
    // A predicate `not` (3), present: union and option are two levels, level 201 is an option.
    const predicates = mebibyte(new Uint8Array(0), xdrOf(3, 1))
    const predicate = XdrValidator.make(xdr.ClaimPredicate)
    assert.strictEqual(predicate.validate(predicates, 0, predicates.length), 100 * 8 + 4)
    assert.strictEqual(predicate.explain(predicates, 0, predicates.length)?.offset, 100 * 8 + 4)
    // An invocation of contract function (0) of contract 0 (1) named "" without arguments, with one sub-invocation.
    const invocations = mebibyte(new Uint8Array(0), xdrOf(0, 1, hash, 0, 0, 1))
    const invocation = XdrValidator.make(xdr.SorobanAuthorizedInvocation)
    // Struct and list of sub-invocations are two levels; but below the struct at level 2n lie the union at 2n + 1, its
    // struct at 2n + 2, the address and the list of arguments at 2n + 3: level 201 is the address for n = 99.
    assert.strictEqual(invocation.validate(invocations, 0, invocations.length), 99 * 52 + 4)
    assert.strictEqual(invocation.explain(invocations, 0, invocations.length)?.offset, 99 * 52 + 4)
  })

  it("X3 1 MiB of siblings is walked in a loop and accepted", () => {
    const count = 2 ** 18
    const wide = new Uint8Array(4 * count).map((_, at) => (at % 4 === 3 ? 1 : 0))
    wide.set(xdrOf(16, 1, count - 3))
    // An SCVal vector of void (1) values.
    const scVal = XdrValidator.make(xdr.ScVal)
    assert.strictEqual(scVal.validate(wide, 0, wide.length), -1)
    wide[wide.length - 1] = 99
    assert.strictEqual(scVal.validate(wide, 0, wide.length), wide.length - 4)
    assert.strictEqual(scVal.explain(wide, 0, wide.length)?.path, `ScVal.vec[${count - 4}]`)
  })

  it("X4 trailing bytes, padding that is not zero, and flags other than 0 and 1 are refused", () => {
    refusedAt(8, xdrOf(12, 1, 0), "a word after GET_SCP_STATE")
    refusedAt(8, xdrOf(12, 1, Uint8Array.of(0)), "a byte after GET_SCP_STATE")
    const text = (length: number, padding: ReadonlyArray<number>) =>
      xdrOf(0, 2, length, filled(length), Uint8Array.from(padding))
    accepted(text(1, [0, 0, 0]))
    refusedAt(13, text(1, [1, 0, 0]))
    refusedAt(14, text(1, [0, 128, 0]))
    refusedAt(15, text(1, [0, 0, 255]))
    refusedAt(14, text(2, [1, 1]))
    refusedAt(15, text(3, [1]))
    // PREPARE (0): quorum set hash, ballot, then the flags of prepared and preparedPrime.
    const prepare = (prepared: number, prime: number) =>
      xdrOf(11, 0, hash, 0, 55, 0, hash, 1, 0, prepared, ...(prepared === 1 ? [2, 0] : []), prime, 0, 0, 0)
    accepted(prepare(0, 0))
    accepted(prepare(1, 0))
    refusedAt(92, prepare(2, 0))
    refusedAt(92, prepare(-1, 0))
    refusedAt(96, prepare(0, 2))
    // An SCVal that is a boolean (0).
    const scVal = XdrValidator.make(xdr.ScVal)
    assert.strictEqual(scVal.validate(xdrOf(0, 0), 0, 8), -1)
    assert.strictEqual(scVal.validate(xdrOf(0, 1), 0, 8), -1)
    for (const value of [2, -1, 0x01000000]) assert.strictEqual(scVal.validate(xdrOf(0, value), 0, 8), 4)
  })

  it("X5 A2 P3 declared maxima hold to the unit, and excess is refused at the length word", () => {
    const cases: ReadonlyArray<[string, number, number, (n: number) => Uint8Array]> = [
      ["error text", 100, 8, (n) => xdrOf(0, 2, n, filled(n), filled(-n & 3, 0))],
      ["PEERS", 100, 4, (n) => xdrOf(5, n, ...Array.from({ length: n }, () => [0, filled(4), 1, 0]).flat())],
      ["FLOOD_ADVERT", 1000, 4, (n) => xdrOf(18, n, ...Array.from({ length: n }, () => hash))],
      ["FLOOD_DEMAND", 1000, 4, (n) => xdrOf(19, n, ...Array.from({ length: n }, () => hash))],
      ["SCP signature", 64, 96, (n) => xdrOf(11, 0, hash, 0, 55, 2, 1, 0, 1, hash, n, filled(n), filled(-n & 3, 0))],
      ["survey signature", 64, 4, (n) => xdrOf(23, n, filled(n), filled(-n & 3, 0), publicKey, 1, 7)],
      [
        "encrypted body",
        64_000,
        4 + 4 + 64 + 72 + 8,
        (n) => xdrOf(22, 64, filled(64), publicKey, publicKey, 7, 1, n, filled(n), filled(-n & 3, 0), 1)
      ],
      [
        "version text",
        100,
        48,
        (n) => xdrOf(13, 25, 42, 38, hash, n, filled(n), filled(-n & 3, 0), 1, publicKey, hash, 0, 9, 0, hash)
      ],
      [
        "transaction signatures",
        20,
        72,
        (n) => xdrOf(8, 2, 0, hash, 100, 0, 1, 0, 0, 0, 0, n, ...Array.from({ length: n }, () => [1, 0]).flat())
      ],
      ["operations", 100, 64, (n) =>
        // Inflation (9) without a source of its own is the smallest operation.
        xdrOf(8, 2, 0, hash, 100, 0, 1, 0, 0, n, ...Array.from({ length: n }, () => [0, 9]).flat(), 0, 0)]
    ]
    for (const [name, max, offset, make] of cases) {
      accepted(make(0), `${name}: none`)
      accepted(make(max), `${name}: ${max}`)
      refusedAt(offset, make(max + 1), `${name}: ${max + 1}`)
    }
  })

  it("M7 an AuthenticatedMessage of an unknown version is refused at its first word", () => {
    const frame = (version: number, message: Uint8Array) => xdrOf(version, 1, 2, message, filled(32, 255))
    const check = (bytes: Uint8Array) => XdrValidator.validateAuthenticatedMessage(bytes, 0, bytes.length)
    assert.strictEqual(check(frame(0, xdrOf(12, 1))), -1)
    for (const version of [1, 2, -1, 0x01000000]) assert.strictEqual(check(frame(version, xdrOf(12, 1))), 0)
    assert.strictEqual(check(frame(0, xdrOf(4, 1))), 12, "the message inside")
    assert.strictEqual(check(frame(0, xdrOf(12))), 16, "a message cut short ends where the MAC begins")
    assert.strictEqual(check(frame(0, xdrOf(12, 1, 1))), 20, "a word between message and MAC")
    for (let length = 0; length < 44; length++) {
      assert.strictEqual(check(frame(0, xdrOf(12, 1)).subarray(0, length)), length)
    }
    assert.strictEqual(XdrValidator.validateAuthenticatedMessage(xdrOf(9, frame(0, xdrOf(12, 1))), 4, 56), -1)
  })

  it("COD-03 an explanation names the place and the fault", () => {
    const cases: ReadonlyArray<[Uint8Array, number, string, string]> = [
      [xdrOf(1), 0, "StellarMessage", "unknown discriminant 1 of MessageType"],
      [xdrOf(12), 4, "StellarMessage.getScpLedgerSeq", "needs 4 bytes where 0 remain"],
      [
        externalize(1, filled(4), filled(65)),
        100,
        "StellarMessage.envelope.signature",
        "length 65 above the maximum of 64"
      ],
      [
        externalize(1, filled(4), filled(64)).subarray(0, 54),
        54,
        "StellarMessage.envelope.statement.pledges.externalize.commit.counter",
        "needs 4 bytes where 2 remain"
      ],
      [
        xdrOf(11, 0, hash, 0, 5, 9),
        48,
        "StellarMessage.envelope.statement.pledges",
        "unknown discriminant 9 of ScpStatementType"
      ],
      [
        xdrOf(10, 1, 2, publicKey, 1, hash, 0),
        48,
        "StellarMessage.qSet.validators[1]",
        "unknown discriminant 1 of PublicKeyType"
      ],
      [xdrOf(17, 0), 4, "StellarMessage.generalizedTxSet", "unknown discriminant 0"],
      [
        xdrOf(0, 1, 1, Uint8Array.of(65, 0, 3, 0)),
        14,
        "StellarMessage.error.msg",
        "padding byte 3 where only 0 may be"
      ],
      [xdrOf(2, 200, 0, 0), 8, "StellarMessage", "8 bytes left over"],
      [xdrOf(18, 3, hash), 4, "StellarMessage.floodAdvert.txHashes", "count 3 where 32 bytes remain"],
      [xdrOf(18, 1001, hash), 4, "StellarMessage.floodAdvert.txHashes", "count 1001 above the maximum of 1000"],
      [xdrOf(0, 1, 9, filled(4)), 8, "StellarMessage.error.msg", "length 9 where 4 bytes remain"],
      [
        xdrOf(21, 0, publicKey, publicKey, 7, hash, 5, 1, 0, 0),
        116,
        "StellarMessage.signedTimeSlicedSurveyRequestMessage.request.request.commandType",
        "unknown SurveyMessageCommandType value 5"
      ],
      [
        xdrOf(11, 0, hash, 0, 55, 0, hash, 1, 0, 7),
        92,
        "StellarMessage.envelope.statement.pledges.prepare.prepared",
        "optional flag is 7 where only 0 or 1 may be"
      ]
    ]
    for (const [bytes, offset, path, text] of cases) {
      assert.deepStrictEqual(problem(bytes), { offset, path, problem: text })
      assert.strictEqual(validate(bytes), offset)
    }
    const deepest = problem(nestedQuorumSet(100))
    assert.strictEqual(deepest?.problem, "nested deeper than 200 levels")
    assert.strictEqual(deepest?.path, `StellarMessage.qSet${".innerSets[0]".repeat(100)}`)
  })
})
