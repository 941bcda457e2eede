/**
 * XDR without decoding: what a node reads of a message to route it, and the structural validation of every message,
 * against decoding the same bytes with stellar-base.
 */
import * as AuthenticatedMessage from "@stellar-overlay/overlay/wire/AuthenticatedMessage"
import { MARK_LENGTH } from "@stellar-overlay/overlay/wire/Frame"
import * as MessageType from "@stellar-overlay/overlay/wire/MessageType"
import { fromBytes, isFlood } from "@stellar-overlay/overlay/wire/StellarMessage"
import { validateStellarMessage } from "@stellar-overlay/overlay/wire/XdrValidator"
import { xdr } from "@stellar/stellar-base"
import { alternate, type Benchmark, figure, type Measurement, type Table } from "./harness.ts"
import { bodiesOf, type Workload } from "./workloads.ts"

/** Results go here, so that nothing is optimised away. */
let sink = 0

/** Nanoseconds per message. Each question has its own loop, so that the compiler sees what is called in it. */
const time = (
  bodies: ReadonlyArray<Uint8Array>,
  millis: number,
  loop: (bodies: ReadonlyArray<Uint8Array>) => number
): Measurement => {
  let messages = 0
  let elapsed = 0
  const start = process.hrtime.bigint()
  while (elapsed < millis * 1e6) {
    sink += loop(bodies)
    messages += bodies.length
    elapsed = Number(process.hrtime.bigint() - start)
  }
  return { nanos: elapsed / messages }
}

/** Of raw bytes: the type, whether it is flood traffic, what it costs in credit or on the wire. */
const route = (bodies: ReadonlyArray<Uint8Array>): number => {
  let sum = 0
  for (let i = 0; i < bodies.length; i++) {
    const body = bodies[i]!
    const type = AuthenticatedMessage.messageType(body) as MessageType.MessageType // the bytes are validated
    const size = AuthenticatedMessage.messageSize(body)
    sum += MessageType.isFlood(type) ? size : AuthenticatedMessage.frameLengthFor(size)
  }
  return sum
}

/** The typed message with the same facts and, of SCP, the slot and the kind of statement. */
const type = (bodies: ReadonlyArray<Uint8Array>): number => {
  let sum = 0
  for (let i = 0; i < bodies.length; i++) {
    const message = fromBytes(AuthenticatedMessage.message(bodies[i]!))
    sum += isFlood(message) ? message.size : AuthenticatedMessage.frameLengthFor(message.size)
    if (message._tag === "ScpMessage") sum += (message.slotNumber ?? 0) + message.statementCode
  }
  return sum
}

const validate = (bodies: ReadonlyArray<Uint8Array>): number => {
  let sum = 0
  for (let i = 0; i < bodies.length; i++) {
    const body = bodies[i]!
    sum += validateStellarMessage(
      body,
      AuthenticatedMessage.MESSAGE_OFFSET,
      body.length - AuthenticatedMessage.MAC_LENGTH
    )
  }
  return sum
}

const decode = (bodies: ReadonlyArray<Uint8Array>): number => {
  let sum = 0
  for (let i = 0; i < bodies.length; i++) {
    const { buffer, byteLength, byteOffset } = AuthenticatedMessage.message(bodies[i]!)
    sum += xdr.StellarMessage.fromXDR(Buffer.from(buffer, byteOffset, byteLength)).switch().value
  }
  return sum
}

/** The body of a frame that carries a message: what a node sees of it. */
const framed = (message: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(AuthenticatedMessage.frameLengthFor(message.length))
  AuthenticatedMessage.writeFrame(frame, 0, message, 0, 0)
  return frame.subarray(MARK_LENGTH)
}

const of = (workload: Workload, type?: number): ReadonlyArray<Uint8Array> =>
  bodiesOf(workload).filter((body) => type === undefined || body[3] === type).map(framed)

const kinds: Readonly<Record<string, ReadonlyArray<Uint8Array>>> = {
  "SCP, 316 to 488 B": of("mix", 11),
  "transactions, 280 and 900 B": of("mix", 8),
  "adverts": of("mix", 18),
  mix: of("mix"),
  "1 MB set": of("1 MB set")
}

export const xdrFacts: Benchmark = {
  name: "xdr",
  title: "XDR without decoding",
  run: async ({ millis, rounds }) => {
    const results = []
    for (const [kind, bodies] of Object.entries(kinds)) {
      const measured = await alternate(rounds, {
        route: () => time(bodies, millis / 4, route),
        type: () => time(bodies, millis / 4, type),
        validate: () => time(bodies, millis / 4, validate),
        decode: () => time(bodies, millis / 2, decode)
      }, 2)
      results.push([kind, measured] as const)
    }
    if (Number.isNaN(sink)) throw new Error("something was not a number")
    const table: Table = {
      title: "Nanoseconds per message",
      columns: ["messages", "routing facts", "typed message", "validation", "stellar-base decode", "decode/validation"],
      rows: results.map(([kind, all]) => [
        kind,
        figure(all.of("route", "nanos").median),
        figure(all.of("type", "nanos").median),
        figure(all.of("validate", "nanos").median),
        figure(all.of("decode", "nanos").median),
        `${figure(all.ratio("decode", "validate", "nanos").median)} x`
      ]),
      notes: [
        "Routing facts: the typed message object, its class, cost in credit and on the wire; of SCP slot and kind."
      ]
    }
    const mix = results.find(([kind]) => kind === "mix")![1]
    const slowest = results.map(([kind, all]) => ({ kind, ratio: all.ratio("decode", "validate", "nanos") }))
      .toSorted((a, b) => a.ratio.median - b.ratio.median)[0]!
    const nanos = mix.of("route", "nanos")
    return {
      tables: [table],
      verdicts: [{
        what: "routing facts, mix",
        budget: "<= 30 ns",
        measured: `${figure(nanos.median)} ns`,
        met: nanos.median <= 30
      }, {
        what: `validation against decoding, ${slowest.kind}`,
        budget: ">= 4 x faster",
        measured: `${figure(slowest.ratio.median)} x (${figure(slowest.ratio.min)}..${figure(slowest.ratio.max)})`,
        met: slowest.ratio.median >= 4
      }],
      data: Object.fromEntries(results)
    }
  }
}
