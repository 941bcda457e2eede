/**
 * The checkers that depend on a scenario: how long its nodes remember and wait, and what a message takes.
 *
 * @since 0.1.0
 */
import { MAX_SLOTS_TO_REMEMBER } from "@stellar-overlay/overlay/protocol/LedgerContext"
import { DEFAULT_START_UNIX_MILLIS } from "../World.ts"
import type { Checker } from "./Checker.ts"
import * as ConnectionCheckers from "./ConnectionCheckers.ts"
import * as FloodCheckers from "./FloodCheckers.ts"
import { quietPeace } from "./PeerCheckers.ts"
import type { Scenario } from "./Scenario.ts"
import * as SearchCheckers from "./SearchCheckers.ts"
import * as SyncCheckers from "./SyncCheckers.ts"
import * as TimeCheckers from "./TimeCheckers.ts"

/** PEER_TIMEOUT of a node that is not told otherwise, in seconds. */
const PEER_TIMEOUT = 30

/** SCP messages about one ledger that may wait for credit on one connection. */
const BURST = 40

/** How long a message is under way: with little credit it waits for that of those before it, one way and back each. */
const wayMillisOf = ({ delayMillis, jitterMillis, nodes }: Scenario): number => {
  const way = delayMillis + jitterMillis / 2
  const credit = Math.min(...nodes.map(({ config }) => Number(config["peerFloodReadingCapacity"] ?? Infinity)))
  return credit >= BURST ? way : way * (1 + 2 * Math.ceil(BURST / credit))
}

/**
 * The checkers of a scenario beside `Campaign.checkers`, but for those of liveness. `settleMillis` is what a message may
 * take from one end of the network to the other.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (scenario: Scenario, settleMillis: number): ReadonlyArray<Checker> => {
  const configs = new Map(scenario.nodes.map(({ config, name }) => [name, config]))
  const setting = (node: string, name: string, byDefault: number): number =>
    Number(configs.get(node)?.[name] ?? byDefault)
  const memoryOf = (node: string) => setting(node, "maxSlotsToRemember", MAX_SLOTS_TO_REMEMBER)
  const patienceOf = (node: string) => 1000 * setting(node, "peerTimeoutSeconds", PEER_TIMEOUT)
  const isStrict = (node: string) => configs.get(node)?.["strictCoreTimers"] === true
  /** What the most forgetful node remembers, but for a ledger that it may be about to forget. */
  const leastMemory = Math.min(...scenario.nodes.map(({ name }) => memoryOf(name))) - 1
  return [
    ...scenario.faults.length === 0 ? [quietPeace] : [],
    FloodCheckers.notEchoed(wayMillisOf(scenario)),
    FloodCheckers.sentOnceWithin(memoryOf),
    FloodCheckers.recordsFade(memoryOf),
    // The toy ledger waits for two close times.
    SyncCheckers.caughtUp(leastMemory, 2 * scenario.closeTimeMillis),
    SearchCheckers.searchesGoOn(memoryOf),
    SearchCheckers.answered(settleMillis),
    TimeCheckers.silenceEnds(patienceOf),
    TimeCheckers.timeoutsJust(patienceOf),
    TimeCheckers.debtsEnd(isStrict),
    ConnectionCheckers.backsOff(DEFAULT_START_UNIX_MILLIS)
  ]
}
