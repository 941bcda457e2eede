/**
 * Writes rounds of changes to a database until it is killed: in round i every row gets i failures, and every third row
 * leaves or comes back. Prints i when the store has round i.
 */
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import { OverlayDatabase } from "@stellar-overlay/overlay-sql/OverlayDatabase"
import * as SqlPeerStore from "@stellar-overlay/overlay-sql/SqlPeerStore"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import { PeerType } from "@stellar-overlay/overlay/PeerStore"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Console, Effect, Layer } from "effect"
import { ROWS, startOf } from "./kill9Rounds.ts"

const addressOf = (i: number) => PeerAddress.make(`${20 + (i >> 8)}.${i & 255}.0.1`, 11625)

const rounds = Effect.gen(function*() {
  const peers = yield* PeerManager
  for (let round = startOf(peers.all().map((row) => row.numFailures));; round++) {
    for (let i = 0; i < ROWS; i++) {
      if (i % 3 === 0 && round % 2 === 1) peers.remove(addressOf(i))
      else {
        peers.store({
          address: addressOf(i),
          type: PeerType.Outbound,
          numFailures: round,
          nextAttemptMillis: 0,
          lastSuccessMillis: 1,
          source: "",
          anchor: false
        })
      }
    }
    yield* peers.flush
    yield* Console.log(round)
  }
})

const Stores = Layer.provide(
  SqlPeerStore.layerDatabase,
  OverlayDatabase.layerLazy(NodeSqlite.layer({ filename: process.argv[2]! }))
)

Effect.runFork(Effect.provide(rounds, Layer.provide(PeerManager.layer, Stores)))
