/**
 * `@stellarbeat/js-stellar-node-connector` in the hands of a test: nodes and connections that end with a scope, events as
 * effects, and messages as the bytes the connector makes of them.
 *
 * Where the connector is not what protocol.md says (7.0.1, seen here or read in its source; protocol.md is right each time):
 *
 * - its certificates expire in milliseconds where seconds belong, some 55,000 years from now (2.2)
 * - its HELLO names port 11625 whatever it listens on, and carries a MAC when it is the acceptor (1.6)
 * - its record marks lack the last-fragment bit (1.1), and its ERROR_MSG carry a sequence and a MAC (1.6)
 * - it looks at neither the version window nor the network id of a HELLO, only at the certificate (2.4)
 * - it grants credit as it should, but sends without asking for any: `Foreign.grants` lets a test keep to ours (4.4)
 * - it answers no question, pings included: that is left to its user (6, 8.3), as are demands (5.5)
 * - it does not know message types 21 to 24 and breaks off when one comes (1.4)
 */
import * as StellarMessage from "@stellar-overlay/overlay/wire/StellarMessage"
import { type Connection, createNode, type Node } from "@stellarbeat/js-stellar-node-connector"
import { Deferred, Effect, Queue, type Scope } from "effect"
import { once } from "node:events"
import { createRequire } from "node:module"
import type { AddressInfo } from "node:net"
import { STANDALONE, within } from "./local.ts"

type Xdr = Parameters<Connection["sendStellarMessage"]>[0]

/** The connector's own copy of stellar-base: an older release, and it compares enums by identity. */
const { xdr }: { readonly xdr: { readonly StellarMessage: { readonly fromXDR: (bytes: Buffer) => Xdr } } } =
  createRequire(
    createRequire(import.meta.url).resolve("@stellarbeat/js-stellar-node-connector")
  )("@stellar/stellar-base")

const toXdr = (message: StellarMessage.StellarMessage) => xdr.StellarMessage.fromXDR(Buffer.from(message.bytes))

const fromXdr = (message: Xdr) => {
  const bytes = message.toXDR()
  return StellarMessage.fromBytes(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length))
}

/** Whether the connector's stellar-base knows all that is in a message; ours is newer. */
export const knows = (message: StellarMessage.StellarMessage): boolean => {
  try {
    return toXdr(message).toXDR().equals(message.bytes)
  } catch {
    return false
  }
}

/** What its `data` event brings. */
interface Work {
  readonly stellarMessage: Xdr
  /** Tells its flow control that the message was processed. */
  readonly done: () => void
}

