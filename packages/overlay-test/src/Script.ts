/**
 * Stories told by one end of a connection, as generators: what is written, what is waited for, and for how long.
 *
 * A script yields `Step`s and is resumed with a `Reply`, so it knows nothing of sockets, fibers or clocks. The same
 * script runs as an Effect over any `Connection` (`ScriptedPeer`) and synchronously against a `Session`
 * (`ScriptedSession`). Scripts compose with `yield*`; the verbs they are made of are methods of `PeerScript`.
 *
 * @since 0.1.0
 */
import type { Now } from "@stellar-overlay/overlay/protocol/Primitives"
import * as Data from "effect/Data"

/**
 * What a script asks of whoever runs it:
 *
 * - `Write`: hand bytes to the connection, waiting at most `millis` until they are taken
 * - `Listen`: wait until more than `seen` frames were heard or the connection ended, at most `millis`
 * - `Reading`: start or stop taking bytes from the connection
 * - `End`: end this direction in order (FIN); `Reset`: break the connection (RST)
 *
 * @category models
 * @since 0.1.0
 */
export type Step =
  | { readonly _tag: "Write"; readonly bytes: Uint8Array; readonly millis: number }
  | { readonly _tag: "Listen"; readonly seen: number; readonly millis: number }
  | { readonly _tag: "Reading"; readonly on: boolean }
  | { readonly _tag: "End" }
  | { readonly _tag: "Reset" }

/**
 * What came of a step, and when:
 *
 * - `done`: the step is complete (a write was taken)
 * - `blocked`: a write was not taken in time; its bytes are still on their way
 * - `heard`, `silence`: a `Listen` came to something, or to the end of its time
 * - `ended`: the connection is over
 *
 * @category models
 * @since 0.1.0
 */
export interface Reply {
  readonly outcome: "done" | "blocked" | "heard" | "silence" | "ended"
  readonly now: Now
}

/**
 * A story that gives an `A`. It throws `ScriptFailure` where the other end does not do what the story says.
 *
 * @category models
 * @since 0.1.0
 */
export type Script<A = void> = Generator<Step, A, Reply>

/**
 * The other end did something else. `transcript` has one line for each frame heard before.
 *
 * @category errors
 * @since 0.1.0
 */
export class ScriptFailure extends Data.TaggedError("ScriptFailure")<{
  /** What the script waited for. */
  readonly expected: string
  /** What happened instead. */
  readonly actual: string
  readonly transcript: ReadonlyArray<string>
}> {
  override get message(): string {
    const heard = this.transcript.length === 0 ? ["nothing"] : this.transcript
    return `expected ${this.expected}, but ${this.actual}; heard:\n  ${heard.join("\n  ")}`
  }
}
