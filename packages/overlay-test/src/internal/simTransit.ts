import { MAX_BODY } from "@stellar-overlay/overlay/wire/Frame"
import type { Of, Strikes } from "../SimFault.ts"
import type { ActiveFault } from "./simFaults.ts"

/** The kinds that change the bytes of a lane: those on frames, those that end it in a frame, those on chunks. */
export type StrikeKind = FrameKind | ChunkKind
export type ChunkKind = "ByteCorruption" | "ByteLoss" | "ByteInsertion"
export type FrameKind =
  | "FrameDamage"
  | "MacDamage"
  | "SequenceDamage"
  | "MarkDamage"
  | "FrameDuplicate"
  | "FrameReorder"
  | "FrameDrop"
  | "FrameTruncate"
  | "ResetMidFrame"
  | "FinMidFrame"

export type StrikeFault = ActiveFault<Of<StrikeKind>>

export interface Draws {
  nextBelowUnsafe(bound: number): number
  nextDoubleUnsafe(): number
}

const MARK = 4
/** Where the message of a frame begins: after mark, union discriminant and sequence number. */
const SEQUENCE = MARK + 4
const MESSAGE = SEQUENCE + 8
const MAC = 32

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const flipped = (bytes: Uint8Array, at: number, bit: number): Uint8Array => {
  const copy = bytes.slice()
  copy[at] = copy[at]! ^ (1 << bit)
  return copy
}

/**
 * Frames on their way in one direction: follows the record marks, and changes frames while a fault is about them.
 *
 * Without such a fault bytes pass as they come and only the marks are looked at. With one, a frame is held until it is
 * whole. A stream that has no marks (a mark of no length, or beyond the greatest) is passed on untouched from there.
 */
export class FrameTransit {
  /** Whole frames seen since the first byte. */
  frames = 0
  /** The direction ends here, in a frame: what comes after is lost. */
  cut: "Reset" | "Fin" | undefined = undefined
  private readonly draws: Draws
  /** Bytes of the present mark that were seen, as a number, and how many. */
  private mark = 0
  private markLength = 0
  /** Bytes of the present body that are to come. */
  private left = 0
  private isFramed = true
  /** The beginning of a frame that is held until it is whole. */
  private held: Array<Uint8Array> = []
  /** A whole frame that the next one overtakes. */
  private overtaken: { readonly frame: Uint8Array; readonly by: StrikeFault } | undefined

  constructor(draws: Draws) {
    this.draws = draws
  }

  /** Whether nothing is held back. */
  get isIdle(): boolean {
    return this.held.length === 0 && this.overtaken === undefined
  }

  /** What goes on of what was held, when no more comes. */
  flush(): Array<Uint8Array> {
    const out = this.held
    this.held = []
    if (this.overtaken !== undefined) out.unshift(this.overtaken.frame)
    this.overtaken = undefined
    return out
  }

  /** Takes a chunk and gives what goes on: the chunk itself where no fault is about it. */
  push(chunk: Uint8Array, faults: ReadonlyArray<StrikeFault>, where: string): Array<Uint8Array> {
    if (this.cut !== undefined) return []
    const framesBefore = this.frames
    const onFrames = faults.some(({ fault }) => !isChunkKind(fault._tag))
    let pieces = [chunk]
    if (this.isFramed && (onFrames || !this.isIdle)) pieces = this.cutFrames(chunk, faults, where)
    else this.pass(chunk)
    if (!faults.some(({ fault }) => isChunkKind(fault._tag))) return pieces
    return pieces.map((piece) => this.strikeChunk(piece, framesBefore, faults, where)).filter(({ length }) =>
      length > 0
    )
  }

  /** Follows the marks of a chunk that goes on as it is. */
  pass(chunk: Uint8Array): void {
    let at = 0
    while (this.isFramed && at < chunk.length) at = this.advance(chunk, at)
  }

  /** Goes on by the rest of the mark or of the body, or to the end of the chunk. */
  private advance(chunk: Uint8Array, at: number): number {
    if (this.left > 0) {
      const used = Math.min(this.left, chunk.length - at)
      this.left -= used
      if (this.left === 0) this.frames++
      return at + used
    }
    this.mark = ((this.mark << 8) | chunk[at]!) >>> 0
    if (++this.markLength === MARK) {
      this.left = this.mark & 0x7fffffff
      this.markLength = 0
      this.mark = 0
      if (this.left === 0 || this.left > MAX_BODY) this.isFramed = false
    }
    return at + 1
  }

