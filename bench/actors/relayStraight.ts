/** A relay in a straight line: every SCP message from the first link goes to all others. */
import { type Link, listen, makeNode } from "../ceiling.ts"
import { cpuMicros } from "../harness.ts"

const SCP_MESSAGE = 11

/** Sends what it is given, in the order it is given, as credit allows. */
class Outlet {
  readonly link: Link
  private waiting: Array<Uint8Array> = []
  private sending = false

  constructor(link: Link) {
    this.link = link
  }

  push(bodies: ReadonlyArray<Uint8Array>): void {
    this.waiting.push(...bodies)
    if (!this.sending) void this.drain()
  }

  private async drain(): Promise<void> {
    this.sending = true
    while (this.waiting.length > 0) {
      const bodies = this.waiting
      this.waiting = []
      await this.link.send(bodies, bodies.length)
    }
    this.sending = false
  }
}

const links: Array<Link> = []
const outlets: Array<Outlet> = []
let batch: Array<Uint8Array> = []
let cpu = 0

const track = (link: Link): void => {
  links.push(link)
  if (links.length > 1) {
    outlets.push(new Outlet(link))
    return
  }
  // What is kept must not pin what was read.
  link.onMessage = (body, type) => {
    if (type === SCP_MESSAGE) batch.push(body.slice(12, body.length - 32))
  }
  link.onReceived = () => {
    const bodies = batch
    batch = []
    for (const outlet of outlets) outlet.push(bodies)
  }
}

export const actor = {
  listen: async (): Promise<number> => (await listen(makeNode({ cacheKeys: true }), { credit: true }, track)).port,
  mark: (): void => {
    cpu = cpuMicros()
  },
  used: (): number => cpuMicros() - cpu
}
