/**
 * A node of the toy ledger without clock and network: messages and times go in, messages to broadcast and closed ledgers
 * come out. See `ToyLedger` for what it is, and `toySlot` for how a slot is agreed on.
 */
import type { AnyTxSet, ScpVerdict } from "@stellar-overlay/overlay/OverlayHost"
import * as ItemCache from "@stellar-overlay/overlay/protocol/ItemCache"
import { minRememberedSlot } from "@stellar-overlay/overlay/protocol/LedgerContext"
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import { isQuorumSetSane } from "@stellar-overlay/overlay/protocol/QuorumSetSanity"
import { ScpSignatures } from "@stellar-overlay/overlay/protocol/ScpSignature"
import * as ScpState from "@stellar-overlay/overlay/protocol/ScpState"
import * as StellarValue from "@stellar-overlay/overlay/protocol/StellarValue"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import type {
  GeneralizedTxSet,
  ScpMessage,
  ScpQuorumSet,
  StellarMessage,
  Transaction
} from "@stellar-overlay/overlay/wire/StellarMessage"
import type { ClosedLedger } from "../ToyLedger.ts"
import { hex } from "./hex.ts"
import { Memo } from "./memo.ts"
import { type Candidate, ToySlot } from "./toySlot.ts"
import * as Xdr from "./toyXdr.ts"

export interface Moment {
  /** Monotonic. */
  readonly millis: number
  /** Unix time. */
  readonly unixMillis: number
}

export interface ToyNodeOptions {
  readonly identity: Xdr.Signer & { readonly nodeId: NodeId.NodeId }
  readonly networkId: Uint8Array
  readonly crypto: Pick<Primitives, "sha256" | "ed25519Verify">
  readonly validators: ReadonlyArray<NodeId.NodeId>
  readonly draw: () => number
  readonly closeTimeMillis: number
  readonly roundTimeoutMillis: number
  readonly maxTxSetSize: number
  readonly maxTxSetBytes: number
  readonly maxPending: number
  readonly maxApplied: number
  readonly maxSlotsToRemember: number
}

/** Round r may take (r + 1) times the time-out, but not more than this many. */
const MAX_ROUND_FACTOR = 8

/** What the nodes of this process hold, one object for all of them: a thousand held 360 000 messages, 140 MB. */
const heldByAny = new Memo<ScpMessage>()

const relay: ScpVerdict = { _tag: "relay" }
const processed: ScpVerdict = { _tag: "hold", txSets: [], quorumSets: [] }

export class ToyNode {
  readonly options: ToyNodeOptions
  readonly #validators: ReadonlyArray<NodeId.NodeId>
  readonly #isValidator: boolean
  readonly #majority: number
  readonly #signatures: ScpSignatures
  readonly #state: ScpState.ScpState
  readonly #txSets: ItemCache.ItemCache<AnyTxSet>
  readonly #quorumSets: ItemCache.ItemCache<ScpQuorumSet>
  readonly #quorumSetHash: Uint8Array
  readonly #slots = new Map<number, ToySlot>()
  readonly #pending = new Map<string, Transaction>()
  readonly #applied = new Set<string>()
  #behindSince: number | undefined
  #closeTime = 0

  readonly ledgerVersion = 23
  /** What to broadcast, and what was closed, since the caller last emptied it. */
  readonly outbox: Array<StellarMessage> = []
  readonly closed: Array<ClosedLedger> = []
  ledgerSeq = 1
  /** When the last ledger closed, or this node began; monotonic. */
  closedAt: number
  ledgerHash: Uint8Array
  /** Ledgers closed, transactions in them, jumps, transactions forgotten in jumps, statements that nobody signed. */
  ledgers = 0
  applied = 0
  jumps = 0
  forgotten = 0
  badSignatures = 0
  /** Ledgers that build on another ledger than this node's last: 0, unless something is broken. */
  diverged = 0

