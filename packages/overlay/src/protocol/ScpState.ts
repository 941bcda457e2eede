/**
 * The latest SCP messages of every validator for the slots worth remembering: what a node answers GET_SCP_STATE with.
 *
 * For each node and slot there are at most two, its nomination and its ballot statement. A later one takes the place of
 * the one before (see `ScpSupersedes`); one that does not supersede is not kept, so that in whatever order messages
 * come, the state ends the same.
 *
 * Everything is bounded: slots, nodes in a slot, bytes, and how many nodes of a slot one peer may introduce, so that a
 * peer that makes up validators does not leave the others without room.
 *
 * Implements protocol.md 5.3 (stellar-core: the slots of `SCP`, `HerderImpl::sendSCPStateToPeer`).
 *
 * @since 0.1.0
 */
import { equals } from "../internal/bytes.ts"
import type { NodeId } from "../wire/NodeId.ts"
import type { ScpMessage } from "../wire/StellarMessage.ts"
import { MAX_SLOTS_TO_REMEMBER } from "./LedgerContext.ts"
import { isNewerNominationOrBallot } from "./ScpSupersedes.ts"

/**
 * Slots that an answer to GET_SCP_STATE covers at most.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_SLOTS_PER_ANSWER = 100

/**
 * The bounds.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScpStateOptions {
  /** Slots at most: the remembered ones, the next one and the checkpoint's. */
  readonly maxSlots: number
  readonly maxNodesPerSlot: number
  /** Nodes of a slot that were heard of through one peer first. */
  readonly maxNodesPerPeer: number
  readonly maxBytes: number
}

/**
 * The default bounds: 14 slots, 1024 nodes each, 256 of them through one peer, 32 MiB.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: ScpStateOptions = {
  maxSlots: MAX_SLOTS_TO_REMEMBER + 2,
  maxNodesPerSlot: 1024,
  maxNodesPerPeer: 256,
  maxBytes: 33_554_432
}

interface Statements {
  nomination: ScpMessage | undefined
  ballot: ScpMessage | undefined
}

interface Slot {
  readonly nodes: Map<NodeId, Statements>
  /** How many nodes each peer introduced. */
  readonly introduced: Map<NodeId, number>
}

const NOMINATE = 3

/**
 * The store.
 *
 * @category models
 * @since 0.1.0
 */
export class ScpState {
  readonly #options: ScpStateOptions
  readonly #slots = new Map<number, Slot>()

  /** Messages held, and their bytes. */
  messages = 0
  bytes = 0

  constructor(options: ScpStateOptions = defaults) {
    this.#options = options
  }

  /** The slots in ascending order. */
  get slots(): Array<number> {
    return [...this.#slots.keys()].sort((a, b) => a - b)
  }

  /** The nodes a slot has statements of. */
  nodes(slot: number): Array<NodeId> {
    return [...this.#slots.get(slot)?.nodes.keys() ?? []]
  }

  /** The statements of a slot, each node's nomination before its ballot. */
  messagesOf(slot: number): Array<ScpMessage> {
    const messages: Array<ScpMessage> = []
    for (const { ballot, nomination } of this.#slots.get(slot)?.nodes.values() ?? []) {
      if (nomination !== undefined) messages.push(nomination)
      if (ballot !== undefined) messages.push(ballot)
    }
    return messages
  }

  /** The statements of slots from one on, in ascending order, of the first 100 slots. */
  from(slot: number): Array<ScpMessage> {
    return this.slots.filter((known) => known >= slot).slice(0, MAX_SLOTS_PER_ANSWER).flatMap((known) =>
      this.messagesOf(known)
    )
  }

  /** How a message of a node relates to what is held: `new` when it would be kept, `same` when it is. */
  compare(message: ScpMessage, slot: number, id: NodeId): "new" | "same" | "old" {
    const held = this.#held(message, slot, id)
    if (held === undefined) return "new"
    if (equals(held.bytes, message.bytes)) return "same" // first: most are copies, and the order takes decoding
    return isNewerNominationOrBallot(held, message) ? "new" : "old"
  }

  /**
   * Keeps a new message, which may be a view, that a peer sent. False when there is no room for it.
   *
   * When all slots are taken and the new one is above, it has no room, or, with `preferLater`, takes that of the lowest;
   * when it is below, it takes that of the highest, or, with `preferLater`, has no room.
   */
  put(message: ScpMessage, slot: number, id: NodeId, peer: NodeId | undefined, preferLater = false): boolean {
    const { maxBytes, maxNodesPerPeer, maxNodesPerSlot, maxSlots } = this.#options
    const held = this.#held(message, slot, id)
    const growth = message.size - (held?.size ?? 0)
    if (this.bytes + growth > maxBytes) return false
    let state = this.#slots.get(slot)
    if (state === undefined) {
      if (this.#slots.size >= maxSlots && !this.#makeRoom(slot, preferLater)) return false
      state = { nodes: new Map(), introduced: new Map() }
      this.#slots.set(slot, state)
    }
    let statements = state.nodes.get(id)
    if (statements === undefined) {
      const introduced = peer === undefined ? 0 : state.introduced.get(peer) ?? 0
      if (state.nodes.size >= maxNodesPerSlot || introduced >= maxNodesPerPeer) return false
      if (peer !== undefined) state.introduced.set(peer, introduced + 1)
      statements = { nomination: undefined, ballot: undefined }
      state.nodes.set(id, statements)
    }
    const kept = message.retain()
    if (message.statementCode === NOMINATE) statements.nomination = kept
    else statements.ballot = kept
    if (held === undefined) this.messages++
    this.bytes += growth
    return true
  }

  /** Forgets slots outside [min, max], except one. */
  purge(min: number, max: number, keep: number): void {
    for (const slot of this.#slots.keys()) if ((slot < min || slot > max) && slot !== keep) this.#remove(slot)
  }

  #held(message: ScpMessage, slot: number, id: NodeId): ScpMessage | undefined {
    const statements = this.#slots.get(slot)?.nodes.get(id)
    return message.statementCode === NOMINATE ? statements?.nomination : statements?.ballot
  }

  #makeRoom(slot: number, preferLater: boolean): boolean {
    const known = this.slots
    const victim = preferLater ? known[0]! : known.at(-1)!
    if (preferLater ? slot < victim : slot > victim) return false
    this.#remove(victim)
    return true
  }

  #remove(slot: number): void {
    for (const message of this.messagesOf(slot)) {
      this.messages--
      this.bytes -= message.size
    }
    this.#slots.delete(slot)
  }
}
