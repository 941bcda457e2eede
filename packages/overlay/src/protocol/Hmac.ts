/**
 * Sequence numbers and MACs of one connection: what proves that each message comes from the peer, whole and in order.
 *
 * Each direction has its own key, set once, and its own counter, which starts at 0 with AUTH. HELLO and ERROR_MSG are
 * never MAC'd: they travel with sequence 0 and a zero MAC, and consume no sequence number. Both directions work on
 * batches (the frames of one flush, the bodies of one read) with one call into the cryptography, and give the same
 * result as one message after the other.
 *
 * Sequence numbers are kept as two 32-bit halves, so that counting allocates nothing and is exact up to 2^64. Where
 * stellar-core's counter would wrap around, this one is exhausted: the connection is to be closed and opened anew.
 *
 * Implements protocol.md 1.6 (stellar-core: `Hmac.cpp`, `Peer::recvAuthenticatedMessage`).
 *
 * @since 0.1.0
 */
import { isZero, readUint32, writeUint32 } from "../internal/bytes.ts"
import {
  MAC_LENGTH,
  MESSAGE_OFFSET,
  messageType,
  MIN_BODY_LENGTH,
  SEQUENCE_OFFSET,
  sequenceEquals
} from "../wire/AuthenticatedMessage.ts"
import { MessageType } from "../wire/MessageType.ts"
import type { MacKey, Primitives } from "./Primitives.ts"

/**
 * Why a received message was refused; each is the tag of a `DropReason`. The first three have the texts and the order
 * of stellar-core; `SequenceExhausted` comes only after 2^64 messages.
 *
 * @category models
 * @since 0.1.0
 */
export type HmacFailure = "UnexpectedAuthSequence" | "ReceiveMacKeyZero" | "UnexpectedMac" | "SequenceExhausted"

/**
 * The keys of both directions as `PeerAuth.macKeys` derives them: 32 bytes each.
 *
 * @category models
 * @since 0.1.0
 */
export interface MacKeys {
  readonly send: Uint8Array
  readonly receive: Uint8Array
}

/**
 * Where counting begins; 0 in both directions on a real connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface HmacOptions {
  readonly sendSequence?: bigint
  readonly receiveSequence?: bigint
}

/** Where a message's type is, from the start of a span. */
const typeInSpan = MESSAGE_OFFSET - SEQUENCE_OFFSET

const isExempt = (type: number): boolean => type === MessageType.Hello || type === MessageType.ErrorMsg

/** Scratch of `#checkSequences`: how many bodies carry a MAC, how many do not. */
const plan = { macd: 0, exempt: 0 }

const limb = 0x1_0000_0000

/** A counter from 0 to 2^64: at 2^64, `high` is 2^32 and no number is left. */
class Sequence {
  high: number
  low: number

  constructor(value: bigint) {
    if (value < 0n || value > 1n << 64n) throw new RangeError("a sequence number is between 0 and 2^64")
    this.high = Number(value >> 32n)
    this.low = Number(value & 0xffffffffn)
  }

  get value(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low)
  }

  get exhausted(): boolean {
    return this.high === limb
  }

  /** `count` is below 2^32 and never leads past 2^64. */
  advance(count: number): void {
    this.low += count
    if (this.low >= limb) {
      this.low -= limb
      this.high++
    }
  }
}

/**
 * The MAC state of one connection.
 *
 * @category models
 * @since 0.1.0
 */
export class Hmac {
  readonly #crypto: Primitives
  readonly #sent: Sequence
  readonly #received: Sequence
  #sendKey: MacKey | undefined
  #receiveKey: MacKey | undefined
  #failure: HmacFailure | undefined

  /** Throws a `RangeError` for a sequence outside 0..2^64. */
  constructor(crypto: Primitives, options: HmacOptions = {}) {
    this.#crypto = crypto
    this.#sent = new Sequence(options.sendSequence ?? 0n)
    this.#received = new Sequence(options.receiveSequence ?? 0n)
  }

  /** The number the next sent message gets; 2^64 when there is none left. */
  get sendSequence(): bigint {
    return this.#sent.value
  }

  /** The number the next received message must carry; 2^64 when there is none left. */
  get receiveSequence(): bigint {
    return this.#received.value
  }

  /** Whether both keys are set. */
  get hasKeys(): boolean {
    return this.#sendKey !== undefined && this.#receiveKey !== undefined
  }

  /** Why the last `verify` stopped before its end. */
  get failure(): HmacFailure | undefined {
    return this.#failure
  }

