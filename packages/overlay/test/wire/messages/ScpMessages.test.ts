import { assert, describe, it } from "@effect/vitest"
import { StrKey, xdr } from "@stellar/stellar-base"
import { toHex, writeUint32 } from "../../../src/internal/bytes.ts"
import { fromBytes, ScpMessage, ScpQuorumSet, StatementTypes } from "../../../src/wire/StellarMessage.ts"
import { many, quorumSet, scpEnvelope, Source, within } from "./samples.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const ballots = (...all: ReadonlyArray<xdr.ScpBallot | null | undefined>): Array<Buffer> =>
  all.flatMap((ballot) => ballot ? [ballot.value()] : [])

interface Expected {
  readonly quorumSetHash: Buffer
  readonly values: Array<Buffer>
}

/** What the getters have to find, by way of stellar-base. */
const expected = (pledges: xdr.ScpStatementPledges): Expected => {
  switch (pledges.switch().name) {
    case "scpStPrepare": {
      const prepare = pledges.prepare()
      return {
        quorumSetHash: prepare.quorumSetHash(),
        values: ballots(prepare.ballot(), prepare.prepared(), prepare.preparedPrime())
      }
    }
    case "scpStConfirm":
      return { quorumSetHash: pledges.confirm().quorumSetHash(), values: ballots(pledges.confirm().ballot()) }
    case "scpStExternalize":
      return {
        quorumSetHash: pledges.externalize().commitQuorumSetHash(),
        values: ballots(pledges.externalize().commit())
      }
    case "scpStNominate": {
      const nominate = pledges.nominate()
      return { quorumSetHash: nominate.quorumSetHash(), values: [...nominate.votes(), ...nominate.accepted()] }
    }
  }
}

