/**
 * What a node does in its next turn: work that is put off, and the writes of all its connections.
 *
 * A message that is relayed to sixty peers leaves in one turn of the scheduler, and not in sixty, each with a fiber.
 */
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"

/** Who has something to write. */
export interface Writer {
  /** Never throws. */
  write(): void
}

export class Turns {
  readonly #dispatcher: Scheduler.SchedulerDispatcher
  #writers: Array<Writer> = []

  constructor(dispatcher: Scheduler.SchedulerDispatcher) {
    this.#dispatcher = dispatcher
  }

  /** Runs a task in a turn of its own. */
  schedule(task: () => void): void {
    this.#dispatcher.scheduleTask(task, 0)
  }

  /** Has somebody write when this turn, and whatever is queued in it, is over. To be asked for once until it writes. */
  write(writer: Writer): void {
    if (this.#writers.push(writer) === 1) this.schedule(this.#writeAll)
  }

  readonly #writeAll = (): void => {
    const writers = this.#writers
    this.#writers = []
    for (const writer of writers) writer.write()
  }
}

/** The turns of the current fiber's scheduler. */
export const make: Effect.Effect<Turns> = Effect.map(
  Scheduler.Scheduler,
  (scheduler) => new Turns(scheduler.makeDispatcher())
)
