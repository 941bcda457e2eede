/** Two relays in one process, one with metrics and one without, so that nothing else is different between them. */
import { Overlay } from "@stellar-overlay/overlay/Overlay"
import { OverlayMetrics } from "@stellar-overlay/overlay/OverlayMetrics"
import * as OverlayMetricsPrometheus from "@stellar-overlay/overlay/OverlayMetricsPrometheus"
import { Effect, Layer, ManagedRuntime } from "effect"
import { cpuMicros, millisNow } from "../harness.ts"
import { layer } from "./relayOurs.ts"

const runtimes = {
  metered: ManagedRuntime.make(layer()),
  plain: ManagedRuntime.make(layer(Layer.empty))
}
let cpu = 0

export type Name = keyof typeof runtimes

export const actor = {
  listen: (name: Name): Promise<number> =>
    runtimes[name].runPromise(Effect.map(Overlay, ({ address }) => address!.port)),

  mark: (): void => {
    cpu = cpuMicros()
  },
  /** Processor time since `mark`. */
  used: (): number => cpuMicros() - cpu,

  /** What a scrape takes, in microseconds, and how many characters it gives. */
  scrape: (): Promise<readonly [micros: number, length: number]> =>
    runtimes.metered.runPromise(Effect.map(OverlayMetrics, (metrics) => {
      const start = millisNow()
      const text = OverlayMetricsPrometheus.render(metrics.snapshot())
      return [(millisNow() - start) * 1000, text.length] as const
    }))
}
