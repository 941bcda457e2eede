/**
 * What becomes of an SCP message at a node that relays without taking part: discarded, held until what it refers to has
 * come, or relayed and remembered.
 *
 * The checks, cheapest first: size and slot; whether its validator matters; its values; whether it is known or outdated
 * already; its quorum set; its signature, once per distinct envelope and within a budget; what it refers to; room.
 *
 * Slots are accepted from the oldest remembered one to a hundred after the next (and the checkpoint's), or any while the
 * network is not being followed. Kept are the 12 remembered ones, the next, the checkpoint's; later ones as long as there
 * is room, the nearest first.
 *
 * Implements protocol.md 5.3 and 6 (stellar-core: `HerderImpl::recvSCPEnvelope`, `PendingEnvelopes`), without the checks
 * that take a ledger.
 *
 * @since 0.1.0
 */
import { isZero } from "../internal/bytes.ts"
import { HashMap } from "../internal/hashMap.ts"
import { makeHashSeed } from "../internal/hashTable.ts"
import type { NodeId } from "../wire/NodeId.ts"
import type { GeneralizedTxSet, ScpMessage, ScpQuorumSet, TxSet } from "../wire/StellarMessage.ts"
import * as ItemCache from "./ItemCache.ts"
import { checkpointSlot, MAX_SLOTS_TO_REMEMBER, minRememberedSlot } from "./LedgerContext.ts"
import { LedgerTracker } from "./LedgerTracker.ts"
import type { Primitives } from "./Primitives.ts"
import { QuorumFilter, type Trust } from "./QuorumFilter.ts"
import { isQuorumSetSane } from "./QuorumSetSanity.ts"
import { MAX_CHECKED_ENVELOPES, ScpSignatures } from "./ScpSignature.ts"
import * as ScpState from "./ScpState.ts"
import * as StellarValue from "./StellarValue.ts"
import * as VerifyBudget from "./VerifyBudget.ts"

/**
 * LEDGER_VALIDITY_BRACKET: how far beyond the next slot a message may be.
 *
 * @category constants
 * @since 0.1.0
 */
export const LEDGER_VALIDITY_BRACKET = 100

/**
 * Hashes of refused quorum sets that are remembered; the one refused first is forgotten first.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_REFUSED_QUORUM_SETS = 1024

/**
 * What is done with an SCP message; as `ScpVerdict` of the host.
 *
 * @category models
 * @since 0.1.0
 */
export type EnvelopeVerdict =
  | { readonly _tag: "discard"; readonly badSignature?: boolean }
  | {
    readonly _tag: "hold"
    readonly txSets: ReadonlyArray<Uint8Array>
    readonly quorumSets: ReadonlyArray<Uint8Array>
  }
  | { readonly _tag: "relay"; readonly txSets?: ReadonlyArray<Uint8Array> }

/**
 * What the rules depend on, and every bound.
 *
 * @category models
 * @since 0.1.0
 */
export interface PendingEnvelopesOptions {
  readonly trust: Trust
  readonly ledgerVersion: number
  readonly closeTimeMillis: number
  readonly maxSlotsToRemember: number
  /**
   * EXPERIMENTAL_PARALLEL_TX_SET_DOWNLOAD: from ledger protocol 28 on, nominations and PREPAREs for the next ledger are
   * relayed before the transaction sets they name have come, which are fetched meanwhile.
   */
  readonly parallelTxSetDownload: boolean
  /** A greater SCP_MESSAGE is discarded; a nomination of thirty values takes about 12 KB. */
  readonly maxMessageBytes: number
  readonly maxCheckedEnvelopes: number
  readonly verify: VerifyBudget.VerifyBudgetOptions
  readonly state: ScpState.ScpStateOptions
  readonly txSets: ItemCache.ItemCacheOptions
  readonly quorumSets: ItemCache.ItemCacheOptions
}

