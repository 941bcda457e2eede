import type { Kind, Lane as Between, NetworkFault, Of } from "../SimFault.ts"
import type { Conditions } from "../SimNetwork.ts"
import type { ActiveFault } from "./simFaults.ts"
import type { StrikeFault, StrikeKind } from "./simTransit.ts"

/** The kinds that decide how the bytes of a lane fare, and that a lane therefore looks for among the faults. */
type ShapeKind =
  | "Delay"
  | "Jitter"
  | "Bandwidth"
  | "SmallQueue"
  | "Segmentation"
  | "Coalescing"
  | "SlowReader"
  | "SlowWriter"
  | "Regions"

type Shapes = { readonly [K in ShapeKind]: Array<ActiveFault<Of<K>>> }

/** A rate, and the fault it is due to. */
export interface Limit {
  readonly value: number
  readonly fault: ActiveFault | undefined
}

/** What a lane asks its network. */
export interface LaneContext {
  /** Whether a name, or an IP, is that node. */
  readonly isNode: (name: string, ip: string) => boolean
  /** Whether this fault cuts the way between two nodes at present. */
  readonly cuts: (fault: NetworkFault, from: string, to: string) => boolean
  readonly conditions: (from: string, to: string) => Conditions
  readonly faults: () => Iterable<ActiveFault>
  readonly draw: () => number
}

/** Whether a fault that is about a lane is about this one. */
export const isBetween = ({ isNode }: Pick<LaneContext, "isNode">, lane: Between, from: string, to: string): boolean =>
  (lane.from === undefined || isNode(lane.from, from)) && (lane.to === undefined || isNode(lane.to, to))

const strikeKinds: ReadonlySet<Kind> = new Set<StrikeKind>([
  "FrameDamage",
  "MacDamage",
  "SequenceDamage",
  "MarkDamage",
  "FrameDuplicate",
  "FrameReorder",
  "FrameDrop",
  "FrameTruncate",
  "ResetMidFrame",
  "FinMidFrame",
  "ByteCorruption",
  "ByteLoss",
  "ByteInsertion"
])

const noShapes = (): Shapes => ({
  Delay: [],
  Jitter: [],
  Bandwidth: [],
  SmallQueue: [],
  Segmentation: [],
  Coalescing: [],
  SlowReader: [],
  SlowWriter: [],
  Regions: []
})

const isShape = (kind: Kind, shapes: Shapes): kind is ShapeKind => kind in shapes

/** A value of the faults of a kind, and whose it is. */
type Least<K extends ShapeKind> = { readonly value: number; readonly fault: ActiveFault<Of<K>> } | undefined

/** The smallest value of the faults. */
const least = <F extends ActiveFault>(
  faults: ReadonlyArray<F>,
  valueOf: (fault: F) => number
): { readonly value: number; readonly fault: F } | undefined => {
  let found: { readonly value: number; readonly fault: F } | undefined
  for (const fault of faults) {
    const value = valueOf(fault)
    if (found === undefined || value < found.value) found = { value, fault }
  }
  return found
}

/**
 * What one direction between two nodes is like at present: the conditions of the link and the faults that are about it.
 */
export class Lane {
  readonly from: string
  readonly to: string
  /** For reports. */
  readonly where: string
  conditions: Conditions = {}
  shapes = noShapes()
  /** The faults because of which nothing comes through. */
  shut: Array<ActiveFault> = []
  strikes: Array<StrikeFault> = []
  /** The slowest part of the way, in bytes per second, and the fault it is due to. */
  bandwidth: Limit | undefined
  slowWriter: Least<"SlowWriter">
  slowReader: Least<"SlowReader">
  smallQueue: Least<"SmallQueue">
  segmentation: Least<"Segmentation">
  coalescing: Least<"Coalescing">
  private readonly context: LaneContext

  constructor(context: LaneContext, from: string, to: string, where: string) {
    this.context = context
    this.from = from
    this.to = to
    this.where = where
    this.refresh()
  }

