import { type Connection, isPollable, type Transport } from "@stellar-overlay/overlay/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { LoopbackNetwork } from "../LoopbackTransport.ts"

/** Sees what the node at an IP writes to a link. */
export type OnWrite = (ip: string, link: number, chunk: Uint8Array) => void

const linkOf = (connection: Connection): number | undefined => {
  if (!("link" in connection)) return undefined
  const { link } = connection
  return typeof link === "object" && link !== null && "id" in link && typeof link.id === "number" ? link.id : undefined
}

const tapped = (connection: Connection, ip: string, onWrite: OnWrite): Connection => {
  const link = linkOf(connection)
  if (link === undefined) return connection
  const see = (chunks: ReadonlyArray<Uint8Array>): void => {
    for (const chunk of chunks) if (chunk.length > 0) onWrite(ip, link, chunk)
  }
  const { end, pull, remote } = connection
  const wrapped: Connection = {
    remote,
    pull,
    end,
    write: (chunks) =>
      Effect.suspend(() => {
        see(chunks)
        return connection.write(chunks)
      })
  }
  if (!isPollable(connection)) return wrapped
  return {
    ...wrapped,
    poll: (ready) => connection.poll(ready),
    offer: (chunks) => {
      see(chunks)
      return connection.offer(chunks)
    }
  }
}

const tappedAt = (transport: Transport["Service"], ip: string, onWrite: OnWrite): Transport["Service"] => ({
  dial: (address, options) =>
    Effect.map(transport.dial(address, options), (connection) => tapped(connection, ip, onWrite)),
  listen: (options) =>
    Effect.map(transport.listen(options), (listener) => ({
      address: listener.address,
      run: (handler) => listener.run((connection) => handler(tapped(connection, ip, onWrite)))
    }))
})

/** The network underneath, every write of which is seen. */
export const layer = (onWrite: OnWrite): Layer.Layer<LoopbackNetwork, never, LoopbackNetwork> =>
  Layer.effect(
    LoopbackNetwork,
    LoopbackNetwork.use((inner) =>
      Effect.succeed({ ...inner, transportAt: (ip: string) => tappedAt(inner.transportAt(ip), ip, onWrite) })
    )
  )