/**
 * The defaults: everybody's messages up to 64 KiB.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: PendingEnvelopesOptions = {
  trust: "everybody",
  ledgerVersion: 27,
  closeTimeMillis: 5000,
  maxSlotsToRemember: MAX_SLOTS_TO_REMEMBER,
  parallelTxSetDownload: false,
  maxMessageBytes: 65_536,
  maxCheckedEnvelopes: MAX_CHECKED_ENVELOPES,
  verify: VerifyBudget.defaults,
  state: ScpState.defaults,
  txSets: ItemCache.txSetDefaults,
  quorumSets: ItemCache.quorumSetDefaults
}

const discard: EnvelopeVerdict = { _tag: "discard" }
const badSignature: EnvelopeVerdict = { _tag: "discard", badSignature: true }
const relay: EnvelopeVerdict = { _tag: "relay" }
/** Nothing is missing, and nothing is to be told: the message is known, or later ones are. */
const processed: EnvelopeVerdict = { _tag: "hold", txSets: [], quorumSets: [] }

const PREPARE = 0
const EXTERNALIZE = 2
const NOMINATE = 3

/** PARALLEL_TX_SET_DOWNLOAD_PROTOCOL_VERSION. */
const PARALLEL_DOWNLOAD_SINCE = 28

/**
 * The rules and what they remember. `now` is in monotonic milliseconds, messages may be views.
 *
 * @category models
 * @since 0.1.0
 */
export class PendingEnvelopes {
  readonly options: PendingEnvelopesOptions
  readonly filter: QuorumFilter
  readonly tracker: LedgerTracker
  readonly signatures: ScpSignatures
  readonly state: ScpState.ScpState
  readonly txSets: ItemCache.ItemCache<TxSet | GeneralizedTxSet>
  readonly quorumSets: ItemCache.ItemCache<ScpQuorumSet>
  readonly budget: VerifyBudget.VerifyBudget
  readonly #refused: HashMap<Uint8Array>

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict. Throws a `RangeError` for an insane trusted set. */
  constructor(
    crypto: Pick<Primitives, "sha256" | "ed25519Verify">,
    networkId: Uint8Array,
    draw: () => number,
    now: number,
    options: PendingEnvelopesOptions = defaults
  ) {
    this.options = options
    this.filter = new QuorumFilter(options.trust)
    this.tracker = new LedgerTracker({ closeTimeMillis: options.closeTimeMillis, slices: this.filter.slices })
    this.signatures = new ScpSignatures(crypto, networkId, draw, options.maxCheckedEnvelopes)
    this.state = new ScpState.ScpState({ ...options.state, maxSlots: options.maxSlotsToRemember + 2 })
    this.txSets = new ItemCache.ItemCache(draw, options.txSets)
    this.quorumSets = new ItemCache.ItemCache(draw, options.quorumSets)
    this.budget = new VerifyBudget.VerifyBudget(options.verify, now)
    this.#refused = new HashMap(makeHashSeed(draw), MAX_REFUSED_QUORUM_SETS)
  }

  /** Whether a message is a copy of one that was dealt with, or older; a copy counts as the peer's word all the same. */
  knows(message: ScpMessage, peer: NodeId, now: number): boolean {
    const slot = message.slotNumber
    const id = message.nodeId
    return slot !== undefined && message.size <= this.options.maxMessageBytes && this.#isInRange(slot, now)
      && this.filter.accepts(id) && this.#isDealtWith(message, slot, id, peer, now)
  }

