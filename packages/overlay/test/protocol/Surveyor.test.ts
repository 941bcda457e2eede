import { assert, describe, it } from "@effect/vitest"
import * as TestCrypto from "@stellar-overlay/overlay-test/TestCrypto"
import * as SealedBox from "../../src/internal/sealedBox.ts"
import type { Primitives } from "../../src/protocol/Primitives.ts"
import * as SurveyBody from "../../src/protocol/SurveyBody.ts"
import * as SurveyCrypto from "../../src/protocol/SurveyCrypto.ts"
import { MAX_SURVEYED_NODES, Surveyor } from "../../src/protocol/Surveyor.ts"
import { bodyOf, idOf } from "../surveyFixtures.ts"

const crypto = TestCrypto.make("surveyor").primitives
const box = SealedBox.make(crypto)
const self = idOf(1)
const anybody = () => true

const reporting = (primitives: Primitives = crypto) => {
  const surveyor = new Surveyor(self, primitives, box)
  assert.isTrue(surveyor.startSurveyReporting(bodyOf(1, 1)))
  return surveyor
}
const add = (surveyor: Surveyor, n: number, inboundPeersIndex = 0, outboundPeersIndex = 0) =>
  surveyor.addNodeToRunningSurveyBacklog({ nodeId: idOf(n), inboundPeersIndex, outboundPeersIndex })
const numbers = (surveyor: Surveyor, most = 10, mayAsk: (id: string) => boolean = anybody) =>
  surveyor.topOffRequests(most, mayAsk).map(({ nodeId }) => nodeId)

