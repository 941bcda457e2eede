import type * as SimFault from "../SimFault.ts"
import type { SeededRandom } from "./seededRandom.ts"

type Makers = { readonly [K in SimFault.Kind]: () => SimFault.Parameters[K] }

/**
 * The parameters of a fault of one kind, drawn: strong enough to be felt within seconds, and never so strong that nothing
 * could come back when it is over.
 */
export const drawFault = (
  kind: SimFault.Kind,
  random: SeededRandom,
  nodes: ReadonlyArray<string>
): SimFault.SimFault => {
  const below = (bound: number) => random.nextBelowUnsafe(bound)
  const choose = <A>(from: ReadonlyArray<A>): A => from[below(from.length)]!
  const between = (least: number, most: number) => least + below(most - least + 1)
  const node = () => choose(nodes)
  const two = (): readonly [string, string] => {
    const first = below(nodes.length)
    return [nodes[first]!, nodes[(first + 1 + below(nodes.length - 1)) % nodes.length]!]
  }
  /** One direction, one side's, or everybody's. */
  const lane = (): SimFault.Lane => {
    const [from, to] = two()
    switch (below(4)) {
      case 0:
        return { from, to }
      case 1:
        return { from }
      case 2:
        return { to }
      default:
        return {}
    }
  }
  const narrow = (): SimFault.Lane => {
    const [from, to] = two()
    return choose([{ from, to }, { from }, { to }])
  }
  const strikes = (): SimFault.Strikes => ({
    ...narrow(),
    probability: choose([0.01, 0.05, 0.2, 1]),
    skip: choose([0, 0, 2, 10]),
    limit: choose([1, 3, 10])
  })
  const split = (): ReadonlyArray<ReadonlyArray<string>> => {
    const side = nodes.filter(() => below(2) === 0)
    return [side.length === 0 || side.length === nodes.length ? [nodes[0]!] : side]
  }
  const some = (): ReadonlyArray<string> => {
    const chosen = nodes.filter(() => below(3) === 0)
    return chosen.length === 0 ? [node()] : chosen
  }

  const makers: Makers = {
    Delay: () => ({ ...lane(), millis: choose([50, 200, 1000]) }),
    Jitter: () => ({ ...lane(), millis: choose([20, 100, 500]) }),
    Bandwidth: () => ({ ...lane(), bytesPerSecond: choose([4000, 20_000, 100_000]) }),
    SmallQueue: () => ({ ...lane(), bytes: choose([64, 500, 2000]) }),
    Segmentation: () => ({ ...lane(), maxBytes: choose([1, 7, 100, 1000]) }),
    Coalescing: () => ({ ...lane(), millis: choose([50, 250, 1000]) }),
    ZeroWindow: narrow,
    SlowReader: () => ({ node: node(), bytesPerSecond: choose([1000, 5000, 50_000]) }),
    SlowWriter: () => ({ node: node(), bytesPerSecond: choose([1000, 5000, 50_000]) }),
    HalfOpen: narrow,
    Reset: narrow,
    ResetMidFrame: narrow,
    Fin: narrow,
    FinMidFrame: narrow,
    DialRefused: lane,
    DialTimeout: lane,
    DialSlow: () => ({ ...lane(), millis: choose([200, 1500]) }),
    WrongNode: () => {
      const [at, other] = two()
      return { at, node: other }
    },
    BacklogFull: () => ({ node: node() }),
    AcceptEmfile: () => ({ node: node() }),
    DialEmfile: () => ({ node: node() }),
    FrameDamage: strikes,
    MacDamage: strikes,
    SequenceDamage: strikes,
    MarkDamage: strikes,
    FrameDuplicate: strikes,
    FrameReorder: strikes,
    FrameDrop: strikes,
    FrameTruncate: strikes,
    ByteCorruption: strikes,
    ByteLoss: strikes,
    ByteInsertion: strikes,
    Partition: () => ({ groups: split() }),
    PartitionOneWay: () => ({ from: some(), to: some() }),
    Isolate: () => ({ node: node() }),
    SwizzleClog: () => ({ spacingMillis: between(200, 1500) }),
    Flapping: () => ({ groups: split(), downMillis: between(200, 4000), upMillis: between(200, 4000) }),
    Regions: () => ({
      regions: Object.fromEntries(nodes.map((name) => [name, below(3)])),
      millis: [[0, 40, 150], [40, 0, 110], [150, 110, 0]]
    }),
    Crash: () => ({ node: node() }),
    PowerLoss: () => ({ node: node() }),
    CrashInWrite: () => ({ node: node(), applied: below(2) === 0 }),
    Stop: () => ({ node: node() }),
    RestartOldDatabase: () => ({ node: node(), ageMillis: choose([1000, 5000, 20_000]) }),
    RestartLostDatabase: () => ({ node: node() }),
    RestartForeignDatabase: () => {
      const [self, of] = two()
      return { node: self, of }
    },
    Pause: () => ({ node: node() }),
    SlowCpu: () => ({ node: node(), millisPerTurn: choose([1, 5, 20]) }),
    ClockJump: () => ({ node: node(), millis: choose([-1, 1]) * choose([5000, 120_000, 7_200_000]) }),
    ClockDrift: () => ({ node: node(), partsPerMillion: choose([-50_000, -200, 200, 50_000]) }),
    DatabaseFull: () => ({ node: node() }),
    DatabaseLocked: () => ({ node: node() }),
    DatabaseCorrupt: () => ({ node: node() }),
    DatabaseSlow: () => ({ node: node(), millis: choose([50, 1000, 6000]) }),
    Upgrade: () => ({
      node: node(),
      ...choose([
        { overlayVersion: 43, overlayMinVersion: 38 },
        { overlayVersion: 41, overlayMinVersion: 38 },
        { overlayVersion: 43, overlayMinVersion: 40 }
      ])
    }),
    // The last node has no vote: a validator with a double could vote twice, which the toy ledger does not survive.
    SharedKey: () => {
      const other = nodes[nodes.length - 1]!
      return { node: nodes[below(nodes.length - 1)]!, with: other }
    },
    Reconfigure: () => ({
      node: node(),
      config: choose<Readonly<Record<string, number | boolean>>>([
        { targetPeerConnections: 4 },
        { peerFloodReadingCapacity: 30, peerReadingCapacity: 31, flowControlSendMoreBatchSize: 10 },
        { floodDemandPeriodMillis: 100, floodAdvertPeriodMillis: 50 },
        { peerTimeoutSeconds: 12 },
        { strictCoreTimers: true }
      ])
    })
  }
  // A maker gives the parameters of its own kind.
  return { _tag: kind, ...makers[kind]() } as SimFault.SimFault
}
