/**
 * SCP messages in the flood: which of them somebody has to look at, and what follows from what the host says of them.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as DropReason from "../DropReason.ts"
import type { ItemFetcherShape } from "../ItemFetcher.ts"
import { MAX_BAD_SIGNATURES, type OverlayHost, type ScpVerdict } from "../OverlayHost.ts"
import type { Peer } from "../Peer.ts"
import type { ScpMessage } from "../wire/StellarMessage.ts"

/** What is kept of a peer. */
export interface ScpPeer {
  readonly peer: Peer
  /** SCP messages it sent that nobody signed. */
  badSignatures: number
}

/** What the flood does for it. */
export interface Surroundings<P> {
  readonly host: Pick<OverlayHost["Service"], "knowsScp" | "receiveScp">
  readonly fetcher: Pick<ItemFetcherShape, "awaits" | "fetchFor">
  readonly millis: () => number
  readonly keyOf: (message: ScpMessage) => Uint8Array
  /** A peer has a message. */
  readonly note: (message: ScpMessage, key: Uint8Array, peer: Peer) => void
  /** Who can be told. */
  readonly listening: () => ReadonlyArray<P>
  /** Chooses who of them is told; `flush` tells them. */
  readonly tell: (message: ScpMessage, key: Uint8Array, candidates: ReadonlyArray<P>, now: number) => void
  readonly flush: (candidates: ReadonlyArray<P>) => void
  /** A message was not fit to be known. */
  readonly discarded: (key: Uint8Array) => void
}

export class FloodScp<P extends ScpPeer> {
  readonly #flood: Surroundings<P>

  constructor(flood: Surroundings<P>) {
    this.#flood = flood
  }

  /**
   * The key of a message that somebody has to look at. None for a copy of what the host has dealt with, or of what waits
   * for an item: all that is left to do is to note who has it.
   */
  freshKey(message: ScpMessage, { peer }: P): Uint8Array | undefined {
    const { fetcher, host, keyOf, note } = this.#flood
    const isKnown = host.knowsScp?.(message, peer.id) === true
    const key = keyOf(message)
    if (!isKnown && !fetcher.awaits(key)) return key
    note(message, key, peer)
    return undefined
  }

  /** Has the host judge messages, of a peer or those that waited for items, and does what it says. */
  judge(
    messages: NonEmptyReadonlyArray<ScpMessage>,
    keys: ReadonlyArray<Uint8Array>,
    from: P | undefined
  ): Effect.Effect<void> {
    const { flush, host, listening, millis } = this.#flood
    return Effect.flatMap(host.receiveScp(messages, from?.peer.id), (verdicts) => {
      const candidates = verdicts.some(({ _tag }) => _tag === "relay") ? listening() : []
      const now = millis()
      try {
        messages.forEach((message, i) =>
          this.#actOn(message, keys[i]!, verdicts[i] ?? { _tag: "discard" }, from, candidates, now)
        )
      } finally {
        flush(candidates) // who counts as told is told, whatever happens
      }
      return from !== undefined && from.badSignatures >= MAX_BAD_SIGNATURES
        ? from.peer.drop(DropReason.make("TooManyBadSignatures"))
        : Effect.void
    })
  }

  #actOn(
    message: ScpMessage,
    key: Uint8Array,
    verdict: ScpVerdict,
    from: P | undefined,
    candidates: ReadonlyArray<P>,
    now: number
  ): void {
    const { discarded, fetcher, tell } = this.#flood
    switch (verdict._tag) {
      case "relay":
        tell(message, key, candidates, now)
        if (verdict.txSets !== undefined && verdict.txSets.length > 0) {
          fetcher.fetchFor(message, { txSets: verdict.txSets, quorumSets: [] })
        }
        break
      case "hold":
        // Most are copies of what was dealt with: nothing is missing.
        if (verdict.txSets.length + verdict.quorumSets.length > 0) fetcher.fetchFor(message, verdict)
        break
      case "discard":
        discarded(key)
        if (verdict.badSignature === true && from !== undefined) from.badSignatures++
    }
  }
}
