import * as Effect from "effect/Effect"
import type { NodeFault, SimFault } from "../SimFault.ts"
import { isNetworkFault } from "../SimFault.ts"
import type { Active, SimNetwork } from "../SimNetwork.ts"
import { isDatabaseFault } from "./simDatabase.ts"
import type { ActiveFault } from "./simFaults.ts"
import type { ClusterNode } from "./simNode.ts"

/** A fault that keeps a node down ends with its start, when nothing else keeps it down. */
const upAgain = (node: ClusterNode, active: ActiveFault): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!node.downBy.delete(active) || node.downBy.size > 0) return Effect.void
    return node.start
  })

/** Makes a fault of a node true. */
const injectNodeFault = (
  book: Pick<SimNetwork["Service"], "begin">,
  nodeOf: (name: string) => ClusterNode,
  fault: NodeFault
): Effect.Effect<Active> =>
  Effect.suspend(() => {
    const node = nodeOf(fault.node)
    /** What the end of the fault does, and what its beginning does, once it is in the book. */
    const during = (
      begins: (active: ActiveFault) => Effect.Effect<void>,
      ends: (active: ActiveFault) => Effect.Effect<void> = () => Effect.void
    ) =>
      Effect.suspend(() => {
        let self: ActiveFault | undefined
        return Effect.tap(
          book.begin<SimFault>(fault, Effect.suspend(() => self === undefined ? Effect.void : ends(self))),
          (active) => {
            self = active as ActiveFault // `begin` makes no other
            return begins(self)
          }
        )
      })
    const fireIf = (active: ActiveFault, took: boolean) => {
      if (took) active.fire(node.name)
    }
    const down = (how: Effect.Effect<void>) =>
      during((active) =>
        Effect.suspend(() => {
          // What was down without a fault is not brought up by the end of one.
          if (node.status !== "down" || node.downBy.size > 0) node.downBy.add(active)
          fireIf(active, node.status !== "down")
          return how
        }), (active) => upAgain(node, active))

    switch (fault._tag) {
      case "Crash":
        return down(node.die(false))
      case "PowerLoss":
        return down(node.die(true))
      case "Stop":
        return down(node.stop)
      case "CrashInWrite":
        return during((active) =>
          Effect.sync(() => {
            if (isDatabaseFault(active)) node.disk.faults.add(active)
          }), (active) =>
          Effect.suspend(() => {
            if (isDatabaseFault(active)) node.disk.faults.delete(active)
            return active.fired > 0 && node.downBy.size === 0 ? node.start : Effect.void
          }))
      case "RestartOldDatabase":
      case "RestartLostDatabase":
      case "RestartForeignDatabase":
        return during((active) =>
          Effect.suspend(() => {
            if (node.downBy.size > 0) return Effect.void
            const database = fault._tag === "RestartLostDatabase"
              ? "lost"
              : fault._tag === "RestartOldDatabase"
              ? { _tag: "old" as const, ageMillis: fault.ageMillis }
              : { _tag: "foreign" as const, of: fault.of }
            return Effect.map(
              node.restartOn(database, (name) => nodeOf(name).disk),
              (changed) => fireIf(active, changed)
            )
          })
        )
      case "Pause":
        return during(
          (active) => Effect.sync(() => node.hold((where) => active.fire(where))),
          () => Effect.sync(() => node.letGo())
        )
      case "SlowCpu":
        return during((active) =>
          Effect.sync(() => {
            if (active.fault._tag === "SlowCpu") node.machine.slow = active as ActiveFault<typeof fault> // its fault
          }), (active) =>
          Effect.sync(() => {
            if (node.machine.slow === active) node.machine.slow = undefined
          }))
      case "ClockDrift":
        return during(
          (active) => Effect.sync(() => node.machine.setDrift(active as ActiveFault<typeof fault>)), // its fault
          (active) =>
            Effect.sync(() => {
              if (node.machine.drift === active) node.machine.setDrift(undefined)
            })
        )
      case "ClockJump":
        return during((active) =>
          Effect.sync(() => {
            node.machine.jumpWallClock(fault.millis)
            fireIf(active, fault.millis !== 0)
          }), () => Effect.sync(() => node.machine.setWallClock(0)))
      case "DatabaseFull":
      case "DatabaseLocked":
      case "DatabaseCorrupt":
      case "DatabaseSlow":
        return during((active) =>
          Effect.sync(() => {
            if (isDatabaseFault(active)) node.disk.faults.add(active)
          }), (active) =>
          Effect.sync(() => {
            if (isDatabaseFault(active)) node.disk.faults.delete(active)
          }))
      case "Upgrade":
      case "Reconfigure":
        return during((active) =>
          Effect.suspend(() => {
            const { downBy } = node
            const change = () => {
              node.config = fault._tag === "Upgrade"
                ? { ...node.config, overlayVersion: fault.overlayVersion, overlayMinVersion: fault.overlayMinVersion }
                : { ...node.config, ...fault.config }
              active.fire(node.name)
            }
            return downBy.size > 0 ? Effect.sync(change) : node.restartWith(change)
          })
        )
      case "SharedKey": {
        const become = (key: string, active: ActiveFault | undefined) =>
          Effect.suspend(() => {
            const change = () => {
              node.keyOf = key
              active?.fire(node.name)
            }
            return node.downBy.size > 0 ? Effect.sync(change) : node.restartWith(change)
          })
        return during((active) => become(fault.with, active), () => become(node.name, undefined))
      }
    }
  })

/** Makes any fault true: of the network by the network, of a node here. */
export const inject = (
  network: SimNetwork["Service"],
  nodeOf: (name: string) => ClusterNode,
  fault: SimFault
): Effect.Effect<Active> =>
  isNetworkFault(fault) ? network.inject(fault) : injectNodeFault(network, nodeOf, fault as NodeFault) // what is left
