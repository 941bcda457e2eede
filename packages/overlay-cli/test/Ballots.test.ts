import { assert, describe, it } from "@effect/vitest"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { ScpMessage, type StatementType } from "@stellar-overlay/overlay/wire/StellarMessage"
import { xdr } from "@stellar/stellar-base"
import { render } from "../src/render/Line.ts"
import { Ballots, MAX_SLOTS, MAX_VALIDATORS, type Slot } from "../src/scp/Ballots.ts"
import * as Show from "../src/scp/show.ts"

const key = (n: number): Buffer => {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt32BE(n)
  return bytes
}
const idOf = (n: number) => NodeId.fromBytes(key(n))
const zeros = Buffer.alloc(32)

const pledges = (type: StatementType, value: Buffer): xdr.ScpStatementPledges => {
  const ballot = new xdr.ScpBallot({ counter: 1, value })
  switch (type) {
    case "NOMINATE":
      return xdr.ScpStatementPledges.scpStNominate(
        new xdr.ScpNomination({ quorumSetHash: zeros, votes: [value], accepted: [] })
      )
    case "PREPARE":
      return xdr.ScpStatementPledges.scpStPrepare(
        new xdr.ScpStatementPrepare({ quorumSetHash: zeros, ballot, prepared: null, preparedPrime: null, nC: 0, nH: 0 })
      )
    case "CONFIRM":
      return xdr.ScpStatementPledges.scpStConfirm(
        new xdr.ScpStatementConfirm({ ballot, nPrepared: 1, nCommit: 1, nH: 1, quorumSetHash: zeros })
      )
    case "EXTERNALIZE":
      return xdr.ScpStatementPledges.scpStExternalize(
        new xdr.ScpStatementExternalize({ commit: ballot, nH: 1, commitQuorumSetHash: zeros })
      )
  }
}

const say = (node: number, slot: number, type: StatementType, value = 1): ScpMessage =>
  ScpMessage.make({
    envelope: new xdr.ScpEnvelope({
      statement: new xdr.ScpStatement({
        nodeId: xdr.PublicKey.publicKeyTypeEd25519(key(node)),
        slotIndex: new xdr.Uint64(slot),
        pledges: pledges(type, Buffer.alloc(48, value))
      }),
      signature: Buffer.alloc(64)
    })
  })

const text = (slot: Slot) => render(Show.line(slot), { colors: false })

describe("Ballots", () => {
  it("knows who said what in a slot, and how long after the first everybody externalized", () => {
    const ballots = new Ballots()
    ballots.receive(say(1, 6, "EXTERNALIZE"), 0)
    assert.deepInclude(ballots.receive(say(1, 7, "NOMINATE"), 1000), { slot: 6, isWhole: false })
    ballots.receive(say(2, 7, "NOMINATE"), 1010)
    for (const node of [1, 2, 3]) ballots.receive(say(node, 7, "PREPARE"), 1100 + node)
    ballots.receive(say(1, 7, "CONFIRM"), 1200)
    ballots.receive(say(1, 7, "EXTERNALIZE"), 1300)
    ballots.receive(say(2, 7, "EXTERNALIZE"), 1350)
    ballots.receive(say(2, 7, "EXTERNALIZE"), 1999) // again: nothing new
    const over = ballots.receive(say(1, 8, "NOMINATE"), 2000)
    assert.isDefined(over)
    assert.deepStrictEqual(Show.object(over!), {
      event: "slot",
      slot: 7,
      whole: true,
      since: "1970-01-01T00:00:01.000Z",
      externalizedMillis: 300,
      statements: 9,
      votes: {
        NOMINATE: [idOf(1), idOf(2)],
        PREPARE: [idOf(1), idOf(2), idOf(3)],
        CONFIRM: [idOf(1)],
        EXTERNALIZE: [idOf(1), idOf(2)]
      },
      lagMillis: { [idOf(1)]: 0, [idOf(2)]: 50 },
      missing: [idOf(3)],
      values: { ["01".repeat(32)]: 2 }
    })
    assert.match(text(over!), /^slot 7 {2}NOMINATE 2, PREPARE 3, CONFIRM 1, EXTERNALIZE 2 {2}externalized after 300 ms/)
    assert.match(text(over!), new RegExp(`last ${NodeId.short(idOf(2))} \\+50 ms, without ${NodeId.short(idOf(3))}$`))
    const [first, second] = Show.totalsJson(ballots).validators
    assert.deepInclude(first, { node: idOf(1), externalized: 1, lagMillis: 0 })
    assert.deepInclude(second, { node: idOf(2), externalized: 1, lagMillis: 50 })
  })

  it("a slot that began before us has no lag in anybody's record", () => {
    const ballots = new Ballots()
    ballots.receive(say(1, 6, "CONFIRM"), 0)
    ballots.receive(say(1, 6, "EXTERNALIZE"), 500)
    assert.match(text(ballots.current!), /began before us/)
    assert.strictEqual(ballots.externalizedSlots, 0)
    assert.deepInclude(Show.totalsJson(ballots).validators[0], { externalized: 0, lagMillis: undefined })
  })

  it("different values in one slot are shouted about", () => {
    const ballots = new Ballots()
    ballots.receive(say(1, 6, "EXTERNALIZE", 1), 0)
    ballots.receive(say(2, 6, "EXTERNALIZE", 2), 1)
    assert.match(text(ballots.current!), /2 DIFFERENT VALUES/)
  })

  it("what is said late about an old slot counts, and begins no slot again", () => {
    const ballots = new Ballots()
    ballots.receive(say(1, 6, "NOMINATE"), 0)
    ballots.receive(say(1, 8, "NOMINATE"), 1)
    assert.isUndefined(ballots.receive(say(2, 7, "NOMINATE"), 2))
    assert.isUndefined(ballots.receive(say(2, 6, "NOMINATE"), 3))
    assert.strictEqual(ballots.current?.slot, 8)
  })

  it("slots and validators are bounded", () => {
    const ballots = new Ballots()
    for (let node = 0; node < MAX_VALIDATORS + 10; node++) ballots.receive(say(node, 1, "NOMINATE"), 0)
    assert.strictEqual(ballots.validators.size, MAX_VALIDATORS)
    for (let slot = 2; slot < 3 * MAX_SLOTS; slot++) ballots.receive(say(1, slot, "EXTERNALIZE"), slot)
    assert.strictEqual(ballots.validators.get(idOf(1))?.lags.length, MAX_SLOTS)
  })
})
