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
 * How a contract suite says that an implementation broke a rule, whatever runs the suite.
 *
 * @since 0.1.0
 */
export * as ContractFailure from "./contract/ContractFailure.ts"

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
 * Two `Session`s joined back to back: protocol stories without Effect, sockets or real time.
 *
 * @since 0.1.0
 */
export * as SessionPair from "./SessionPair.ts"

/**
 * Real cryptography with seeded chance and counted operations.
 *
 * @since 0.1.0
 */
export * as TestCrypto from "./TestCrypto.ts"

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
