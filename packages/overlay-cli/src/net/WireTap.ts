/**
 * Looks at what a connection carries without touching it: the frames that were read and written, also those a session
 * keeps to itself, and the first bytes of whatever came.
 */
import { type Connection, Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import * as AuthenticatedMessage from "@stellar-overlay/overlay/wire/AuthenticatedMessage"
import { FrameParser, MAX_BODY } from "@stellar-overlay/overlay/wire/Frame"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { fromBytes, type StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { validateAuthenticatedMessage } from "@stellar-overlay/overlay/wire/XdrValidator"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export interface Tap {
  /** Every chunk, before anything looks at it. */
  readonly chunk?: ((chunk: Uint8Array) => void) | undefined
  /** Every frame body that arrives, valid or not; a view. False: that was enough. */
  readonly received?: ((body: Uint8Array) => boolean) | undefined
  /** Every frame body that leaves; a view. False: that was enough. */
  readonly sent?: ((body: Uint8Array) => boolean) | undefined
}

/** The message in a frame body, undefined when there is no valid one. */
export const messageOf = (body: Uint8Array): StellarMessage | undefined =>
  validateAuthenticatedMessage(body, 0, body.length) === -1
    ? fromBytes(AuthenticatedMessage.message(body))
    : undefined

const cutter = (onFrame: (body: Uint8Array) => boolean) => {
  let parser: FrameParser | undefined = new FrameParser()
  return (chunks: ReadonlyArray<Uint8Array>): void => {
    if (parser === undefined) return
    for (const chunk of chunks) parser.push(chunk)
    for (let body = parser.next(MAX_BODY); body instanceof Uint8Array; body = parser.next(MAX_BODY)) {
      if (onFrame(body)) continue
      parser = undefined
      break
    }
  }
}

/** The connection, watched. */
export const connection = (self: Connection, { chunk, received, sent }: Tap): Connection => {
  const read = received && cutter(received)
  const written = sent && cutter(sent)
  return {
    remote: self.remote,
    end: self.end,
    pull: chunk === undefined && read === undefined ? self.pull : Effect.map(self.pull, (chunks) => {
      if (chunk !== undefined) { for (const bytes of chunks) chunk(bytes) }
      read?.(chunks)
      return chunks
    }),
    write: written === undefined ? self.write : (chunks) => {
      written(chunks)
      return self.write(chunks)
    }
  }
}

/** A transport whose connections are watched, accepted ones too; `onOpen` learns how long TCP took for a dialled one. */
export const transport = (
  self: Transport["Service"],
  makeTap: (address: PeerAddress) => Tap & { readonly onOpen?: (millis: number) => void }
): Transport["Service"] =>
  Transport.of({
    listen: (options) =>
      Effect.map(self.listen(options), (listener) => ({
        address: listener.address,
        run: (handler) => listener.run((accepted) => handler(connection(accepted, makeTap(accepted.remote))))
      })),
    dial: Effect.fnUntraced(function*(address, options): Effect.fn.Return<
      Connection,
      TransportError,
      Effect.Services<ReturnType<typeof self.dial>>
    > {
      const tap = makeTap(address)
      const clock = yield* Clock.Clock
      const start = clock.monotonicTimeNanosUnsafe()
      const opened = yield* self.dial(address, options)
      tap.onOpen?.(Number(clock.monotonicTimeNanosUnsafe() - start) / 1e6)
      return connection(opened, tap)
    })
  })
