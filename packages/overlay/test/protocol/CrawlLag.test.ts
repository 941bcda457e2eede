import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "../../src/DropReason.ts"
import { clockSkewSeconds, lags } from "../../src/protocol/CrawlLag.ts"
import * as CrawlStatus from "../../src/protocol/CrawlStatus.ts"

describe("CrawlLag", () => {
  it("counts ledgers behind what three others had sent by then", () => {
    const seen = [
      { slot: 100, slotAt: 10 },
      { slot: 100, slotAt: 20 },
      { slot: 93, slotAt: 40 },
      { slot: 100, slotAt: 30 },
      { slot: 105, slotAt: 50 },
      { slot: 105, slotAt: 60 },
      { slot: 105, slotAt: 70 },
      { slot: 100, slotAt: 80 },
      { slot: 5_000_000, slotAt: 90 }, // one that is alone with it proves nothing
      { slot: 104, slotAt: 100 }
    ]
    assert.deepStrictEqual(lags(seen), [0, 0, 7, 0, 0, 0, 0, 5, 0, 1])
  })

  it("of a few nodes half must agree; of one there is nobody to compare it with", () => {
    assert.deepStrictEqual(lags([]), [])
    assert.deepStrictEqual(lags([{ slot: 9, slotAt: 1 }]), [0])
    assert.deepStrictEqual(lags([{ slot: 9, slotAt: 1 }, { slot: 4, slotAt: 1 }]), [0, 5])
  })

  it("a certificate shows a clock that is off by more than what it may have left", () => {
    assert.deepStrictEqual([3600, 1800, 2700, 3605, 1700, -10].map(clockSkewSeconds), [0, 0, 0, 5, -100, -1810])
  })
})

describe("CrawlStatus", () => {
  it("every drop reason leads to a status, and a named network decides before all", () => {
    for (const tag of DropReason.tags) {
      const reason = DropReason.make(tag)
      assert.include(CrawlStatus.statuses, CrawlStatus.ofDrop(reason, undefined))
      assert.strictEqual(CrawlStatus.ofDrop(reason, false), "wrong-network")
    }
    const ofTag = (tag: DropReason.DropTag) => CrawlStatus.ofDrop(DropReason.make(tag), true)
    assert.deepStrictEqual(
      [
        ofTag("LoadErrorReceived"),
        ofTag("ErrorReceived"),
        ofTag("WrongProtocolVersion"),
        ofTag("RemoteClosed"),
        ofTag("HandshakeTimeout"),
        ofTag("ConnectTimeout"),
        ofTag("ConnectionRefused"),
        ofTag("NameNotResolved"),
        ofTag("CorruptXdr"),
        ofTag("CertificateInvalid")
      ],
      [
        "full",
        "rejected",
        "rejected",
        "closed",
        "unresponsive",
        "timeout",
        "refused",
        "unreachable",
        "violation",
        "violation"
      ]
    )
  })

  it("the more telling of two statuses counts, in any order", () => {
    for (const a of CrawlStatus.statuses) {
      assert.strictEqual(CrawlStatus.best(a, "pending"), a)
      for (const b of CrawlStatus.statuses) assert.strictEqual(CrawlStatus.best(a, b), CrawlStatus.best(b, a))
    }
    assert.strictEqual(CrawlStatus.best("timeout", "full"), "full")
    assert.isTrue(CrawlStatus.isCrawlStatus("wrong-network"))
    assert.isFalse(CrawlStatus.isCrawlStatus("toString"))
  })
})
