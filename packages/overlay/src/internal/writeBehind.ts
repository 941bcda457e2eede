/**
 * The loop that carries changes of an in-memory table to its store, off the path of any message.
 *
 * It sleeps while there is nothing to write, so an idle node has no timer for it. The first change after that starts
 * one interval; all changes of that interval leave in batches. A failing store is retried with growing pauses, forever:
 * memory stays the truth and nothing is forgotten. Closing the scope writes what is left, for a bounded time.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { type StorageAlert, StorageError, type StorageName, type StorageStatus } from "../StorageError.ts"

/** Pause after the first failure; it doubles with each further one. */
export const RETRY_BASE_MILLIS = 1000

/** The longest pause between two attempts at a failing store. */
export const RETRY_MAX_MILLIS = 60_000

/** Alerts kept for a slow subscriber before the oldest goes. */
export const ALERT_CAPACITY = 16

export interface Options {
  readonly name: StorageName
  readonly intervalMillis: number
  /** The longest one load or one batch may take. */
  readonly timeoutMillis: number
  /** Reads the rows of the last run into memory; run before the first write, and again until it succeeds. */
  readonly load: Effect.Effect<void, StorageError>
  /** Writes one batch; true when more is left. A batch that fails must stay pending. */
  readonly writeBatch: Effect.Effect<boolean, StorageError>
  /** Rows that wait. */
  readonly pending: () => number
}

export interface WriteBehind {
  /** Tells that something waits. Synchronous, idempotent. */
  readonly wake: () => void
  /** Writes everything that waits, now. */
  readonly flush: Effect.Effect<void, StorageError>
  readonly status: () => StorageStatus
  /** Begins with the present failure when there is one. */
  readonly alerts: Stream.Stream<StorageAlert>
}

export const make = Effect.fnUntraced(
  function*(options: Options): Effect.fn.Return<WriteBehind, never, Scope.Scope> {
    const clock = yield* Clock.Clock
    const hub = yield* PubSub.sliding<StorageAlert>(ALERT_CAPACITY)
    const one = yield* Semaphore.make(1)
    const waiting = Latch.makeUnsafe(false)
    let failing: StorageError | undefined
    let failingSince = 0
    let consecutive = 0
    let loaded = false
    let failures = 0
    let batches = 0

    const failed = (error: StorageError) =>
      Effect.suspend(() => {
        failures++
        consecutive++
        const known = failing?.reason === error.reason
        if (failing === undefined) failingSince = clock.currentTimeMillisUnsafe()
        failing = error
        if (known) return Effect.void
        return Effect.andThen(
          PubSub.publish(hub, { _tag: "StorageFailed", store: options.name, error, pending: options.pending() }),
          Effect.logWarning(`The database of ${options.name} fails, memory alone holds them until it works`, error)
        )
      })

    const worked = Effect.suspend(() => {
      consecutive = 0
      if (failing === undefined) return Effect.void
      failing = undefined
      const millis = clock.currentTimeMillisUnsafe() - failingSince
      return Effect.andThen(
        PubSub.publish(hub, { _tag: "StorageRecovered", store: options.name, millis }),
        Effect.logInfo(`The database of ${options.name} works again`)
      )
    })

    /** A store is somebody else's code: what it throws is a failure like another, and must not end the loop. */
    const bounded = <A>(operation: string, effect: Effect.Effect<A, StorageError>) =>
      Effect.timeoutOrElse(
        Effect.catchDefect(
          effect,
          (defect) => Effect.fail(new StorageError({ operation, reason: "Failed", detail: String(defect) }))
        ),
        {
          duration: options.timeoutMillis,
          orElse: () =>
            Effect.fail(
              new StorageError({
                operation,
                reason: "TimedOut",
                detail: `no answer within ${options.timeoutMillis} ms`
              })
            )
        }
      )

    const load = Effect.suspend(() =>
      loaded ? Effect.void : Effect.tap(bounded("load", options.load), () =>
        Effect.sync(() => {
          loaded = true
        }))
    )

    const writeAll: Effect.Effect<void, StorageError> = Effect.flatMap(
      bounded("write", options.writeBatch),
      (more) => {
        batches++
        // a yield between batches keeps the event loop free for peers
        return more ? Effect.andThen(Effect.yieldNow, writeAll) : Effect.void
      }
    )

    const flush = Semaphore.withPermit(
      one,
      Effect.suspend(() => (options.pending() === 0 && loaded ? Effect.void : Effect.andThen(load, writeAll))).pipe(
        Effect.tap(() => worked),
        Effect.tapError(failed)
      )
    )

    // the first load happens while the layer is built, so that the first tick already knows the peers of the last run
    yield* Effect.ignore(Semaphore.withPermit(one, Effect.tapError(load, failed)))

    const idle = () => loaded && options.pending() === 0
    const pause = () =>
      consecutive === 0
        ? options.intervalMillis
        : Math.max(
          options.intervalMillis,
          Math.min(RETRY_BASE_MILLIS * 2 ** Math.min(consecutive - 1, 16), RETRY_MAX_MILLIS)
        )
    const loop = Effect.suspend(() => {
      if (idle()) waiting.closeUnsafe()
      else waiting.openUnsafe()
      return waiting.await
    }).pipe(
      Effect.andThen(Effect.suspend(() => Effect.sleep(pause()))),
      Effect.andThen(Effect.ignore(flush)), // the error was published and counted
      Effect.forever
    )
    yield* Effect.addFinalizer(() => Effect.ignore(flush))
    yield* Effect.forkScoped(loop)

    return {
      wake: () => {
        waiting.openUnsafe()
      },
      flush,
      status: () => ({ failing, loaded, pending: options.pending(), failures, batches }),
      alerts: Stream.unwrap(Effect.gen(function*() {
        const subscription = yield* PubSub.subscribe(hub)
        const present: ReadonlyArray<StorageAlert> = failing === undefined
          ? []
          : [{ _tag: "StorageFailed", store: options.name, error: failing, pending: options.pending() }]
        return Stream.concat(Stream.fromIterable(present), Stream.fromSubscription(subscription))
      }))
    }
  }
)
