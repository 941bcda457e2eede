/**
 * What is shown of the traffic: everything, or a sample, one message of each type every so often.
 *
 * Entries are pushed from anywhere and printed by whoever flushes next, in the order in which they came. What a slow
 * reader does not take in time is counted and not shown: the nodes do not wait for it.
 */
import * as AuthenticatedMessage from "@stellar-overlay/overlay/wire/AuthenticatedMessage"
import { isMessageType, type MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { type NodeId, short } from "@stellar-overlay/overlay/wire/NodeId"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { messageOf } from "../net/WireTap.ts"
import { bold, dim, type Line } from "../render/Line.ts"
import { describe, type Hashing, toJson } from "../render/message.ts"
import type { Screen } from "../render/Screen.ts"
import { timeOfDay } from "../render/units.ts"

/** Of a sample, one message of each type is shown in this time. */
export const SAMPLE_MILLIS = 500

/** What waits to be printed at most; more is counted and not shown. */
const MAX_WAITING = 10_000

export interface Options {
  readonly screen: Screen
  readonly clock: Clock.Clock
  readonly hashing: Hashing
  readonly json: boolean
  readonly sample: boolean
}

/** `GABCD`, or what stands for a node that has not said who it is. */
const nameOf = (id: NodeId | undefined): string => id === undefined ? "?????" : short(id)

export class Journal {
  readonly #options: Options
  readonly #lines: Array<Line> = []
  readonly #objects: Array<unknown> = []
  readonly #shownAt = new Map<MessageType, number>()
  /** How many of each type there were. */
  readonly seen = new Map<MessageType, number>()
  /** Messages that were not shown. */
  skipped = 0
  #closed = false

  constructor(options: Options) {
    this.#options = options
  }

  /** The body of a frame that arrived; it is looked into only when it is to be shown. */
  frame(from: NodeId | undefined, to: NodeId, body: Uint8Array): void {
    if (this.#closed || AuthenticatedMessage.validate(body) !== -1) return
    const type = AuthenticatedMessage.messageType(body)
    if (!isMessageType(type)) return
    this.seen.set(type, (this.seen.get(type) ?? 0) + 1)
    const { clock, hashing, json } = this.#options
    const now = clock.currentTimeMillisUnsafe()
    const message = this.#wants(type, now) ? messageOf(body) : undefined
    if (message === undefined) {
      this.skipped++
      return
    }
    if (json) {
      this.#objects.push({ event: "message", time: new Date(now).toISOString(), from, to, ...toJson(message, hashing) })
    } else {
      this.#lines.push([
        dim(timeOfDay(now)),
        " ",
        bold(`${nameOf(from)}→${nameOf(to)}`),
        " ",
        ...describe(message, hashing)
      ])
    }
  }

  /** Anything else: a line, and an object with an `event`. */
  event(line: Line, object: { readonly event: string; readonly [field: string]: unknown }): void {
    if (this.#closed) return
    const now = this.#options.clock.currentTimeMillisUnsafe()
    if (this.#options.json) this.#objects.push({ ...object, time: new Date(now).toISOString() })
    else this.#lines.push([dim(timeOfDay(now)), " ", ...line])
  }

  /** What comes from now on is not shown. */
  close(): void {
    this.#closed = true
  }

  readonly flush: Effect.Effect<void> = Effect.suspend(() => {
    const { json, screen } = this.#options
    return json ? screen.json(this.#objects.splice(0)) : screen.print(this.#lines.splice(0), { cut: true })
  })

  #wants(type: MessageType, now: number): boolean {
    if (this.#lines.length + this.#objects.length >= MAX_WAITING) return false
    if (!this.#options.sample) return true
    const last = this.#shownAt.get(type)
    if (last !== undefined && now - last < SAMPLE_MILLIS) return false
    this.#shownAt.set(type, now)
    return true
  }
}
