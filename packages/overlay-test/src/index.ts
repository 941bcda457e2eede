// Written by `npm run codegen`.

/**
 * Arbitraries for property tests of anything that speaks the overlay's protocol: messages of every type, as bytes, as
 * classes and as stellar-base values, mutations of them, and the ways a stream of bytes may be cut up.
 *
 * @since 0.1.0
 */
export * as Arbitraries from "./Arbitraries.ts"

/**
 * What every implementation of `BanList` must do, as cases that any test runner can loop over.
 *
 * @since 0.1.0
 */
export * as BanListContract from "./contract/BanListContract.ts"

/**
 * What links carried, written down: a text of one JSON object per line, made to be read by people, by `jq`, and by
 * `CaptureReplay`, which plays it to a node in a `World`.
 *
 * @since 0.1.0
 */
export * as Capture from "./Capture.ts"

/**
 * Plays a capture to a node in a `World`: what happened to a node out there happens again here, at the same moments, as
 * often as one likes.
 *
 * @since 0.1.0
 */
export * as CaptureReplay from "./CaptureReplay.ts"

/**
 * How a contract suite says that an implementation broke a rule, whatever runs the suite.
 *
 * @since 0.1.0
 */
export * as ContractFailure from "./contract/ContractFailure.ts"

/**
 * Light nodes for a crawler to find: each listens, makes a real handshake with the production `Peer`, tells the addresses
 * it is given, and answers GET_SCP_STATE with the messages it is given. A thousand of them fit where a few dozen whole
 * nodes do.
 *
 * @since 0.1.0
 */
export * as CrawlTarget from "./CrawlTarget.ts"

/**
 * The certificates and HELLOs of a scripted peer: right by default, wrong wherever a test wants them so.
 *
 * @since 0.1.0
 */
export * as HandshakeScript from "./HandshakeScript.ts"

/**
 * A transport in memory: TCP's behaviour without sockets, deterministic inside a `World`.
 *
 * @since 0.1.0
 */
export * as LoopbackTransport from "./LoopbackTransport.ts"

/**
 * Mutations of XDR bytes: what a faulty or hostile encoder might send.
 *
 * @since 0.1.0
 */
export * as MutateXdr from "./MutateXdr.ts"

/**
 * What every implementation of `OverlayCrypto` must do, as cases that any test runner can loop over.
 *
 * @since 0.1.0
 */
export * as OverlayCryptoContract from "./contract/OverlayCryptoContract.ts"

/**
 * A peer whose every byte the test decides, apart from whatever carries the bytes: the verbs of which scripts are made.
 *
 * @since 0.1.0
 */
export * as PeerScript from "./PeerScript.ts"

/**
 * What every implementation of `PeerStore` must do, as cases that any test runner can loop over.
 *
 * @since 0.1.0
 */
export * as PeerStoreContract from "./contract/PeerStoreContract.ts"

/**
 * Random valid XDR of any stellar-base type, generated from the type's own definition.
 *
 * @since 0.1.0
 */
export * as RandomXdr from "./RandomXdr.ts"

/**
 * Stories told by one end of a connection, as generators: what is written, what is waited for, and for how long.
 *
 * @since 0.1.0
 */
export * as Script from "./Script.ts"

/**
 * Who a scripted peer is on the wire: its identity and keys, how it encodes what it says, and how it reads and remembers
 * what it hears.
 *
 * @since 0.1.0
 */
export * as ScriptedNode from "./ScriptedNode.ts"

/**
 * A peer whose every byte the test decides, over any `Connection`: the loopback in a `World`, or real TCP.
 *
 * @since 0.1.0
 */
export * as ScriptedPeer from "./ScriptedPeer.ts"

/**
 * A `Session` with a scripted peer at the other end of its wire: protocol stories about misbehaviour, without Effect,
 * sockets or real time.
 *
 * @since 0.1.0
 */
export * as ScriptedSession from "./ScriptedSession.ts"

/**
 * Two `Session`s joined back to back: protocol stories without Effect, sockets or real time.
 *
 * @since 0.1.0
 */
export * as SessionPair from "./SessionPair.ts"

/**
 * Whole nodes by name, in a `SimNetwork`: each with a ledger, a store that outlives its process, and clocks and a processor
 * of its own, so that everything that happens to machines can happen to it.
 *
 * @since 0.1.0
 */
export * as SimCluster from "./SimCluster.ts"

/**
 * Everything that can go wrong in a simulated network, as data.
 *
 * @since 0.1.0
 */
export * as SimFault from "./SimFault.ts"

/**
 * A `LoopbackNetwork` that can fail: links with delay, jitter, bandwidth and queues, partitions, regions, broken and
 * half-broken connections, and frames that are lost, changed, repeated or overtaken on their way.
 *
 * @since 0.1.0
 */
export * as SimNetwork from "./SimNetwork.ts"

/**
 * Who dials whom: the shapes of simulated networks, as data.
 *
 * @since 0.1.0
 */
export * as SimTopology from "./SimTopology.ts"

/**
 * Real cryptography with seeded chance and counted operations.
 *
 * @since 0.1.0
 */
export * as TestCrypto from "./TestCrypto.ts"

/**
 * Metrics for tests: they count as a node's do, and keep a record of what was counted in which order.
 *
 * @since 0.1.0
 */
export * as TestMetrics from "./TestMetrics.ts"

/**
 * Whole nodes for a simulated network: everything a node is made of over a `LoopbackNetwork`, with an IP of its own.
 *
 * @since 0.1.0
 */
export * as TestNode from "./TestNode.ts"

/**
 * A worked example of an `OverlayHost`: a toy ledger that some nodes close together, every second.
 *
 * @since 0.1.0
 */
export * as ToyLedger from "./ToyLedger.ts"

/**
 * What every `Transport` must do, as cases for any test framework.
 *
 * @since 0.1.0
 */
export * as TransportContract from "./contract/TransportContract.ts"

/**
 * A deterministic world: one seed decides time, chance and the order in which fibers run.
 *
 * @since 0.1.0
 */
export * as World from "./World.ts"
