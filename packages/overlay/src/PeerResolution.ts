/**
 * The configured peers as addresses, kept up to date in the background.
 *
 * Names are looked up when it starts and every 600 s after that. As long as something failed since the start, the
 * pauses are 10 s, 20 s, 30 s and so on instead; that ends for good with the first round in which nothing failed, or
 * when a pause would be longer than 600 s. A finished round waits until the overlay's tick takes it.
 *
 * A name that fails never hides the others, and keeps the address it had; core forgets that address until the name
 * resolves again.
 *
 * Implements protocol.md 9.2 (stellar-core: `OverlayManagerImpl::triggerPeerResolution`, `tick`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { resolve, type ResolveError, type Resolver } from "./Resolver.ts"
import { PeerAddress } from "./wire/PeerAddress.ts"
import type { WireError } from "./wire/WireError.ts"

/**
 * Time between two rounds (PEER_IP_RESOLVE_DELAY).
 *
 * @category constants
 * @since 0.1.0
 */
export const RESOLVE_MILLIS = 600_000

/**
 * The step by which pauses after failed rounds grow (PEER_IP_RESOLVE_RETRY_DELAY).
 *
 * @category constants
 * @since 0.1.0
 */
export const RESOLVE_RETRY_MILLIS = 10_000

/**
 * Names looked up at the same time.
 *
 * @category constants
 * @since 0.1.0
 */
export const RESOLVE_CONCURRENCY = 8

/**
 * When the next round is due.
 *
 * @category models
 * @since 0.1.0
 */
export class ResolutionSchedule {
  private retrying = true
  private retries = 0

  /** Milliseconds to the next round, after one that had failures or not. */
  next(failed: boolean): number {
    if (!this.retrying) return RESOLVE_MILLIS
    const delay = ++this.retries * RESOLVE_RETRY_MILLIS
    this.retrying = failed && delay <= RESOLVE_MILLIS
    return this.retrying ? delay : RESOLVE_MILLIS
  }
}

/**
 * An entry of the configuration that gave no address.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResolutionFailure {
  /** The entry as configured. */
  readonly entry: string
  readonly error: ResolveError | WireError
}

/**
 * The configured peers at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResolvedPeers {
  readonly known: ReadonlyArray<PeerAddress>
  readonly preferred: ReadonlyArray<PeerAddress>
  /** No entry is missing: each is an IP address or a name that resolved at least once. */
  readonly complete: boolean
  /** Entries that failed in this round, and those that are no addresses at all. */
  readonly failures: ReadonlyArray<ResolutionFailure>
}

/**
 * The running resolution.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerResolution {
  /** What needs no look-up: the IP addresses of the configuration. Available at once. */
  readonly initial: ResolvedPeers
  /** The result of the last round that finished and was not taken yet. */
  readonly take: () => ResolvedPeers | undefined
}

/**
 * The lists of the configuration.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerLists {
  readonly known: ReadonlyArray<string>
  readonly preferred: ReadonlyArray<string>
  readonly ipv6: boolean
}

interface Entry {
  readonly text: string
  readonly parsed: Result.Result<PeerAddress, WireError>
}

/**
 * Starts resolving; it ends with the scope. Without names in the lists nothing runs.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  lists: PeerLists
): Effect.fn.Return<PeerResolution, never, Resolver | Scope.Scope> {
  const parse = (text: string): Entry => ({ text, parsed: PeerAddress.parse(text, { ipv6: lists.ipv6 }) })
  const known = lists.known.map(parse)
  const preferred = lists.preferred.map(parse)
  const names = new Map<string, PeerAddress>()
  for (const { parsed } of [...known, ...preferred]) {
    if (Result.isSuccess(parsed) && parsed.success.kind === "name") names.set(parsed.success.key, parsed.success)
  }
  const answers = new Map<string, PeerAddress>()

  const snapshot = (failed: ReadonlyMap<string, ResolveError>): ResolvedPeers => {
    const failures: Array<ResolutionFailure> = []
    let complete = true
    const collect = (entries: ReadonlyArray<Entry>): ReadonlyArray<PeerAddress> => {
      const out = new Map<string, PeerAddress>()
      for (const { parsed, text } of entries) {
        if (Result.isFailure(parsed)) {
          failures.push({ entry: text, error: parsed.failure })
          continue
        }
        const { key, kind } = parsed.success
        const error = failed.get(key)
        if (error !== undefined) failures.push({ entry: text, error })
        const address = kind === "name" ? answers.get(key) : parsed.success
        if (address === undefined) complete = false
        else out.set(address.key, address)
      }
      return [...out.values()]
    }
    return { known: collect(known), preferred: collect(preferred), complete, failures }
  }

  const initial = snapshot(new Map())
  let finished: ResolvedPeers | undefined

  const round = Effect.gen(function*() {
    const failed = new Map<string, ResolveError>()
    yield* Effect.forEach(names.values(), (name) =>
      Effect.matchEffect(resolve(name, lists), {
        onFailure: (error) => Effect.sync(() => failed.set(name.key, error)),
        onSuccess: (address) => Effect.sync(() => answers.set(name.key, address))
      }), { concurrency: RESOLVE_CONCURRENCY, discard: true })
    finished = snapshot(failed)
    return Array.from(failed.values()).some((error) => error.retryable)
  })

  const schedule = new ResolutionSchedule()
  if (names.size > 0) {
    yield* round.pipe(
      // A resolver is somebody else's code: what it throws costs this round and not all later ones.
      Effect.catchDefect((defect) =>
        Effect.as(Effect.logError("A defect while resolving configured peers", defect), true)
      ),
      Effect.flatMap((failed) => Effect.sleep(schedule.next(failed))),
      Effect.forever,
      Effect.forkScoped
    )
  }

  return {
    initial,
    take: () => {
      const result = finished
      finished = undefined
      return result
    }
  }
})
