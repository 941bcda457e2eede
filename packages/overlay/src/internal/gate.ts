import * as Effect from "effect/Effect"

/**
 * A latch that costs little while nobody waits: a connection needs nine of them, of which most are never waited for,
 * and Effect's own takes 0.8 KiB each.
 *
 * Opening resumes everybody who waits at once, inside the call.
 */
export class Gate {
  isOpen: boolean
  private waiters: Array<(effect: Effect.Effect<void>) => void> | undefined
  private waiting: Effect.Effect<void> | undefined

  constructor(isOpen: boolean) {
    this.isOpen = isOpen
  }

  open(): void {
    this.isOpen = true
    const { waiters } = this
    if (waiters === undefined) return
    // Taken out first: who resumes may close the gate and wait again.
    this.waiters = undefined
    for (const resume of waiters) resume(Effect.void)
  }

  close(): void {
    this.isOpen = false
  }

  /** Waits until the gate is open. */
  get await(): Effect.Effect<void> {
    return this.waiting ??= Effect.callback<void>((resume) => {
      if (this.isOpen) return resume(Effect.void)
      const waiters = this.waiters ??= []
      waiters.push(resume)
      return Effect.sync(() => {
        const index = waiters.indexOf(resume)
        if (index >= 0) waiters.splice(index, 1)
      })
    })
  }
}
