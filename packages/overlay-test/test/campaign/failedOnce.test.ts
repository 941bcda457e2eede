/**
 * What failed once. Each has its cause here, as a scenario or as a feed, because what a seed draws and in which order
 * fibers run changes with the code; and the seeds themselves, which must pass whatever they draw today.
 */
import { assert, describe, it } from "@effect/vitest"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { Effect } from "effect"
import * as Campaign from "../../src/campaign/Campaign.ts"
import * as FloodCheckers from "../../src/campaign/FloodCheckers.ts"
import type { Observation } from "../../src/campaign/Observation.ts"
import * as Scenario from "../../src/campaign/Scenario.ts"
import { judge, ledger, message } from "./feeds.ts"

/** Five nodes in a ring that close a ledger every three seconds, and what goes wrong. */
const ring = (seed: string, faults: Scenario.Scenario["faults"]): Scenario.Scenario => ({
  format: 1,
  seed,
  topology: "ring",
  nodes: Array.from({ length: 5 }, (_, i) => ({
    name: `n${i}`,
    isValidator: i < 3,
    knows: [`n${(i + 1) % 5}`],
    config: {}
  })),
  closeTimeMillis: 3000,
  delayMillis: 20,
  jitterMillis: 0,
  transactionsPerSecond: 1,
  exploration: "random",
  phases: { faults: 25_000, healing: 15_000, liveness: 15_000 },
  faults
})

/** What failed once, as scenarios: seeds are drawn anew when drawing changes. */
const failedOnce: Readonly<Record<string, Scenario.Scenario>> = {
  "a shared key was not given back when two of these faults overlapped": ring("0", [
    { at: 5000, for: 8000, fault: { _tag: "SharedKey", node: "n3", with: "n4" } },
    { at: 9000, for: 8000, fault: { _tag: "SharedKey", node: "n3", with: "n2" } }
  ]),
  "half-open connections kept nodes from being called for as long as they were patient": ring("26", [
    { at: 12_000, for: 5000, fault: { _tag: "HalfOpen", from: "n4" } },
    { at: 20_000, for: 4000, fault: { _tag: "HalfOpen", to: "n4" } }
  ]),
  "validators that restarted forgot their ledger and their votes": ring("54", [
    { at: 8000, for: 3000, fault: { _tag: "Stop", node: "n0" } },
    { at: 12_000, for: 3000, fault: { _tag: "Crash", node: "n1" } },
    { at: 16_000, for: 3000, fault: { _tag: "RestartLostDatabase", node: "n2" } }
  ]),
  "a byte lost in the last message before a silence was taken for credit lost": ring("1", [
    { at: 10_000, for: 14_000, fault: { _tag: "ByteLoss", from: "n0", probability: 0.2, skip: 10, limit: 3 } }
  ])
}

describe("what failed once", () => {
  for (const [what, scenario] of Object.entries(failedOnce)) {
    it(`SIM-04 seed ${scenario.seed}: ${what}`, { timeout: 120_000 }, () => {
      assert.deepStrictEqual(Effect.runSync(Campaign.run(scenario)).failures, [])
    })
  }

  /** Every seed that ever failed. */
  for (const seed of [0, 1, 26, 47, 54, 141, 143, 218, 588, 844, 914]) {
    it(`SIM-04 seed ${seed}, as it is drawn today`, { timeout: 120_000 }, () => {
      assert.deepStrictEqual(Effect.runSync(Campaign.run(Scenario.draw(seed))).failures, [])
    })
  }
})

/**
 * Seeds 143 and 218: nodes that remember three ledgers closed three within a second, to catch up. The flood record of a
 * transaction was of the ledger at which they first saw it, so it went while the first advert was hardly out, and what was
 * pending still was advertised once more, as stellar-core does it. The checker had counted from the advert.
 */
describe("SIM-04 adverts are counted by the lives of flood records, which begin at first sight", () => {
  const remembersThree = FloodCheckers.sentOnceWithin(() => 3)
  const HASH = 0xf7f3ca1b2ca1
  const started: Observation = { _tag: "NodeStarted", at: 0, node: "a", incarnation: 1 }
  const submitted: Observation = { _tag: "Submitted", at: 0, node: "a", hash: `${HASH.toString(16)}${"0".repeat(52)}` }
  const advert = message("a", "b", MessageType.FloodAdvert, { hashes: [HASH] })
  const closes = (...seqs: ReadonlyArray<number>) => seqs.map((seq) => ledger("a", seq, `h${seq}`))
  const shared: Observation = { _tag: "Fault", at: 0, kind: "SharedKey", detail: "a", nodes: ["a"] }
  const demanded = [
    message("b", "a", MessageType.FloodAdvert, { hashes: [HASH] }),
    message("a", "b", MessageType.FloodDemand, { hashes: [HASH] }),
    message("b", "a", MessageType.Transaction, { key: HASH })
  ]

  const allowed: Readonly<Record<string, ReadonlyArray<Observation>>> = {
    "seed 218: known at 1, told at 3, forgotten by 4, told again": [
      ...closes(1),
      submitted,
      ...closes(2, 3),
      advert,
      ...closes(4),
      advert
    ],
    "seed 143: both adverts wait for credit and leave at once": [
      ...closes(1),
      submitted,
      ...closes(2, 3, 4),
      advert,
      advert
    ],
    "known because a peer sent it": [...closes(1), ...demanded, ...closes(2, 3), advert, ...closes(4), advert],
    "three lives": [...closes(1), submitted, advert, ...closes(2, 3, 4), advert, ...closes(5, 6, 7), advert],
    "a new process knows of nothing that was told before": [
      ...closes(1),
      submitted,
      ...closes(2, 3),
      started,
      advert,
      ...closes(4, 5, 6),
      advert
    ],
    "one that had another's key begins with a ledger that nobody saw": [
      ...closes(1),
      submitted,
      ...closes(2, 3),
      shared,
      started,
      ...closes(2),
      advert,
      ...closes(3),
      advert
    ]
  }
  const forbidden: Readonly<Record<string, ReadonlyArray<Observation>>> = {
    "a ledger too early": [...closes(1), submitted, ...closes(2, 3), advert, advert],
    "known one ledger later": [...closes(1, 2), submitted, ...closes(3), advert, ...closes(4), advert],
    "known one ledger later, because a peer sent it": [
      ...closes(1, 2),
      ...demanded,
      ...closes(3),
      advert,
      ...closes(4),
      advert
    ],
    "one more than there were lives": [...closes(1), submitted, ...closes(2, 3), advert, ...closes(4), advert, advert],
    "the second life is as long as the first": [
      ...closes(1),
      submitted,
      advert,
      ...closes(2, 3, 4),
      advert,
      ...closes(5, 6),
      advert
    ],
    "a jump ends one life, not all that would have fitted in": [
      ...closes(1),
      submitted,
      advert,
      ...closes(10),
      advert,
      advert
    ],
    "a new process has records as any other has": [
      ...closes(1),
      submitted,
      ...closes(2, 3),
      started,
      advert,
      ...closes(4, 5),
      advert
    ]
  }
  for (const [what, feed] of Object.entries(allowed)) {
    it(`may be: ${what}`, () => assert.deepStrictEqual(judge(remembersThree, feed), []))
  }
  for (const [what, feed] of Object.entries(forbidden)) {
    it(`must not be: ${what}`, () => assert.lengthOf(judge(remembersThree, feed), 1))
  }
})
