/** Observations made by hand, to show to checkers. */
import type { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as Checker from "../../src/campaign/Checker.ts"
import type { Observation, WireMessage } from "../../src/campaign/Observation.ts"

/** What a checker finds in a feed. */
export const judge = (checker: Checker.Checker, feed: ReadonlyArray<Observation>): ReadonlyArray<string> => {
  const panel = new Checker.Panel([checker])
  for (const observation of feed) panel.observe(observation)
  panel.end(1e6)
  return panel.failures.map(({ text }) => text)
}

/** A message on link 1. */
export const message = (from: string, to: string, type: MessageType, rest: Partial<WireMessage> = {}): WireMessage => ({
  _tag: "Message",
  at: 0,
  link: 1,
  from,
  to,
  type,
  size: 100,
  key: 0,
  messages: 0,
  bytes: 0,
  hashes: [],
  scp: undefined,
  ...rest
})

/** A ledger that a node closes. */
export const ledger = (
  node: string,
  ledgerSeq: number,
  hash: string,
  transactions: ReadonlyArray<string> = []
): Observation => ({
  _tag: "Ledger",
  at: ledgerSeq * 1000,
  node,
  ledgerSeq,
  hash,
  transactions,
  jumpedFrom: undefined,
  rounds: 1
})
