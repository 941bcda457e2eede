import type { Direction } from "../LoopbackTransport.ts"
import { Link, type LinkOptions } from "./loopbackLink.ts"
import type { Lane } from "./simLane.ts"
import { SimPipe, type SimPipeContext } from "./simPipe.ts"

const other = (direction: Direction): Direction => direction === "toDialer" ? "toListener" : "toDialer"
const directions = ["toListener", "toDialer"] as const

/**
 * A connection in a network that can fail: what each end knows of the other's end comes by the way between them.
 */
export class SimLink extends Link {
  /** The IPs of its nodes, by what they read. */
  readonly ips: Readonly<Record<Direction, string>>
  readonly lanes: Readonly<Record<Direction, Lane>>
  private readonly ways: ReadonlyMap<Direction, SimPipe>
  /** RSTs that a cut holds back, by the direction they go. */
  private readonly heldResets = new Set<Direction>()

  constructor(
    options: Omit<LinkOptions, "pipe"> & {
      readonly context: SimPipeContext
      readonly ips: Readonly<Record<Direction, string>>
      readonly lanes: Readonly<Record<Direction, Lane>>
      readonly onWrite: (direction: Direction, chunk: Uint8Array, arrival: number) => void
    }
  ) {
    const { context, lanes, onWrite } = options
    const ways = new Map<Direction, SimPipe>()
    super({
      ...options,
      pipe: (link, direction, onUnread) => {
        const way = new SimPipe({
          ...context,
          lane: lanes[direction],
          onWrite: (chunk, arrival) => onWrite(direction, chunk, arrival),
          onUnread,
          onCut: () => link.break()
        })
        ways.set(direction, way)
        return way
      }
    })
    this.ways = ways
    this.ips = options.ips
    this.lanes = lanes
  }

  private way(direction: Direction): SimPipe {
    return this.ways.get(direction)! // both were made
  }

  override breakFrom(reads: Direction): void {
    const inbound = this.way(reads)
    const goes = other(reads)
    const outbound = this.way(goes)
    inbound.breakReader()
    outbound.breakWriter()
    if (outbound.isLost) return
    const { shut, where } = this.lanes[goes]
    if (shut.length > 0) {
      for (const fault of shut) fault.fire(where)
      this.heldResets.add(goes)
    } else this.breakAt(goes)
  }

  /** An RST has come to the side that reads this direction. */
  private breakAt(reads: Direction): void {
    this.way(reads).breakReader()
    this.way(other(reads)).breakWriter()
  }

  /** The side that reads this direction is gone, and the other one hears nothing of it. */
  halve(gone: Direction): void {
    for (const way of this.ways.values()) way.lose()
    this.breakAt(gone)
  }

  /** The network ends a direction. */
  finish(direction: Direction): void {
    this.way(direction).finish(true)
  }

  /** The faults, or the conditions, have changed. */
  refresh(): void {
    for (const direction of directions) {
      const lane = this.lanes[direction]
      lane.refresh()
      if (lane.shut.length === 0 && this.heldResets.delete(direction)) this.breakAt(direction)
      this.way(direction).laneChanged()
    }
  }
}