  constructor(options: ToyNodeOptions, now: Moment) {
    const { crypto, draw, identity, networkId, validators } = options
    this.options = options
    this.closedAt = now.millis
    this.#validators = [...new Set(validators)].sort(NodeId.Order)
    const own = this.#validators.indexOf(identity.nodeId)
    this.#isValidator = own >= 0
    this.#majority = Math.floor(this.#validators.length / 2) + 1
    this.#signatures = new ScpSignatures(crypto, networkId, draw)
    this.#state = new ScpState.ScpState({ ...ScpState.defaults, maxSlots: options.maxSlotsToRemember + 2 })
    this.#txSets = new ItemCache.ItemCache(draw, ItemCache.txSetDefaults)
    this.#quorumSets = new ItemCache.ItemCache(draw, ItemCache.quorumSetDefaults)
    // Each node names itself first, so that all mean the same and every set has a hash that others must ask for.
    const order = own < 0 ? this.#validators : [...this.#validators.slice(own), ...this.#validators.slice(0, own)]
    const quorumSet = Xdr.quorumSet(this.#majority, order)
    this.#quorumSetHash = crypto.sha256(quorumSet.body)
    this.#quorumSets.add(this.#quorumSetHash, quorumSet, Number.MAX_SAFE_INTEGER)
    this.ledgerHash = crypto.sha256(networkId)
    this.#begin(this.ledgerSeq + 1, now, -Infinity)
  }

  get pending(): number {
    return this.#pending.size
  }

  /** Whether this node is at the ledger the network is at, as far as it knows. */
  get isSynced(): boolean {
    return this.#behindSince === undefined
  }

  /** When `tick` has something to do. */
  get nextDeadline(): number {
    const { endsAt, isDecided, own, round, startsAt } = this.#current
    const propose = this.#isLeader(round) && own === undefined ? startsAt : Infinity
    const giveUp = this.#behindSince === undefined ? Infinity : this.#behindSince + 2 * this.options.closeTimeMillis
    return Math.min(propose, isDecided ? Infinity : endsAt, giveUp)
  }

  tick(now: Moment): void {
    const slot = this.#current
    if (!slot.isDecided && now.millis >= slot.endsAt) this.#enterRound(slot, slot.round + 1, now.millis)
    this.#advance(now)
  }

  // ------------------------------------------------------------------------------------------------- transactions

  submit(message: Transaction): "pending" | "duplicate" | "rejected" {
    const verdict = this.receiveTransaction(message, this.options.crypto.sha256(message.envelope))
    if (verdict === "pending") this.outbox.push(message)
    return verdict
  }

  receiveTransaction(message: Transaction, hash: Uint8Array): "pending" | "duplicate" | "rejected" {
    const name = hex(hash)
    if (this.#pending.has(name) || this.#applied.has(name)) return "duplicate"
    if (this.#pending.size >= this.options.maxPending || message.size > this.options.maxTxSetBytes) return "rejected"
    this.#pending.set(name, message.retain())
    return "pending"
  }

  isKnown(hash: Uint8Array): boolean {
    const name = hex(hash)
    return this.#pending.has(name) || this.#applied.has(name)
  }

  transaction(hash: Uint8Array): Transaction | undefined {
    return this.#pending.get(hex(hash))
  }

  /** What is pending, oldest first. */
  transactions(): Array<Transaction> {
    return [...this.#pending.values()]
  }

  // ------------------------------------------------------------------------------------------------------- items

  txSet(hash: Uint8Array): AnyTxSet | undefined {
    return this.#txSets.get(hash)
  }

  quorumSet(hash: Uint8Array): ScpQuorumSet | undefined {
    return this.#quorumSets.get(hash)
  }

  receiveTxSet(hash: Uint8Array, txSet: AnyTxSet): boolean {
    return txSet._tag === "GeneralizedTxSet" && this.#txSets.add(hash, txSet.retain(), this.ledgerSeq + 1)
  }

  receiveQuorumSet(hash: Uint8Array, quorumSet: ScpQuorumSet): boolean {
    return isQuorumSetSane(quorumSet.body) && this.#quorumSets.add(hash, quorumSet.retain(), this.ledgerSeq + 1)
  }

  // --------------------------------------------------------------------------------------------------------- SCP

  isInQuorum(id: NodeId.NodeId): boolean {
    return this.#validators.includes(id)
  }

  /** This node's own statements about what is not closed yet. */
  ownMessages(): Array<ScpMessage> {
    const { nodeId } = this.options.identity
    return this.#state.from(this.ledgerSeq).filter((message) => message.nodeId === nodeId)
  }

  scpState(fromLedger: number): Array<ScpMessage> {
    return this.#state.from(fromLedger)
  }

  /** Whether a message is a copy of one that was dealt with, or older. */
  knowsScp(message: ScpMessage): boolean {
    const slot = message.slotNumber
    return slot !== undefined && this.#isInRange(slot) && this.#state.compare(message, slot, message.nodeId) !== "new"
  }

  #isInRange(slot: number): boolean {
    return slot >= minRememberedSlot(this.ledgerSeq, this.options.maxSlotsToRemember)
  }

  receiveScp(message: ScpMessage, now: Moment): ScpVerdict {
    const slot = message.slotNumber
    const id = message.nodeId
    if (slot === undefined || !this.#isInRange(slot) || !this.isInQuorum(id)) return { _tag: "discard" }
    if (this.#state.compare(message, slot, id) !== "new") return processed
    if (!StellarValue.areAcceptable(message.values, this.ledgerVersion, now.unixMillis / 1000)) {
      return { _tag: "discard" }
    }
    if (this.#signatures.check(message) !== true) {
      this.badSignatures++
      return { _tag: "discard", badSignature: true }
    }
    const { quorumSetHash } = message
    const quorumSets = this.#quorumSets.touch(quorumSetHash, slot) ? [] : [quorumSetHash.slice()]
    // Of closed ledgers the sets are not needed any more.
    const txSets = slot <= this.ledgerSeq
      ? []
      : message.txSetHashes.filter((hash) => !this.#txSets.touch(hash, slot)).map((hash) => hash.slice())
    if (quorumSets.length + txSets.length > 0) return { _tag: "hold", txSets, quorumSets }
    const pledge = Xdr.pledgeOf(message)
    if (pledge === undefined) return { _tag: "discard" }
    const held = heldByAny.get([message.signature, message.statement], () => message.retain())
    if (!this.#state.put(held, slot, id, undefined, true)) return { _tag: "discard" }
    if (slot > this.ledgerSeq) {
      const state = this.#slot(slot, now)
      if (id === this.options.identity.nodeId) state.remember(id, pledge)
      else state.hear(id, pledge)
      this.#advance(now)
    }
    return relay
  }

  get #current(): ToySlot {
    return this.#slots.get(this.ledgerSeq + 1)! // made when the ledger before closed
  }

  #leader(slot: number, round: number): NodeId.NodeId {
    return this.#validators[(slot + round) % this.#validators.length]!
  }

  #isLeader(round: number): boolean {
    return this.#leader(this.ledgerSeq + 1, round) === this.options.identity.nodeId
  }

  /** The slot, which begins at the next whole close time of the wall clock, half a close time after the last began. */
  #begin(slot: number, now: Moment, lastBegan: number): ToySlot {
    const { closeTimeMillis, roundTimeoutMillis } = this.options
    let startsAt = now.millis + closeTimeMillis - now.unixMillis % closeTimeMillis
    while (startsAt < lastBegan + closeTimeMillis / 2) startsAt += closeTimeMillis
    const known = this.#slots.get(slot)
    if (known === undefined) {
      const made = new ToySlot(startsAt, startsAt + roundTimeoutMillis)
      this.#slots.set(slot, made)
      return made
    }
    known.startsAt = Math.min(known.startsAt, startsAt)
    known.endsAt = startsAt + roundTimeoutMillis
    return known
  }

  #slot(slot: number, now: Moment): ToySlot {
    const known = this.#slots.get(slot)
    if (known !== undefined) {
      known.startsAt = Math.min(known.startsAt, now.millis)
      return known
    }
    const made = new ToySlot(now.millis, Infinity)
    this.#slots.set(slot, made)
    // The state decides which slots there is room for.
    const held = new Set(this.#state.slots).add(this.ledgerSeq + 1)
    for (const one of this.#slots.keys()) if (!held.has(one)) this.#slots.delete(one)
    return made
  }

  #enterRound(slot: ToySlot, round: number, now: number): void {
    slot.round = round
    slot.endsAt = now + this.options.roundTimeoutMillis * Math.min(round + 1, MAX_ROUND_FACTOR)
  }

  /** Does whatever can be done: vote, lock, confirm, close; and again for the next ledger. */
  #advance(now: Moment): void {
    while (this.#isValidator && this.#step(this.#current, now)) { /* until nothing is left to say */ }
    while (this.#close(now)) {
      while (this.#isValidator && this.#step(this.#current, now)) { /* as above */ }
    }
    this.#lookAhead(now)
  }

  /** One statement about the current slot; false when there is none to make. */
  #step(slot: ToySlot, now: Moment): boolean {
    const majority = this.#majority
    const { own } = slot
    if (own?.kind === "EXTERNALIZE") return false
    const confirmed = slot.confirmed(majority)
    if (confirmed !== undefined) return this.#say(slot, { kind: "EXTERNALIZE", ballot: slot.ballotOf(confirmed) })
    if (own?.kind === "CONFIRM") return false
    const locked = slot.locked(majority)
    if (locked !== undefined) return this.#say(slot, { kind: "CONFIRM", ballot: slot.ballotOf(locked) })
    const lock = slot.lockOn(majority)
    if (lock !== undefined) {
      if (lock.counter - 1 > slot.round) this.#enterRound(slot, lock.counter - 1, now.millis)
      const ballot = slot.ballotOf(lock)
      return this.#say(slot, { kind: "PREPARE", ballot, prepared: ballot })
    }
    const proposals = slot.proposals((round) => this.#leader(this.ledgerSeq + 1, round))
    for (const proposal of proposals) if (this.#vote(slot, proposal, now.millis)) return true
    return this.#propose(slot, now)
  }

  #vote(slot: ToySlot, proposal: Candidate, now: number): boolean {
    if (!slot.mayVote(proposal)) return false
    const ballot = slot.ballotOf(proposal)
    const txSet = this.#txSetOf(ballot.value)
    if (txSet === undefined || hex(txSet.previousLedgerHash) !== hex(this.ledgerHash)) return false
    if (proposal.counter - 1 > slot.round) this.#enterRound(slot, proposal.counter - 1, now)
    return this.#say(slot, { kind: "PREPARE", ballot, prepared: slot.lock })
  }

  /** The leader of the round makes its proposal, once. */
  #propose(slot: ToySlot, now: Moment): boolean {
    const counter = slot.round + 1
    const spoke = slot.own?.kind === "PREPARE" && slot.own.ballot.counter >= counter
    if (spoke || !this.#isLeader(slot.round) || now.millis < slot.startsAt) return false
    const value = slot.valid ?? slot.proposal ?? this.#nominate(slot, now)
    return this.#say(slot, { kind: "PREPARE", ballot: { counter, value }, prepared: slot.lock })
  }

  /** Makes a set of what is pending and announces it. */
  #nominate(slot: ToySlot, now: Moment): Uint8Array {
    const { crypto, identity, maxTxSetBytes, maxTxSetSize, networkId } = this.options
    const chosen: Array<readonly [name: string, message: Transaction]> = []
    let bytes = 0
    for (const entry of this.#pending) {
      bytes += entry[1].size
      if (chosen.length === maxTxSetSize || bytes > maxTxSetBytes) break
      chosen.push(entry)
    }
    chosen.sort(([a], [b]) => a < b ? -1 : 1)
    const txSet = Xdr.txSet(this.ledgerHash, chosen.map(([, message]) => message))
    const hash = crypto.sha256(txSet.body)
    this.#txSets.add(hash, txSet, this.ledgerSeq + 1)
    const closeTime = Math.max(this.#closeTime, Math.floor(now.unixMillis / 1000))
    slot.proposal = Xdr.stellarValue(identity, networkId, hash, closeTime)
    this.#emit({ kind: "NOMINATE", value: slot.proposal })
    return slot.proposal
  }

  #say(slot: ToySlot, pledge: Xdr.Pledge): true {
    slot.own = pledge
    slot.hear(this.options.identity.nodeId, pledge)
    this.#emit(pledge)
    return true
  }

  #emit(pledge: Xdr.Pledge): void {
    const { identity, networkId } = this.options
    const slot = this.ledgerSeq + 1
    const message = Xdr.scpMessage(identity, networkId, slot, pledge, this.#quorumSetHash)
    this.#state.put(message, slot, identity.nodeId, undefined, true)
    this.outbox.push(message)
  }

  #txSetOf(value: Uint8Array): GeneralizedTxSet | undefined {
    const hash = StellarValue.parse(value)?.txSetHash
    const txSet = hash && this.#txSets.get(hash)
    return txSet?._tag === "GeneralizedTxSet" ? txSet : undefined
  }

  /** Closes the next ledger, if a majority externalized it; true when it did. */
  #close(now: Moment, jumpedFrom?: number): boolean {
    const { crypto, maxApplied, maxSlotsToRemember } = this.options
    const slot = this.#current
    const decided = slot.externalized(this.#majority)
    if (decided === undefined) return false
    const { value } = slot.ballotOf(decided)
    const parsed = StellarValue.parse(value)
    const txSet = this.#txSetOf(value)
    if (parsed === undefined || txSet === undefined) return false
    const transactions = Xdr.envelopesOf(txSet).map((envelope) => crypto.sha256(envelope))
    for (const hash of transactions) {
      const name = hex(hash)
      this.#pending.delete(name)
      this.#applied.add(name)
    }
    for (const name of this.#applied) {
      if (this.#applied.size <= maxApplied) break
      this.#applied.delete(name)
    }
    const previous = hex(this.ledgerHash)
    this.#slots.delete(this.ledgerSeq + 1)
    this.ledgerSeq++
    this.#closeTime = parsed.closeTime
    this.ledgerHash = crypto.sha256(
      Xdr.concat(txSet.previousLedgerHash, Xdr.u32(this.ledgerSeq), crypto.sha256(value), ...transactions)
    )
    if (jumpedFrom === undefined && hex(txSet.previousLedgerHash) !== previous) this.diverged++
    this.ledgers++
    this.closedAt = now.millis
    this.applied += transactions.length
    this.#behindSince = undefined
    this.closed.push({
      ledgerSeq: this.ledgerSeq,
      hash: this.ledgerHash,
      txSetHash: parsed.txSetHash.slice(),
      transactions,
      closeTime: parsed.closeTime,
      rounds: decided.counter,
      jumpedFrom
    })
    const oldest = minRememberedSlot(this.ledgerSeq, maxSlotsToRemember)
    this.#state.purge(oldest, Number.MAX_SAFE_INTEGER, oldest)
    this.#txSets.eraseBelow(oldest, oldest)
    this.#quorumSets.eraseBelow(oldest, oldest)
    this.#begin(this.ledgerSeq + 1, now, slot.startsAt)
    return true
  }

  /** Others are ahead: after two close times the ledgers between are given up, and the first that is known is taken. */
  #lookAhead(now: Moment): void {
    const ahead = [...this.#slots].flatMap(([index, slot]) =>
      index > this.ledgerSeq + 1 && slot.externalized(this.#majority) !== undefined ? [index] : []
    )
    if (ahead.length === 0) return
    this.#behindSince ??= now.millis
    if (now.millis - this.#behindSince < 2 * this.options.closeTimeMillis) return
    const from = this.ledgerSeq
    this.#slots.delete(from + 1)
    this.ledgerSeq = Math.min(...ahead) - 1
    this.jumps++
    // They may have been applied in a ledger this node never saw.
    this.forgotten += this.#pending.size
    this.#pending.clear()
    this.#close(now, from)
    this.#advance(now)
  }
}
