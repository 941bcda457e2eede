/**
 * XDR without decoding: what a node reads of a message to route it, and the structural validation of every message,
 * against decoding the same bytes with stellar-base.
 */
import { frameLengthFor } from "@stellar-overlay/overlay/wire/AuthenticatedMessage"
import { fromBytes, isFlood } from "@stellar-overlay/overlay/wire/StellarMessage"
import { validateStellarMessage } from "@stellar-overlay/overlay/wire/XdrValidator"
import { xdr } from "@stellar/stellar-base"
import { alternate, type Benchmark, figure, type Measurement, type Table } from "./harness.ts"
import { bodiesOf, type Workload } from "./workloads.ts"

/** Results go here, so that nothing is optimised away. */
let sink = 0

/** Nanoseconds per message, and bytes of heap allocated per message. */
const time = (bodies: ReadonlyArray<Uint8Array>, millis: number, one: (body: Uint8Array) => number): Measurement => {
  let messages = 0
  const heap = process.memoryUsage().heapUsed
  const start = process.hrtime.bigint()
  let elapsed = 0
  while (elapsed < millis * 1e6) {
    for (let i = 0; i < bodies.length; i++) sink += one(bodies[i]!)
    messages += bodies.length
    elapsed = Number(process.hrtime.bigint() - start)
  }
  return { nanos: elapsed / messages, allocated: (process.memoryUsage().heapUsed - heap) / messages }
}

/** Type, whether it is flood traffic, its cost in credit and on the wire, and of SCP the slot and the kind. */
const route = (body: Uint8Array): number => {
  const message = fromBytes(body)
  const cost = isFlood(message) ? message.size : frameLengthFor(message.size)
  return message._tag === "ScpMessage" ? cost + (message.slotNumber ?? 0) + message.statementCode : cost
}

const validate = (body: Uint8Array): number => validateStellarMessage(body, 0, body.length)
const decode = (body: Uint8Array): number =>
  xdr.StellarMessage.fromXDR(Buffer.from(body.buffer, body.byteOffset, body.length)).switch().value

const of = (workload: Workload, type?: number): ReadonlyArray<Uint8Array> =>
  bodiesOf(workload).filter((body) => type === undefined || body[3] === type)

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
    const results = await Promise.all(
      Object.entries(kinds).map(async ([kind, bodies]) =>
        [
          kind,
          await alternate(rounds, {
            route: () => time(bodies, millis / 4, route),
            validate: () => time(bodies, millis / 4, validate),
            decode: () => time(bodies, millis / 2, decode)
          }, 2)
        ] as const
      )
    )
    if (Number.isNaN(sink)) throw new Error("something was not a number")
    const table: Table = {
      title: "Nanoseconds per message",
      columns: ["messages", "routing facts", "validation", "stellar-base decode", "decode/validation"],
      rows: results.map(([kind, all]) => [
        kind,
        figure(all.of("route", "nanos").median),
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
