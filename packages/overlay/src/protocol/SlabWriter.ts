/**
 * The messages of one write as one slab of bytes: frames, sequence numbers and MACs.
 *
 * @since 0.1.0
 */
import * as AuthenticatedMessage from "../wire/AuthenticatedMessage.ts"
import type { Hmac } from "./Hmac.ts"
import type { OutboundBatch } from "./OutboundBatch.ts"

/** Slabs of up to a quarter of this are cut from one block: an `ArrayBuffer` for each costs more than its MACs do. */
const BLOCK = 16_384

/** What is left of the block that slabs are cut from, of all connections: a byte is given out once. */
let block = new Uint8Array(0)
let used = 0

const makeSlab = (length: number): Uint8Array => {
  if (length > BLOCK / 4) return new Uint8Array(length)
  if (used + length > block.length) {
    block = new Uint8Array(BLOCK)
    used = 0
  }
  const slab = block.subarray(used, used + length)
  used += length
  return slab
}

/** Where what is signed begins and ends. Of all connections: signing waits for nothing and calls nobody. */
const spans: Array<number> = []

/**
 * The encoder of one connection.
 *
 * @category models
 * @since 0.1.0
 */
export class SlabWriter {
  /** Messages of the last slab: all that were asked for, unless the sequence numbers ran out. */
  signed = 0

  /** Encodes the first `count` messages of a batch, as far as there are sequence numbers. */
  write(batch: OutboundBatch, count: number, hmac: Hmac): Uint8Array {
    const slab = makeSlab(batch.bytes)
    let at = 0
    for (let i = 0; i < count; i++) {
      const { bytes } = batch.messages[i]!
      spans[2 * i] = at + AuthenticatedMessage.FRAME_MAC_INPUT_OFFSET
      at = AuthenticatedMessage.writeFrame(slab, at, bytes, 0, 0)
      spans[2 * i + 1] = at - AuthenticatedMessage.MAC_LENGTH
    }
    this.signed = hmac.sign(slab, spans, count)
    return this.signed < count
      ? slab.subarray(0, spans[2 * this.signed]! - AuthenticatedMessage.FRAME_MAC_INPUT_OFFSET)
      : slab
  }
}
