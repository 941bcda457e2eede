/**
 * One visit of a crawl: connect, hear whom the node knows, listen to SCP for a while, say goodbye; and what was learnt,
 * however it ended.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as DropReason from "../DropReason.ts"
import type { LocalNode } from "../LocalNode.ts"
import * as Peer from "../Peer.ts"
import type { RemoteFacts } from "../protocol/Handshake.ts"
import type { ScpSignatures } from "../protocol/ScpSignature.ts"
import type { Session } from "../protocol/Session.ts"
import { Transport } from "../Transport.ts"
import type { NodeId } from "../wire/NodeId.ts"
import { PeerAddress } from "../wire/PeerAddress.ts"
import type { Peers, ScpMessage, StellarMessage } from "../wire/StellarMessage.ts"
import { readMillis } from "./peerRuntime.ts"

/** SCP messages of one visit whose signatures are checked, unless others sent them before: 60 us each. */
export const MAX_SCP_CHECKS = 500

/** How long an authenticated peer may take to grant credit or to refuse us. */
export const GRANT_MILLIS = 5000

/** How often the grant is looked for. */
const GRANT_POLL_MILLIS = 20

/** What a visit learnt. Times are milliseconds. */
export interface Visit {
  /** Why it ended, undefined when we had seen enough. */
  readonly reason: DropReason.DropReason | undefined
  /** Whether the peer gave us credit to talk. */
  readonly established: boolean
  /** What a proved node said about itself. */
  readonly remote: RemoteFacts | undefined
  /** The network a HELLO named, proved or not. */
  readonly networkId: Uint8Array | undefined
  readonly connectMillis: number | undefined
  readonly handshakeMillis: number | undefined
  readonly pingMillis: number | undefined
  /** Entries of PEERS, undefined when none came. */
  readonly peersTold: number | undefined
  /** The highest slot of a message it sent that a validator had signed, and when (by `now`) it came. */
  readonly slot: number | undefined
  readonly slotAt: number | undefined
  /** The highest signed slot of each validator it passed on. */
  readonly statements: ReadonlyMap<NodeId, number>
}

/** What a node told, as soon as it did. */
export interface Told {
  readonly remote: RemoteFacts
  readonly addresses: ReadonlyArray<PeerAddress>
  /** Entries without a port one could call. */
  readonly malformed: number
}

/** What visits share. */
export interface VisitOptions {
  /** Called once, when PEERS came from a node that proved itself. */
  readonly onPeers: (told: Told) => Effect.Effect<void>
  readonly signatures: ScpSignatures
  readonly listenMillis: number
  /** Steady Unix milliseconds. */
  readonly now: () => number
}

/** Takes what a peer sends; no more than it has to be kept. */
class Listener {
  readonly #options: VisitOptions
  told: Array<PeerAddress> | undefined
  malformed = 0
  slot: number | undefined
  slotAt: number | undefined
  readonly statements = new Map<NodeId, number>()
  #checks = 0

  constructor(options: VisitOptions) {
    this.#options = options
  }

  take(messages: ReadonlyArray<StellarMessage>): void {
    for (const message of messages) {
      if (message._tag === "Peers") this.#peers(message)
      else if (message._tag === "ScpMessage") this.#scp(message)
    }
  }

  #peers(message: Peers): void {
    this.told = []
    for (const { ip, port } of message.entries) {
      const address = PeerAddress.fromIpBytes(ip, port)
      if (Result.isSuccess(address)) this.told.push(address.success)
      else this.malformed++
    }
  }

  #scp(message: ScpMessage): void {
    const { slotNumber } = message
    if (slotNumber === undefined) return
    const said = this.statements.get(message.nodeId) ?? -1
    // Nothing new about the peer, and nothing new about the validator.
    if (slotNumber <= said) return
    if (this.#options.signatures.check(message, () => this.#checks++ < MAX_SCP_CHECKS) !== true) return
    this.statements.set(message.nodeId, slotNumber)
    if (this.slot === undefined || slotNumber > this.slot) {
      this.slot = slotNumber
      this.slotAt = this.#options.now()
    }
  }
}

/** Visits an address; never fails. */
export const visit = Effect.fnUntraced(function*(
  address: PeerAddress,
  options: VisitOptions
): Effect.fn.Return<Visit, never, LocalNode | Transport> {
  const { listenMillis } = options
  const transport = yield* Transport
  const clock = yield* Clock.Clock
  const millis = () => readMillis(clock)
  const listener = new Listener(options)
  let session: Session | undefined
  const startedAt = millis()
  let openedAt: number | undefined
  let authenticatedAt: number | undefined

  const timed = Transport.of({
    listen: transport.listen,
    dial: (to, how) =>
      Effect.tap(transport.dial(to, how), () =>
        Effect.sync(() => {
          openedAt = millis()
        }))
  })

  let isHandedOn = false
  const handOn = Effect.suspend(() => {
    const remote = session?.remote
    const { malformed, told: addresses } = listener
    if (isHandedOn || addresses === undefined || remote === undefined) return Effect.void
    isHandedOn = true
    return options.onPeers({ remote, addresses, malformed })
  })

  /** Until the peer granted credit, and from the handshake on as long as we listen. */
  const enough = Effect.gen(function*() {
    const since = millis()
    while (session?.stats.grantsReceived === 0 && millis() - since < GRANT_MILLIS) {
      yield* Effect.sleep(GRANT_POLL_MILLIS)
    }
    const left = since + listenMillis - millis()
    if (left > 0) yield* Effect.sleep(left)
  })

  const stay = Effect.gen(function*() {
    const peer = yield* Peer.connect(address, {
      scpStateFrom: listenMillis > 0 ? 0 : "none",
      onSession: (made) => {
        session = made
      }
    })
    authenticatedAt = millis()
    const listen = Stream.runForEachArray(peer.messages, (messages) => {
      listener.take(messages)
      return handOn
    })
    yield* Effect.raceFirst(listen, enough)
  })

  const ended = yield* stay.pipe(
    Effect.match({ onFailure: ({ reason }) => reason, onSuccess: () => undefined }),
    Effect.ensuring(Effect.sync(() => {
      // Who has no room for us tells us of others before it says so, and the connection is over by then.
      for (let batch = session?.takeBatch(); batch !== undefined; batch = session?.takeBatch()) {
        listener.take(batch.messages)
      }
    })),
    Effect.provideService(Transport, timed),
    Effect.scoped
  )
  yield* handOn

  return {
    reason: ended,
    established: session !== undefined && session.stats.grantsReceived > 0,
    remote: session?.remote,
    networkId: session?.claimed?.networkId,
    connectMillis: openedAt === undefined ? undefined : openedAt - startedAt,
    handshakeMillis: openedAt === undefined || authenticatedAt === undefined ? undefined : authenticatedAt - openedAt,
    pingMillis: session === undefined || session.stats.pongs === 0 ? undefined : session.liveness.latencyMillis,
    peersTold: listener.told && listener.told.length + listener.malformed,
    slot: listener.slot,
    slotAt: listener.slotAt,
    statements: listener.statements
  }
})
