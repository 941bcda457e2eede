/**
 * A peer whose every byte the test decides, apart from whatever carries the bytes: the verbs of which scripts are made.
 *
 * There are three levels, freely mixed. Raw: `sayBytes`. Framed: `sayFrame`, a record mark and any body. Authenticated:
 * `handshake` and `say` with real certificates, keys, sequence numbers and MACs, any of them replaced by an override.
 *
 * Verbs are generators (see `Script`): `yield* peer.say(message)`. `ScriptedPeer` and `ScriptedSession` run them.
 *
 * @since 0.1.0
 */
import { encodeMark, MARK_LENGTH } from "@stellar-overlay/overlay/wire/Frame"
import { type MessageTag, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import {
  Auth,
  AUTH_FLAGS,
  DontHave,
  type StellarMessage,
  type Tagged
} from "@stellar-overlay/overlay/wire/StellarMessage"
import type { Reply, Script } from "./Script.ts"
import { describeHeard, type Ending, errorText, type FrameOverrides, type Heard, ScriptedNode } from "./ScriptedNode.ts"

/**
 * How far `handshake` goes, by the state of the other end.
 *
 * @category models
 * @since 0.1.0
 */
export type HandshakeStage = "Connected" | "GotHello" | "GotAuth"

/**
 * What to wait for: a message by its tag, or any frame a predicate accepts.
 *
 * @category models
 * @since 0.1.0
 */
export type What = MessageTag | ((heard: Heard) => boolean)

/**
 * Milliseconds that verbs wait unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_WITHIN_MILLIS = 5000

const matches = (heard: Heard, what: What): boolean =>
  typeof what === "function" ? what(heard) : heard.message?._tag === what

const nameOf = (what: What): string => typeof what === "function" ? "such a frame" : what

/**
 * The peer. See the module's page.
 *
 * @category models
 * @since 0.1.0
 */
export class PeerScript extends ScriptedNode {
  /** Answers GET_SCP_QUORUMSET with DONT_HAVE while it listens, so that pings do not end a long story. */
  answersPings = false
  /** Frames the verbs have looked at, and those they have acted on as pings. */
  #cursor = 0
  #reflexed = 0

  get #slack(): number {
    return this.options.slackMillis ?? 0
  }

  // ---------------------------------------------------------------------------------------------------- speaking

  /** Writes bytes as they are. False when they were not taken in time. */
  *sayBytes(bytes: Uint8Array, within = DEFAULT_WITHIN_MILLIS): Script<boolean> {
    const { chunking, chunkPauseMillis = 0 } = this.options
    let taken = true
    for (const piece of chunking?.(bytes) ?? [bytes]) {
      this.written.push(piece)
      const reply: Reply = yield { _tag: "Write", bytes: piece, millis: within + this.#slack }
      this.now = reply.now
      taken &&= reply.outcome === "done"
      if (chunkPauseMillis > 0) yield* this.wait(chunkPauseMillis)
    }
    return taken
  }

  /** Writes a record: a right mark, or the given one, and any body. */
  *sayFrame(body: Uint8Array, mark?: number): Script<boolean> {
    const frame = new Uint8Array(MARK_LENGTH + body.length)
    encodeMark(frame, 0, body.length)
    if (mark !== undefined) new DataView(frame.buffer).setUint32(0, mark)
    frame.set(body, MARK_LENGTH)
    return yield* this.sayBytes(frame)
  }

  /** Says one message. */
  *say(message: StellarMessage | Uint8Array, overrides?: FrameOverrides): Script<boolean> {
    return yield* this.sayBytes(this.encode(message, overrides))
  }

  /** Says many messages with one write. */
  *sayAll(messages: Iterable<StellarMessage>): Script<boolean> {
    const frames = Array.from(messages, (message) => this.encode(message))
    const all = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0))
    let at = 0
    for (const frame of frames) {
      all.set(frame, at)
      at += frame.length
    }
    return yield* this.sayBytes(all)
  }

  /** Ends this direction in order; the other can still be heard. */
  *finish(): Script {
    this.now = (yield { _tag: "End" }).now
  }

  /** Breaks the connection as an RST does. */
  *reset(): Script {
    this.now = (yield { _tag: "Reset" }).now
  }

  /** Stops taking bytes from the connection: the window of the other end closes. */
  *stopReading(): Script {
    this.now = (yield { _tag: "Reading", on: false }).now
  }

  /** Takes bytes again. */
  *resumeReading(): Script {
    this.now = (yield { _tag: "Reading", on: true }).now
  }

  // --------------------------------------------------------------------------------------------------- listening

  /** Waits for something new, at most so long. */
  *listen(millis: number): Script<Reply["outcome"]> {
    const seen = this.heard.length
    const reply: Reply = this.#reflexed < seen
      ? { outcome: "heard", now: this.now }
      : yield { _tag: "Listen", seen, millis }
    this.now = reply.now
    for (; this.#reflexed < this.heard.length; this.#reflexed++) {
      const { message } = this.heard[this.#reflexed]!
      if (this.answersPings && message?._tag === "GetScpQuorumSet") {
        yield* this.say(DontHave.make({ itemType: MessageType.ScpQuorumSet, hash: message.hash }))
      }
    }
    return reply.outcome
  }

  /** Lets time pass; true when the connection is still open then. Ends early when it is not. */
  *wait(millis: number): Script<boolean> {
    const end = this.now.millis + millis
    while (this.ending === undefined && this.now.millis < end) {
      if ((yield* this.listen(end - this.now.millis)) === "ended") break
    }
    return this.ending === undefined
  }

  /** Waits for the first message of that kind after those expected before; others in between stay in `heard`. */
  expect<Tag extends MessageTag>(what: Tag, within?: number): Script<Tagged<Tag>>
  expect(what: (heard: Heard) => boolean, within?: number): Script<StellarMessage>
  *expect(what: What, within = DEFAULT_WITHIN_MILLIS): Script<StellarMessage> {
    const end = this.now.millis + within + this.#slack
    while (true) {
      for (; this.#cursor < this.heard.length; this.#cursor++) {
        const heard = this.heard[this.#cursor]!
        if (!matches(heard, what)) continue
        this.#cursor++
        if (heard.message === undefined) throw this.failure(nameOf(what), "the frame holds no message")
        if (!heard.authentic) throw this.failure(nameOf(what), "its sequence number or MAC is wrong")
        return heard.message
      }
      if (this.ending !== undefined) throw this.failure(nameOf(what), "the connection ended")
      if (this.now.millis >= end) throw this.failure(nameOf(what), `${within} ms passed`)
      yield* this.listen(end - this.now.millis)
    }
  }

  /** Nothing of that kind (nothing at all, unless given) comes for so long. The connection may end. */
  *expectNone(millis: number, what?: What): Script {
    const from = this.heard.length
    yield* this.wait(millis)
    const found = this.heard.slice(from).find((heard) => what === undefined || matches(heard, what))
    if (found === undefined) return
    const name = what === undefined ? "nothing" : `no ${nameOf(what)}`
    throw this.failure(`${name} for ${millis} ms`, `there came ${describeHeard(found)}`)
  }

  /** The connection stays open for so long. */
  *expectOpen(millis: number): Script {
    if (!(yield* this.wait(millis))) throw this.failure(`an open connection for ${millis} ms`, this.endingText)
  }

  /**
   * The connection ends within so long. `error` says which ERROR_MSG must be its last frame, or that there must be none
   * (`"silent"`).
   */
  *expectClosed(
    options: { readonly within?: number; readonly error?: readonly [code: number, text: string] | "silent" } = {}
  ): Script<Ending> {
    const { error, within = DEFAULT_WITHIN_MILLIS } = options
    if (yield* this.wait(within + this.#slack)) {
      throw this.failure(`the end of the connection within ${within} ms`, "it is open")
    }
    const last = this.heard.at(-1)?.message
    const [said] = this.messages("ErrorMsg")
    if (error === "silent" && said !== undefined) throw this.failure("no ERROR_MSG", `there came ${errorText(said)}`)
    if (typeof error === "object") {
      const [code, text] = error
      if (said === undefined || said !== last || said.code !== code || said.text !== text) {
        throw this.failure(
          `ERROR_MSG ${code} "${text}" as the last frame`,
          said ? `it is ${errorText(said)}` : "there is none"
        )
      }
    }
    yield* this.finish()
    return this.ending!
  }

  /** ERROR_MSG with that code and text comes, then the end. */
  *expectError(code: number, text: string, within?: number): Script {
    yield* this.expectClosed({ error: [code, text], ...(within === undefined ? {} : { within }) })
  }

  // --------------------------------------------------------------------------------------------------- handshake

  /**
   * Goes through the handshake until the other end is in that state, `GotAuth` unless given; `GotAuth` includes its
   * first grant.
   */
  *handshake(until: HandshakeStage = "GotAuth"): Script {
    const auth = Auth.make({ flags: this.options.authFlags ?? AUTH_FLAGS })
    if (this.role === "acceptor") yield* this.expect("Hello")
    if (until === "Connected") return
    yield* this.say(this.hello())
    if (this.role === "initiator") yield* this.expect("Hello")
    else yield* this.expect("Auth")
    if (until === "GotHello") return
    yield* this.say(auth)
    if (this.role === "initiator") yield* this.expect("Auth")
    yield* this.expect("SendMoreExtended")
  }
}
