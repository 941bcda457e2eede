/** A process of straight-line links. */
import { dial, type Link, type LinkOptions, listen, makeNode } from "../ceiling.ts"
import { cpuMicros, millisNow } from "../harness.ts"
import { bodiesOf, oneScpMessage, type Workload } from "../workloads.ts"
import { type EndReport, loop, Meter } from "./meter.ts"
import { type RoundTrips, timeRoundTrips } from "./raw.ts"

const SCP_MESSAGE = 11

const node = makeNode({ cacheKeys: true })
const links: Array<Link> = []
const meter = new Meter()

const track = (link: Link): void => {
  links.push(link)
  let counted = 0
  link.onReceived = () => {
    meter.add(link.received - counted)
    counted = link.received
  }
}

export const actor = {
  ...loop,

  listen: async (options: LinkOptions): Promise<number> => (await listen(node, options, track)).port,

  dial: async (port: number, count: number, options: LinkOptions): Promise<void> => {
    for (let i = 0; i < count; i++) track(await dial(port, node, options))
  },

  /** Answers every SCP message with itself. */
  echo: (): void => {
    for (const link of links) {
      link.onMessage = (body, type) => {
        if (type === SCP_MESSAGE) link.write(body.subarray(12, body.length - 32))
      }
    }
  },

  /** Sends one message after the other to an echo. */
  roundTrips: (count: number): Promise<RoundTrips> => {
    const link = links[0]!
    const body = oneScpMessage()
    return timeRoundTrips(count, () => link.write(body), (answered) => {
      link.onMessage = answered
    })
  },

  arm: (count: number): void => meter.arm(count),
  complete: (): Promise<EndReport> => meter.complete(),

  /** Sends on every link. */
  send: async (workload: Workload, count: number): Promise<EndReport> => {
    const bodies = bodiesOf(workload)
    const cpu = cpuMicros()
    const atMillis = millisNow()
    await Promise.all(links.map((link) => link.send(bodies, count)))
    return { atMillis, cpuMicros: cpuMicros() - cpu }
  },

  /** Sends `rounds` times `burst` messages to every link, waiting for the sockets in between. */
  fanOut: async (workload: Workload, rounds: number, burst: number): Promise<EndReport> => {
    const bodies = bodiesOf(workload)
    const cpu = cpuMicros()
    const atMillis = millisNow()
    for (let round = 0; round < rounds; round++) {
      const from = (round * burst) % bodies.length
      const some = Array.from({ length: burst }, (_, i) => bodies[(from + i) % bodies.length]!)
      await Promise.all(links.map((link) => link.send(some, burst)))
    }
    return { atMillis, cpuMicros: cpuMicros() - cpu }
  }
}
