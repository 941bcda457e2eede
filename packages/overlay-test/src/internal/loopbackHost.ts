import { type Listener, type Transport, TransportError } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type { LoopbackNetwork, Options } from "../LoopbackTransport.ts"
import { Link, type LinkEnd } from "./loopbackLink.ts"
import { type Accepting, acceptLoop } from "./loopbackListener.ts"
import { ownerOf } from "./parkedReader.ts"
import { Pipe } from "./pipe.ts"
import { SeededRandom } from "./seededRandom.ts"

export const DEFAULT_CAPACITY = 65_536
export const DEFAULT_READ_LIMIT = 65_536
export const DEFAULT_BACKLOG = 100
export const SYN_RETRY_MILLIS = 1_000

const FIRST_EPHEMERAL_PORT = 49_152
const LAST_PORT = 65_535

const isLoopback = (host: string): boolean => host === "::1" || host === "localhost" || host.startsWith("127.")
const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::"

const failWith = (kind: TransportError["kind"], detail: string) => Effect.fail(new TransportError({ kind, detail }))

/**
 * What becomes of a dial: it is answered, by the node at `ip`, which may be out of descriptors; or not answered yet; or
 * it fails.
 */
export type DialVerdict =
  | { readonly _tag: "Answered"; readonly ip: string; readonly accepted: boolean }
  | { readonly _tag: "Unanswered" }
  | { readonly _tag: "Failed"; readonly kind: TransportError["kind"]; readonly detail: string }

/**
 * Where a network that can fail comes in.
 */
export interface NetworkHooks {
  readonly link: (options: {
    readonly id: number
    readonly dialer: PeerAddress
    readonly listener: PeerAddress
    /** The node that was reached, which `listener` need not be. */
    readonly actualIp: string
    readonly onClosed: () => void
  }) => Link
  readonly dial: (from: string, to: string, port: number) => DialVerdict
  readonly dialFailed: (from: string, to: string, kind: string) => void
  readonly roundTripMillis: (from: string, to: string) => number
}

/** Tells a world that something was opened; the function returned tells that it was closed. */
export type Opened = (kind: string) => () => void

/** The state of one network; every method is one synchronous step. */
export class Network {
  readonly links = new Map<number, Link>()
  /** By host and port; a node's own loopback addresses have a host of their own, see `hostOf`. */
  readonly listeners = new Map<string, Accepting>()
  readonly blackHoles = new Set<string>()
  private readonly options: Options
  private readonly hooks: NetworkHooks | undefined
  private readonly opened: Opened | undefined
  private lastLink = 0
  private lastPort = FIRST_EPHEMERAL_PORT - 1

  constructor(options: Options, hooks?: NetworkHooks, opened?: Opened) {
    this.options = options
    this.hooks = hooks
    this.opened = opened
  }

  /** What a dial takes before it is answered, in milliseconds. */
  roundTripMillis(from: string, to: string | undefined): number {
    if (this.hooks !== undefined) return to === undefined ? 0 : this.hooks.roundTripMillis(from, to)
    return 2 * this.latencyMillis
  }

  judge(from: string, to: string, port: number): DialVerdict {
    return this.hooks === undefined ? { _tag: "Answered", ip: to, accepted: true } : this.hooks.dial(from, to, port)
  }

  failed(from: string, to: string, kind: string): void {
    this.hooks?.dialFailed(from, to, kind)
  }

  get latencyMillis(): number {
    return this.options.latencyMillis ?? 0
  }

  resolve(address: PeerAddress): string | undefined {
    return address.kind === "name" ? this.options.hosts?.[address.host] : address.host
  }

  freePort(): number {
    this.lastPort = this.lastPort >= LAST_PORT ? FIRST_EPHEMERAL_PORT : this.lastPort + 1
    return this.lastPort
  }

  connect(dialer: PeerAddress, listener: PeerAddress, actualIp: string): Link {
    const { capacity, onBytes, readLimit, segmentation } = this.options
    const id = ++this.lastLink
    const closed = this.opened?.("connection")
    const onClosed = () => {
      this.links.delete(id)
      closed?.()
    }
    if (this.hooks !== undefined) {
      const link = this.hooks.link({ id, dialer, listener, actualIp, onClosed })
      this.links.set(id, link)
      return link
    }
    const link = new Link({
      id,
      dialer,
      listener,
      onClosed,
      pipe: (link, direction, onUnread) =>
        new Pipe({
          capacity: capacity ?? DEFAULT_CAPACITY,
          readLimit: readLimit ?? DEFAULT_READ_LIMIT,
          latencyMillis: this.latencyMillis,
          segmentation: segmentation === undefined ? undefined : new SeededRandom(`${segmentation}/${id}/${direction}`),
          onWrite: (chunk) => onBytes?.(link, direction, chunk),
          onUnread
        })
    })
    this.links.set(id, link)
    return link
  }

  get service(): LoopbackNetwork["Service"] {
    return {
      transportAt: (ip) => new Host(this, ip),
      links: Effect.sync(() => [...this.links.values()]),
      blackHole: (address) => Effect.sync(() => this.blackHoles.add(address.key)),
      restore: (address) => Effect.sync(() => this.blackHoles.delete(address.key))
    }
  }
}

