/** What happens to transactions, for people and for programs. */
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import * as Result from "effect/Result"
import { bold, cyan, dim, green, type Line, yellow } from "../render/Line.ts"
import { bytes, count, millis, plural, quantile } from "../render/units.ts"
import type { Counts, Event, Mempool, Tracked } from "./Mempool.ts"

const shortHash = (hash: string): string => hash.slice(0, 8)

/** Accounts have the form of node ids. */
const shortAccount = (source: string): string => {
  const parsed = NodeId.parse(source)
  return Result.isSuccess(parsed) ? NodeId.short(parsed.success) : source
}

/** Milliseconds from the first sign of the transactions until now. */
const ages = (transactions: ReadonlyArray<Tracked>, now: number): Array<number> =>
  transactions.map(({ firstSeen }) => now - firstSeen)

export const line = (event: Event, now: number): Line => {
  switch (event._tag) {
    case "Received": {
      const { demanded, facts, hash, received = now } = event.transaction
      const took = demanded === undefined ? "unasked" : `${millis(received - demanded)} after it was asked for`
      return [
        green("received".padEnd(10)),
        ` ${shortHash(hash)}`,
        facts === undefined
          ? ""
          : ` ${plural(facts.operations, "operation")}, fee ${count(facts.fee)}, by ${shortAccount(facts.source)},`,
        ` ${took} `,
        dim(bytes(facts?.size ?? 0))
      ]
    }
    case "Unanswered":
      return [
        yellow("unanswered"),
        ` ${shortHash(event.transaction.hash)} advertised ${millis(now - event.transaction.firstSeen)} ago`
      ]
    case "Ledger": {
      const since = ages(event.seen, now)
      const [half, most] = [quantile(since, 0.5), since.at(-1)]
      return [
        cyan("ledger".padEnd(10)),
        " ",
        bold(String(event.ledger)),
        ` ${plural(event.transactions, "transaction")}, ${count(event.seen.length)} seen here`,
        half === undefined || most === undefined ? "" : `, half within ${millis(half)} and all within ${millis(most)}`
      ]
    }
  }
}

const iso = (time: number | undefined): string | undefined =>
  time === undefined ? undefined : new Date(time).toISOString()

const transactionJson = ({ advertised, demanded, facts, firstSeen, hash, ledger, received }: Tracked) => ({
  hash,
  firstSeen: iso(firstSeen),
  advertised: iso(advertised),
  demanded: iso(demanded),
  received: iso(received),
  pullMillis: demanded === undefined || received === undefined ? undefined : received - demanded,
  ledger,
  ...facts
})

export const object = (event: Event, now: number): Record<string, unknown> => {
  const time = iso(now)
  switch (event._tag) {
    case "Received":
      return { event: "received", time, ...transactionJson(event.transaction) }
    case "Unanswered":
      return { event: "unanswered", time, ...transactionJson(event.transaction) }
    case "Ledger":
      return {
        event: "ledger",
        time,
        ledger: event.ledger,
        transactions: event.transactions,
        seen: event.seen.map(({ firstSeen, hash }) => ({ hash, millis: now - firstSeen }))
      }
  }
}

/** What is said of it now and then. */
export const parts = (mempool: Mempool): ReadonlyArray<Line> => {
  const { counts } = mempool
  return [
    [bold(`${count(counts.received)} received`), ` of ${count(counts.advertised)} advertised`],
    [`${count(mempool.open)} asked for`],
    [`${count(counts.unanswered)} unanswered`],
    [mempool.ledger === 0 ? "no ledger yet" : `ledger ${mempool.ledger}`],
    [`${count(counts.inLedgers)} in ledgers`],
    [`${count(mempool.waiting())} waiting`]
  ]
}

export const totals = (counts: Counts): Line => [
  bold("Summary"),
  `: ${count(counts.advertised)} advertised, ${count(counts.received)} received (${count(counts.unasked)} unasked, ${
    plural(counts.duplicates, "duplicate")
  }), ${count(counts.unanswered)} unanswered, ${count(counts.inLedgers)} in ${plural(counts.ledgers, "ledger")}`
]
