/**
 * `poll` and `offer` for a connection that has only `pull` and `write`: a fiber for each wait.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Connection, Pollable, TransportError } from "../Transport.ts"

type Pulled = Effect.Success<Connection["pull"]>
type Fork = (effect: Connection["pull"]) => Fiber.Fiber<Pulled, TransportError>

/** What a `PeerRuntime` needs to move bytes. */
export type Socket = Pick<Pollable, "poll" | "offer">

export class Pulling implements Socket {
  readonly #connection: Connection
  readonly #fork: Fork
  /** What waits, or what it came to until somebody asks. */
  #pull: Fiber.Fiber<Pulled, TransportError> | undefined

  constructor(connection: Connection, fork: Fork) {
    this.#connection = connection
    this.#fork = fork
  }

  /** Throws what the pull died of. */
  poll(ready: () => void): Pulled | TransportError | undefined {
    const pull = this.#pull ??= this.#fork(this.#connection.pull)
    const exit = pull.pollUnsafe()
    if (exit === undefined) {
      pull.addObserver(ready)
      return undefined
    }
    this.#pull = undefined
    if (Exit.isSuccess(exit)) return exit.value
    const error = Cause.findErrorOption(exit.cause)
    if (Option.isNone(error)) throw Cause.squash(exit.cause)
    return error.value
  }

  offer(chunks: Pulled): Effect.Effect<void, TransportError> {
    return this.#connection.write(chunks)
  }

  /** Waits no more. */
  get stop(): Effect.Effect<void> {
    return Effect.suspend(() => this.#pull === undefined ? Effect.void : Fiber.interrupt(this.#pull))
  }
}
