/**
 * What a demo node thinks: enough of a validator that every message has a cause.
 *
 * One node proposes a transaction set for a slot and nominates it. The others fetch the set, vote with PREPARE, with
 * CONFIRM once two thirds have prepared, and with EXTERNALIZE once two thirds have confirmed; then the ledger is closed.
 * Transactions travel as on the real network: advert, demand, transaction. So a ledger that closes is proof that all
 * these messages arrived.
 *
 * It is a demonstration of messages and not of consensus: there is one ballot, one proposer per slot, and nobody lies.
 *
 * Synchronous: messages and times go in, messages to send come out.
 */
import type { Identity } from "@stellar-overlay/overlay/NodeIdentity"
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import {
  DontHave,
  FloodAdvert,
  FloodDemand,
  type GeneralizedTxSet,
  GetScpQuorumSet,
  GetTxSet,
  MAX_HASHES,
  type ScpMessage,
  ScpQuorumSet,
  type StellarMessage,
  type Transaction
} from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Scp from "./scp.ts"
import * as TxSet from "./txSet.ts"

/** Slots and transaction sets a node remembers. */
export const MAX_SLOTS = 12

/** Pending transactions a node keeps, and hashes it remembers; the oldest go first. */
export const MAX_TRANSACTIONS = 5000

/** Transactions in a set. */
export const MAX_TX_SET = 1000

/** Where a message goes: to whom it came from, or to everybody, or to those that are no validators and need it relayed. */
export type To = "sender" | "everybody" | "watchers"

export interface Action {
  readonly to: To
  readonly message: StellarMessage
}

/** A ledger that a node has closed. */
export interface Closed {
  readonly slot: number
  /** Hash of the ledger: of its value, which names the one before it by its transaction set. Lower-case hex. */
  readonly hash: string
  /** Hashes of its transactions, in hex. */
  readonly transactions: ReadonlyArray<string>
  /** Milliseconds since the node first heard of the slot. */
  readonly millis: number
}

interface Slot {
  readonly since: number
  value: Uint8Array | undefined
  txSetHash: string | undefined
  phase: Scp.Phase | undefined
  /** Whose statements were heard, by kind. */
  readonly heard: { readonly [P in Scp.Phase]: Set<NodeId> }
  readonly messages: Map<string, ScpMessage>
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const to = (where: To, ...messages: Array<StellarMessage>): Array<Action> =>
  messages.map((message) => ({ to: where, message }))

/** Drops the oldest entries of a map or set until it keeps to a bound. */
const keepNewest = (collection: Map<unknown, unknown> | Set<unknown>, bound: number): void => {
  for (const key of collection.keys()) {
    if (collection.size <= bound) return
    collection.delete(key)
  }
}

export interface Options {
  readonly identity: Identity
  readonly networkId: Uint8Array
  /** The keys of all validators, this one's among them. */
  readonly validators: ReadonlyArray<{ readonly id: NodeId; readonly publicKey: Uint8Array }>
  readonly crypto: Pick<Primitives, "sha256" | "ed25519Verify">
}

export class Validator {
  readonly #options: Options
  readonly #ids: ReadonlySet<NodeId>
  readonly #threshold: number
  readonly #quorumSet: ScpQuorumSet
  readonly #quorumSetHash: Uint8Array
  readonly #slots = new Map<number, Slot>()
  readonly #txSets = new Map<string, GeneralizedTxSet>()
  readonly #pending = new Map<string, Transaction>()
  readonly #demanded = new Set<string>()
  #previousLedgerHash: Uint8Array = new Uint8Array(32)
  #closedSlot = 0
  /** Ledgers closed since the caller last emptied it. */
  readonly closed: Array<Closed> = []
  /** Statements whose signature is wrong. */
  badSignatures = 0

  constructor(options: Options) {
    this.#options = options
    this.#ids = new Set(options.validators.map(({ id }) => id))
    const quorumSet = Scp.quorumSet(options.validators.map(({ publicKey }) => publicKey))
    this.#threshold = quorumSet.threshold()
    this.#quorumSet = ScpQuorumSet.make({ body: quorumSet })
    this.#quorumSetHash = options.crypto.sha256(this.#quorumSet.body)
  }

  /** The last ledger closed. */
  get closedSlot(): number {
    return this.#closedSlot
  }

  get pendingTransactions(): number {
    return this.#pending.size
  }