/** One connection as the connector sees it. */
export class Foreign {
  readonly connection: Connection
  /** The types of all messages that came, those the connector keeps to itself included. */
  readonly types: Array<number> = []
  /** Every SEND_MORE_EXTENDED that came, and who wants to know of the next. */
  readonly grants: Array<{ readonly messages: number; readonly bytes: number }> = []
  onGrant = (): void => undefined
  /** Takes what comes, with what returns its credit; by default credit returns at once and `take` gives the message. */
  onMessage = (message: StellarMessage.StellarMessage, done: () => void): void => {
    done()
    Queue.offerUnsafe(this.#received, message)
  }
  readonly #received = Effect.runSync(Queue.unbounded<StellarMessage.StellarMessage>())
  readonly #ready = Deferred.makeUnsafe<
    { readonly id: string; readonly info: NonNullable<Connection["remoteNodeInfo"]> }
  >()
  readonly #closed = Deferred.makeUnsafe<string | undefined>()
  #error: string | undefined

  constructor(connection: Connection, announcedPort?: number) {
    this.connection = connection
    if (announcedPort !== undefined) connection["localListeningPort"] = announcedPort
    // The connector consumes HELLO, AUTH and grants itself: look over its shoulder.
    const handle = connection["handleStellarMessage"].bind(connection)
    connection["handleStellarMessage"] = (message, size) => {
      this.types.push(message.switch().value)
      const result = handle(message, size)
      if (message.switch().name === "sendMoreExtended") {
        const grant = message.sendMoreExtendedMessage()
        this.grants.push({ messages: grant.numMessages(), bytes: grant.numBytes() })
        this.onGrant()
      }
      return result
    }
    connection.on("connect", (id: string, info: NonNullable<Connection["remoteNodeInfo"]>) => {
      Deferred.doneUnsafe(this.#ready, Effect.succeed({ id, info }))
    })
    connection.on("data", ({ done, stellarMessage }: Work) => this.onMessage(fromXdr(stellarMessage), done))
    connection.on("error", (error: Error) => {
      this.#error = error.message
    })
    connection.on("close", () => Deferred.doneUnsafe(this.#closed, Effect.succeed(this.#error)))
  }

  /** Its handshake is complete: whom it talks to, and what it read in the HELLO. */
  readonly ready = Effect.suspend(() => within("the connector's handshake", Deferred.await(this.#ready)))

  /** Its socket is closed; the error it met, if it met one. */
  readonly closed = Effect.suspend(() => within("the end of the connector's socket", Deferred.await(this.#closed)))

  /** The next message it received. */
  readonly take = Effect.suspend(() => within("a message at the connector", Queue.take(this.#received)))

  /** The next messages it received. */
  readonly takeN = (n: number) =>
    Effect.suspend(() => within(`${n} messages at the connector`, Queue.takeN(this.#received, n)))

  /** The next message of these types; others before it are passed over. */
  readonly takeOf = <
    const Tags extends readonly [StellarMessage.StellarMessage["_tag"], ...Array<StellarMessage.StellarMessage["_tag"]>]
  >(
    ...tags: Tags
  ): Effect.Effect<StellarMessage.Tagged<Tags[number]>> => {
    const wanted = StellarMessage.is(...tags)
    return Effect.flatMap(this.take, (message) => wanted(message) ? Effect.succeed(message) : this.takeOf(...tags))
  }

  /** Sends at once: the connector has no regard for credit. */
  readonly send = (message: StellarMessage.StellarMessage): void => {
    this.connection.sendStellarMessage(toXdr(message))
  }

  /** Sends all, never more than was granted, and waits for grants in between. */
  readonly sendWithinGrants = (messages: Iterable<StellarMessage.StellarMessage>) =>
    Effect.callback<void>((resume) => {
      const iterator = messages[Symbol.iterator]()
      let next = iterator.next()
      let credit = { messages: 0, bytes: 0 }
      let taken = 0
      this.onGrant = () => {
        for (; taken < this.grants.length; taken++) {
          const { bytes, messages } = this.grants[taken]!
          credit = { messages: credit.messages + messages, bytes: credit.bytes + bytes }
        }
        while (next.done !== true && credit.messages > 0 && credit.bytes >= next.value.size) {
          credit = { messages: credit.messages - 1, bytes: credit.bytes - next.value.size }
          this.send(next.value)
          next = iterator.next()
        }
        if (next.done === true) resume(Effect.void)
      }
      this.onGrant()
    })
}

/** What a test may choose of the connector's configuration. */
export interface ForeignOptions {
  readonly network?: string
  readonly versions?: { readonly overlayVersion: number; readonly overlayMinVersion: number }
  /** The port of its HELLO, when not the connector's own 11625. */
  readonly announcedPort?: number
}

/** A connector's node. */
export interface ForeignNode {
  readonly id: string
  /** Dials a port of this machine; the connection is destroyed with the scope. */
  readonly dial: (port: number) => Effect.Effect<Foreign, never, Scope.Scope>
  /** Listens at a free port of this machine. */
  readonly listen: Effect.Effect<
    { readonly port: number; readonly accepted: Effect.Effect<Foreign> },
    never,
    Scope.Scope
  >
}

/** The ledger version and text of its HELLO. */
export const LEDGER_VERSION = 23
export const VERSION_STRING = "connector 7.0.1"

/** Makes a node with a key of its own. */
export const makeNode = (options: ForeignOptions = {}): ForeignNode => {
  process.env["LOG_LEVEL"] = "silent" // read by createNode
  const node = createNode({
    network: options.network ?? STANDALONE,
    nodeInfo: {
      ledgerVersion: LEDGER_VERSION,
      versionString: VERSION_STRING,
      ...options.versions ?? { overlayVersion: 41, overlayMinVersion: 40 }
    },
    listeningPort: 11625,
    receiveSCPMessages: true,
    receiveTransactionMessages: true,
    peerFloodReadingCapacity: 200,
    flowControlSendMoreBatchSize: 40,
    peerFloodReadingCapacityBytes: 300_000,
    flowControlSendMoreBatchSizeBytes: 100_000
  })
  return {
    id: node.keyPair.publicKey(),
    dial: (port) =>
      Effect.acquireRelease(
        Effect.sync(() => new Foreign(node.connectTo("127.0.0.1", port), options.announcedPort)),
        ({ connection }) => Effect.sync(() => connection.destroy())
      ),
    listen: listen(node, options.announcedPort)
  }
}

const listen = Effect.fnUntraced(function*(node: Node, announcedPort: number | undefined) {
  const accepted = yield* Queue.unbounded<Foreign>()
  const connections = new Set<Connection>()
  yield* Effect.acquireRelease(
    Effect.promise(() => {
      node.on("connection", (connection: Connection) => {
        connections.add(connection)
        Queue.offerUnsafe(accepted, new Foreign(connection, announcedPort))
      })
      node.acceptIncomingConnections(0, "127.0.0.1")
      return once(node, "listening")
    }),
    () =>
      Effect.sync(() => {
        node.stopAcceptingIncomingConnections()
        for (const connection of connections) connection.destroy()
      })
  )
  const { port } = node["server"]!.address() as AddressInfo // a TCP server that listens has one
  return { port, accepted: within("a connection at the connector", Queue.take(accepted)) }
})
