/** What makes the nodes talk besides their ledgers: payments, and the flood of `--rate max`. */
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import type { Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Ledgers } from "./Ledgers.ts"
import { type DemoNode, NETWORK, peersOf } from "./Network.ts"
import * as Payments from "./payments.ts"

/** Payments are made in portions, this often at most. */
const PORTION_MILLIS = 50

/** Different transactions that a node of a flood sends over and over. */
const FLOOD_TRANSACTIONS = 256

/** How often a flood looks for connections that are new. */
const FLOOD_MILLIS = 500

type Hashing = Pick<Primitives, "sha256">

/** Numbers that no payment comes to. */
const FLOOD_SEQUENCE = 1_000_000_000_000n

const makePayments = (nodes: ReadonlyArray<DemoNode>, crypto: Hashing, first?: bigint) =>
  nodes.map((node, i) =>
    Payments.make({
      from: node.identity,
      to: nodes[(i + 1) % nodes.length]!.identity.nodeId,
      networkPassphrase: passphrases[NETWORK],
      crypto,
      first
    })
  )

/** Makes so many payments per second, the nodes in turn, and notes each in the books. */
export const payments = Effect.fnUntraced(function*(
  nodes: ReadonlyArray<DemoNode>,
  perSecond: number,
  options: { readonly crypto: Hashing; readonly books: Ledgers; readonly now: () => number }
) {
  if (perSecond === 0) return
  const { books, crypto, now } = options
  const makers = makePayments(nodes, crypto)
  const start = now()
  let made = 0
  const portion = Effect.sync(() => {
    const at = now()
    const due = Math.min(Math.floor((at - start) * perSecond / 1000) - made, perSecond)
    for (let i = 0; i < due; i++, made++) {
      const index = made % nodes.length
      const payment = makers[index]!.next()
      const hash = crypto.sha256(payment.envelope)
      books.submitted(hash, payment, index, at)
      if (nodes[index]!.ledger.submit(payment) !== "pending") books.refused(hash)
    }
  })
  yield* Effect.repeat(portion, Schedule.spaced(Math.max(PORTION_MILLIS, 1000 / perSecond / 4)))
})

/**
 * Sends transactions over every link in both directions, as fast as the other end gives credit. A transaction is sent
 * many times, which nobody here minds: what is shown is flow control.
 */
export const flood = Effect.fnUntraced(
  function*(nodes: ReadonlyArray<DemoNode>, crypto: Hashing): Effect.fn.Return<void, never, Scope.Scope> {
    const pools = makePayments(nodes, crypto, FLOOD_SEQUENCE).map(({ next }) =>
      Array.from({ length: FLOOD_TRANSACTIONS }, (): Transaction => next())
    )
    const ours = new Set(nodes.map(({ identity }) => identity.nodeId))
    const fibers = yield* FiberMap.make<Peer, void>()
    const pour = (peer: Peer, pool: ReadonlyArray<Transaction>) => Effect.ignore(Effect.forever(peer.sendAll(pool))) // ends with the link, which is reported elsewhere
    const connected = Effect.suspend(() =>
      Effect.forEach(
        peersOf(nodes).filter(([, peer]) => ours.has(peer.id)),
        ([node, peer]) => FiberMap.run(fibers, peer, pour(peer, pools[node.index]!), { onlyIfMissing: true }),
        { discard: true }
      )
    )
    yield* Effect.repeat(connected, Schedule.spaced(FLOOD_MILLIS))
  },
  Effect.scoped
)
