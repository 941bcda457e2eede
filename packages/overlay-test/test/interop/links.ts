/** A link between one of our peers and the connector, made from either side. */
import * as Peer from "@stellar-overlay/overlay/Peer"
import { Effect } from "effect"
import { type Foreign, type ForeignNode, type ForeignOptions, makeNode } from "./foreign.ts"
import { listen, within } from "./local.ts"

export interface Link {
  readonly peer: Peer.Peer
  readonly foreign: Foreign
  readonly node: ForeignNode
}

interface Options {
  readonly ours?: Peer.PeerOptions
  readonly theirs?: ForeignOptions
}

/** The connector dials us. */
export const dialled = Effect.fnUntraced(function*({ ours, theirs }: Options = {}) {
  const node = makeNode(theirs)
  const { accepted, port } = yield* listen(ours)
  const foreign = yield* node.dial(port)
  const peer = yield* accepted
  yield* foreign.ready
  return { peer, foreign, node } satisfies Link
})

/** We dial the connector. */
export const dialling = Effect.fnUntraced(function*({ ours, theirs }: Options = {}) {
  const node = makeNode(theirs)
  const { accepted, port } = yield* node.listen
  const peer = yield* within("our peer", Peer.connect(`127.0.0.1:${port}`, ours))
  const foreign = yield* accepted
  yield* foreign.ready
  return { peer, foreign, node } satisfies Link
})

/** Both ways, for tests that hold in either. */
export const directions = [
  { title: "it dials us", link: dialled, role: "acceptor" },
  { title: "we dial it", link: dialling, role: "initiator" }
] as const