  #isDealtWith(message: ScpMessage, slot: number, id: NodeId, peer: NodeId | undefined, now: number): boolean {
    const relation = this.state.compare(message, slot, id)
    if (relation === "same") this.#vote(message, slot, peer, id, now)
    return relation !== "new"
  }

  /**
   * Judges a message. The peer is undefined when the message waited for something and comes a second time. A number
   * means that the budget for signatures is used up: ask again in so many milliseconds.
   */
  receive(
    message: ScpMessage,
    peer: NodeId | undefined,
    now: number,
    unixSeconds: number
  ): EnvelopeVerdict | number {
    const { ledgerVersion, maxMessageBytes } = this.options
    const slot = message.slotNumber
    if (slot === undefined || message.size > maxMessageBytes || !this.#isInRange(slot, now)) return discard
    const id = message.nodeId
    if (!this.filter.accepts(id)) return discard
    if (this.#isDealtWith(message, slot, id, peer, now)) return processed
    if (!StellarValue.areAcceptable(message.values, ledgerVersion, unixSeconds)) return discard
    const { quorumSetHash } = message
    if (this.#refused.get(quorumSetHash) !== undefined) return discard

    let wait = 0
    const isGood = this.signatures.check(
      message,
      () => peer === undefined || (wait = this.budget.take(peer, now)) === 0
    )
    if (isGood === undefined) return wait
    if (!isGood) return badSignature

    const quorumSet = this.quorumSets.get(quorumSetHash)
    if (quorumSet !== undefined) {
      this.quorumSets.touch(quorumSetHash, slot)
      this.filter.update(id, quorumSetHash, () => quorumSet.body)
    }
    const missing: Array<Uint8Array> = []
    for (const hash of message.txSetHashes) {
      // The all-zero hash stands for the empty set, which nobody serves.
      if (!isZero(hash) && !this.txSets.touch(hash, slot)) missing.push(hash.slice())
    }
    // Only now, because it may forget items that no later slot refers to.
    this.#vote(message, slot, peer, id, now)
    if (quorumSet === undefined || (missing.length > 0 && !this.#isReadyWithout(message, slot))) {
      return { _tag: "hold", txSets: missing, quorumSets: quorumSet === undefined ? [quorumSetHash.slice()] : [] }
    }
    if (!this.state.put(message, slot, id, peer, !this.tracker.isTracking(now))) return discard
    return missing.length === 0 ? relay : { _tag: "relay", txSets: missing }
  }

  /** A transaction set that was asked for came, whatever is in it; false when it does not fit. */
  receiveTxSet(hash: Uint8Array, txSet: TxSet | GeneralizedTxSet): boolean {
    return this.txSets.add(hash, txSet.retain(), this.tracker.index)
  }

  /** A quorum set that was asked for came; false when it is not sane, and its envelopes are discarded from now on. */
  receiveQuorumSet(hash: Uint8Array, quorumSet: ScpQuorumSet): boolean {
    if (isQuorumSetSane(quorumSet.body)) return this.quorumSets.add(hash, quorumSet.retain(), this.tracker.index)
    this.refuseQuorumSet(hash)
    return false
  }

  /** Envelopes that name this quorum set are discarded from now on. */
  refuseQuorumSet(hash: Uint8Array): void {
    if (this.#refused.get(hash) !== undefined) return
    if (this.#refused.isFull) this.#refused.deleteOldest()
    const copy = hash.slice()
    this.#refused.add(copy, copy)
  }

  /** Forgets everything of slots outside [min, max], except one. */
  eraseOutsideRange(min: number, max: number, keep: number): void {
    this.state.purge(min, max, keep)
    this.txSets.eraseBelow(min, keep)
    this.quorumSets.eraseBelow(min, keep)
  }

  /** Whether a message goes on while its transaction sets are fetched. */
  #isReadyWithout(message: ScpMessage, slot: number): boolean {
    const { ledgerVersion, parallelTxSetDownload } = this.options
    const kind = message.statementCode
    return parallelTxSetDownload && ledgerVersion >= PARALLEL_DOWNLOAD_SINCE && slot === this.tracker.index + 1
      && (kind === NOMINATE || kind === PREPARE)
  }

  #isInRange(slot: number, now: number): boolean {
    const { index } = this.tracker
    if (slot < 1) return false
    if (!this.tracker.isTracking(now)) return true
    const min = minRememberedSlot(index, this.options.maxSlotsToRemember)
    return (slot >= min && slot <= index + 1 + LEDGER_VALIDITY_BRACKET) || slot === checkpointSlot(index)
  }

  #vote(message: ScpMessage, slot: number, peer: NodeId | undefined, id: NodeId, now: number): void {
    if (message.statementCode !== EXTERNALIZE || !this.tracker.externalized(slot, peer, id, now)) return
    const { index } = this.tracker
    const min = minRememberedSlot(index, this.options.maxSlotsToRemember)
    this.eraseOutsideRange(min, index + 1 + LEDGER_VALIDITY_BRACKET, checkpointSlot(index))
  }
}
