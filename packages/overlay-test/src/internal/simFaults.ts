import * as Effect from "effect/Effect"
import type { Kind, SimFault } from "../SimFault.ts"
import type { Registered } from "../SimNetwork.ts"

/**
 * A fault that is true, and its count.
 */
export class ActiveFault<out F extends SimFault = SimFault> implements Registered<F> {
  readonly fault: F
  fired = 0
  readonly end: Effect.Effect<void>
  private readonly book: FaultBook

  constructor(book: FaultBook, fault: F, onEnd: Effect.Effect<void>) {
    this.book = book
    this.fault = fault
    this.end = Effect.suspend(() => book.remove(this) ? onEnd : Effect.void)
  }

  /** It took effect. */
  fire(where: string): void {
    this.fired++
    this.book.count(this.fault, where)
  }
}

/**
 * The faults that are true, and how often each kind took effect.
 */
export class FaultBook {
  readonly active = new Set<ActiveFault>()
  readonly fired = new Map<Kind, number>()
  private readonly hooks: {
    readonly started: (fault: SimFault) => void
    readonly ended: (fault: SimFault) => void
    readonly fired: (fault: SimFault, where: string) => void
  }

  constructor(hooks: FaultBook["hooks"]) {
    this.hooks = hooks
  }

  add<F extends SimFault>(fault: F, onEnd: Effect.Effect<void>): ActiveFault<F> {
    const active = new ActiveFault(this, fault, onEnd)
    this.active.add(active)
    this.hooks.started(fault)
    return active
  }

  remove(active: ActiveFault): boolean {
    if (!this.active.delete(active)) return false
    this.hooks.ended(active.fault)
    return true
  }

  count(fault: SimFault, where: string): void {
    this.fired.set(fault._tag, (this.fired.get(fault._tag) ?? 0) + 1)
    this.hooks.fired(fault, where)
  }
}
