import { assert, describe, it } from "@effect/vitest"
import * as NodeIds from "@stellar-overlay/overlay/NodeIds"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { Result } from "effect"

const id = (text: string) => Result.getOrThrow(NodeId.parse(text))
const validator1 = id("GDKXE2OZMJIPOSLNA6N6F2BVCI3O777I2OOC4BV7VOYUEHYX7RTRYA7Y")
const validator2 = id("GCUCJTIYXSOXKBSNFGNFWW5MUQ54HKRPGJUTQFJ5RQXZXNOLNXYDHRAP")
const validator3 = id("GC2V2EFSXN6SQTWVYA5EPJPBWWIMSD2XQNKUOHGEKB535AQE2I6IXV2Z")
const names = new Map([[validator1, "core-testnet1"], [validator2, "core-testnet2"], [validator3, "core-testnet3"]])
const resolve = (text: string) => NodeIds.resolve(text, { names })

describe("NodeIds", () => {
  const unresolved: ReadonlyArray<readonly [title: string, text: string]> = [
    ["NID-001 the empty text", ""],
    ["NID-002 @ alone", "@"],
    ["NID-003 $ alone", "$"],
    ["NID-005 a lower case prefix", "@gd"],
    ["NID-008 a name in upper case", "$CORE-TESTNET1"],
    ["NID-009 the beginning of a name", "$core"],
    ["NID-011 the beginning of a key without @", "GDKXE2OZMJIPOSLNA6N6F2BVCI3O7"],
    ["NID-012 a key in lower case", validator1.toLowerCase()],
    ["NID-013 a secret seed", "SDTTOKJOEJXDBLATFZNTQRVA5MSCECMPOPC7CCCGL6AE5DKA7YCBJYJQ"],
    ["NID-014 a key of no known type", "TDTTOKJOEJXDBLATFZNTQRVA5MSCECMPOPC7CCCGL6AE5DKA7YCBJYJQ"]
  ]
  for (const [title, text] of unresolved) {
    it(`${title} means no node`, () => assert.isUndefined(resolve(text)))
  }

  it("NID-004 a prefix that fits one key", () => assert.strictEqual(resolve("@GD"), validator1))

  it("NID-006 a prefix that fits several keys means one of them", () =>
    assert.include([validator2, validator3], resolve("@GC")))

  it("NID-007 a name, exactly", () => assert.strictEqual(resolve("$core-testnet1"), validator1))

  it("NID-010 a full key, known or not", () => {
    assert.strictEqual(resolve(validator1), validator1)
    const stranger = NodeId.fromBytes(new Uint8Array(32).fill(7))
    assert.strictEqual(resolve(stranger), stranger)
  })

  it("NID-004 a prefix of a node without a name is found among the others, after the named ones", () => {
    const stranger = NodeId.fromBytes(new Uint8Array(32).fill(7))
    assert.strictEqual(NodeIds.resolve(`@${stranger.slice(0, 10)}`, { names, others: [stranger] }), stranger)
    assert.include([validator1, validator2, validator3], NodeIds.resolve("@G", { names, others: [stranger] }))
  })

  it("a node is shown by its name, or by the first five characters of its key", () => {
    assert.strictEqual(NodeIds.shortName(validator2, names), "core-testnet2")
    assert.strictEqual(NodeIds.shortName(validator2, new Map()), "GCUCJ")
  })
})
