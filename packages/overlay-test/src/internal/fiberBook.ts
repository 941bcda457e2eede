import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** Fibers that are kept before the ended ones among them are forgotten. */
const SWEEP_AT = 4096

const hasEnded = (fiber: AnyFiber): boolean => fiber.pollUnsafe() !== undefined

/**
 * The fibers of a world that have not ended. A fiber enters when another goes on, having been asked about by the scheduler
 * with its first operation; most have ended by then, and never enter.
 */
export class FiberBook {
  private readonly fibers = new Set<AnyFiber>()
  private sweepAt = SWEEP_AT
  private last: AnyFiber | undefined
  /** The number of the first fiber, and a byte for it and each later one: whether it has entered. */
  private firstId = -1
  private entered = new Uint8Array(SWEEP_AT)

  /**
   * Called for every operation, so it must cost next to nothing. Fibers are numbered as they are made, and a byte in a
   * dense array is found sooner than a member of a set of thousands (2 % of a large network's time).
   */
  note(fiber: AnyFiber): void {
    const { last } = this
    if (fiber === last) return
    this.last = fiber
    if (last === undefined) this.firstId = fiber.id
    else if (!hasEnded(last)) this.enter(last)
  }

  private enter(fiber: AnyFiber): void {
    const index = fiber.id - this.firstId
    if (this.entered[index] === 1) return
    if (index >= this.entered.length) this.grow(index)
    this.entered[index] = 1
    this.fibers.add(fiber)
    if (this.fibers.size >= this.sweepAt) this.sweep()
  }

  private grow(index: number): void {
    const entered = new Uint8Array(2 * index)
    entered.set(this.entered)
    this.entered = entered
  }

  private sweep(): void {
    for (const fiber of this.fibers) if (hasEnded(fiber)) this.fibers.delete(fiber)
    this.sweepAt = 2 * this.fibers.size + SWEEP_AT
  }

  /** Those that have not ended, in the order in which they began; without the one given. */
  alive(except?: AnyFiber): Array<AnyFiber> {
    const { last } = this
    if (last !== undefined && !hasEnded(last)) this.enter(last)
    this.sweep()
    return [...this.fibers].filter((fiber) => fiber !== except)
  }

  clear(): void {
    this.fibers.clear()
    this.entered.fill(0)
    this.last = undefined
  }
}

/** The named functions (`Effect.fn`) and the span that a fiber is in, innermost first. */
const placeOf = (fiber: AnyFiber): string => {
  const names: Array<string> = []
  for (let frame = fiber.cache.stackFrame; frame !== undefined && names.length < 4; frame = frame.parent) {
    // A function made by Effect.fn is there twice, as called and as defined.
    if (!frame.name.endsWith(" (definition)")) names.push(frame.name)
  }
  const { span } = fiber.cache
  if (span?._tag === "Span" && !names.includes(span.name)) names.push(span.name)
  return names.length === 0 ? "an unnamed place" : names.join(" in ")
}

/** The node whose code it is (`World.asNode`), empty when it is nobody's. */
const nodeOf = (fiber: AnyFiber): string => {
  const node = fiber.getRef(References.CurrentLogAnnotations)["node"]
  return typeof node === "string" ? node : ""
}

/**
 * Fibers that wait at the same place.
 */
export interface Waiting {
  /** The node (`World.asNode`) they belong to; empty when none. */
  readonly node: string
  /** The names of the functions (`Effect.fn`) and spans they are in, innermost first. */
  readonly place: string
  readonly count: number
}

/** Groups fibers by node and place, the most numerous first. */
export const waiting = (fibers: ReadonlyArray<AnyFiber>): Array<Waiting> => {
  const groups = new Map<string, { node: string; place: string; count: number }>()
  for (const fiber of fibers) {
    const node = nodeOf(fiber)
    const place = placeOf(fiber)
    const group = groups.get(`${node}\n${place}`)
    if (group === undefined) groups.set(`${node}\n${place}`, { node, place, count: 1 })
    else group.count++
  }
  return [...groups.values()].sort((a, b) => b.count - a.count)
}
