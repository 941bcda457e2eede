import { assert, describe, it } from "@effect/vitest"
import { defaults, SurveyLimiter } from "../../src/protocol/SurveyLimiter.ts"
import { idOf } from "../surveyFixtures.ts"

const yes = () => true
const no = () => false
const never = (): boolean => assert.fail("a signature was checked for nothing")

/** SETUP-L: the local node is node 1 and its ledger is 1. */
const L = 1
const pair = (surveyor: number, surveyed: number, ledgerNum: number) => ({
  surveyorId: idOf(surveyor),
  surveyedId: idOf(surveyed),
  ledgerNum
})
const setup = () => {
  const limiter = new SurveyLimiter(idOf(1), { ledgerWindow: 0, maxRequestsPerLedger: 2 })
  const request = (surveyor: number, surveyed: number, ledgerNum: number, validate = yes) =>
    limiter.addAndValidateRequest(pair(surveyor, surveyed, ledgerNum), L, validate)
  const response = (surveyor: number, surveyed: number, ledgerNum: number, validate = yes) =>
    limiter.recordAndValidateResponse(pair(surveyor, surveyed, ledgerNum), L, validate)
  const accepted = [request(0, 1, L), request(0, 1, L, never), request(3, 1, L), request(3, 1, L, never)]
  return { limiter, request, response, accepted }
}

describe("survey limiter", () => {
  it("SVL-001 SUR-14 a pair is accepted once", () => {
    assert.deepStrictEqual(setup().accepted, [true, false, true, false])
  })

  it("SVL-002 SUR-14 the limit of surveyed nodes per surveyor", () => {
    const { request } = setup()
    assert.isTrue(request(0, 2, L))
    assert.isFalse(request(0, 3, L, never))
  })

  it("SVL-003 SUR-14 the node's own surveys are exempt from both limits, and not from the pair rule", () => {
    const { request } = setup()
    assert.isFalse(request(2, 1, L, never))
    assert.deepStrictEqual([request(1, 3, L), request(1, 0, L), request(1, 2, L)], [true, true, true])
    assert.isFalse(request(1, 2, L, never))
  })

  it("SVL-004 SUR-14 S2 a response is recorded once it is validated", () => {
    const { response } = setup()
    assert.deepStrictEqual([response(0, 1, L, no), response(0, 1, L), response(0, 1, L, never)], [false, true, false])
  })

  it("SVL-005 SUR-14 a response of a ledger too high", () => {
    assert.isFalse(setup().response(0, 1, L + 2, never))
  })

  it("SVL-006 SUR-14 a response of a ledger too low", () => {
    assert.isFalse(setup().response(0, 1, L - 1, never))
  })

  it("SVL-007 SUR-14 the surveyor's own response: failing, then good", () => {
    const { response } = setup()
    assert.deepStrictEqual([response(0, 1, L, no), response(0, 1, L)], [false, true])
  })

  it("SVL-008 SUR-14 S2 a response nobody asked for", () => {
    assert.isFalse(setup().response(2, 1, L, never))
  })

  it("SVL-009 SUR-14 a request of a ledger too high", () => {
    assert.isFalse(setup().request(0, 1, L + 2, never))
  })

  it("SVL-010 SUR-14 a request of a ledger too low", () => {
    assert.isFalse(setup().request(0, 1, L - 1, never))
  })

  it("SVL-011 SUR-14 forgetting ledgers makes room", () => {
    const { limiter, request } = setup()
    assert.isFalse(request(2, 3, L, never))
    limiter.clearOldLedgers(L + 1)
    assert.strictEqual(limiter.size, 0)
    assert.isTrue(request(2, 3, L + 1))
  })

  it("SUR-14 the window is six ledgers on both sides", () => {
    const limiter = new SurveyLimiter(idOf(1))
    const valid = [-7, -6, 0, 6, 7].map((offset) => limiter.isLedgerNumValid(1000 + offset, 1000))
    assert.deepStrictEqual(valid, [false, true, true, true, false])
  })

  it("SUR-14 records go when ledgerNum + 6 is below the tracking index", () => {
    const limiter = new SurveyLimiter(idOf(1))
    for (const ledgerNum of [994, 1000]) limiter.addAndValidateRequest(pair(2, 3, ledgerNum), 1000, yes)
    limiter.clearOldLedgers(1000)
    assert.strictEqual(limiter.size, 2)
    limiter.clearOldLedgers(1001)
    assert.strictEqual(limiter.size, 1)
  })

  it("SUR-14 nothing is recorded that fails its validation", () => {
    const limiter = new SurveyLimiter(idOf(1))
    const refused = [pair(2, 3, 50), pair(2, 4, 50), pair(5, 4, 50)].map((p) =>
      limiter.addAndValidateRequest(p, 50, no)
    )
    assert.deepStrictEqual(refused, [false, false, false])
    assert.strictEqual(limiter.size, 0)
  })

  it("SUR-14 START and STOP: ledger window, then the active survey, then the signature", () => {
    const limiter = new SurveyLimiter(idOf(1))
    assert.isFalse(limiter.validateStartSurveyCollecting(43, 50, false, never))
    assert.isFalse(limiter.validateStartSurveyCollecting(50, 50, true, never))
    assert.isFalse(limiter.validateStartSurveyCollecting(50, 50, false, no))
    assert.isTrue(limiter.validateStartSurveyCollecting(44, 50, false, yes))
    assert.isFalse(limiter.validateStopSurveyCollecting(57, 50, never))
    assert.isFalse(limiter.validateStopSurveyCollecting(56, 50, no))
    assert.isTrue(limiter.validateStopSurveyCollecting(56, 50, yes))
  })

  it("S1 SUR-14 a storm of good requests is cut to 10 surveyors of 10 nodes in each of 13 ledgers", () => {
    const limiter = new SurveyLimiter(idOf(0))
    assert.deepStrictEqual(defaults, { ledgerWindow: 6, maxRequestsPerLedger: 10 })
    let accepted = 0
    for (let ledgerNum = 980; ledgerNum <= 1020; ledgerNum++) {
      for (let surveyor = 1; surveyor <= 20; surveyor++) {
        for (let surveyed = 1; surveyed <= 20; surveyed++) {
          if (limiter.addAndValidateRequest(pair(surveyor, surveyed, ledgerNum), 1000, yes)) accepted++
        }
      }
    }
    assert.strictEqual(accepted, 13 * 10 * 10)
    assert.strictEqual(limiter.size, 1300)
  })
})
