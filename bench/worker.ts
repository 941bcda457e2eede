/** The other end of `processes.ts`: a process that runs one actor until its parent lets go. */

type Actor = Readonly<Record<string, (...args: ReadonlyArray<unknown>) => unknown>>

interface Call {
  readonly id: number
  readonly method: string
  readonly args: ReadonlyArray<unknown>
}

const { actor }: { readonly actor: Actor } = await import(`./actors/${process.argv[2]}.ts`)

const answer = async ({ args, id, method }: Call): Promise<void> => {
  try {
    const result = method === "ready" ? undefined : await actor[method]!(...args)
    process.send!({ id, result })
  } catch (error) {
    process.send!({ id, error: error instanceof Error ? error.stack ?? error.message : String(error) })
  }
}

process.on("message", (call: Call) => void answer(call))
process.once("disconnect", () => process.exit(0))
