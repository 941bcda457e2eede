/**
 * Everything that can go wrong in a simulated network, as data.
 *
 * A fault is plain JSON: a seed draws it, a report prints it, a file keeps it. `SimNetwork.inject` makes the faults of the
 * network true, `SimCluster.inject` those of nodes too. Each kind has a counter that counts where the fault took effect (a
 * byte was changed, a dial was refused) and not where it was asked for, so that a campaign can prove which faults it met.
 *
 * Nodes are named as they were announced to the network: by `SimCluster`, or `SimNetwork.name`. An IP address names its
 * node as well.
 *
 * @since 0.1.0
 */

/**
 * Which bytes a fault is about: those that `from` sends to `to`. A side that is left out stands for every node.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lane {
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/**
 * How often a fault strikes on its lane. Every connection counts the frames of its direction from the first, HELLO.
 *
 * @category models
 * @since 0.1.0
 */
export interface Strikes extends Lane {
  /** For each frame (or chunk, for the faults on bytes), between 0 and 1; 1 unless given. */
  readonly probability?: number | undefined
  /** Frames of a connection that are spared at its start; 0 unless given. The handshake of each side is 2. */
  readonly skip?: number | undefined
  /** After so many strikes the fault rests; no limit unless given. */
  readonly limit?: number | undefined
}

