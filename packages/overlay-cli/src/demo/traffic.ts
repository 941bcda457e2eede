/** What makes the nodes talk: ledgers, payments, and the flood of `--rate max`. */
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import type { StellarMessage, Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { DemoNode, Link, Network } from "./Network.ts"
import * as Payments from "./payments.ts"
import type { Action } from "./Validator.ts"

/** A ledger closes about this often. */
export const LEDGER_MILLIS = 1000

/** Payments are made in portions, this often at most. */
const PORTION_MILLIS = 50

/** Different transactions that a node of a flood sends over and over. */
const FLOOD_TRANSACTIONS = 256

/** Does what a node decided. Nothing waits: at this rate nothing is shed, and if it is, the queues count it. */
export const perform = (local: DemoNode, sender: Peer | undefined, actions: ReadonlyArray<Action>): void => {
  for (const { message, to } of actions) {
    if (to === "sender") sender?.offer(message)
    else for (const { isOurs, peer } of local.links) if (to === "everybody" || !isOurs) peer.offer(message)
  }
}

const readNow = (clock: Clock.Clock) => ({
  millis: Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
  unixSeconds: Math.floor(clock.currentTimeMillisUnsafe() / 1000)
})

/** A message for a node. */
export const receive = (link: Link, message: StellarMessage, clock: Clock.Clock): void =>
  perform(link.local, link.peer, link.local.validator.receive(message, readNow(clock).millis))

/** Starts a slot every second; the nodes take turns in proposing. */
export const ledgers = Effect.fnUntraced(function*({ nodes }: Network) {
  const clock = yield* Clock.Clock
  let slot = 1
  const next = Effect.sync(() => {
    const proposer = nodes[slot % nodes.length]!
    perform(proposer, undefined, proposer.validator.propose(slot++, readNow(clock)))
  })
  yield* Effect.repeat(next, Schedule.fixed(LEDGER_MILLIS))
})

const makePayments = ({ nodes }: Network) =>
  nodes.map((node, i) =>
    Payments.make({
      from: node.identity,
      to: nodes[(i + 1) % nodes.length]!.identity.nodeId,
      networkPassphrase: Context.get(node.services, LocalNode).config.networkPassphrase,
      crypto: Context.get(node.services, LocalNode).crypto
    })
  )

/** Makes so many payments per second, the nodes in turn. */
export const payments = Effect.fnUntraced(function*(network: Network, perSecond: number) {
  if (perSecond === 0) return
  const makers = makePayments(network)
  const clock = yield* Clock.Clock
  const start = readNow(clock).millis
  let made = 0
  const portion = Effect.sync(() => {
    const due = Math.min(Math.floor((readNow(clock).millis - start) * perSecond / 1000) - made, perSecond)
    const own: Array<Array<Transaction>> = makers.map(() => [])
    for (let i = 0; i < due; i++, made++) own[made % makers.length]!.push(makers[made % makers.length]!.next())
    for (const [i, transactions] of own.entries()) {
      const node = network.nodes[i]!
      if (transactions.length > 0) perform(node, undefined, node.validator.submit(transactions))
    }
  })
  yield* Effect.repeat(portion, Schedule.spaced(Math.max(PORTION_MILLIS, 1000 / perSecond / 4)))
})

/**
 * Sends transactions over every link in both directions, as fast as the other end gives credit. A transaction is sent
 * many times, which nobody here minds: what is shown is flow control.
 */
export const flood = Effect.fnUntraced(function*(network: Network) {
  const makers = makePayments(network)
  const pools = makers.map(({ next }) => Array.from({ length: FLOOD_TRANSACTIONS }, next))
  const pour = ({ local, peer }: Link) => Effect.ignore(Effect.forever(peer.sendAll(pools[local.index]!))) // ends with the link, which is reported elsewhere
  yield* Effect.forEach(network.links().filter(({ isOurs }) => isOurs), pour, {
    concurrency: "unbounded",
    discard: true
  })
})