  /** Proposes what is pending for a slot. */
  propose(slot: number, now: { readonly millis: number; readonly unixSeconds: number }): Array<Action> {
    const { crypto, identity, networkId } = this.#options
    const set = TxSet.make(this.#previousLedgerHash, [...this.#pending].slice(0, MAX_TX_SET))
    const hash = crypto.sha256(set.body)
    this.#rememberTxSet(hex(hash), set)
    const state = this.#slot(slot, now.millis)
    const value = Scp.stellarValue(identity, networkId, hash, now.unixSeconds)
    this.#adopt(state, value, hash)
    return [...this.#say(slot, state, "NOMINATE"), ...this.#advance(slot, state, now.millis)]
  }

  /** New transactions of this node: they are advertised. */
  submit(transactions: ReadonlyArray<Transaction>): Array<Action> {
    const hashes = transactions.map((transaction) => this.#keep(transaction))
    return to("everybody", ...adverts(hashes))
  }

  /** A message of a peer. `message` may be a view; what is kept is copied. */
  receive(message: StellarMessage, now: number): Array<Action> {
    switch (message._tag) {
      case "ScpMessage":
        return this.#receiveStatement(message.retain(), now)
      case "GeneralizedTxSet":
        return this.#receiveTxSet(message.retain(), now)
      case "FloodAdvert":
        return this.#receiveAdvert(message.hashes)
      case "FloodDemand": {
        const known = message.hashes.flatMap((hash) => this.#pending.get(hex(hash)) ?? [])
        return to("sender", ...known)
      }
      case "Transaction": {
        const transaction = message.retain()
        if (this.#pending.has(hex(this.#hashOf(transaction)))) return []
        return to("watchers", ...adverts([this.#keep(transaction)]))
      }
      case "GetTxSet": {
        const { hash } = message
        const itemType = MessageType.GeneralizedTxSet
        return to("sender", this.#txSets.get(hex(hash)) ?? DontHave.make({ itemType, hash }))
      }
      case "GetScpQuorumSet": {
        const { hash } = message
        const ours = hex(hash) === hex(this.#quorumSetHash)
        return to("sender", ours ? this.#quorumSet : DontHave.make({ itemType: MessageType.ScpQuorumSet, hash }))
      }
      case "GetScpState": {
        const slots = [...this.#slots].filter(([slot]) => slot >= message.ledgerSeq).sort(([a], [b]) => a - b)
        return to("sender", ...slots.flatMap(([, { messages }]) => [...messages.values()]))
      }
      default:
        return []
    }
  }

  #slot(slot: number, now: number): Slot {
    let state = this.#slots.get(slot)
    if (state === undefined) {
      const none = () => new Set<NodeId>()
      const heard = { NOMINATE: none(), PREPARE: none(), CONFIRM: none(), EXTERNALIZE: none() }
      state = { since: now, value: undefined, txSetHash: undefined, phase: undefined, heard, messages: new Map() }
      this.#slots.set(slot, state)
      keepNewest(this.#slots, MAX_SLOTS)
    }
    return state
  }

  #adopt(state: Slot, value: Uint8Array, txSetHash: Uint8Array): void {
    state.value = value
    state.txSetHash = hex(txSetHash)
  }

  #receiveStatement(message: ScpMessage, now: number): Array<Action> {
    const slot = message.slotNumber
    const { crypto, networkId } = this.#options
    if (slot === undefined || slot <= this.#closedSlot - MAX_SLOTS || !this.#ids.has(message.nodeId)) return []
    if (!Scp.isSigned(message, networkId, crypto)) {
      this.badSignatures++
      return []
    }
    const state = this.#slot(slot, now)
    if (state.heard[message.statementType].has(message.nodeId)) return []
    this.#hear(state, message.statementType, message.nodeId)
    state.messages.set(`${message.nodeId} ${message.statementType}`, message)
    const actions = to("watchers", message)
    const value = message.values[0]
    const txSetHash = message.txSetHashes[0]
    if (state.value === undefined && value !== undefined && txSetHash !== undefined) {
      this.#adopt(state, value, txSetHash)
      if (!this.#txSets.has(hex(txSetHash))) actions.push(...to("sender", GetTxSet.make({ hash: txSetHash })))
      if (slot === 1) actions.push(...to("sender", GetScpQuorumSet.make({ hash: message.quorumSetHash })))
    }
    return [...actions, ...this.#advance(slot, state, now)]
  }

  /** A vote says all that the votes before it say, which may have been superseded on the way. */
  #hear({ heard }: Slot, phase: Scp.Phase, id: NodeId): void {
    heard[phase].add(id)
    if (phase === "EXTERNALIZE") heard.CONFIRM.add(id)
    if (phase === "EXTERNALIZE" || phase === "CONFIRM") heard.PREPARE.add(id)
  }

  #receiveTxSet(set: GeneralizedTxSet, now: number): Array<Action> {
    const hash = hex(this.#options.crypto.sha256(set.body))
    this.#rememberTxSet(hash, set)
    return [...this.#slots].flatMap(([slot, state]) => state.txSetHash === hash ? this.#advance(slot, state, now) : [])
  }

  #receiveAdvert(hashes: ReadonlyArray<Uint8Array>): Array<Action> {
    const wanted: Array<Uint8Array> = []
    for (const hash of hashes) {
      const key = hex(hash)
      if (this.#pending.has(key) || this.#demanded.has(key)) continue
      this.#demanded.add(key)
      wanted.push(hash)
    }
    keepNewest(this.#demanded, MAX_TRANSACTIONS)
    return wanted.length === 0 ? [] : to("sender", FloodDemand.make({ hashes: wanted }))
  }

  /** Votes as far as the votes heard allow. */
  #advance(slot: number, state: Slot, now: number): Array<Action> {
    const actions: Array<Action> = []
    const { heard } = state
    const ready = state.txSetHash !== undefined && this.#txSets.has(state.txSetHash)
    if (ready && (state.phase === undefined || state.phase === "NOMINATE")) {
      actions.push(...this.#say(slot, state, "PREPARE"))
    }
    if (state.phase === "PREPARE" && heard.PREPARE.size >= this.#threshold) {
      actions.push(...this.#say(slot, state, "CONFIRM"))
    }
    if (state.phase === "CONFIRM" && heard.CONFIRM.size >= this.#threshold) {
      actions.push(...this.#say(slot, state, "EXTERNALIZE"))
      this.#close(slot, state, now)
    }
    return actions
  }

  #say(slot: number, state: Slot, phase: Scp.Phase): Array<Action> {
    const { identity, networkId } = this.#options
    const value = state.value ?? new Uint8Array(0)
    const message = Scp.statement(identity, networkId, { slot, phase, value, quorumSetHash: this.#quorumSetHash })
    state.phase = phase
    this.#hear(state, phase, identity.nodeId)
    state.messages.set(`${identity.nodeId} ${phase}`, message)
    return to("everybody", message)
  }

  #close(slot: number, state: Slot, now: number): void {
    if (slot <= this.#closedSlot) return
    const set = this.#txSets.get(state.txSetHash ?? "")
    const transactions: Array<string> = []
    for (const phase of set?.xdr.generalizedTxSet().v1TxSet().phases() ?? []) {
      if (phase.switch() !== 0) continue
      for (const component of phase.v0Components()) {
        for (const envelope of component.txsMaybeDiscountedFee().txes()) {
          const hash = hex(this.#options.crypto.sha256(envelope.toXDR()))
          transactions.push(hash)
          this.#pending.delete(hash)
        }
      }
    }
    this.#closedSlot = slot
    if (state.value !== undefined) this.#previousLedgerHash = this.#options.crypto.sha256(state.value)
    this.closed.push({ slot, hash: hex(this.#previousLedgerHash), transactions, millis: now - state.since })
  }

  #rememberTxSet(hash: string, set: GeneralizedTxSet): void {
    this.#txSets.set(hash, set)
    keepNewest(this.#txSets, MAX_SLOTS)
  }

  #hashOf(transaction: Transaction): Uint8Array {
    return this.#options.crypto.sha256(transaction.envelope)
  }

  #keep(transaction: Transaction): Uint8Array {
    const hash = this.#hashOf(transaction)
    this.#pending.set(hex(hash), transaction)
    keepNewest(this.#pending, MAX_TRANSACTIONS)
    return hash
  }
}

const adverts = (hashes: ReadonlyArray<Uint8Array>): Array<FloodAdvert> => {
  const result: Array<FloodAdvert> = []
  for (let i = 0; i < hashes.length; i += MAX_HASHES) {
    result.push(FloodAdvert.make({ hashes: hashes.slice(i, i + MAX_HASHES) }))
  }
  return result
}