/**
 * The parameters of each kind; times are milliseconds, rates bytes per second.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parameters {
  /** Everything takes so much longer, one way. */
  readonly Delay: Lane & { readonly millis: number }
  /** Every chunk takes up to so much longer; chunks stay in order, as in TCP. */
  readonly Jitter: Lane & { readonly millis: number }
  /** The lane carries so many bytes a second. */
  readonly Bandwidth: Lane & { readonly bytesPerSecond: number }
  /** So many bytes are under way before a writer waits. */
  readonly SmallQueue: Lane & { readonly bytes: number }
  /** What is written arrives in pieces of random size, up to `maxBytes`, each in a pull of its own. */
  readonly Segmentation: Lane & { readonly maxBytes: number }
  /** Arrivals are gathered: bytes come only at multiples of `millis`. */
  readonly Coalescing: Lane & { readonly millis: number }
  /** The receiver's window is shut: nothing arrives, the end neither, and writers wait. */
  readonly ZeroWindow: Lane
  /** The node takes so many bytes a second from each of its connections. */
  readonly SlowReader: { readonly node: string; readonly bytesPerSecond: number }
  /** The node's bytes leave at so many a second on each connection, and its writes take that long. */
  readonly SlowWriter: { readonly node: string; readonly bytesPerSecond: number }
  /** `to` loses its connections with `from`, which hears nothing of it and nothing ever again. */
  readonly HalfOpen: Lane
  /** Connections on the lane break with an RST, now. */
  readonly Reset: Lane
  /** A connection on the lane breaks with an RST in the middle of a frame. */
  readonly ResetMidFrame: Strikes
  /** The direction of each connection on the lane ends with a FIN, now. */
  readonly Fin: Lane
  /** The direction of a connection on the lane ends with a FIN in the middle of a frame. */
  readonly FinMidFrame: Strikes
  /** Dials from `from` to `to` are refused. */
  readonly DialRefused: Lane
  /** Dials from `from` to `to` are not answered. */
  readonly DialTimeout: Lane
  /** Dials from `from` to `to` take so much longer. */
  readonly DialSlow: Lane & { readonly millis: number }
  /** Dials of `at` reach `node`. */
  readonly WrongNode: { readonly at: string; readonly node: string }
  /** The node's backlog is full: dials of it are answered when it is not. */
  readonly BacklogFull: { readonly node: string }
  /** The node has no descriptor for what it should accept: connections open and end at once. */
  readonly AcceptEmfile: { readonly node: string }
  /** The node has no descriptor to dial with. */
  readonly DialEmfile: { readonly node: string }
  /** One bit of a frame's message is wrong. */
  readonly FrameDamage: Strikes
  /** One bit of a frame's MAC is wrong. */
  readonly MacDamage: Strikes
  /** One bit of a frame's sequence number is wrong. */
  readonly SequenceDamage: Strikes
  /** The record mark of a frame claims 16 MiB more than it has. */
  readonly MarkDamage: Strikes
  /** A frame comes twice. */
  readonly FrameDuplicate: Strikes
  /** A frame comes after the one that was sent after it. */
  readonly FrameReorder: Strikes
  /** A frame does not come. */
  readonly FrameDrop: Strikes
  /** A frame lacks its second half, mark and all that follows unchanged. */
  readonly FrameTruncate: Strikes
  /** One bit of a chunk is wrong, wherever it falls. */
  readonly ByteCorruption: Strikes
  /** One byte of a chunk does not come. */
  readonly ByteLoss: Strikes
  /** A chunk has a byte too many. */
  readonly ByteInsertion: Strikes
  /** Between nodes of different groups nothing comes through; nodes in no group form one together. */
  readonly Partition: { readonly groups: ReadonlyArray<ReadonlyArray<string>> }
  /** Nothing of what these nodes send reaches those. */
  readonly PartitionOneWay: { readonly from: ReadonlyArray<string>; readonly to: ReadonlyArray<string> }
  /** Nothing comes to the node or from it. */
  readonly Isolate: { readonly node: string }
  /** These nodes (a random half of all unless given) are cut off one after the other, and let back in another order. */
  readonly SwizzleClog: { readonly nodes?: ReadonlyArray<string> | undefined; readonly spacingMillis: number }
  /** A partition that comes and goes. */
  readonly Flapping: {
    readonly groups: ReadonlyArray<ReadonlyArray<string>>
    readonly downMillis: number
    readonly upMillis: number
  }
  /** Nodes are in regions (0 unless given), and `millis[a][b]` is what bytes take from region a to b beyond the rest. */
  readonly Regions: {
    readonly regions: Readonly<Record<string, number>>
    readonly millis: ReadonlyArray<ReadonlyArray<number>>
  }
  /** The process dies without a word; its system breaks its connections. Ends with a start on what the store has. */
  readonly Crash: { readonly node: string }
  /** The machine goes dark: its connections do not even break. Ends with a start on what the store has. */
  readonly PowerLoss: { readonly node: string }
  /** The process dies in its next write to the store, which has all of the batch (`applied`) or nothing of it. */
  readonly CrashInWrite: { readonly node: string; readonly applied: boolean }
  /** The node is shut down in order. Ends with a start. */
  readonly Stop: { readonly node: string }
  /** The process dies and starts on a backup: its store as it was about `ageMillis` ago, or as far back as is known. */
  readonly RestartOldDatabase: { readonly node: string; readonly ageMillis: number }
  /** The process dies and starts on an empty store. */
  readonly RestartLostDatabase: { readonly node: string }
  /** The process dies and starts on a copy of another node's store. */
  readonly RestartForeignDatabase: { readonly node: string; readonly of: string }
  /** The process stands still (SIGSTOP) while its sockets and time go on. */
  readonly Pause: { readonly node: string }
  /** Every turn of one of its fibers takes so long, one after the other. */
  readonly SlowCpu: { readonly node: string; readonly millisPerTurn: number }
  /** The node's wall clock is set forward, or back. Ends with the true time. */
  readonly ClockJump: { readonly node: string; readonly millis: number }
  /** Both clocks of the node run faster by so many millionths, or slower. */
  readonly ClockDrift: { readonly node: string; readonly partsPerMillion: number }
  /** Writes to the node's store fail: no room. */
  readonly DatabaseFull: { readonly node: string }
  /** All operations on the node's store fail: another process holds it. */
  readonly DatabaseLocked: { readonly node: string }
  /** All operations on the node's store fail: it is damaged. Ends with the store repaired. */
  readonly DatabaseCorrupt: { readonly node: string }
  /** Every operation on the node's store takes so long. */
  readonly DatabaseSlow: { readonly node: string; readonly millis: number }
  /** The node restarts with another version window; a rolling upgrade is one of these after the other. It stays. */
  readonly Upgrade: { readonly node: string; readonly overlayVersion: number; readonly overlayMinVersion: number }
  /** The node restarts with the key of another. Ends with a restart on its own. */
  readonly SharedKey: { readonly node: string; readonly with: string }
  /** The node restarts with other settings, numbers and switches of `OverlayConfig.Values`. They stay. */
  readonly Reconfigure: { readonly node: string; readonly config: Readonly<Record<string, number | boolean>> }
}

