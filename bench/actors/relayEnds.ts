/** A process of everybody around a relay, as straight-line links: one that sends, and those that are told. */
import { dial, type Link, makeNode } from "../ceiling.ts"
import { millisNow } from "../harness.ts"
import { bodiesOf } from "../workloads.ts"

const ERROR_MSG = 0
const SCP_MESSAGE = 11
/** In the body of a frame: where the text of an ERROR_MSG begins, after sequence number, type, code and length. */
const ERROR_TEXT = 24
const MAC = 32
/** Where the key of an SCP message's validator begins: after the message type and the type of the key. */
const VALIDATOR = 8

let source: Link | undefined
/** Sends what the source sent before. */
let echo: Link | undefined
let made = 0
let repeating: ReadonlyArray<Uint8Array> = []
/** Messages that have not come, and how few of them are waited for. */
let wanted = 0
let fewEnough = 0
let onFew: () => void = () => undefined
let onEnd: (why: Error) => void = () => undefined

/** What the relay said at the end of a link. */
let said = "nothing"

const hear = (body: Uint8Array, type: number): void => {
  if (type === ERROR_MSG) said = Buffer.from(body.subarray(ERROR_TEXT, -MAC)).toString()
}

const count = (body: Uint8Array, type: number): void => {
  hear(body, type)
  if (type === SCP_MESSAGE && --wanted === fewEnough) onFew()
}

/** What is relayed: EXTERNALIZE statements whose value is as long as it takes. */
export type Size = "400 B" | "1 KB"

/** Where the length of the value is: after two types, a key, the slot, the kind of statement and the ballot's counter. */
const VALUE_LENGTH = 56

const grown = (body: Uint8Array, by: number): Uint8Array => {
  const bytes = new Uint8Array(body.length + by)
  bytes.set(body.subarray(0, VALUE_LENGTH + 4))
  bytes.set(body.subarray(VALUE_LENGTH + 4), VALUE_LENGTH + 4 + by)
  const view = new DataView(bytes.buffer)
  view.setUint32(VALUE_LENGTH, new DataView(body.buffer, body.byteOffset).getUint32(VALUE_LENGTH) + by)
  return bytes
}

const bodies: Readonly<Record<Size, ReadonlyArray<Uint8Array>>> = {
  "400 B": bodiesOf("400 B"),
  "1 KB": bodiesOf("400 B").map((body) => grown(body, 1024 - body.length & ~3))
}

/** Messages that nobody has seen before: each of another validator. */
const fresh = (size: Size, count: number): Array<Uint8Array> => {
  const templates = bodies[size]
  return Array.from({ length: count }, (_, i) => {
    const body = templates[i % templates.length]!.slice()
    new DataView(body.buffer).setUint32(VALIDATOR, made++)
    return body
  })
}

/**
 * Messages that are sent before those ahead of them have come. A node takes SCP messages as fast as it can and sheds none:
 * it ends a peer that has more than 4 MiB of them to take, as one of eight that share a processor may.
 */
const WINDOW = 1000

const untilWanted = (few: number): Promise<void> =>
  new Promise((resolve) => {
    if (wanted <= few) return resolve()
    fewEnough = few
    onFew = resolve
  })

/** Sends over one link, and waits until so many messages have come out at the others. */
const sendAll = async (from: Link, bodies: ReadonlyArray<Uint8Array>, copies: number): Promise<void> => {
  const ended = new Promise<never>((_, reject) => {
    onEnd = reject
  })
  wanted = copies
  const each = Math.floor(copies / bodies.length)
  for (let sent = 0; sent < bodies.length; sent += WINDOW) {
    const some = bodies.slice(sent, sent + WINDOW)
    await Promise.race([from.send(some, some.length), ended])
    await Promise.race([untilWanted(copies - each * sent), ended])
  }
  await Promise.race([untilWanted(0), ended])
}

/** A relay that ends a link has failed, and what is waited for does not come. */
const join = async (port: number): Promise<Link> => {
  const link = await dial(port, makeNode({ cacheKeys: true }), { credit: true })
  link.onMessage = hear
  link.socket.once("close", () => onEnd(new Error(`the relay ended a link (${said}), ${wanted} messages had not come`)))
  return link
}

export const actor = {
  /** Connects a sender, and so many others, each a node of its own. */
  dial: async (port: number, links: number): Promise<void> => {
    source = await join(port)
    for (let i = 0; i < links; i++) {
      const link = await join(port)
      link.onMessage = count
    }
  },

  /** Connects one more node, for `repeat`. It is told what the source sends, like the others. */
  dialEcho: async (port: number): Promise<void> => {
    echo = await join(port)
  },

  /** Sends so many new messages from the source, and waits until all others have them. */
  prepare: async (size: Size, messages: number, links: number): Promise<void> => {
    repeating = fresh(size, messages)
    await sendAll(source!, repeating, messages * links)
  },

  /**
   * Sends the same ones again from somebody else, and a new one at the end; done when that has come through. It is all
   * that the relay passes on in that time.
   */
  repeat: (size: Size, links: number): Promise<void> => sendAll(echo!, [...repeating, ...fresh(size, 1)], links),

  /** Sends so many messages and waits until all others have each of them; gives the milliseconds. */
  run: async (size: Size, messages: number, links: number): Promise<number> => {
    const bodies = fresh(size, messages)
    const start = millisNow()
    await sendAll(source!, bodies, messages * links)
    return millisNow() - start
  }
}