describe("surveyor", () => {
  it("SUR-04 reporting starts once, with the surveyor's own data, and orders need it", () => {
    const surveyor = new Surveyor(self, crypto, box)
    assert.strictEqual(add(surveyor, 2), "NotReporting")
    assert.isTrue(surveyor.startSurveyReporting(bodyOf(40, 1)))
    assert.isFalse(surveyor.startSurveyReporting(bodyOf(0, 0)))
    const { surveyInProgress, topology } = surveyor.getJsonResults()
    assert.isTrue(surveyInProgress)
    assert.deepStrictEqual(topology, { [self]: SurveyBody.toJson(bodyOf(40, 1)) })
    assert.strictEqual(topology[self]?.inboundPeers?.length, 40, "in full: there is no page of one's own")
  })

  it("SUR-04 SVM-013 a node that is queued, and the surveyor itself, are refused, and indices stay", () => {
    const surveyor = reporting()
    assert.isUndefined(add(surveyor, 2))
    assert.strictEqual(add(surveyor, 2, 1, 1), "AlreadyQueued")
    assert.strictEqual(add(surveyor, 1), "Self")
    assert.deepStrictEqual(surveyor.topOffRequests(10, anybody), [
      { nodeId: idOf(2), inboundPeersIndex: 0, outboundPeersIndex: 0 }
    ])
  })

  it("SUR-16 SVM-007 the backlog is asked in the order of the orders, ten at a time", () => {
    const surveyor = reporting()
    for (let n = 2; n <= 26; n++) add(surveyor, n)
    const ids = Array.from({ length: 25 }, (_, i) => idOf(i + 2))
    assert.deepStrictEqual(surveyor.getJsonResults().backlog, ids)
    assert.deepStrictEqual(numbers(surveyor), ids.slice(0, 10))
    assert.deepStrictEqual(surveyor.getJsonResults().backlog, ids.slice(10))
    assert.deepStrictEqual(numbers(surveyor), ids.slice(10, 20))
    assert.deepStrictEqual(numbers(surveyor), ids.slice(20))
    assert.deepStrictEqual(numbers(surveyor), [])
  })

  it("SUR-16 who may not be asked now keeps its place", () => {
    const surveyor = reporting()
    for (let n = 2; n <= 5; n++) add(surveyor, n)
    assert.deepStrictEqual(numbers(surveyor, 2, (id) => id !== idOf(2)), [idOf(3), idOf(4)])
    assert.deepStrictEqual(numbers(surveyor), [idOf(2), idOf(5)])
  })

  it("SUR-08 SUR-15 SVM-012 an answer fills its node's entry, and the next order empties it", () => {
    const surveyor = reporting()
    add(surveyor, 2)
    add(surveyor, 3)
    surveyor.topOffRequests(10, anybody)
    assert.isNull(surveyor.getJsonResults().topology[idOf(2)])
    const answer = (n: number, body: SurveyBody.SurveyBody) =>
      surveyor.receiveResponse(idOf(n), SurveyCrypto.sealBody(box, surveyor.encryptionKey!, body)!)
    assert.isTrue(answer(2, bodyOf(1, 2)))
    assert.deepStrictEqual(surveyor.getJsonResults().topology[idOf(2)], SurveyBody.toJson(bodyOf(1, 2)))
    add(surveyor, 2, 1, 1)
    assert.isNull(surveyor.getJsonResults().topology[idOf(2)])
    surveyor.topOffRequests(10, anybody)
    answer(2, bodyOf(0, 1))
    assert.strictEqual(surveyor.getJsonResults().topology[idOf(2)]?.outboundPeers?.length, 1)
    assert.deepStrictEqual(Object.keys(surveyor.getJsonResults()).sort(), [
      "backlog",
      "badResponseNodes",
      "surveyInProgress",
      "topology"
    ])
  })

  it("SUR-17 S2 what cannot be opened or read is a bad response, until the node is asked again", () => {
    const surveyor = reporting()
    const key = surveyor.encryptionKey!
    const bad: ReadonlyArray<Uint8Array> = [
      new Uint8Array(0),
      crypto.randomBytes(64_000),
      SurveyCrypto.sealBody(box, crypto.x25519PublicKey(crypto.randomBytes(32)), bodyOf(1, 1))!,
      box.seal(key, SurveyBody.encode(bodyOf(1, 1)).subarray(0, 100))!,
      new Uint8Array(64_001)
    ]
    bad.forEach((encryptedBody, i) => {
      add(surveyor, i + 2)
      assert.isTrue(surveyor.receiveResponse(idOf(i + 2), encryptedBody))
    })
    const { badResponseNodes, topology } = surveyor.getJsonResults()
    assert.deepStrictEqual(badResponseNodes, bad.map((_, i) => idOf(i + 2)))
    assert.isTrue(bad.every((_, i) => topology[idOf(i + 2)] === null))
    surveyor.topOffRequests(10, anybody)
    add(surveyor, 2)
    assert.notInclude(surveyor.getJsonResults().badResponseNodes, idOf(2))
  })

  it("SUR-17 S2 nodes that were not asked leave no trace, and orders are bounded", () => {
    const surveyor = reporting()
    const encryptedBody = SurveyCrypto.sealBody(box, surveyor.encryptionKey!, bodyOf(0, 0))!
    for (let n = 2; n < 200; n++) {
      assert.isFalse(surveyor.receiveResponse(idOf(n), n % 2 ? encryptedBody : new Uint8Array(9)))
    }
    assert.strictEqual(surveyor.answers.size, 1)
    assert.strictEqual(surveyor.badResponseNodes.size, 0)
    for (let n = 2; n <= MAX_SURVEYED_NODES; n++) assert.isUndefined(add(surveyor, n))
    assert.strictEqual(add(surveyor, MAX_SURVEYED_NODES + 1), "TooManyNodes")
    assert.strictEqual(surveyor.backlogSize, MAX_SURVEYED_NODES - 1)
  })

  it("SUR-07 the key pair is drawn at each start and wiped at the stop; results stay until the next start", () => {
    const drawn: Array<Uint8Array> = []
    const surveyor = reporting({
      ...crypto,
      randomBytes: (length) => {
        const bytes = crypto.randomBytes(length)
        drawn.push(bytes)
        return bytes
      }
    })
    const key = surveyor.encryptionKey!
    const copy = key.slice()
    const late = SurveyCrypto.sealBody(box, key, bodyOf(0, 0))!
    assert.strictEqual(drawn.length, 1)
    assert.deepStrictEqual(copy, crypto.x25519PublicKey(drawn[0]!))
    add(surveyor, 2)
    surveyor.stopSurveyReporting()
    assert.deepStrictEqual(drawn[0], new Uint8Array(32), "the secret key is zeros")
    assert.deepStrictEqual(key, new Uint8Array(32))
    assert.isUndefined(surveyor.encryptionKey)
    assert.isFalse(surveyor.receiveResponse(idOf(2), late))
    const { backlog, surveyInProgress, topology } = surveyor.getJsonResults()
    assert.isFalse(surveyInProgress)
    assert.deepStrictEqual(backlog, [idOf(2)])
    assert.hasAllKeys(topology, [self, idOf(2)])
    surveyor.startSurveyReporting(undefined)
    assert.notDeepEqual(surveyor.encryptionKey, copy)
    assert.deepStrictEqual(surveyor.getJsonResults(), {
      surveyInProgress: true,
      backlog: [],
      badResponseNodes: [],
      topology: {}
    })
  })
})
