/** Which demanded transactions are sent, and how demands are counted (recvTxDemand). */
import { assert, describe, it } from "@effect/vitest"
import { ANSWER_PERIOD_MILLIS, DemandAnswers } from "../../src/protocol/DemandAnswers.ts"
import { generator, hash } from "./floodFixtures.ts"

const counts = ({ fulfilled, repeated, unfulfilledBanned, unfulfilledUnknown }: DemandAnswers) => ({
  fulfilled,
  unfulfilledBanned,
  unfulfilledUnknown,
  repeated
})

describe("DemandAnswers", () => {
  it("OVM-21 each known transaction is sent; unknown and banned ones are not, and are counted apart", () => {
    const answers = new DemandAnswers(generator(1))
    const statuses = ["known", "unknown", "banned", "known", "banned", "known"] as const
    const sent = statuses.map((status, n) => answers.answer(hash(n), status, 0))
    assert.deepStrictEqual(sent, [true, false, false, true, false, true])
    assert.deepStrictEqual(counts(answers), { fulfilled: 3, unfulfilledBanned: 2, unfulfilledUnknown: 1, repeated: 0 })
    assert.strictEqual(answers.size, 3)
  })

  it("OVM-21 A4 the same again is sent after a while, and with a period of 0 at once, as core does", () => {
    const ours = new DemandAnswers(generator(2))
    const times = [0, 1, ANSWER_PERIOD_MILLIS - 1, ANSWER_PERIOD_MILLIS, ANSWER_PERIOD_MILLIS + 1]
    assert.deepStrictEqual(times.map((at) => ours.answer(hash(1), "known", at)), [true, false, false, true, false])
    assert.strictEqual(counts(ours).repeated, 3)
    const core = new DemandAnswers(generator(3), 0)
    assert.deepStrictEqual(times.map((at) => core.answer(hash(1), "known", at)), times.map(() => true))
  })

  it("OVM-21 what is remembered is bounded: the oldest is forgotten first", () => {
    const answers = new DemandAnswers(generator(4), 1000, 10)
    for (let n = 0; n < 100; n++) assert.isTrue(answers.answer(hash(n), "known", n))
    assert.strictEqual(answers.size, 10)
    assert.isFalse(answers.answer(hash(99), "known", 100))
    assert.isTrue(answers.answer(hash(89), "known", 100))
  })
})