  /**
   * Sets the key for sent messages: 32 bytes, not kept, so the caller may wipe them. Returns false, and changes
   * nothing, when one is set already or when it is all zero, which is no key.
   */
  setSendKey(key: Uint8Array): boolean {
    if (this.#sendKey !== undefined || isZero(key)) return false
    this.#sendKey = this.#crypto.macKey(key)
    return true
  }

  /** Sets the key for received messages; rules as for `setSendKey`. */
  setReceiveKey(key: Uint8Array): boolean {
    if (this.#receiveKey !== undefined || isZero(key)) return false
    this.#receiveKey = this.#crypto.macKey(key)
    return true
  }

  /**
   * Sets both keys, or neither when one of them is refused, and wipes the arrays in any case: nobody else needs them.
   */
  setKeys(keys: MacKeys): boolean {
    const free = this.#sendKey === undefined && this.#receiveKey === undefined
    const done = free && !isZero(keys.send) && !isZero(keys.receive)
      && this.setSendKey(keys.send) && this.setReceiveKey(keys.receive)
    keys.send.fill(0)
    keys.receive.fill(0)
    return done
  }

  /**
   * Finishes frames written to a slab: fills in their sequence numbers and MACs, in order.
   *
   * `spans` holds start0, end0, start1, end1, …: a span begins at the sequence of a body and ends where its MAC begins.
   * HELLO and ERROR_MSG get zeros in both fields. Whoever calls must hand the frames to the network in this order.
   *
   * Returns how many of the first `count` frames are finished; fewer than `count` only when the sequence is exhausted.
   * Throws when a message needs a key and none is set, which is a defect of the caller; nothing is changed then.
   */
  sign(slab: Uint8Array, spans: ArrayLike<number>, count: number): number {
    const exempt = this.#countExempt(slab, spans, count)
    if (exempt < count && this.#sendKey === undefined) throw new Error("a message was sent before keys were agreed")
    const sequence = this.#sent
    const macd: Array<number> | undefined = exempt === 0 ? undefined : []
    let done = 0
    for (; done < count; done++) {
      const start = spans[2 * done]!
      const end = spans[2 * done + 1]!
      if (isExempt(readUint32(slab, start + typeInSpan))) {
        slab.fill(0, start, start + 8)
        slab.fill(0, end, end + MAC_LENGTH)
        continue
      }
      if (sequence.exhausted) break
      writeUint32(slab, start, sequence.high)
      writeUint32(slab, start + 4, sequence.low)
      sequence.advance(1)
      macd?.push(start, end)
    }
    if (macd === undefined) this.#sendKey?.sign(slab, spans, done)
    else if (macd.length > 0) this.#sendKey?.sign(slab, macd, macd.length / 2)
    return done
  }

  /**
   * Checks received bodies in order: sequence, then key, then MAC, each message against the state the one before it
   * left. ERROR_MSG is never MAC'd and passes. Bodies are complete and decodable; HELLO is not exempt here, because
   * verification begins after HELLO.
   *
   * Returns how many of the first `count` bodies, from the front, are good. When that is below `count`, the body at that
   * index is the first bad one and `failure` says why. The counter advances by the good ones that carry a MAC, so a bad
   * message leaves it where it was.
   */
  verify(bodies: ReadonlyArray<Uint8Array>, count: number): number {
    const planned = this.#checkSequences(bodies, count)
    // Below, a body that counts as MAC'd implies a key: without one `#refusal` lets none pass.
    if (planned.exempt === 0) {
      const good = planned.macd === 0 ? 0 : this.#receiveKey!.verify(bodies, planned.macd)
      return this.#finish(good, planned.macd, good)
    }
    const macd: Array<Uint8Array> = []
    const positions: Array<number> = []
    const end = planned.macd + planned.exempt
    for (let i = 0; i < end; i++) {
      const body = bodies[i]!
      if (messageType(body) === MessageType.ErrorMsg) continue
      macd.push(body)
      positions.push(i)
    }
    const good = macd.length === 0 ? 0 : this.#receiveKey!.verify(macd, macd.length)
    return this.#finish(good, macd.length, positions[good] ?? end)
  }

  /** Counters and whether keys are set; never a key. */
  toJSON(): unknown {
    return {
      _id: "Hmac",
      sendSequence: String(this.sendSequence),
      receiveSequence: String(this.receiveSequence),
      hasKeys: this.hasKeys
    }
  }

  toString(): string {
    return JSON.stringify(this)
  }

  #countExempt(slab: Uint8Array, spans: ArrayLike<number>, count: number): number {
    let exempt = 0
    for (let i = 0; i < count; i++) if (isExempt(readUint32(slab, spans[2 * i]! + typeInSpan))) exempt++
    return exempt
  }

  /**
   * Walks the front of the batch for which everything but the MACs is right, and notes in `failure` what stops it
   * there. Right or wrong is decided as if all MACs were good; a bad one found later lies before, and takes over.
   */
  #checkSequences(bodies: ReadonlyArray<Uint8Array>, count: number): typeof plan {
    let { high, low } = this.#received
    plan.macd = 0
    plan.exempt = 0
    this.#failure = undefined
    for (let i = 0; i < count; i++) {
      const body = bodies[i]!
      if (body.length >= MIN_BODY_LENGTH && messageType(body) === MessageType.ErrorMsg) {
        plan.exempt++
        continue
      }
      this.#failure = this.#refusal(body, high, low)
      if (this.#failure !== undefined) break
      plan.macd++
      if (++low === limb) {
        low = 0
        high++
      }
    }
    return plan
  }

  #refusal(body: Uint8Array, high: number, low: number): HmacFailure | undefined {
    if (high === limb) return "SequenceExhausted"
    if (!sequenceEquals(body, high, low)) return "UnexpectedAuthSequence"
    if (this.#receiveKey === undefined) return "ReceiveMacKeyZero"
    return body.length < MIN_BODY_LENGTH ? "UnexpectedMac" : undefined
  }

  #finish(good: number, macd: number, position: number): number {
    this.#received.advance(good)
    if (good < macd) this.#failure = "UnexpectedMac"
    return position
  }
}