/** One node's addresses: its own IP, and loopback, which is private to the node unless that is its IP. */
export class Host {
  readonly network: Network
  readonly ip: string

  constructor(network: Network, ip: string) {
    this.network = network
    this.ip = PeerAddress.make(ip, 0).host
  }

  private keyOf(host: string, port: number): string {
    return isLoopback(host) && !isLoopback(this.ip) ? `loopback of ${this.ip}:${port}` : `${host}:${port}`
  }

  /** The keys that listening on a host takes; none for an address that is not the node's. */
  private bindKeys(host: string, port: number): ReadonlyArray<string> {
    const own = this.keyOf(this.ip, port)
    const loopback = this.keyOf("127.0.0.1", port)
    if (isWildcard(host)) return own === loopback ? [own] : [own, loopback]
    if (host === this.ip) return [own]
    return isLoopback(host) ? [loopback] : []
  }

  /** An ephemeral port that nobody on this host listens on; the last one tried where all are taken. */
  private unusedPort(host: string): number {
    let port = this.network.freePort()
    for (let tried = FIRST_EPHEMERAL_PORT; tried < LAST_PORT; tried++) {
      if (!this.bindKeys(host, port).some((key) => this.network.listeners.has(key))) break
      port = this.network.freePort()
    }
    return port
  }

  readonly listen: Transport["Service"]["listen"] = Effect.fnUntraced(
    { self: this },
    function*(options) {
      const { backlog = DEFAULT_BACKLOG, host = "0.0.0.0", port } = options
      if (!Number.isInteger(port) || port < 0 || port > LAST_PORT) {
        return yield* failWith("ListenFailed", "ERR_SOCKET_BAD_PORT")
      }
      const { listeners } = this.network
      const pending = yield* Queue.dropping<LinkEnd>(backlog)
      const bound = yield* Effect.acquireRelease(
        Effect.suspend(() => {
          const actual = port === 0 ? this.unusedPort(host) : port
          const keys = this.bindKeys(host, actual)
          if (keys.length === 0) return failWith("ListenFailed", "EADDRNOTAVAIL")
          if (keys.some((key) => listeners.has(key))) return failWith("ListenFailed", "EADDRINUSE")
          const accepting: Accepting = { address: PeerAddress.make(host, actual), pending }
          for (const key of keys) listeners.set(key, accepting)
          return Effect.succeed({ accepting, keys })
        }),
        ({ keys }) =>
          Effect.suspend(() => {
            for (const key of keys) listeners.delete(key)
            return Effect.flatMap(Queue.clear(pending), Effect.forEach((end) => Effect.andThen(end.reset, end.close)))
          })
      )
      const listener: Listener = {
        address: bound.accepting.address,
        run: (handler) => acceptLoop(bound.accepting, handler)
      }
      return listener
    }
  )

  readonly dial: Transport["Service"]["dial"] = (address, { timeoutMillis }) =>
    Effect.flatMap(Effect.scope, (scope) => {
      const { network } = this
      let opened: LinkEnd | undefined
      const open: Effect.Effect<LinkEnd, TransportError> = Effect.withFiber((fiber) => {
        const ip = network.resolve(address)
        if (ip === undefined) return failWith("Unresolved", "ENOTFOUND")
        const remote = PeerAddress.make(ip, address.port)
        if (network.blackHoles.has(remote.key)) return Effect.never
        const verdict = network.judge(this.ip, remote.host, remote.port)
        if (verdict._tag === "Failed") return failWith(verdict.kind, verdict.detail)
        if (verdict._tag === "Unanswered") return Effect.delay(open, SYN_RETRY_MILLIS)
        const host = isWildcard(verdict.ip) ? "127.0.0.1" : verdict.ip
        const accepting = network.listeners.get(this.keyOf(host, remote.port))
        if (accepting === undefined) return failWith("Refused", "ECONNREFUSED")
        if (Queue.isFullUnsafe(accepting.pending)) return Effect.delay(open, SYN_RETRY_MILLIS)
        const local = PeerAddress.make(isLoopback(remote.host) ? "127.0.0.1" : this.ip, network.freePort())
        const link = network.connect(local, remote, verdict.ip)
        const end = opened = link.dialerEnd.open(ownerOf(fiber))
        const arrived = verdict.accepted
          ? Effect.sync(() => Queue.offerUnsafe(accepting.pending, link.listenerEnd))
          : link.listenerEnd.close
        return Effect.andThen(arrived, Effect.as(Scope.addFinalizer(scope, end.close), end))
      })
      return Effect.suspend(() => {
        const roundTrip = network.roundTripMillis(this.ip, network.resolve(address))
        return roundTrip > 0 ? Effect.delay(open, roundTrip) : open
      }).pipe(
        Effect.timeoutOrElse({ duration: timeoutMillis, orElse: () => failWith("Timeout", "ETIMEDOUT") }),
        // the timeout or an interruption may come between the opening and its delivery
        Effect.onError(() => opened === undefined ? Effect.void : opened.close),
        Effect.tapError(({ kind }) =>
          Effect.sync(() => network.failed(this.ip, network.resolve(address) ?? address.host, kind))
        )
      )
    })
}
