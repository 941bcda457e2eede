/**
 * Handshakes per second with both ends in one process: TCP, HELLO, AUTH and the first grants, against a straight-line
 * program that exchanges the same messages, and against the cryptographic operations alone.
 *
 * Each end verifies one certificate (Ed25519), derives two MAC keys (HMAC) and computes three MACs in each direction;
 * certificates are issued once per half hour. Ends that met before in this process have agreed a key already; others
 * compute one X25519 each, which is the usual case on a network.
 */
import type { Acquaintance, actor as Handshakes } from "./actors/handshakes.ts"
import {
  alternate,
  type Benchmark,
  type Effort,
  figure,
  percent,
  ratioText,
  type Table,
  type Verdict
} from "./harness.ts"
import { type Remote, spawn, withChildren } from "./processes.ts"

const BUDGET = 0.7

const measure = async (child: Remote<typeof Handshakes>, acquaintance: Acquaintance, { millis, rounds }: Effort) => {
  const count = Math.round(2.5 * millis)
  return alternate(rounds, {
    bare: () => child.bare(acquaintance, count),
    straight: () => child.straight(acquaintance, count),
    ours: () => child.ours(acquaintance, count)
  }, 2)
}

export const handshake: Benchmark = {
  name: "handshake",
  title: "Handshakes, both ends in one process",
  run: async (effort) => {
    const child = spawn<typeof Handshakes>("handshakes")
    return withChildren([child], async () => {
      const { call } = await child
      const results = {
        known: await measure(call, "known", effort),
        fresh: await measure(call, "fresh", effort)
      }
      const table: Table = {
        title: "Handshakes per second, and processor time for both ends of one in microseconds",
        columns: [
          "peers",
          "crypto alone",
          "straight-line",
          "ours",
          "CPU crypto",
          "straight",
          "ours",
          "ours/straight",
          "by CPU",
          "CPU goodbye straight",
          "ours"
        ],
        rows: Object.entries(results).map(([acquaintance, rounds]) => [
          acquaintance === "known" ? "met before" : "never met",
          ...(["bare", "straight", "ours"] as const).map((name) => figure(rounds.of(name, "perSecond").median)),
          ...(["bare", "straight", "ours"] as const).map((name) => figure(rounds.of(name, "cpuMicros").median)),
          ratioText(rounds.ratio("ours", "straight", "perSecond")),
          percent(rounds.ratio("straight", "ours", "cpuMicros").median),
          ...(["straight", "ours"] as const).map((name) => figure(rounds.of(name, "goodbyeMicros").median))
        ]),
        notes: [
          "From the dial to both ends authenticated; the goodbye and the end of the connection are measured apart."
        ]
      }
      const verdicts = (["fresh", "known"] as const).map((acquaintance): Verdict => {
        const ratio = results[acquaintance].ratio("ours", "straight", "perSecond")
        return {
          what: `handshakes, peers ${acquaintance === "fresh" ? "that never met" : "that met before"}`,
          budget: `>= ${percent(BUDGET)} of straight-line`,
          measured: `${ratioText(ratio)}; ${
            percent(results[acquaintance].ratio("straight", "ours", "cpuMicros").median)
          } by processor time`,
          met: ratio.median >= BUDGET
        }
      })
      return { tables: [table], verdicts, data: results }
    })
  }
}
