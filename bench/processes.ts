/** Child processes that answer calls, so that the two ends of a link have a processor core each. */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"

/** The functions of an actor as the other process sees them. */
export type Remote<Actor> = {
  readonly [Name in keyof Actor]: Actor[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Awaited<Result>>
    : never
}

/** A running child. */
export interface Child<Actor> {
  readonly call: Remote<Actor>
  readonly stop: () => Promise<void>
}

interface Reply {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

const running = new Set<ChildProcess>()

process.once("exit", () => {
  for (const child of running) child.kill()
})

/**
 * Starts a process with the actor of a module (`export const actor`), by its file name in `actors`.
 *
 * @example
 * ```ts
 * const child = await spawn<typeof import("./actors/straight.ts").actor>("straight")
 * ```
 */
export const spawn = async <Actor>(name: string, execArgv: ReadonlyArray<string> = []): Promise<Child<Actor>> => {
  const child = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), [name], {
    execArgv: [...process.execArgv, ...execArgv],
    stdio: ["ignore", "inherit", "inherit", "ipc"]
  })
  running.add(child)
  const waiting = new Map<
    number,
    { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }
  >()
  let calls = 0
  const call = (method: string, args: ReadonlyArray<unknown>): Promise<unknown> =>
    new Promise((resolve, reject) => {
      waiting.set(++calls, { resolve, reject })
      child.send({ id: calls, method, args })
    })
  child.on("message", ({ error, id, result }: Reply) => {
    const waiter = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) waiter?.resolve(result)
    else waiter?.reject(new Error(`${name}: ${error}`))
  })
  const ended = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      running.delete(child)
      for (const { reject } of waiting.values()) reject(new Error(`the process "${name}" ended (${signal ?? code})`))
      resolve()
    })
  })
  await call("ready", [])
  return {
    call: new Proxy({}, {
      get: (_, method) => (...args: ReadonlyArray<unknown>) => call(String(method), args)
    }) as Remote<Actor>, // a Proxy has the type of its target
    stop: async () => {
      if (child.connected) child.disconnect()
      await ended
    }
  }
}

/** Runs with children that are stopped afterwards, whatever happens. */
export const withChildren = async <A>(
  children: ReadonlyArray<Promise<Child<unknown>>>,
  run: () => Promise<A>
): Promise<A> => {
  const started = await Promise.all(children)
  try {
    return await run()
  } finally {
    await Promise.all(started.map(({ stop }) => stop()))
  }
}
