// Written by `npm run codegen`.

/**
 * Mutations of XDR bytes: what a faulty or hostile encoder might send.
 *
 * @since 0.1.0
 */
export * as MutateXdr from "./MutateXdr.ts"

/**
 * Random valid XDR of any stellar-base type, generated from the type's own definition.
 *
 * @since 0.1.0
 */
export * as RandomXdr from "./RandomXdr.ts"

/**
 * Real cryptography with seeded chance and counted operations.
 *
 * @since 0.1.0
 */
export * as TestCrypto from "./TestCrypto.ts"

/**
 * A deterministic world: one seed decides time, chance and the order in which fibers run.
 *
 * @since 0.1.0
 */
export * as World from "./World.ts"
