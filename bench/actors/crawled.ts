/** Nodes that listen for a crawler. */
import * as CrawlTarget from "@stellar-overlay/overlay-test/CrawlTarget"
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import * as NodeTransport from "@stellar-overlay/overlay/NodeTransport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

/** Ports told by each node. */
const told: Array<ReadonlyArray<PeerAddress>> = []

export const actor = {
  /** Starts nodes, every fifth of them full, and gives their ports. */
  listen: (count: number, networkPassphrase: string): Promise<ReadonlyArray<number>> =>
    Effect.runPromise(
      Effect.forEach(
        Array.from({ length: count }, (_, i) => i),
        (i) =>
          CrawlTarget.listen({
            addresses: [PeerAddress.make("127.0.0.1", 0)],
            kind: i % 5 === 4 ? "full" : "open",
            config: { networkPassphrase },
            peers: () => told[i] ?? []
          }).pipe(Effect.map(({ addresses }) => addresses[0]!.port))
      ).pipe(
        Effect.provide(Layer.merge(NodeTransport.layer, NodeOverlayCrypto.layer)),
        Effect.provideService(Scope.Scope, Scope.makeUnsafe())
      )
    ),
  /** Says which ports each node tells of. */
  tell: (ports: ReadonlyArray<ReadonlyArray<number>>): void => {
    told.splice(0, told.length, ...ports.map((list) => list.map((port) => PeerAddress.make("127.0.0.1", port))))
  },
  /** Resident bytes of this process. */
  memory: (): number => process.memoryUsage.rss()
}
