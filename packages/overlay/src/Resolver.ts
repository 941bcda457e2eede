/**
 * Host names to IP addresses, as a seam: `layerStatic` answers from a table, `NodeResolver.layer` asks the operating
 * system.
 *
 * Implements the look-up of protocol.md 9.2 (stellar-core: `PeerBareAddress::resolve`): of several addresses the first
 * IPv4 one counts. Wider than core: with IPv6 enabled, a name without IPv4 addresses gives its first IPv6 one.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Dns from "effect/net/Dns"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { PeerAddress } from "./wire/PeerAddress.ts"

/**
 * The longest a name may take to resolve.
 *
 * @category constants
 * @since 0.1.0
 */
export const LOOKUP_TIMEOUT_MILLIS = 10_000

/**
 * A name that has no usable address now. `retryable` is false when asking again cannot help, as for a malformed name.
 *
 * @category errors
 * @since 0.1.0
 */
export class ResolveError extends Schema.TaggedError<ResolveError>()("ResolveError", {
  host: Schema.String,
  detail: Schema.String,
  retryable: Schema.Boolean
}) {
  override get message() {
    return `cannot resolve ${this.host}: ${this.detail}`
  }
}

/**
 * What to look for.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResolveOptions {
  /** Whether IPv6 addresses will do. */
  readonly ipv6: boolean
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class Resolver extends Context.Service<Resolver, {
  /** All addresses of a name as literals, in the resolver's order. */
  readonly lookup: (host: string) => Effect.Effect<ReadonlyArray<string>, ResolveError>
}>()("@stellar-overlay/overlay/Resolver") {
  /**
   * Answers from a table of names; other names have no address.
   *
   * @since 0.1.0
   */
  static readonly layerStatic = (hosts: Readonly<Record<string, ReadonlyArray<string>>>): Layer.Layer<Resolver> =>
    Layer.succeed(this, {
      lookup: (host) => {
        const addresses = hosts[host]
        return addresses === undefined || addresses.length === 0
          ? Effect.fail(new ResolveError({ host, detail: "NotFound", retryable: true }))
          : Effect.succeed(addresses)
      }
    })

  /**
   * Asks the `Dns` service of effect.
   *
   * @since 0.1.0
   */
  static readonly layerDns: Layer.Layer<Resolver, never, Dns.Dns> = Layer.effect(
    this,
    Effect.map(Dns.Dns, (dns) => ({
      lookup: (host) =>
        dns.lookup(host).pipe(
          Effect.map((addresses) => addresses.map(NetAddress.formatIp)),
          Effect.mapError((error) =>
            new ResolveError({ host, detail: error.reason, retryable: error.reason !== "BadName" })
          )
        )
    }))
  )
}

/**
 * The address with its host resolved; IP addresses pass unchanged. Fails when there is no usable address, or after
 * `LOOKUP_TIMEOUT_MILLIS`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const resolve = Effect.fnUntraced(function*(
  address: PeerAddress,
  options: ResolveOptions
): Effect.fn.Return<PeerAddress, ResolveError, Resolver> {
  if (address.kind !== "name") return address
  const resolver = yield* Resolver
  const hosts = yield* Effect.timeoutOrElse(resolver.lookup(address.host), {
    duration: LOOKUP_TIMEOUT_MILLIS,
    orElse: () => Effect.fail(new ResolveError({ host: address.host, detail: "Timeout", retryable: true }))
  })
  let ipv6: PeerAddress | undefined
  for (const host of hosts) {
    const parsed = PeerAddress.parse(host.includes(":") ? `[${host}]:${address.port}` : `${host}:${address.port}`)
    if (Result.isFailure(parsed)) continue
    if (parsed.success.kind === "ipv4") return parsed.success
    if (parsed.success.kind === "ipv6") ipv6 ??= parsed.success
  }
  if (options.ipv6 && ipv6 !== undefined) return ipv6
  const detail = ipv6 === undefined ? "no usable address" : "only IPv6 addresses, which are not enabled"
  return yield* new ResolveError({ host: address.host, detail, retryable: true })
})