describe("ScpMessage", () => {
  for (const [code, kind] of StatementTypes.entries()) {
    it(`COD-04 every field of ${kind} reads as stellar-base reads it`, () => {
      for (let seed = 1; seed <= 150; seed++) {
        const envelope = scpEnvelope(new Source(seed), kind)
        const encoded = xdr.StellarMessage.scpMessage(envelope).toXDR()
        const message = fromBytes(within(encoded))
        assert(message._tag === "ScpMessage")
        const where = `seed ${seed}`
        const statement = envelope.statement()
        const key = statement.nodeId().ed25519()
        const { quorumSetHash, values } = expected(statement.pledges())
        assert.strictEqual(hex(message.nodeKey), hex(key), where)
        assert.strictEqual(message.nodeId, StrKey.encodeEd25519PublicKey(key), where)
        assert.strictEqual(message.slotIndex, statement.slotIndex().toBigInt(), where)
        assert.strictEqual(message.statementCode, code, where)
        assert.strictEqual(message.statementType, kind, where)
        assert.strictEqual(hex(message.quorumSetHash), hex(quorumSetHash), where)
        assert.deepStrictEqual(message.values.map(hex), values.map(hex), where)
        const hashes = values.filter((value) => value.length >= 32).map((value) => hex(value.subarray(0, 32)))
        assert.deepStrictEqual(message.txSetHashes.map(hex), Array.from(new Set(hashes)), where)
        assert.strictEqual(hex(message.statement), statement.toXDR("hex"), where)
        assert.strictEqual(hex(message.signature), hex(envelope.signature()), where)
        assert.strictEqual(hex(message.envelope), envelope.toXDR("hex"), where)
        assert.strictEqual(toHex(ScpMessage.make({ envelope }).bytes), hex(encoded), where)
        assert.strictEqual(toHex(ScpMessage.make({ envelope: message.envelope }).bytes), hex(encoded), where)
        assert.deepInclude(message.toJSON(), {
          nodeId: message.nodeId,
          slotIndex: String(message.slotIndex),
          statementType: kind,
          quorumSetHash: hex(quorumSetHash),
          valueCount: values.length
        })
      }
    })
  }

  it("COD-04 the slot is a number up to 2^53 - 1 and a bigint always", () => {
    const bytes = xdr.StellarMessage.scpMessage(scpEnvelope(new Source(1), "EXTERNALIZE")).toXDR()
    const at = (slot: bigint) => {
      bytes.writeBigUInt64BE(slot, 40)
      const message = fromBytes(bytes)
      assert(message._tag === "ScpMessage")
      assert.strictEqual(message.slotIndex, slot)
      return message.slotNumber
    }
    assert.strictEqual(at(0n), 0)
    assert.strictEqual(at(57_000_000n), 57_000_000)
    assert.strictEqual(at(0xffffffffn), 0xffffffff)
    assert.strictEqual(at(0x100000000n), 0x100000000)
    assert.strictEqual(at(2n ** 53n - 1n), Number.MAX_SAFE_INTEGER)
    assert.isUndefined(at(2n ** 53n))
    assert.isUndefined(at(2n ** 64n - 1n))
  })

  it("COD-04 a transaction set that several values name comes once", () => {
    const value = (fill: number, length: number): Buffer => Buffer.alloc(length, fill)
    const nominate = (...votes: ReadonlyArray<Buffer>): ReadonlyArray<string> => {
      const pledges = xdr.ScpStatementPledges.scpStNominate(
        new xdr.ScpNomination({ quorumSetHash: value(0, 32), votes: [...votes], accepted: [value(1, 48)] })
      )
      const statement = new xdr.ScpStatement({ nodeId: new Source(1).node(), slotIndex: new xdr.Uint64(1n), pledges })
      const envelope = new xdr.ScpEnvelope({ statement, signature: value(0, 64) })
      return ScpMessage.make({ envelope }).txSetHashes.map(hex)
    }
    const [one, two] = ["01".repeat(32), "02".repeat(32)]
    assert.deepStrictEqual(nominate(), [one])
    assert.deepStrictEqual(nominate(value(1, 32), value(2, 40), value(1, 33)), [one, two])
    assert.deepStrictEqual(nominate(value(2, 31), value(0, 0)), [one])
  })

  it("COD-04 a nomination of very many values is read in full, and shown in brief", () => {
    const count = 100_000
    const empty = xdr.StellarMessage.scpMessage(
      new xdr.ScpEnvelope({
        statement: new xdr.ScpStatement({
          nodeId: new Source(1).node(),
          slotIndex: new xdr.Uint64(1n),
          pledges: xdr.ScpStatementPledges.scpStNominate(
            new xdr.ScpNomination({ quorumSetHash: Buffer.alloc(32), votes: [], accepted: [] })
          )
        }),
        signature: Buffer.alloc(64, 9)
      })
    ).toXDR()
    const bytes = new Uint8Array(empty.length + 36 * count)
    bytes.set(empty.subarray(0, 84))
    writeUint32(bytes, 84, count)
    for (let i = 0; i < count; i++) {
      writeUint32(bytes, 88 + 36 * i, 32)
      writeUint32(bytes, 92 + 36 * i, i)
    }
    bytes.set(empty.subarray(88), 88 + 36 * count)
    const message = fromBytes(bytes)
    assert(message._tag === "ScpMessage")
    assert.strictEqual(message.values.length, count)
    assert.strictEqual(message.txSetHashes.length, count)
    assert.strictEqual(hex(message.signature), "09".repeat(64))
    assert.isBelow(JSON.stringify(message).length, 100_000)
  })
})

describe("ScpQuorumSet", () => {
  it("COD-04 every field reads as stellar-base reads it, and make encodes it byte for byte", () => {
    for (const [seed, value] of many("ScpQuorumSet")) {
      const encoded = value.toXDR()
      const message = fromBytes(within(encoded))
      assert(message._tag === "ScpQuorumSet")
      const where = `seed ${seed}`
      const set = value.qSet()
      assert.strictEqual(message.threshold, set.threshold(), where)
      const validators = set.validators().map((id) => StrKey.encodeEd25519PublicKey(id.ed25519()))
      assert.strictEqual(message.validatorCount, validators.length, where)
      assert.deepStrictEqual<ReadonlyArray<string>>(message.validators, validators, where)
      assert.strictEqual(message.innerSetCount, set.innerSets().length, where)
      assert.strictEqual(hex(message.body), set.toXDR("hex"), where)
      assert.strictEqual(message.quorumSet.toXDR("hex"), set.toXDR("hex"), where)
      assert.strictEqual(toHex(ScpQuorumSet.make({ body: set }).bytes), hex(encoded), where)
      assert.strictEqual(toHex(ScpQuorumSet.make({ body: message.body }).bytes), hex(encoded), where)
    }
    const impossible = quorumSet(new Source(1))
    impossible.threshold(-1)
    assert.throws(() => ScpQuorumSet.make({ body: impossible }), RangeError)
  })
})
