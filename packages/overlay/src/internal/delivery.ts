/**
 * Hands what a peer sends to a function, batch by batch, each lane by itself.
 *
 * Nothing waits for messages: the function is called within the turn that received them, and there is a fiber only for
 * as long as an effect that it gave back runs. With a stream for each lane, a connection between whole nodes had three
 * fibers more and 12 KiB of what they would go on with.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Batch, Lane } from "../protocol/Inbox.ts"
import type { Session } from "../protocol/Session.ts"
import type { StellarMessage } from "../wire/StellarMessage.ts"
import { Gate } from "./gate.ts"

/** Handles a batch. While its effect runs the next batch of the lane waits; a defect in it ends the delivery. */
export type BatchHandler = (messages: NonEmptyReadonlyArray<StellarMessage>) => Effect.Effect<void> | undefined

/** What a delivery needs of the connection. */
export interface Source {
  readonly session: Pick<Session, "hasBatch" | "takeBatch"> & { readonly options: Pick<Session["options"], "timers"> }
  settle(batch: Batch, takenAt: number): void
  millis(): number
  fork(effect: Effect.Effect<void>): Fiber.Fiber<void>
}

export class Delivery {
  private readonly source: Source
  private readonly handle: BatchHandler
  private readonly blame: (cause: Cause.Cause<never>) => Effect.Effect<void>
  /** What the lanes are busy with: a call of the handler, or its effect. */
  private readonly busy: { [lane in Lane]: true | Fiber.Fiber<void> | undefined } = {
    urgent: undefined,
    bulk: undefined
  }
  private isOver = false
  private idle: Gate | undefined

  /** `blame` is told what the handler did wrong. */
  constructor(source: Source, handle: BatchHandler, blame: (cause: Cause.Cause<never>) => Effect.Effect<void>) {
    this.source = source
    this.handle = handle
    this.blame = blame
  }

  /** Something may have come. */
  pump(): void {
    this.pumpLane("urgent")
    this.pumpLane("bulk")
  }

  /** Waits until everything that has come was handled. */
  get drained(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.pump()
      if (this.isIdle) return Effect.void
      return (this.idle ??= new Gate(false)).await
    })
  }

  /** Hands over nothing more, and interrupts what is being handled. */
  get stop(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isOver = true
      const fibers = [this.busy.urgent, this.busy.bulk].filter((work) => typeof work === "object")
      return Fiber.interruptAll(fibers)
    })
  }

  private get isIdle(): boolean {
    return this.busy.urgent === undefined && this.busy.bulk === undefined
  }

  private pumpLane(lane: Lane): void {
    const { session } = this.source
    if (this.busy[lane] !== undefined || this.isOver || !session.hasBatch(lane)) return
    // From here on what is sent to the peer meanwhile finds the lane busy.
    this.busy[lane] = true
    for (let batch; !this.isOver && (batch = session.takeBatch(lane)) !== undefined;) {
      const takenAt = this.source.millis()
      session.options.timers?.inboxWait[lane].observeMillis(takenAt - batch.since)
      const work = this.call(batch)
      const exit = work?.pollUnsafe()
      if (work !== undefined && exit === undefined) return this.await(lane, work, batch, takenAt)
      this.finish(batch, takenAt, exit)
    }
    this.busy[lane] = undefined
  }

  /** The lane goes on when the work is done. */
  private await(lane: Lane, work: Fiber.Fiber<void>, batch: Batch, takenAt: number): void {
    this.busy[lane] = work
    work.addObserver((exit) => {
      this.finish(batch, takenAt, exit)
      this.busy[lane] = undefined
      this.pumpLane(lane)
      if (this.isIdle) this.idle?.open()
    })
  }

  private call({ messages }: Batch): Fiber.Fiber<void> | undefined {
    try {
      const effect = this.handle(messages)
      return effect && this.source.fork(effect)
    } catch (defect) {
      return this.source.fork(Effect.die(defect))
    }
  }

  private finish(batch: Batch, takenAt: number, exit: Exit.Exit<void> | undefined): void {
    this.source.settle(batch, takenAt)
    if (exit === undefined || Exit.isSuccess(exit)) return
    this.isOver = true
    if (!Cause.hasInterruptsOnly(exit.cause)) this.source.fork(this.blame(exit.cause))
  }
}
