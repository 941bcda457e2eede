/** A network of light nodes in a world, and what is true about it. */
import * as CrawlTarget from "@stellar-overlay/overlay-test/CrawlTarget"
import { LoopbackNetwork } from "@stellar-overlay/overlay-test/LoopbackTransport"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import * as World from "@stellar-overlay/overlay-test/World"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import { Resolver } from "@stellar-overlay/overlay/Resolver"
import { Transport } from "@stellar-overlay/overlay/Transport"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import { encodeEntry, PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as StellarMessage from "@stellar-overlay/overlay/wire/StellarMessage"
import { Effect, Layer } from "effect"

const networkPassphrase = "A network to be mapped ; November 2026"
const config: Partial<OverlayConfig.Values> = {
  networkPassphrase,
  allowLocalhostForTesting: false,
  allowPrivateAddressesForTesting: false
}

/** Two nodes in each /24, in public ranges. */
export const addressOf = (i: number, port = 11625): PeerAddress =>
  PeerAddress.make(`${11 + (i >> 13)}.${(i >> 5) & 255}.${(i >> 1) & 15}.${1 + 7 * (i & 1)}`, port)

/** What no honest node tells, in every form PEERS can carry. */
export const poison: ReadonlyArray<{ readonly ip: ReadonlyArray<number>; readonly port: number }> = [
  { ip: [10, 0, 0, 1], port: 11625 },
  { ip: [172, 16, 3, 4], port: 11625 },
  { ip: [172, 31, 255, 255], port: 11625 },
  { ip: [192, 168, 1, 1], port: 11625 },
  { ip: [127, 0, 0, 1], port: 11625 },
  { ip: [127, 7, 7, 7], port: 11625 },
  { ip: [0, 0, 0, 0], port: 11625 },
  { ip: [0, 1, 2, 3], port: 11625 },
  { ip: [100, 64, 0, 1], port: 11625 },
  { ip: [169, 254, 169, 254], port: 11625 },
  { ip: [192, 0, 2, 9], port: 11625 },
  { ip: [198, 18, 0, 1], port: 11625 },
  { ip: [198, 51, 100, 1], port: 11625 },
  { ip: [203, 0, 113, 200], port: 11625 },
  { ip: [224, 0, 0, 1], port: 11625 },
  { ip: [239, 255, 255, 255], port: 11625 },
  { ip: [240, 0, 0, 1], port: 11625 },
  { ip: [255, 255, 255, 255], port: 11625 },
  { ip: [44, 1, 1, 1], port: 0 },
  { ip: [44, 1, 1, 1], port: 65_536 },
  { ip: [44, 1, 1, 1], port: 0xffffffff },
  { ip: [44, 1, 1, 1], port: 22 },
  { ip: [44, 1, 1, 1], port: 443 },
  { ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1], port: 11625 },
  { ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1], port: 11625 },
  { ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port: 11625 },
  { ip: [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port: 11625 },
  { ip: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port: 11625 },
  { ip: [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port: 11625 },
  { ip: [0x20, 1, 4, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port: 11625 }
]

const u32 = (
  value: number
): ReadonlyArray<number> => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]

/** PEERS with anything in it. */
const rawPeers = (good: ReadonlyArray<PeerAddress>): StellarMessage.StellarMessage => {
  const entries = poison.map(({ ip, port }) => [...u32(ip.length === 4 ? 0 : 1), ...ip, ...u32(port), ...u32(0)])
  for (const address of good) entries.push([...encodeEntry(address)!])
  return StellarMessage.fromBytes(Uint8Array.from([...u32(5), ...u32(entries.length), ...entries.flat()]))
}

/** What is at an address. */
export type Kind = "open" | "full" | "liar" | "slow" | "blackHole" | "refused"

export const isAlive = (kind: Kind): boolean => kind !== "blackHole" && kind !== "refused"

export interface Truth {
  readonly kinds: ReadonlyArray<Kind>
  /** The id at each address that is alive. */
  readonly ids: ReadonlyArray<NodeId | undefined>
  /** Whom each tells of. */
  readonly told: ReadonlyArray<ReadonlyArray<number>>
  readonly targets: ReadonlyArray<CrawlTarget.CrawlTarget | undefined>
  readonly slots: ReadonlyArray<number | undefined>
  readonly validators: ReadonlySet<NodeId>
}

export const NETWORK_SLOT = 60_000_000
const TOLD = 40
const VALIDATORS = 20
export const LAG = 7

/**
 * `n` addresses of which 20 % are full, 15 % dead (half of them without an answer), 5 % liars, 3 % slow, and the rest
 * open; each tells about 40 random others, dead ones included. The first 20 open ones are validators. Every tenth open
 * one lags.
 */
export const build = Effect.fnUntraced(function*(n: number) {
  const world = yield* World.World
  const network = yield* LoopbackNetwork
  const random = world.random("network")
  const index = (bound: number) => Math.floor(random.nextDoubleUnsafe() * bound)
  const shares: ReadonlyArray<readonly [Kind, number]> = [
    ["full", 0.2],
    ["blackHole", 0.075],
    ["refused", 0.075],
    ["liar", 0.05],
    ["slow", 0.03]
  ]
  const kinds: Array<Kind> = shares.flatMap(([kind, share]) => new Array<Kind>(Math.round(share * n)).fill(kind))
  while (kinds.length < n) kinds.push("open")
  for (let i = n - 1; i > 0; i--) {
    const j = index(i + 1)
    const kind = kinds[i]!
    kinds[i] = kinds[j]!
    kinds[j] = kind
  }
  kinds[0] = "open" // the seed
  const told = kinds.map((_, i) => {
    const others = new Set<number>([(i + 1) % n])
    for (let k = 1; k < Math.min(TOLD, n - 1); k++) others.add(index(n))
    others.delete(i)
    return [...others]
  })
  const validators: Array<CrawlTarget.CrawlTarget> = []
  const targets: Array<CrawlTarget.CrawlTarget | undefined> = []
  const slots: Array<number | undefined> = []
  for (const [i, kind] of kinds.entries()) {
    const address = addressOf(i)
    slots.push(undefined)
    targets.push(undefined)
    if (kind === "blackHole") yield* network.blackHole(address)
    if (!isAlive(kind)) continue
    const good = told[i]!.map((j) => addressOf(j))
    const sends = kind === "open" || kind === "slow"
    if (sends) slots[i] = NETWORK_SLOT - (i % 10 === 9 ? LAG : 0)
    const target = yield* CrawlTarget.listen({
      addresses: [address],
      kind: kind === "full" ? "full" : "open",
      config: { ...config, versionString: `${kind} v${i % 3}` },
      ...(kind === "liar" ? { rawPeers: rawPeers(good) } : { peers: () => good }),
      delayMillis: kind === "slow" ? 4000 : 0,
      scpState: () => sends ? validators.map((validator) => validator.externalize(slots[i]!)) : []
    }).pipe(
      Effect.provideService(Transport, network.transportAt(address.host)),
      Effect.provide(TestCrypto.layer(`target ${i}`))
    )
    targets[i] = target
    if (kind === "open" && validators.length < VALIDATORS) validators.push(target)
  }
  const truth: Truth = {
    kinds,
    ids: targets.map((target) => target?.id),
    told,
    targets,
    slots,
    validators: new Set(validators.map(({ id }) => id))
  }
  return truth
})

/** What a crawler at an address of its own needs. */
export const crawlerLayer = (seed = "crawler") =>
  LocalNode.layer.pipe(
    Layer.provideMerge(NodeIdentity.layerRandom),
    Layer.provideMerge(Layer.mergeAll(
      OverlayConfig.OverlayConfig.layer({
        ...config,
        listen: false,
        connectTimeoutMillis: 5000,
        peerAuthenticationTimeoutSeconds: 10
      }),
      TestCrypto.layer(seed),
      Layer.effect(Transport, Effect.map(LoopbackNetwork, (network) => network.transportAt("99.9.9.9"))),
      Resolver.layerStatic({})
    )),
    Layer.fresh
  )
