import type { Connection, TransportError } from "@stellar-overlay/overlay/Transport"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { Direction, LoopbackConnection, LoopbackLink } from "../LoopbackTransport.ts"
import type { Duct } from "./pipe.ts"

/**
 * What a link is made of.
 */
export interface LinkOptions {
  readonly id: number
  readonly dialer: PeerAddress
  readonly listener: PeerAddress
  /** A direction; `onUnread` is for bytes that met a side that reads no more. */
  readonly pipe: (link: Link, direction: Direction, onUnread: () => void) => Duct
  /** Both ends are closed. */
  readonly onClosed: () => void
}

/**
 * One loopback connection with both its ends.
 */
export class Link implements LoopbackLink {
  readonly id: number
  readonly dialer: PeerAddress
  readonly listener: PeerAddress
  readonly dialerEnd: LinkEnd
  readonly listenerEnd: LinkEnd
  readonly sever: Effect.Effect<void> = Effect.sync(() => this.break())
  private readonly pipes: Readonly<Record<Direction, Duct>>
  private readonly onClosed: () => void
  private open = 2

  constructor(options: LinkOptions) {
    const pipe = (direction: Direction) => options.pipe(this, direction, () => this.breakFrom(direction))
    this.id = options.id
    this.dialer = options.dialer
    this.listener = options.listener
    this.pipes = { toDialer: pipe("toDialer"), toListener: pipe("toListener") }
    const { toDialer, toListener } = this.pipes
    this.dialerEnd = new LinkEnd(this, options.listener, toDialer, toListener, () => this.breakFrom("toDialer"))
    this.listenerEnd = new LinkEnd(this, options.dialer, toListener, toDialer, () => this.breakFrom("toListener"))
    this.onClosed = options.onClosed
  }

  buffered(direction: Direction): number {
    return this.pipes[direction].buffered
  }

  cork(direction: Direction): Effect.Effect<void> {
    return Effect.sync(() => this.pipes[direction].cork())
  }

  uncork(direction: Direction): Effect.Effect<void> {
    return Effect.sync(() => this.pipes[direction].uncork())
  }

  /** As by an RST in both directions. */
  break(): void {
    this.pipes.toDialer.break()
    this.pipes.toListener.break()
  }

  /** As by an RST of the side that reads this direction. */
  breakFrom(_reads: Direction): void {
    this.break()
  }

  endClosed(): void {
    this.open--
    if (this.open === 0) this.onClosed()
  }
}

/**
 * One side of a loopback connection.
 */
export class LinkEnd implements LoopbackConnection {
  readonly link: Link
  readonly remote: PeerAddress
  readonly pull: Effect.Effect<Arr.NonEmptyReadonlyArray<Uint8Array>, TransportError>
  readonly write: Connection["write"]
  readonly end: Effect.Effect<void>
  readonly reset: Effect.Effect<void>
  /** What the owning scope does at its end. */
  readonly close: Effect.Effect<void>
  private closed = false

  constructor(link: Link, remote: PeerAddress, inbound: Duct, outbound: Duct, reset: () => void) {
    this.link = link
    this.remote = remote
    this.pull = inbound.pull
    this.write = (chunks) => outbound.write(chunks)
    this.end = outbound.end
    this.reset = Effect.sync(reset)
    this.close = Effect.suspend(() => {
      if (this.closed) return Effect.void
      this.closed = true
      outbound.closeWriter()
      inbound.closeReader()
      link.endClosed()
      return outbound.end
    })
  }
}
