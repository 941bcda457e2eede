import { PeerManager, type PeerManagerShape } from "@stellar-overlay/overlay/PeerManager"
import { defaults, PeerManagerConfig } from "@stellar-overlay/overlay/PeerManagerConfig"
import {
  makeMemory,
  type PeerRecord,
  PeerStore,
  type PeerStoreShape,
  PeerType
} from "@stellar-overlay/overlay/PeerStore"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Context, Effect, Layer, type Scope } from "effect"

/** A manager of its own over a store, closed with the scope. */
export const open = (
  config: Partial<PeerManagerConfig> = {},
  store: PeerStoreShape = makeMemory()
): Effect.Effect<PeerManagerShape, never, Scope.Scope> =>
  Layer.build(Layer.fresh(PeerManager.layer).pipe(Layer.provide(Layer.succeed(PeerStore, store)))).pipe(
    Effect.map((context) => Context.get(context, PeerManager)),
    Effect.provideService(PeerManagerConfig, { ...defaults, ...config })
  )

export const record = (fields: Partial<PeerRecord> & { readonly address: PeerAddress }): PeerRecord => ({
  type: PeerType.Inbound,
  numFailures: 0,
  nextAttemptMillis: 0,
  lastSuccessMillis: 0,
  source: "",
  anchor: false,
  ...fields
})

/** The i-th address of many, each in a /16 of its own. */
export const addressOf = (i: number): PeerAddress => PeerAddress.make(`${20 + (i >> 8)}.${i & 255}.0.1`, 11625)

export const local = (port: number): PeerAddress => PeerAddress.make("127.0.0.1", port)

/** The text of addresses, sorted. */
export const keys = (addresses: Iterable<PeerAddress>): Array<string> =>
  Array.from(addresses, (address) => address.key).sort()

/** A generator that restarts at `seed` (mulberry32), as the Random service. */
export const makeRandom = () => {
  let state = 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    seed: (seed: number) => {
      state = seed
    },
    service: { nextDoubleUnsafe: next, nextIntUnsafe: () => Math.floor(next() * 2 ** 53) }
  }
}