  private cutFrames(chunk: Uint8Array, faults: ReadonlyArray<StrikeFault>, where: string): Array<Uint8Array> {
    const out: Array<Uint8Array> = []
    let at = 0
    while (at < chunk.length && this.cut === undefined) {
      const from = at
      const begins = this.left === 0 && this.markLength === 0
      const holds = begins || this.held.length > 0
      const frames = this.frames
      while (this.isFramed && at < chunk.length && this.frames === frames) at = this.advance(chunk, at)
      if (!this.isFramed) {
        out.push(...this.flush(), chunk.subarray(from))
        return out
      }
      const part = chunk.subarray(from, at)
      if (!holds) out.push(part) // it began before the fault did
      else if (this.frames === frames) this.held.push(part)
      else {
        const frame = concat([...this.held, part])
        this.held = []
        this.strikeFrame(frame, frames, faults, where, out)
      }
    }
    return out
  }

  private strikeFrame(
    frame: Uint8Array,
    index: number,
    faults: ReadonlyArray<StrikeFault>,
    where: string,
    out: Array<Uint8Array>
  ): void {
    const overtaken = this.overtaken
    this.overtaken = undefined
    const striking = faults.find(({ fault }) =>
      !isChunkKind(fault._tag) &&
      (fault._tag !== "FrameReorder" || overtaken === undefined) && // what overtakes is not overtaken
      this.strikes(fault, index, faults)
    )
    if (striking === undefined) out.push(frame)
    else if (striking.fault._tag === "FrameReorder") this.overtaken = { frame, by: striking }
    else {
      striking.fire(`${where}, frame ${index}`)
      this.change(striking.fault._tag, frame, out)
    }
    if (overtaken !== undefined) {
      out.push(overtaken.frame)
      overtaken.by.fire(`${where}, frame ${index - 1}`)
    }
  }

  private strikes(strike: Strikes & { readonly _tag: StrikeKind }, index: number, faults: ReadonlyArray<StrikeFault>) {
    const { limit = Infinity, probability = 1, skip = 0 } = strike
    if (index < skip) return false
    const fired = faults.find(({ fault }) => fault === strike)?.fired ?? 0
    return fired < limit && (probability >= 1 || this.draws.nextDoubleUnsafe() < probability)
  }

  private change(kind: StrikeKind, frame: Uint8Array, out: Array<Uint8Array>): void {
    const flip = (from: number, to: number) => {
      // A frame that is too short for the part has its last byte changed.
      const at = to > from && to <= frame.length ? from + this.draws.nextBelowUnsafe(to - from) : frame.length - 1
      out.push(flipped(frame, at, this.draws.nextBelowUnsafe(8)))
    }
    const half = frame.subarray(0, MARK + Math.max(1, (frame.length - MARK) >> 1))
    switch (kind) {
      case "FrameDamage":
        return flip(MESSAGE, frame.length - MAC)
      case "MacDamage":
        return flip(frame.length - MAC, frame.length)
      case "SequenceDamage":
        return flip(SEQUENCE, MESSAGE)
      case "MarkDamage": {
        const copy = frame.slice()
        copy[0] = copy[0]! + 1 // bit 24 of the length: 16 MiB
        out.push(copy)
        return
      }
      case "FrameDuplicate":
        out.push(frame, frame)
        return
      case "FrameTruncate":
        out.push(half)
        return
      case "ResetMidFrame":
      case "FinMidFrame":
        this.cut = kind === "FinMidFrame" ? "Fin" : "Reset"
        out.push(half)
    }
  }

  private strikeChunk(
    chunk: Uint8Array,
    frames: number,
    faults: ReadonlyArray<StrikeFault>,
    where: string
  ): Uint8Array {
    const striking = faults.find(({ fault }) => isChunkKind(fault._tag) && this.strikes(fault, frames, faults))
    if (striking === undefined) return chunk
    striking.fire(where)
    const at = this.draws.nextBelowUnsafe(chunk.length)
    switch (striking.fault._tag) {
      case "ByteLoss":
        return concat([chunk.subarray(0, at), chunk.subarray(at + 1)])
      case "ByteInsertion":
        return concat([chunk.subarray(0, at), Uint8Array.of(this.draws.nextBelowUnsafe(256)), chunk.subarray(at)])
      default:
        return flipped(chunk, at, this.draws.nextBelowUnsafe(8))
    }
  }
}

const isChunkKind = (kind: StrikeKind): kind is ChunkKind =>
  kind === "ByteCorruption" || kind === "ByteLoss" || kind === "ByteInsertion"
