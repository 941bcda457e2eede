/**
 * Two ends of one authenticated connection reduced to their flow control and their queues: what one end writes the other
 * end reads at once and processes when told to. Frames, MACs and sockets are left out.
 */
import { FlowControl, type FlowControlOptions } from "../../src/protocol/FlowControl.ts"
import type { LedgerContext } from "../../src/protocol/LedgerContext.ts"
import { Liveness } from "../../src/protocol/Liveness.ts"
import * as LivenessModule from "../../src/protocol/Liveness.ts"
import {
  defaults,
  OutboundBatch,
  OutboundQueues,
  type OutboundQueuesOptions,
  Priority
} from "../../src/protocol/OutboundQueues.ts"
import { isFlood, SendMoreExtended, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { ledger, upstream } from "./flowFixtures.ts"

export interface EndOptions {
  readonly flow?: Partial<FlowControlOptions>
  readonly queues?: Partial<OutboundQueuesOptions>
  readonly ledger?: Partial<LedgerContext>
}

export class End {
  readonly flow: FlowControl
  readonly queues: OutboundQueues
  readonly liveness: Liveness
  readonly capacity: { readonly messages: number; readonly bytes: number }
  context: LedgerContext
  peer: End | undefined
  /** Corked: batches are taken and never reach the other end, nor are they ever written. */
  corked = false
  /** Received flood messages whose processing has begun and not ended. */
  readonly inProcess: Array<StellarMessage> = []
  /** All flood messages handled to the end. */
  handled = 0
  grantsSent = 0
  grantsReceived = 0
  dropped: string | undefined
  #pings = 0

  constructor(options: EndOptions) {
    this.context = ledger({ maxTxSetSize: 50, ...options.ledger })
    const flowOptions = upstream({ maxTransactionSize: this.context.maxTransactionSize, ...options.flow })
    this.flow = new FlowControl(flowOptions, 0)
    this.capacity = { messages: this.flow.localFloodMessages, bytes: this.flow.localFloodBytes }
    this.queues = new OutboundQueues({ ...defaults, ...options.queues }, this.context)
    this.liveness = new Liveness(LivenessModule.defaults, 0)
    this.liveness.authenticated()
  }

  get txQueueBytes(): number {
    return this.queues.bytesOf(Priority.Transaction)
  }

  grant(numMessages: number, numBytes: number, now: number): void {
    this.grantsSent++
    this.queues.enqueue(SendMoreExtended.make({ numMessages, numBytes }), now)
  }

  /** A settings upgrade of the greatest transaction. */
  upgrade(maxTransactionSize: number, now: number): void {
    const increase = maxTransactionSize - this.context.maxTransactionSize
    this.context = { ...this.context, maxTransactionSize }
    this.queues.updateLedger(this.context)
    if (increase <= 0) return
    const bytes = this.flow.raiseMaxTransactionSize(increase)
    if (bytes > 0) this.grant(0, bytes, now)
  }

  /** Takes what may be sent and, unless corked, brings it to the other end. Gives how many messages went. */
  write(now: number): number {
    const batch = new OutboundBatch()
    const count = this.queues.nextBatch(this.flow, now, batch)
    if (count === 0) return 0
    this.liveness.handedToSocket(batch.enqueuedAt)
    if (this.corked) return 0
    const messages = [...batch.messages]
    this.queues.wrote(batch, now)
    this.liveness.wrote(now)
    for (const message of messages) this.peer!.receive(message, now)
    return count
  }

  receive(message: StellarMessage, now: number): void {
    if (this.dropped !== undefined) return
    this.liveness.read(now)
    const flood = isFlood(message)
    if (!this.flow.begin(message.size, flood)) {
      this.dropped = "FloodCapacityExceeded"
      return
    }
    if (flood) {
      this.inProcess.push(message)
      return
    }
    if (message._tag === "SendMoreExtended") {
      this.dropped = this.flow.receiveGrant(true, message.numMessages, message.numBytes, now)
      this.grantsReceived++
    }
    this.flow.end(message.size, false)
  }

  /** Processes everything received. Gives how many messages that were. */
  process(now: number): number {
    const count = this.inProcess.length
    for (const message of this.inProcess.splice(0)) {
      this.handled++
      this.flow.end(message.size, true)
      if (this.flow.takeGrant()) this.grant(this.flow.grantMessages, this.flow.grantBytes, now)
    }
    return count
  }

  /** What a recurrent timer of 5 s would find between two times. */
  tickUntil(until: number): string | undefined {
    for (let at = this.liveness.nextDeadline; at <= until; at = this.liveness.nextDeadline) {
      const reason = this.liveness.tick(at, this.flow)
      if (reason !== undefined) return this.dropped = reason._tag
      if (this.liveness.pingDue) this.ping(at) // the other end answers at once
    }
    return undefined
  }

  ping(at: number): void {
    const hash = LivenessModule.pingHash(Uint8Array.of(++this.#pings, 2, 3, 4, 5, 6, 7, 8))
    this.liveness.pingSent(hash, at)
    this.liveness.handedToSocket(at)
    this.liveness.wrote(at)
    this.liveness.read(at)
    this.liveness.pong(hash, at)
  }
}

/** Two ends that have exchanged their first grants: full credit both ways. */
export const link = (initiatorOptions: EndOptions, acceptorOptions: EndOptions): [End, End] => {
  const a = new End(initiatorOptions)
  const b = new End(acceptorOptions)
  a.peer = b
  b.peer = a
  for (const end of [a, b]) {
    end.flow.initialGrant()
    end.queues.enqueue(
      SendMoreExtended.make({ numMessages: end.flow.grantMessages, numBytes: end.flow.grantBytes }),
      0
    )
  }
  settle(a, b, 0)
  a.grantsReceived = b.grantsReceived = 0
  return [a, b]
}

/** Writes and processes on both sides until nothing moves. */
export const settle = (a: End, b: End, now: number): void => {
  for (let round = 0; round < 1000; round++) {
    const moved = a.write(now) + b.write(now) + a.process(now) + b.process(now)
    if (moved === 0) return
  }
  throw new Error("the link does not settle")
}
