/** A process of everybody around a relay, as straight-line links: one that sends, and those that are told. */
import { dial, type Link, makeNode } from "../ceiling.ts"
import { millisNow } from "../harness.ts"
import { bodiesOf, type Workload } from "../workloads.ts"

const SCP_MESSAGE = 11
/** Where the key of an SCP message's validator begins: after the message type and the type of the key. */
const VALIDATOR = 8

let source: Link | undefined
let made = 0
let wanted = 0
let onAll: () => void = () => undefined

const count = (_: Uint8Array, type: number): void => {
  if (type === SCP_MESSAGE && --wanted === 0) onAll()
}

/** Messages that nobody has seen before: each of another validator. */
const fresh = (workload: Workload, count: number): Array<Uint8Array> => {
  const bodies = bodiesOf(workload)
  return Array.from({ length: count }, (_, i) => {
    const body = bodies[i % bodies.length]!.slice()
    new DataView(body.buffer).setUint32(VALIDATOR, made++)
    return body
  })
}

export const actor = {
  /** Connects a sender, and so many others, each a node of its own. */
  dial: async (port: number, links: number): Promise<void> => {
    source = await dial(port, makeNode({ cacheKeys: true }), { credit: true })
    for (let i = 0; i < links; i++) {
      const link = await dial(port, makeNode({ cacheKeys: true }), { credit: true })
      link.onMessage = count
    }
  },

  /** Sends so many messages and waits until all others have each of them; gives the milliseconds. */
  run: async (workload: Workload, messages: number, links: number): Promise<number> => {
    const bodies = fresh(workload, messages)
    const all = new Promise<void>((resolve) => {
      wanted = messages * links
      onAll = resolve
    })
    const start = millisNow()
    await source!.send(bodies, messages)
    await all
    return millisNow() - start
  }
}
