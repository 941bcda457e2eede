import type { SeededRandom } from "./seededRandom.ts"

type Config = Record<string, number | boolean | string>

/**
 * Settings of one node, drawn so that a network of such nodes is expected to work: enough slots to be connected, credit
 * for at least one message of every size, time limits that honest peers keep.
 */
export const drawConfig = (random: SeededRandom, size: number): Config => {
  const below = (bound: number) => random.nextBelowUnsafe(bound)
  const choose = <A>(from: ReadonlyArray<A>): A => from[below(from.length)]!
  const config: Config = {}
  const sometimes = (name: string, values: ReadonlyArray<number | boolean | string>): void => {
    if (below(2) === 0) config[name] = choose(values)
  }
  config["targetPeerConnections"] = Math.min(size, choose([2, 2, 3, 3, 4, 8]))
  if (below(3) === 0) {
    const flood = choose([10, 20, 50, 100, 200])
    config["peerFloodReadingCapacity"] = flood
    config["peerReadingCapacity"] = flood + choose([1, 10, 100])
    config["flowControlSendMoreBatchSize"] = Math.max(1, Math.floor(flood / choose([1, 2, 5, 10])))
  }
  sometimes("peerTotalReadingCapacityBytes", [131_072, 262_144, 1_048_576])
  sometimes("outboundTxQueueByteLimit", [262_144, 3_145_728])
  sometimes("maxBatchWriteCount", [1, 2, 16, 1024])
  sometimes("maxBatchWriteBytes", [1024, 16_384, 1_048_576])
  sometimes("floodAdvertPeriodMillis", [10, 100, 300])
  sometimes("floodDemandPeriodMillis", [50, 200, 400])
  sometimes("floodDemandBackoffDelayMillis", [200, 500, 1000])
  sometimes("maxSlotsToRemember", [8, 12, 20])
  sometimes("peerTimeoutSeconds", [10, 15, 30])
  sometimes("peerStragglerTimeoutSeconds", [30, 120])
  sometimes("demandPolicy", ["core", "fair"])
  sometimes("strictCoreTimers", [true, false])
  sometimes("connectTimeoutMillis", [1000, 5000])
  return config
}
