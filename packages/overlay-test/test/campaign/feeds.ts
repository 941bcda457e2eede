/** Observations made by hand, to show to checkers. */
import { assert, it } from "@effect/vitest"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import type { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Checker from "../../src/campaign/Checker.ts"
import type { NodeSnapshot, Observation, PeerBooks, Phase, WireMessage } from "../../src/campaign/Observation.ts"

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

/** A calls b. */
export const opened: Extract<Observation, { readonly _tag: "LinkOpened" }> = {
  _tag: "LinkOpened",
  at: 0,
  link: 1,
  dialer: "a",
  listener: "b"
}
/** And the connection is over. */
export const closed: Observation = { _tag: "LinkClosed", at: 1, link: 1 }

/** Where b is. */
export const address = PeerAddress.make("10.1.0.1", 11625)
/** What a node says of b. */
export const peer = (node: string, event: OverlayEvent): Observation => ({
  _tag: "Peer",
  at: 1,
  node,
  event,
  other: "b"
})
/** a begins to call b. */
export const connecting: OverlayEvent = { _tag: "PeerConnecting", address }
/** The socket is open. */
export const connected: OverlayEvent = { _tag: "PeerConnected", address, role: "initiator" }
/** The handshake is done. */
export const authenticated = { _tag: "PeerAuthenticated", address, remote: {} } as unknown as OverlayEvent // facts do not matter
/** The end of it. */
export const dropped = (tag: DropReason.DropTag, wasAuthenticated: boolean, detail = ""): OverlayEvent => ({
  _tag: "PeerDropped",
  address,
  role: "initiator",
  id: undefined,
  authenticated: wasAuthenticated,
  reason: DropReason.make(tag, detail)
})

/** What a knows of b. */
export const books = (rest: Partial<PeerBooks> = {}): PeerBooks => ({
  peer: "b",
  address: address.key,
  role: "initiator",
  link: 1,
  messageCredit: 0,
  byteCredit: 0,
  localFloodMessages: 200,
  localFloodBytes: 300_000,
  localMessages: 201,
  floodCapacity: 200,
  floodCapacityBytes: 300_000,
  capacity: 201,
  grantBatch: 40,
  isBusy: false,
  queued: 0,
  demandTimeouts: 0,
  isPaused: false,
  shedsTransactions: false,
  ...rest
})
/** A node at a moment. */
export const snapshot = (rest: Partial<NodeSnapshot> = {}): NodeSnapshot => ({
  _tag: "Snapshot",
  at: 1,
  node: "a",
  pending: { inbound: 0, outbound: 0 },
  authenticated: { inbound: 0, outbound: 0 },
  listed: 0,
  places: 0,
  sockets: 0,
  books: [],
  gauges: [],
  ledgerSeq: 1,
  isSynced: true,
  diverged: 0,
  ...rest
})

/** The next part of a run. */
export const phase = (phase: Phase, at: number): Observation => ({ _tag: "Phase", at, phase })

/** A fault that took effect, at a node. */
export const fault = (kind: string, node = "a", at = 8000): Observation => ({
  _tag: "Fault",
  at,
  kind,
  detail: node,
  nodes: [node]
})

/** A checker, what it must accept, and what it must find. */
export interface Case {
  readonly checker: Checker.Checker
  readonly good: ReadonlyArray<Observation>
  /** What is wrong, and the feed. */
  readonly bad: Readonly<Record<string, ReadonlyArray<Observation>>>
}

/** Shows each feed to its checker. */
export const testAll = (cases: ReadonlyArray<Case>): void => {
  for (const { bad, checker, good } of cases) {
    it(`SIM-01 ${checker.name}: ${checker.holds}`, () => {
      assert.deepStrictEqual(judge(checker, good), [])
      for (const [what, feed] of Object.entries(bad)) assert.isNotEmpty(judge(checker, feed), what)
    })
  }
}
