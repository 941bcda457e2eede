/** A peer of a node whose every word the test decides, with an address of its own in the node's world. */
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { Effect } from "effect"
import { SendMoreExtended, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import type { Node } from "./network.ts"

export interface ScriptedOptions extends ScriptedPeer.Options {
  /** Where it dials from; by its seed unless given. */
  readonly ip?: string | undefined
  /** Whether it grants credit at once; true unless given. */
  readonly grants?: boolean | undefined
}

/** Dials a node and authenticates. It answers pings while it listens. */
export const dial = Effect.fnUntraced(
  function*(node: Node, n = 0, { grants = true, ip, ...options }: ScriptedOptions = {}) {
    const peer = yield* ScriptedPeer.connect(node.address, { seed: `scripted ${n}`, ...options }).pipe(
      Effect.provide(LoopbackTransport.layerAt(ip ?? `10.${200 + n}.0.1`)),
      Effect.orDie
    )
    yield* peer.handshake()
    if (grants) yield* grant(peer)
    peer.script.answersPings = true
    yield* peer.expectOpen(100)
    return peer
  }
)

export const grant = (peer: ScriptedPeer.ScriptedPeer, numMessages = 200, numBytes = 300_000) =>
  peer.say(SendMoreExtended.make({ numMessages, numBytes }))

/** Messages it heard, pings left out. */
export const heard = ({ script }: ScriptedPeer.ScriptedPeer): Array<StellarMessage> =>
  script.heard.flatMap(({ message }) => (message === undefined || message._tag === "GetScpQuorumSet" ? [] : [message]))

/** Credit the node has granted since authentication, the first grant included. */
export const granted = ({ script }: ScriptedPeer.ScriptedPeer): { readonly messages: number; readonly bytes: number } =>
  script.messages("SendMoreExtended").reduce(
    ({ bytes, messages }, grant) => ({ messages: messages + grant.numMessages, bytes: bytes + grant.numBytes }),
    { messages: 0, bytes: 0 }
  )
