/**
 * Reads the links of a simulated network as they are written: frames become `Message` observations.
 *
 * It parses what a node hands to its transport, so that damage on the way is not its business. Keys tell messages apart
 * and are no protection against somebody who wants a collision.
 *
 * @since 0.1.0
 */
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import { FrameParser, MAX_BODY } from "@stellar-overlay/overlay/wire/Frame"
import { isMessageType, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import type { WireMessage } from "./Observation.ts"

/** Version and sequence number before the message, MAC after it. */
const HEADER = 12
const MAC = 32

const uint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

const uint53 = (bytes: Uint8Array, at: number): number => uint32(bytes, at) * 0x1_0000_0000 + uint32(bytes, at + 4)

/** The first six bytes of a hash as a number. */
const hashKey = (bytes: Uint8Array, at: number): number =>
  uint32(bytes, at) * 0x1_0000 + (bytes[at + 4]! << 8) + bytes[at + 5]!

/** A 53-bit hash of some bytes, as a number. */
const contentKey = (bytes: Uint8Array, start: number, end: number): number => {
  let a = 0x811c9dc5
  let b = 0x9e3779b9
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    a = Math.imul(a ^ byte, 0x01000193)
    b = Math.imul(b ^ byte, 0x85ebca6b) + a | 0
  }
  return (a >>> 0) * 0x20_0000 + ((b ^ (b >>> 15)) >>> 11 & 0x1f_ffff)
}

const NO_HASHES: ReadonlyArray<number> = []

/** Where the slot and the kind of a statement are in an SCP_MESSAGE: type, key type, key, slot, kind. */
const SCP_KEY = 8
const SCP_SLOT = 40
const SCP_KIND = 48

/**
 * Reads all links of one network. `names` gives the node that has an address.
 *
 * @category models
 * @since 0.1.0
 */
export class WireTap {
  readonly #sha256: Primitives["sha256"]
  readonly #emit: (message: WireMessage) => void
  readonly #parsers = new Map<string, FrameParser>()
  readonly #origins = new Map<number, string>()

  constructor(options: {
    readonly sha256: Primitives["sha256"]
    readonly emit: (message: WireMessage) => void
  }) {
    this.#sha256 = options.sha256
    this.#emit = options.emit
  }

  /** Takes what a node wrote to a link. */
  write(at: number, link: number, from: string, to: string, chunk: Uint8Array): void {
    const id = `${link} ${from}`
    let parser = this.#parsers.get(id)
    if (parser === undefined) {
      parser = new FrameParser()
      this.#parsers.set(id, parser)
    }
    parser.push(chunk)
    for (let body; (body = parser.next(MAX_BODY)) instanceof Uint8Array;) {
      const message = this.#read(at, link, from, to, body)
      if (message !== undefined) this.#emit(message)
    }
  }

  /** Forgets a link. */
  close(link: number, ends: ReadonlyArray<string>): void {
    for (const end of ends) this.#parsers.delete(`${link} ${end}`)
  }

  #read(at: number, link: number, from: string, to: string, body: Uint8Array): WireMessage | undefined {
    const end = body.length - MAC
    if (end < HEADER + 4) return undefined
    const type = uint32(body, HEADER)
    if (!isMessageType(type)) return undefined
    const base = HEADER
    let key = 0
    let messages = 0
    let bytes = 0
    let hashes = NO_HASHES
    let scp: WireMessage["scp"] = undefined
    switch (type) {
      case MessageType.ScpMessage:
        key = contentKey(body, base, end)
        scp = {
          origin: this.#origin(body, base + SCP_KEY),
          slot: uint53(body, base + SCP_SLOT),
          kind: uint32(body, base + SCP_KIND)
        }
        break
      case MessageType.Transaction:
        key = hashKey(this.#sha256(body.subarray(base + 4, end)), 0)
        break
      case MessageType.SendMoreExtended:
        messages = uint32(body, base + 4)
        bytes = uint32(body, base + 8)
        break
      case MessageType.FloodAdvert:
      case MessageType.FloodDemand: {
        const count = uint32(body, base + 4)
        const some: Array<number> = []
        for (let i = 0; i < count; i++) some.push(hashKey(body, base + 8 + 32 * i))
        hashes = some
        break
      }
      case MessageType.TimeSlicedSurveyRequest:
      case MessageType.TimeSlicedSurveyResponse:
      case MessageType.TimeSlicedSurveyStartCollecting:
      case MessageType.TimeSlicedSurveyStopCollecting:
        key = contentKey(body, base, end)
        break
      case MessageType.GetTxSet:
      case MessageType.GetScpQuorumSet:
        key = hashKey(body, base + 4)
        break
      case MessageType.DontHave:
        key = hashKey(body, base + 8)
    }
    return { _tag: "Message", at, link, from, to, type, size: end - base, key, messages, bytes, hashes, scp }
  }

  #origin(body: Uint8Array, at: number): string {
    const key = hashKey(body, at)
    let origin = this.#origins.get(key)
    if (origin === undefined) {
      origin = NodeId.fromBytes(body.slice(at, at + 32))
      this.#origins.set(key, origin)
    }
    return origin
  }
}
