/**
 * What is shown of the traffic: everything, or under a flood a sample, one message of each type every so often.
 *
 * Entries are pushed from anywhere and printed by whoever flushes next, in the order in which they came. Flushing waits
 * for a slow reader, and whoever handles messages flushes, so that a slow reader slows the nodes and fills no memory.
 */
import type { MessageTag } from "@stellar-overlay/overlay/wire/MessageType"
import { type NodeId, short } from "@stellar-overlay/overlay/wire/NodeId"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { bold, dim, type Line } from "../render/Line.ts"
import { describe, type Hashing, toJson } from "../render/message.ts"
import type { Screen } from "../render/Screen.ts"
import { timeOfDay } from "../render/units.ts"

/** Under a flood, one message of each type is shown in this time. */
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
  readonly #shownAt = new Map<MessageTag, number>()
  /** How many of each type there were, by class name. */
  readonly seen = new Map<MessageTag, number>()
  /** Messages that were not shown. */
  skipped = 0
  #closed = false

  constructor(options: Options) {
    this.#options = options
  }

  /** A message that arrived. */
  message(from: NodeId | undefined, to: NodeId, message: StellarMessage): void {
    if (this.#closed) return
    this.seen.set(message._tag, (this.seen.get(message._tag) ?? 0) + 1)
    const { clock, hashing, json } = this.#options
    const now = clock.currentTimeMillisUnsafe()
    if (!this.#wants(message._tag, now)) {
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

  #wants(tag: MessageTag, now: number): boolean {
    if (this.#lines.length + this.#objects.length >= MAX_WAITING) return false
    if (!this.#options.sample) return true
    const last = this.#shownAt.get(tag)
    if (last !== undefined && now - last < SAMPLE_MILLIS) return false
    this.#shownAt.set(tag, now)
    return true
  }
}