  /** Looks for what is about this lane. */
  refresh(): void {
    const { context, from, to } = this
    const { isNode } = context
    this.conditions = context.conditions(from, to)
    this.shapes = noShapes()
    this.shut = []
    this.strikes = []
    for (const active of context.faults()) {
      const { fault } = active
      switch (fault._tag) {
        case "Regions":
          if (this.regionMillis(fault) > 0) this.addShape(active)
          continue
        case "SlowReader":
          if (isNode(fault.node, to)) this.addShape(active)
          continue
        case "SlowWriter":
          if (isNode(fault.node, from)) this.addShape(active)
          continue
        case "ZeroWindow":
          if (isBetween(context, fault, from, to)) this.shut.push(active)
          continue
        case "Partition":
        case "PartitionOneWay":
        case "Isolate":
        case "SwizzleClog":
        case "Flapping":
          if (context.cuts(fault, from, to)) this.shut.push(active)
          continue
      }
      const isShaping = isShape(fault._tag, this.shapes)
      if (!isShaping && !strikeKinds.has(fault._tag)) continue
      if (!isBetween(context, fault as Between, from, to)) continue // all that are left are about a lane
      if (isShaping) this.addShape(active)
      else this.strikes.push(active as StrikeFault) // by its kind
    }
    this.measure()
  }

  private addShape(active: ActiveFault): void {
    const { shapes } = this
    if (isShape(active.fault._tag, shapes)) (shapes[active.fault._tag] as Array<ActiveFault>).push(active) // by its kind
  }

  regionMillis(fault: Of<"Regions">): number {
    const regionOf = (ip: string) => {
      for (const [name, region] of Object.entries(fault.regions)) if (this.context.isNode(name, ip)) return region
      return 0
    }
    return fault.millis[regionOf(this.from)]?.[regionOf(this.to)] ?? 0
  }

  /** What is added on the way: the same for all bytes, and for these. Tells the faults that have a part in it. */
  delayMillis(): number {
    const { conditions, shapes, where } = this
    let millis = conditions.delayMillis ?? 0
    if (conditions.jitterMillis !== undefined) millis += conditions.jitterMillis * this.context.draw()
    for (const delay of shapes.Delay) {
      millis += delay.fault.millis
      delay.fire(where)
    }
    for (const regions of shapes.Regions) {
      millis += this.regionMillis(regions.fault)
      regions.fire(where)
    }
    for (const jitter of shapes.Jitter) {
      const drawn = jitter.fault.millis * this.context.draw()
      millis += drawn
      if (drawn > 0) jitter.fire(where)
    }
    return millis
  }

  /** The delay without chance and without counting: for what is not bytes. */
  get steadyDelayMillis(): number {
    const { conditions, shapes } = this
    let millis = conditions.delayMillis ?? 0
    for (const { fault } of shapes.Delay) millis += fault.millis
    for (const { fault } of shapes.Regions) millis += this.regionMillis(fault)
    return millis
  }

  /** What the shapes come to, looked up once and not for every message. */
  private measure(): void {
    const { conditions: { bytesPerSecond }, shapes } = this
    const worst = least(shapes.Bandwidth, ({ fault }) => fault.bytesPerSecond)
    if (worst !== undefined && (bytesPerSecond === undefined || worst.value < bytesPerSecond)) this.bandwidth = worst
    else this.bandwidth = bytesPerSecond === undefined ? undefined : { value: bytesPerSecond, fault: undefined }
    this.slowWriter = least(shapes.SlowWriter, ({ fault }) => fault.bytesPerSecond)
    this.slowReader = least(shapes.SlowReader, ({ fault }) => fault.bytesPerSecond)
    this.smallQueue = least(shapes.SmallQueue, ({ fault }) => fault.bytes)
    this.segmentation = least(shapes.Segmentation, ({ fault }) => fault.maxBytes)
    this.coalescing = least(shapes.Coalescing, ({ fault }) => -fault.millis)
  }
}
