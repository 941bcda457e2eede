/**
 * G5 where time is virtual: what a turn of a node would take on a slow machine, added up from what it does in it.
 *
 * Counted are the bytes that come out of a socket and go into one, the messages they are cut into, validated and built
 * from, what is handed to the host, and all cryptography. Not counted are look-ups in tables and the steps of the runtime
 * between all that; where attacks run over real sockets the delay of the event loop shows those too.
 *
 * @since 0.1.0
 */
import type { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import type { MacKey, Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import type { Connection, Transport } from "@stellar-overlay/overlay/Transport"
import { FrameParser, MAX_BODY } from "@stellar-overlay/overlay/wire/Frame"
import * as Effect from "effect/Effect"

/**
 * Microseconds that operations take on a slow machine (twice what `npm run bench` finds), and the longest a turn may
 * take with them.
 *
 * @category constants
 * @since 0.1.0
 */
export const COSTS = {
  ed25519Verify: 120,
  ed25519Sign: 60,
  x25519: 120,
  hash: 1,
  /** Per byte hashed or MAC'd. */
  perByte: 0.005,
  /** A read of a socket or a write to one, whatever its size: a round trip has two of each, 58 us (`--only roundtrip`). */
  call: 30,
  /** Per byte that a socket gives or takes: 900 MB/s on loopback. */
  perByteMoved: 0.0022,
  /** A message that comes, MAC and validation aside: 217 ns more at 100 bytes than straight-line code (`--only session`). */
  frame: 0.5,
  /** Per byte validated: 1.01 ms for a set of 1 MB, the densest there is; SCP messages take 0.14 to 0.3 ns (`--only xdr`). */
  perByteValidated: 0.002,
  /** A message that goes: 128 ns more at 100 bytes than straight-line code (`--only session`). */
  encode: 0.3,
  /** A message handed to the host: of 1.48 us that receiving 100 bytes takes a link, 0.91 are the session's (`--only link`). */
  handed: 1.2,
  maxTurn: 50_000
} as const

/**
 * Weighs the work of a node, turn by turn. `turn` tells turns apart: `World.steps`.
 *
 * @category checkers
 * @since 0.1.0
 */
export class TurnMeter {
  /** The modelled microseconds of the most expensive turn so far. */
  worst = 0
  /** How many signatures were checked. */
  verified = 0
  /** Microseconds so far, by what they went to. */
  readonly spent = { crypto: 0, read: 0, written: 0, handed: 0 }
  #turn = -1
  #now = 0
  readonly #readTurn: () => number

  constructor(turn: () => number) {
    this.#readTurn = turn
  }

  #spend(on: keyof TurnMeter["spent"], micros: number): void {
    const turn = this.#readTurn()
    if (turn !== this.#turn) {
      this.#turn = turn
      this.#now = 0
    }
    this.spent[on] += micros
    this.#now += micros
    this.worst = Math.max(this.worst, this.#now)
  }

  #hashed(count: number, bytes: number): void {
    this.#spend("crypto", count * COSTS.hash + bytes * COSTS.perByte)
  }

  #weighedKey(key: MacKey): MacKey {
    return {
      sign: (slab, spans, count) => {
        this.#hashed(2 * count, slab.length)
        key.sign(slab, spans, count)
      },
      verify: (bodies, count) => {
        let bytes = 0
        for (let i = 0; i < count; i++) bytes += bodies[i]!.length
        this.#hashed(2 * count, bytes)
        return key.verify(bodies, count)
      }
    }
  }

  /** Makes primitives that are weighed, and otherwise the same. */
  over(base: Primitives): Primitives {
    return {
      ...base,
      sha256: (data) => (this.#hashed(1, data.length), base.sha256(data)),
      blake2b256: (data) => (this.#hashed(1, data.length), base.blake2b256(data)),
      hmacSha256: (key, data) => (this.#hashed(1, data.length), base.hmacSha256(key, data)),
      macKey: (key) => this.#weighedKey(base.macKey(key)),
      x25519: (secret, key) => (this.#spend("crypto", COSTS.x25519), base.x25519(secret, key)),
      ed25519Sign: (seed, message) => (this.#spend("crypto", COSTS.ed25519Sign), base.ed25519Sign(seed, message)),
      ed25519Verify: (key, message, signature) => {
        this.verified++
        this.#spend("crypto", COSTS.ed25519Verify)
        return base.ed25519Verify(key, message, signature)
      }
    }
  }

  /**
   * What one pull gives is weighed in the turn that pulled it, all of its messages included: the session works on 256 of
   * them and then yields, so that a turn is rather weighed too heavy than too light.
   */
  #pulled(parser: FrameParser, chunks: ReadonlyArray<Uint8Array>): void {
    let micros = COSTS.call
    for (const chunk of chunks) {
      micros += chunk.length * COSTS.perByteMoved
      parser.push(chunk)
      for (let body; (body = parser.next(MAX_BODY)) instanceof Uint8Array;) {
        micros += COSTS.frame + body.length * COSTS.perByteValidated
      }
    }
    this.#spend("read", micros)
  }

  #wrote(parser: FrameParser, chunks: ReadonlyArray<Uint8Array>): void {
    let micros = COSTS.call
    for (const chunk of chunks) {
      micros += chunk.length * COSTS.perByteMoved
      parser.push(chunk)
      while (parser.next(MAX_BODY) instanceof Uint8Array) micros += COSTS.encode
    }
    this.#spend("written", micros)
  }

  #weighedConnection(connection: Connection): Connection {
    const [incoming, outgoing] = [new FrameParser(), new FrameParser()]
    return {
      remote: connection.remote,
      end: connection.end,
      pull: Effect.tap(connection.pull, (chunks) => Effect.sync(() => this.#pulled(incoming, chunks))),
      write: (chunks) =>
        Effect.suspend(() => {
          this.#wrote(outgoing, chunks)
          return connection.write(chunks)
        })
    }
  }

  /** Makes a transport whose bytes are weighed, in both directions and roles, and otherwise the same. */
  overTransport(base: Transport["Service"]): Transport["Service"] {
    return {
      dial: (address, options) =>
        Effect.map(base.dial(address, options), (connection) => this.#weighedConnection(connection)),
      listen: (options) =>
        Effect.map(base.listen(options), (listener) => ({
          address: listener.address,
          run: (handler) => listener.run((connection) => handler(this.#weighedConnection(connection)))
        }))
    }
  }

  /** Makes a host that is handed the same, weighed. */
  overHost(base: OverlayHost["Service"]): OverlayHost["Service"] {
    const handed = <A>(count: number, effect: () => Effect.Effect<A>): Effect.Effect<A> =>
      Effect.suspend(() => {
        this.#spend("handed", count * COSTS.handed)
        return effect()
      })
    return {
      ...base,
      receiveScp: (messages, from) => handed(messages.length, () => base.receiveScp(messages, from)),
      receiveTransactions: (messages, hashes, from) =>
        handed(messages.length, () => base.receiveTransactions(messages, hashes, from)),
      receiveTxSet: (hash, message) => handed(1, () => base.receiveTxSet(hash, message)),
      receiveQuorumSet: (hash, message) => handed(1, () => base.receiveQuorumSet(hash, message))
    }
  }

  /** What is wrong. */
  problems(): Array<string> {
    if (this.worst <= COSTS.maxTurn) return []
    const parts = Object.entries(this.spent).map(([on, micros]) => `${on} ${Math.round(micros / 1000)} ms`)
    return [`G5 a turn of ${Math.round(this.worst / 1000)} ms of work; in all ${parts.join(", ")}`]
  }
}
