import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"

/**
 * Runs an effect that needs no services when the current scope ends. `Effect.addFinalizer` and `acquireRelease` keep the
 * whole context for their finalizers and copy it when those run: for each connection that was 16 KiB of garbage.
 */
export const onScopeEnd = (finalizer: Effect.Effect<void>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizer(scope, finalizer))

/** Acquires something in one step; what `acquire` gives releases it when the current scope ends. */
export const untilScopeEnd = (acquire: () => Effect.Effect<void>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.uninterruptible(Effect.suspend(() => onScopeEnd(acquire())))
