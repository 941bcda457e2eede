/**
 * Writes what links carry into a capture file (`overlay-test/Capture`), which `replay` plays to a node in a simulation.
 *
 * The links never wait for the disk: lines gather in memory, `MAX_PENDING` at most, and a fiber writes them out. What does
 * not fit, in memory or under the limit of the file, is not recorded and is counted.
 */
import * as Capture from "@stellar-overlay/overlay-test/Capture"
import type { Role } from "@stellar-overlay/overlay/protocol/Handshake"
import { type Connection, Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as WireTap from "./WireTap.ts"

/** Characters that wait for the disk at most: 64 MiB. */
export const MAX_PENDING = 67_108_864

/** Bytes of a capture file at most, unless told otherwise: 1 GiB. */
export const DEFAULT_MAX_BYTES = 1_073_741_824

const FLUSH_MILLIS = 200

/** What was recorded, and what was not. */
export interface Counts {
  readonly messages: number
  readonly bytes: number
  readonly lost: number
}

export interface Recorder {
  /** The transport whose links are recorded. A new call begins the file anew: a header names one network. */
  readonly transport: (self: Transport["Service"], passphrase: string) => Transport["Service"]
  readonly counts: () => Counts
}

/** One file's lines. */
class Lines {
  pending: Array<string> = []
  size = 0
  written = 0
  messages = 0
  lost = 0
  startNanos = 0n
  links = 0
  /** Whether what the file holds belongs to an earlier beginning. */
  stale = false
  private readonly clock: Clock.Clock
  private readonly maxBytes: number

  constructor(clock: Clock.Clock, maxBytes: number) {
    this.clock = clock
    this.maxBytes = maxBytes
  }

  begin(passphrase: string): void {
    this.pending = [Capture.headerLine({ passphrase, startUnixMillis: this.clock.currentTimeMillisUnsafe() })]
    this.size = this.pending[0]!.length
    this.stale = this.written > 0
    this.written =
      this.messages =
      this.lost =
      this.links =
        0
    this.startNanos = this.clock.monotonicTimeNanosUnsafe()
  }

  get at(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() - this.startNanos) / 1e6
  }

  add(entry: Capture.Entry): void {
    const line = Capture.entryLine(entry)
    if (this.size + line.length > MAX_PENDING || this.written + this.size + line.length > this.maxBytes) {
      this.lost++
      return
    }
    if (entry._tag === "Message") this.messages++
    this.size += line.length
    this.pending.push(line)
  }

  take(): string {
    const text = this.pending.join("")
    this.pending = []
    this.size = 0
    this.written += text.length
    return text
  }
}

const watched = (lines: Lines, connection: Connection, role: Role): Connection => {
  const link = ++lines.links
  lines.add({ _tag: "Open", at: lines.at, link, address: connection.remote.key, role })
  const message = (from: "remote" | "local") => (body: Uint8Array): boolean => {
    const message = WireTap.messageOf(body)
    if (message === undefined) return false // the session ends the link for it
    lines.add({ _tag: "Message", at: lines.at, link, from, message })
    return true
  }
  const tapped = WireTap.connection(connection, { received: message("remote"), sent: message("local") })
  let open = true
  const close = (how: string) => {
    if (open) lines.add({ _tag: "Close", at: lines.at, link, how })
    open = false
  }
  return {
    ...tapped,
    pull: Effect.tapError(tapped.pull, ({ kind }: TransportError) => Effect.sync(() => close(kind))),
    end: Effect.suspend(() => {
      close("ended here")
      return tapped.end
    })
  }
}

/** A recorder into a file, which is written to the end when the scope closes. */
export const make = Effect.fnUntraced(function*(
  path: string,
  maxBytes: number = DEFAULT_MAX_BYTES
): Effect.fn.Return<Recorder, PlatformError, FileSystem.FileSystem | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const lines = new Lines(yield* Clock.Clock, maxBytes)
  const file = yield* fs.open(path, { flag: "w" })
  const flush = Effect.suspend(() => {
    if (lines.pending.length === 0) return Effect.void
    const rewind = lines.stale ? Effect.andThen(file.truncate(0), file.seek(0n, "start")) : Effect.void
    lines.stale = false
    return Effect.andThen(rewind, file.writeAll(new TextEncoder().encode(lines.take())))
  })
  // A disk that fails ends the recording, not the links: the last flush says so.
  yield* Effect.addFinalizer(() => Effect.ignore(flush, { log: "Error", message: `${path} could not be written` }))
  yield* Effect.forkScoped(Effect.ignore(Effect.forever(Effect.delay(flush, FLUSH_MILLIS))))
  const recorder: Recorder = {
    transport: (self, passphrase) => {
      lines.begin(passphrase)
      return Transport.of({
        listen: (options) =>
          Effect.map(self.listen(options), (listener) => ({
            address: listener.address,
            run: (handler) => listener.run((accepted) => handler(watched(lines, accepted, "acceptor")))
          })),
        dial: (address, options) =>
          Effect.map(self.dial(address, options), (connection) => watched(lines, connection, "initiator"))
      })
    },
    counts: () => ({ messages: lines.messages, bytes: lines.written + lines.size, lost: lines.lost })
  }
  return recorder
})
