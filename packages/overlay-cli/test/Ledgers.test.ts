import { assert, describe, it } from "@effect/vitest"
import { Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import { createHash } from "node:crypto"
import { Ledgers, LOST_LEDGERS } from "../src/demo/Ledgers.ts"
import { isGood, problem } from "../src/demo/report.ts"

const hash = (text: string): Uint8Array => createHash("sha256").update(text).digest()

const payment = (text: string): Transaction => Transaction.make({ envelope: hash(text) })

const submit = (books: Ledgers, text: string, node: number, now: number) =>
  books.submitted(hash(text), payment(text), node, now)

const ledger = (ledgerSeq: number, transactions: ReadonlyArray<string>, name = `ledger ${ledgerSeq}`) => ({
  ledgerSeq,
  hash: hash(name),
  txSetHash: hash("set"),
  transactions: transactions.map(hash),
  closeTime: 0,
  rounds: 1,
  jumpedFrom: undefined
})

describe("the books of a demo", () => {
  it("a payment is applied when it is in the ledgers of all nodes, and under way before", () => {
    const books = new Ledgers(2)
    submit(books, "a", 0, 0)
    submit(books, "b", 1, 100)
    books.closed(0, ledger(2, ["a", "b"]), 1000)
    books.closed(0, ledger(2, ["a", "b"]), 1000) // the same node again is no second node
    assert.deepInclude(books.result(), { submitted: 2, applied: 0, underWay: 2, lost: 0, ledger: 0, inStep: false })
    books.closed(1, ledger(2, ["a", "b"]), 1100)
    const result = books.result()
    assert.deepInclude(result, { applied: 2, underWay: 0, lost: 0, appliedMillis: 1050, ledger: 2, inStep: true })
    assert.strictEqual(result.hash, Buffer.from(hash("ledger 2")).toString("hex"))
    assert.isTrue(isGood(result))
  })

  it("one that is in none of many ledgers is lost, and so is one that its node refused", () => {
    const books = new Ledgers(2)
    books.closed(0, ledger(2, []), 0)
    submit(books, "a", 0, 0)
    submit(books, "b", 1, 0)
    books.refused(hash("b"))
    for (let seq = 3; seq < 2 + LOST_LEDGERS; seq++) books.closed(0, ledger(seq, []), 0)
    assert.deepInclude(books.result(), { underWay: 1, lost: 1 })
    books.closed(0, ledger(2 + LOST_LEDGERS, []), 0)
    const later = books.result()
    assert.deepInclude(later, { underWay: 0, lost: 2 })
    assert.isFalse(isGood(later))
    assert.strictEqual(problem(later), "2 payments lost")
  })

  it("time alone loses none: its node may be slow or without peers, and others may be behind", () => {
    const books = new Ledgers(2)
    submit(books, "a", 0, 0) // before its first ledger
    books.closed(1, ledger(2, []), 0)
    submit(books, "b", 1, 0)
    for (let seq = 3; seq < 100; seq++) books.closed(1, ledger(seq, seq === 3 ? ["b"] : []), 1000 * seq)
    assert.deepInclude(books.result(), { underWay: 2, lost: 0 })
    assert.isUndefined(problem(books.result()))
  })

  it("a node that took up the chain at a later ledger has what is in the ones before", () => {
    const books = new Ledgers(2)
    submit(books, "a", 0, 0)
    submit(books, "b", 1, 0)
    submit(books, "c", 0, 0)
    books.closed(0, ledger(2, ["a"]), 1000)
    books.closed(0, ledger(3, ["b"]), 2000)
    assert.deepStrictEqual(books.unsettled(0).map((each) => each.envelope), [payment("c").envelope])
    assert.deepStrictEqual(books.unsettled(1), [])
    books.closed(1, { ...ledger(3, ["b"]), jumpedFrom: 1 }, 2000)
    assert.deepInclude(books.result(), { applied: 2, underWay: 1, ledger: 3, inStep: true, agree: true })
  })

  it("a payment in two ledgers is noticed", () => {
    const books = new Ledgers(1)
    submit(books, "a", 0, 0)
    books.closed(0, ledger(2, ["a"]), 0)
    books.closed(0, ledger(3, ["a"]), 0)
    assert.deepInclude(books.result(), { applied: 1, twice: 1 })
    assert.isFalse(isGood(books.result()))
  })

  it("two hashes for one ledger are not forgotten", () => {
    const books = new Ledgers(2)
    books.closed(0, ledger(2, []), 0)
    books.closed(1, ledger(2, [], "another"), 0)
    for (let seq = 3; seq < 200; seq++) for (const node of [0, 1]) books.closed(node, ledger(seq, []), 0)
    const result = books.result()
    assert.deepInclude(result, { agree: false, ledger: 199, inStep: true })
    assert.isFalse(isGood(result))
  })
})