/**
 * The name of a fault.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = keyof Parameters

/**
 * A fault, with its kind as `_tag`.
 *
 * @category models
 * @since 0.1.0
 */
export type SimFault = { readonly [K in Kind]: { readonly _tag: K } & Parameters[K] }[Kind]

/**
 * The fault of one kind.
 *
 * @category models
 * @since 0.1.0
 */
export type Of<K extends Kind> = Extract<SimFault, { readonly _tag: K }>

/**
 * A fault at a time: `at` milliseconds from the start of the schedule, for so long, or to the end where it is not given.
 *
 * @category models
 * @since 0.1.0
 */
export interface Timed<out F extends SimFault = SimFault> {
  readonly at: number
  readonly for?: number | undefined
  readonly fault: F
}

/**
 * What a fault can cost an honest node at most:
 *
 * - `nothing`: connections live through it, unless it lasts longer than their time limits
 * - `connections`: connections are lost
 * - `node`: a node is away, or not itself
 *
 * @category models
 * @since 0.1.0
 */
export type Cost = "nothing" | "connections" | "node"

/**
 * What there is to say about a kind.
 *
 * @category models
 * @since 0.1.0
 */
export interface Description {
  /** Whether it is about bytes and dials, which `SimNetwork` sees to, or about a node, which takes a `SimCluster`. */
  readonly about: "network" | "node"
  readonly cost: Cost
  /** What it does. */
  readonly does: string
  /** What its counter counts. */
  readonly fires: string
}

const describe = (about: Description["about"], cost: Cost, does: string, fires: string): Description => ({
  about,
  cost,
  does,
  fires
})
const lane = (cost: Cost, does: string, fires: string) => describe("network", cost, does, fires)
const node = (cost: Cost, does: string, fires: string) => describe("node", cost, does, fires)

/**
 * Every kind, what it does, and what counts as fired.
 *
 * @category constants
 * @since 0.1.0
 */
