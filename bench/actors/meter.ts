/** What every end of a link measures about itself. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { cpuMicros, millisNow } from "../harness.ts"

/** One end's view of a run. */
export interface EndReport {
  /** When it began (sender) or was complete (receiver), on the machine's monotonic clock. */
  readonly atMillis: number
  /** Processor time the process used meanwhile. */
  readonly cpuMicros: number
}

/** Counts messages up to a number. */
export class Meter {
  /** Messages since the start. */
  received = 0
  private target = Number.POSITIVE_INFINITY
  private cpu = 0
  private resolve: (report: EndReport) => void = () => undefined
  private report: Promise<EndReport> | undefined

  /** From now on `count` more messages are wanted. */
  arm(count: number): void {
    this.target = this.received + count
    this.cpu = cpuMicros()
    this.report = new Promise((resolve) => {
      this.resolve = resolve
    })
  }

  add(count: number): void {
    this.received += count
    if (this.received < this.target) return
    this.target = Number.POSITIVE_INFINITY
    this.resolve({ atMillis: millisNow(), cpuMicros: cpuMicros() - this.cpu })
  }

  /** Waits for the wanted messages. */
  complete(): Promise<EndReport> {
    if (this.report === undefined) throw new Error("nothing is wanted")
    return this.report
  }
}

let loopDelay: ReturnType<typeof monitorEventLoopDelay> | undefined

/** The delay of the process's event loop. */
export const loop = {
  /** Starts or restarts the measurement. */
  watchLoop: (): void => {
    loopDelay ??= monitorEventLoopDelay({ resolution: 1 })
    loopDelay.reset()
    loopDelay.enable()
  },

  /** The 99th percentile since then, in milliseconds. */
  loopDelayP99: (): number => {
    loopDelay?.disable()
    return (loopDelay?.percentile(99) ?? Number.NaN) / 1e6
  }
}
