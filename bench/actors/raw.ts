/** A process of bare sockets. */
import { connect, createServer, type Socket } from "node:net"
import { millisNow, quantile } from "../harness.ts"

const sockets: Array<Socket> = []
const MESSAGE = 316 + 48

const track = (socket: Socket): void => {
  socket.setNoDelay(true)
  socket.on("error", () => socket.destroy())
  sockets.push(socket)
}

export interface RoundTrips {
  readonly p50: number
  readonly p99: number
}

/** Runs `count` round trips one after the other; gives quantiles in microseconds. */
export const timeRoundTrips = async (
  count: number,
  send: () => void,
  onAnswer: (answered: () => void) => void
): Promise<RoundTrips> => {
  const times: Array<number> = []
  await new Promise<void>((resolve) => {
    let sentAt = 0
    const next = () => {
      sentAt = millisNow()
      send()
    }
    onAnswer(() => {
      times.push((millisNow() - sentAt) * 1000)
      if (times.length < count) next()
      else resolve()
    })
    next()
  })
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
}

export const actor = {
  /** Accepts sockets that read and do nothing, or send everything back. */
  listen: (mode: "read" | "echo"): Promise<number> =>
    new Promise((resolve) => {
      const server = createServer({ noDelay: true }, (socket) => {
        track(socket)
        if (mode === "echo") socket.on("data", (chunk) => socket.write(chunk))
        else socket.on("data", () => undefined)
      })
      server.listen(0, "127.0.0.1", 511, () => {
        const address = server.address()
        if (address === null || typeof address === "string") throw new Error("no inet address")
        resolve(address.port)
      })
    }),

  dial: async (port: number, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true })
      track(socket)
      await new Promise((resolve) => socket.once("connect", resolve))
    }
  },

  roundTrips: (count: number): Promise<RoundTrips> => {
    const socket = sockets[0]!
    const bytes = Buffer.alloc(MESSAGE)
    return timeRoundTrips(count, () => socket.write(bytes), (answered) => {
      let received = 0
      socket.removeAllListeners("data")
      socket.on("data", (chunk) => {
        received += chunk.length
        if (received < MESSAGE) return
        received -= MESSAGE
        answered()
      })
    })
  },

  connections: (): number => sockets.length,

  /** Bytes of the JavaScript heap and of what hangs on it, after everything unreachable is gone. */
  memory: async (): Promise<{ readonly heap: number; readonly external: number }> => collected()
}

/** Collects garbage until nothing more goes, and measures. */
export const collected = async (): Promise<{ readonly heap: number; readonly external: number }> => {
  const { gc } = globalThis
  if (gc === undefined) throw new Error("start the process with --expose-gc")
  let least = { heap: Number.POSITIVE_INFINITY, external: 0 }
  for (let i = 0; i < 8; i++) {
    await gc({ type: "major", execution: "async" })
    await new Promise((resolve) => setTimeout(resolve, 20))
    const { external, heapUsed } = process.memoryUsage()
    if (heapUsed + external < least.heap + least.external) least = { heap: heapUsed, external }
  }
  return least
}
