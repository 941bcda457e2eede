/**
 * What an idle authenticated peer keeps: JavaScript heap and external memory per connection after a full collection,
 * above a bare `net.Socket`. The other ends live in another process.
 */
import type { actor as Ours } from "./actors/ours.ts"
import type { actor as Raw } from "./actors/raw.ts"
import type { actor as Straight } from "./actors/straight.ts"
import { type Benchmark, figure, type Table } from "./harness.ts"
import { spawn, withChildren } from "./processes.ts"

const BUDGET_KIB = 24
/** Enough for the compiler to have seen everything: its code is on the heap too. */
const WARM_UP = 500

interface Memory {
  readonly heap: number
  readonly external: number
}

/** KiB per connection that `more` connections added. */
const perConnection = async (
  connections: number,
  grow: (count: number) => Promise<unknown>,
  memory: () => Promise<Memory>
): Promise<Memory> => {
  await grow(WARM_UP)
  const before = await memory()
  await grow(connections)
  const after = await memory()
  return {
    heap: (after.heap - before.heap) / connections / 1024,
    external: (after.external - before.external) / connections / 1024
  }
}

const total = ({ external, heap }: Memory): number => heap + external

export const memory: Benchmark = {
  name: "memory",
  title: "Memory of idle peers",
  run: async ({ rounds }) => {
    const connections = rounds >= 5 ? 500 : 200
    const exposed = ["--expose-gc"]
    const raw = [spawn<typeof Raw>("raw", exposed), spawn<typeof Raw>("raw", exposed)] as const
    const straight = [spawn<typeof Straight>("straight"), spawn<typeof Straight>("straight")] as const
    const ours = [spawn<typeof Ours>("ours", exposed), spawn<typeof Ours>("ours", exposed)] as const
    return withChildren([...raw, ...straight, ...ours], async () => {
      const [rawServer, rawClient] = await Promise.all(raw)
      const [remote, remoteServer] = await Promise.all(straight)
      const [acceptor, dialer] = await Promise.all(ours)

      const rawPort = await rawServer.call.listen("read")
      const ourPort = await acceptor.call.listen()
      const remotePort = await remoteServer.call.listen({ credit: true })

      const measured = {
        bareAccepted: await perConnection(connections, (n) => rawClient.call.dial(rawPort, n), rawServer.call.memory),
        bareDialled: await perConnection(connections, (n) => rawClient.call.dial(rawPort, n), rawClient.call.memory),
        accepted: await perConnection(
          connections,
          (n) => remote.call.dial(ourPort, n, { credit: true }),
          acceptor.call.collected
        ),
        dialled: await perConnection(connections, (n) => dialer.call.dial(remotePort, n), dialer.call.collected)
      }
      const alive = await acceptor.call.peers() + await dialer.call.peers()
      if (alive !== 2 * (connections + WARM_UP)) throw new Error(`only ${alive} peers were alive at the end`)

      const above = {
        accepted: total(measured.accepted) - total(measured.bareAccepted),
        dialled: total(measured.dialled) - total(measured.bareDialled)
      }
      const row = (
        what: string,
        value: Memory
      ) => [what, figure(value.heap), figure(value.external), figure(total(value))]
      const table: Table = {
        title: `KiB per connection, over ${connections} connections`,
        columns: ["", "heap", "external", "together"],
        rows: [
          row("bare socket, accepted", measured.bareAccepted),
          row("bare socket, dialled", measured.bareDialled),
          row("peer, accepted", measured.accepted),
          row("peer, dialled", measured.dialled)
        ],
        notes: [`Above the socket: ${figure(above.accepted)} KiB accepted, ${figure(above.dialled)} KiB dialled.`]
      }
      return {
        tables: [table],
        verdicts: (["accepted", "dialled"] as const).map((role) => ({
          what: `idle peer, ${role}`,
          budget: `<= ${BUDGET_KIB} KiB above the socket`,
          measured: `${figure(above[role])} KiB`,
          met: above[role] <= BUDGET_KIB
        })),
        data: { connections, measured, above }
      }
    })
  }
}
