/** Two sessions back to back, without sockets, fibers or streams: the protocol's own processor time. */
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import { primitives } from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { defaultLedger } from "@stellar-overlay/overlay/Peer"
import { admitAll, type Role } from "@stellar-overlay/overlay/protocol/Handshake"
import type { MacKey } from "@stellar-overlay/overlay/protocol/Primitives"
import { Session } from "@stellar-overlay/overlay/protocol/Session"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { fromBytes } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Layer, ManagedRuntime } from "effect"
import { type Measurement, millisNow, threadMicros } from "../harness.ts"
import { bodiesOf, type Workload } from "../workloads.ts"

const remote = PeerAddress.make("127.0.0.1", 11625)
const now = { millis: 0, unixSeconds: Math.floor(Date.now() / 1000) }

const makeSession = async (role: Role): Promise<Session> => {
  const runtime = ManagedRuntime.make(Layer.fresh(NodeOverlay.layer({ network: "standalone" })))
  const node = await runtime.runPromise(LocalNode)
  return new Session({
    role,
    remote,
    handshake: node.handshake,
    auth: node.auth,
    crypto: node.crypto,
    admission: admitAll,
    nonce: node.crypto.randomBytes(32),
    pingSecret: node.crypto.randomBytes(32),
    ...node.derived.session,
    ledger: defaultLedger(102_400),
    answers: "decline",
    scpStateFrom: 0
  }, now)
}

/** Copies each slab, as a socket would: what is received is never what was sent. */
const copied = (slab: Uint8Array): Uint8Array => new Uint8Array(slab)

const pair = (async () => {
  const sender = await makeSession("initiator")
  const receiver = await makeSession("acceptor")
  sender.connected(now)
  for (let moved = true; moved;) {
    moved = false
    for (const [from, to] of [[sender, receiver], [receiver, sender]] as const) {
      for (let slab = from.nextWrite(now); slab !== undefined; slab = from.nextWrite(now)) {
        from.wrote(now)
        to.receive(copied(slab), now)
        moved = true
      }
    }
  }
  return { sender, receiver }
})()

/** Processor time per message, divided between the two sides by the clock. */
const measurement = (cpuMicros: number, sendMillis: number, receiveMillis: number, count: number): Measurement => {
  const nanos = cpuMicros * 1000 / count
  const share = sendMillis / (sendMillis + receiveMillis)
  return { nanos, sendNanos: nanos * share, receiveNanos: nanos * (1 - share) }
}

/** Frames, sequence numbers, MACs and types of 150 messages at a time: what credit allows in one write. */
const BATCH = 150

const straight = (bodies: ReadonlyArray<Uint8Array>, count: number): Measurement => {
  const key: MacKey = primitives.macKey(primitives.randomBytes(32))
  const spans: Array<number> = []
  const received: Array<Uint8Array> = []
  const cpu = threadMicros()
  let sequence = 0
  let types = 0
  let sendMillis = 0
  let receiveMillis = 0
  for (let done = 0; done < count; done += BATCH) {
    const start = millisNow()
    let bytes = 0
    for (let i = 0; i < BATCH; i++) bytes += bodies[(done + i) % bodies.length]!.length + 48
    const slab = new Uint8Array(bytes)
    let at = 0
    for (let i = 0; i < BATCH; i++) {
      const body = bodies[(done + i) % bodies.length]!
      const length = body.length + 44
      slab[at] = 0x80
      slab[at + 1] = length >>> 16
      slab[at + 2] = length >>> 8
      slab[at + 3] = length
      sequence++
      slab[at + 12] = sequence >>> 24
      slab[at + 13] = sequence >>> 16
      slab[at + 14] = sequence >>> 8
      slab[at + 15] = sequence
      slab.set(body, at + 16)
      spans[2 * i] = at + 8
      at += body.length + 48
      spans[2 * i + 1] = at - 32
    }
    key.sign(slab, spans, BATCH)
    sendMillis += millisNow() - start
    const chunk = copied(slab)
    const middle = millisNow()
    let count = 0
    for (let from = 0; from < chunk.length;) {
      const length = (chunk[from + 1]! << 16) | (chunk[from + 2]! << 8) | chunk[from + 3]!
      received[count++] = chunk.subarray(from + 4, from + 4 + length)
      from += 4 + length
    }
    if (key.verify(received, count) !== count) throw new Error("a MAC is wrong")
    for (let i = 0; i < count; i++) types += received[i]![15]!
    receiveMillis += millisNow() - middle
  }
  if (types === 0) throw new Error("there were no messages")
  return measurement(threadMicros() - cpu, sendMillis, receiveMillis, count)
}

export const actor = {
  straight: (workload: Workload, count: number): Measurement => straight(bodiesOf(workload), count),

  ours: async (workload: Workload, count: number): Promise<Measurement> => {
    const { receiver, sender } = await pair
    const messages = bodiesOf(workload).map(fromBytes)
    const cpu = threadMicros()
    let sendMillis = 0
    let receiveMillis = 0
    let delivered = 0
    for (let done = 0; done < count; done += BATCH) {
      const start = millisNow()
      for (let i = 0; i < BATCH; i++) sender.send(messages[(done + i) % messages.length]!, now)
      const slab = sender.nextWrite(now)
      if (slab === undefined) throw new Error("there was no credit")
      sender.wrote(now)
      sendMillis += millisNow() - start
      const chunk = copied(slab)
      const middle = millisNow()
      receiver.receive(chunk, now)
      while (receiver.hasBacklog) receiver.process(now)
      for (let batch = receiver.takeBatch(); batch !== undefined; batch = receiver.takeBatch()) {
        delivered += batch.messages.length
        receiver.settle(batch, now)
      }
      receiveMillis += millisNow() - middle
      for (let back = receiver.nextWrite(now); back !== undefined; back = receiver.nextWrite(now)) {
        receiver.wrote(now)
        sender.receive(copied(back), now)
      }
    }
    const dropped = sender.dropReason ?? receiver.dropReason
    if (dropped !== undefined || delivered === 0) throw new Error(`the session ended: ${dropped?._tag}`)
    return measurement(threadMicros() - cpu, sendMillis, receiveMillis, count)
  }
}
