import * as Data from "effect/Data"

/**
 * Simulated code asked the real machine for time, order or chance. The stack leads to the call.
 */
export class TrapError extends Data.TaggedError("TrapError")<{
  /** The function that was called, as one would write it: `Date.now`. */
  readonly api: string
  /** Where simulated code gets the same thing. */
  readonly hint: string
}> {
  override get message(): string {
    return `${this.api} was called inside a World: ${this.hint}`
  }
}

const timeHint = "take time from Effect's Clock"
const timerHint = "wait with Effect.sleep"
const chanceHint = "take chance from Effect's Random, or random bytes from the crypto service"
const promiseHint = "promises run when the world is over: use Effect, Deferred and Fiber"
const orderHint = "let Effect's Scheduler decide the order: fork, or Effect.yieldNow"

/** Modules whose exports are also patched, so that named imports of them are trapped. */
const modules: ReadonlyArray<readonly [name: string, hint: string, keys: ReadonlyArray<string>]> = [
  ["node:timers", timerHint, ["setTimeout", "setInterval", "setImmediate"]],
  ["node:crypto", chanceHint, [
    "randomBytes",
    "randomFill",
    "randomFillSync",
    "randomInt",
    "randomUUID",
    "generateKeySync",
    "generateKeyPairSync"
  ]]
]

/**
 * Effect hashes objects without a hash of their own by a draw from `Math.random`, kept per object. That is the one use
 * of real chance in its runtime that replacing Clock, Random and Scheduler leaves, and it decides the iteration order
 * of hash maps, so it is served from the seed.
 */
const hashModule = /[\\/]effect[\\/](?:dist|src)[\\/]Hash\.[jt]s/

interface Patched {
  readonly target: object
  readonly key: string
  readonly original: PropertyDescriptor | undefined
}

/** The names of everything that is trapped, where the platform has it. */
export const trapped: ReadonlyArray<string> = [
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "Date.now",
  "Date()",
  "new Date()",
  "performance.now",
  "Math.random",
  "crypto.getRandomValues",
  "crypto.randomUUID",
  "process.hrtime",
  "process.hrtime.bigint",
  "Promise",
  ...modules.flatMap(([name, _, keys]) => keys.map((key) => `${name}.${key}`))
]

/**
 * Replaces the platform's time, timers and randomness by functions that report and throw a `TrapError`; returns what
 * undoes it. Install and undo within one synchronous call and nest them like brackets: between them nobody but the
 * simulation runs, so nobody else meets a trap.
 */
export const installTraps = (options: {
  readonly onTrap: (error: TrapError) => void
  /** Serves the draws of Effect's own hashing. */
  readonly hashDraw: () => number
}): () => void => {
  const patched: Array<Patched> = []
  const spring = (api: string, hint: string): never => {
    const error = new TrapError({ api, hint })
    options.onTrap(error)
    throw error
  }
  const patch = (target: object, key: string, value: unknown): void => {
    const original = Object.getOwnPropertyDescriptor(target, key)
    if (original?.configurable === false) return
    patched.push({ target, key, original })
    Object.defineProperty(target, key, {
      configurable: true,
      enumerable: original?.enumerable ?? true,
      writable: true,
      value
    })
  }
  const trap = (target: object | undefined, key: string, api: string, hint: string): void => {
    if (target !== undefined && key in target) patch(target, key, () => spring(api, hint))
  }

  for (const key of ["setTimeout", "setInterval", "setImmediate"]) trap(globalThis, key, key, timerHint)
  trap(globalThis, "queueMicrotask", "queueMicrotask", orderHint)

  // A proxy and not a patched Date.now: code that kept the real Date (a test runner's console) is not simulated code.
  patch(
    globalThis,
    "Date",
    new Proxy(Date, {
      apply: () => spring("Date()", timeHint),
      construct: (target, args, newTarget) =>
        args.length === 0 ? spring("new Date()", timeHint) : Reflect.construct(target, args, newTarget),
      get: (target, key) => key === "now" ? () => spring("Date.now", timeHint) : Reflect.get(target, key)
    })
  )
  trap(globalThis.performance, "now", "performance.now", timeHint)
  trap(globalThis.crypto, "getRandomValues", "crypto.getRandomValues", chanceHint)
  trap(globalThis.crypto, "randomUUID", "crypto.randomUUID", chanceHint)
  patch(globalThis.Math, "random", () => {
    const stack = new Error().stack ?? ""
    return hashModule.test(stack.split("\n")[2] ?? "") ? options.hashDraw() : spring("Math.random", chanceHint)
  })

  const process = globalThis.process as NodeJS.Process | undefined
  if (typeof process?.hrtime === "function") {
    // the function object is kept by others (Effect's live clock), hence its member is patched as well
    trap(process.hrtime, "bigint", "process.hrtime.bigint", timeHint)
    const hrtime = () => spring("process.hrtime", timeHint)
    hrtime.bigint = () => spring("process.hrtime.bigint", timeHint)
    patch(process, "hrtime", hrtime)
  }
  const builtin = process?.getBuiltinModule
  const syncExports = builtin?.("node:module")?.syncBuiltinESMExports
  if (builtin !== undefined && syncExports !== undefined) {
    for (const [name, hint, keys] of modules) {
      for (const key of keys) trap(builtin(name), key, `${name}.${key}`, hint)
    }
    syncExports()
  }

  // Promises come from async functions too, which call nothing that could be patched. The engine tells of each as it is
  // made; throwing there would end the process, so the world is told and the code goes on.
  const { promiseHooks } = builtin?.("node:v8") ?? {}
  const stopWatching = promiseHooks?.onInit(() => options.onTrap(new TrapError({ api: "Promise", hint: promiseHint })))

  return () => {
    stopWatching?.()
    for (let entry = patched.pop(); entry !== undefined; entry = patched.pop()) {
      if (entry.original === undefined) Reflect.deleteProperty(entry.target, entry.key)
      else Object.defineProperty(entry.target, entry.key, entry.original)
    }
    syncExports?.()
  }
}
