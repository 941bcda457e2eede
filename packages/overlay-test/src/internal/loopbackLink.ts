import { type Connection, pullFrom } from "@stellar-overlay/overlay/Transport"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Effect from "effect/Effect"
import type { Direction, LoopbackConnection, LoopbackLink } from "../LoopbackTransport.ts"
import type { Owner } from "./parkedReader.ts"
import type { Busy, Bytes, Duct, Input } from "./pipe.ts"

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
  readonly pull: Connection["pull"]
  readonly write: Connection["write"]
  readonly end: Effect.Effect<void>
  readonly reset: Effect.Effect<void>
  /** What the owning scope does at its end. */
  readonly close: Effect.Effect<void>
  private readonly inbound: Duct
  private readonly outbound: Duct
  private owner: Owner | undefined
  private pulling = false
  private closed = false

  constructor(link: Link, remote: PeerAddress, inbound: Duct, outbound: Duct, reset: () => void) {
    this.link = link
    this.remote = remote
    this.inbound = inbound
    this.outbound = outbound
    this.pull = this.alone(pullFrom((ready) => this.poll(ready)))
    this.write = (chunks) => Effect.suspend(() => this.offer(chunks) ?? Effect.void)
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

  /** It was dialled, or accepted. To be called before anything else. */
  open(owner: Owner): this {
    this.owner = owner
    return this
  }

  private get opener(): Owner {
    if (this.owner === undefined) throw new Error("a connection that nobody has opened is used")
    return this.owner
  }

  poll(ready: () => void): Input {
    return this.inbound.poll(ready, this.opener)
  }

  offer(chunks: Bytes): Busy {
    return this.outbound.offer(chunks, this.opener)
  }

  private alone<A, E>(pull: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const over = Effect.sync(() => {
      this.pulling = false
      this.inbound.forget()
    })
    return Effect.suspend(() => {
      if (this.pulling) return Effect.die(new Error("two fibers pull one connection"))
      this.pulling = true
      return Effect.ensuring(pull, over)
    })
  }
}