export const table: { readonly [K in Kind]: Description } = {
  Delay: lane("nothing", "bytes and ends take longer", "a chunk that was sent with the delay"),
  Jitter: lane("nothing", "each chunk takes a random time longer, in order", "a chunk that drew a delay above 0"),
  Bandwidth: lane("nothing", "bytes queue for a slow line", "a chunk that arrives later for it"),
  SmallQueue: lane("nothing", "little is under way before a writer waits", "a write that waited for it"),
  Segmentation: lane("nothing", "chunks are cut anywhere", "a chunk that was cut"),
  Coalescing: lane("nothing", "arrivals are gathered", "a chunk that waited for others"),
  ZeroWindow: lane("nothing", "nothing arrives", "a chunk or end that was held"),
  SlowReader: lane("nothing", "a node reads slowly", "a pull that got less than had come, or had to wait"),
  SlowWriter: lane("nothing", "a node writes slowly", "a write that took time"),
  HalfOpen: lane("connections", "one end is gone and the other does not know", "a connection cut in half"),
  Reset: lane("connections", "RST between frames", "a connection that broke"),
  ResetMidFrame: lane("connections", "RST in a frame", "a connection that broke in a frame"),
  Fin: lane("connections", "FIN between frames", "a direction that ended"),
  FinMidFrame: lane("connections", "FIN in a frame", "a direction that ended in a frame"),
  DialRefused: lane("nothing", "dials are refused", "a dial that was refused"),
  DialTimeout: lane("nothing", "dials are not answered", "a dial whose SYN was not answered"),
  DialSlow: lane("nothing", "dials take longer", "a dial that was delayed"),
  WrongNode: lane("nothing", "an address leads to another node", "a dial that was led astray"),
  BacklogFull: lane("nothing", "a backlog is full", "a dial whose SYN was not answered"),
  AcceptEmfile: lane("nothing", "a node cannot accept", "a connection that ended as it opened"),
  DialEmfile: lane("nothing", "a node cannot dial", "a dial that failed for it"),
  FrameDamage: lane("connections", "a bit of a message is wrong", "a frame changed"),
  MacDamage: lane("connections", "a bit of a MAC is wrong", "a frame changed"),
  SequenceDamage: lane("connections", "a bit of a sequence number is wrong", "a frame changed"),
  MarkDamage: lane("connections", "a record mark claims too much", "a mark changed"),
  FrameDuplicate: lane("connections", "a frame comes twice", "a frame repeated"),
  FrameReorder: lane("connections", "two frames change places", "a frame that was overtaken"),
  FrameDrop: lane("connections", "a frame is lost", "a frame left out"),
  FrameTruncate: lane("connections", "half a frame is lost", "a frame cut short"),
  ByteCorruption: lane("connections", "a bit is wrong", "a chunk changed"),
  ByteLoss: lane("connections", "a byte is lost", "a chunk shortened"),
  ByteInsertion: lane("connections", "a byte is added", "a chunk lengthened"),
  Partition: lane("nothing", "groups cannot reach each other", "a chunk, end, RST or SYN that was held"),
  PartitionOneWay: lane("nothing", "nothing gets through one way", "a chunk, end, RST or SYN that was held"),
  Isolate: lane("nothing", "a node is cut off", "a chunk, end, RST or SYN that was held"),
  SwizzleClog: lane("nothing", "nodes are cut off in turn", "a chunk, end, RST or SYN that was held"),
  Flapping: lane("nothing", "a partition comes and goes", "a chunk, end, RST or SYN that was held"),
  Regions: lane("nothing", "distances between regions", "a chunk between regions with a distance"),
  Crash: node("node", "a process dies", "a running node that died"),
  PowerLoss: node("node", "a machine goes dark", "a running node that went dark"),
  CrashInWrite: node("node", "a process dies in a write", "a write that ended a node"),
  Stop: node("node", "a node is shut down", "a running node that was shut down"),
  RestartOldDatabase: node("node", "a node starts from a backup", "a start on rows that are not the last"),
  RestartLostDatabase: node("node", "a node starts from nothing", "a start that lost rows"),
  RestartForeignDatabase: node("node", "a node starts on another's rows", "a start on rows of another"),
  Pause: node("node", "a process stands still", "a turn of a fiber, or a timer, that was held"),
  SlowCpu: node("nothing", "every turn takes time", "a turn that came later for it"),
  ClockJump: node("nothing", "a wall clock is set", "a clock that was set"),
  ClockDrift: node("nothing", "clocks run fast or slow", "a timer that fired earlier or later for it"),
  DatabaseFull: node("nothing", "a store has no room", "a write that failed"),
  DatabaseLocked: node("nothing", "a store is held by others", "an operation that failed"),
  DatabaseCorrupt: node("nothing", "a store is damaged", "an operation that failed"),
  DatabaseSlow: node("nothing", "a store is slow", "an operation that took longer"),
  Upgrade: node("node", "a node changes its version window", "a start with the new window"),
  SharedKey: node("node", "two nodes have one key", "a start with the key of another"),
  Reconfigure: node("node", "a node changes its settings", "a start with the new settings")
}

/**
 * All kinds, in the order of the table.
 *
 * @category constants
 * @since 0.1.0
 */
export const kinds: ReadonlyArray<Kind> = Object.keys(table) as ReadonlyArray<Kind> // the keys of a closed record

/**
 * The kinds that are about the network, which `SimNetwork` sees to by itself.
 *
 * @category models
 * @since 0.1.0
 */
export type NetworkKind = Exclude<Kind, NodeKind>

/**
 * The kinds that are about a node.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeKind =
  | "Crash"
  | "PowerLoss"
  | "CrashInWrite"
  | "Stop"
  | "RestartOldDatabase"
  | "RestartLostDatabase"
  | "RestartForeignDatabase"
  | "Pause"
  | "SlowCpu"
  | "ClockJump"
  | "ClockDrift"
  | "DatabaseFull"
  | "DatabaseLocked"
  | "DatabaseCorrupt"
  | "DatabaseSlow"
  | "Upgrade"
  | "SharedKey"
  | "Reconfigure"

/**
 * A fault of the network.
 *
 * @category models
 * @since 0.1.0
 */
export type NetworkFault = Of<NetworkKind>

/**
 * A fault of a node.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeFault = Of<NodeKind>

/**
 * Whether a fault is one of the network.
 *
 * @category guards
 * @since 0.1.0
 */
export const isNetworkFault = (fault: SimFault): fault is NetworkFault => table[fault._tag].about === "network"
