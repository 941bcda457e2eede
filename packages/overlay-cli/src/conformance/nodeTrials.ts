/** Attacks on a node by several callers, judged by what its operator's port says. */
import {
  callers,
  type Operator as OperatorPort,
  type Target as NodeTarget
} from "@stellar-overlay/overlay-test/hostile/OverlayAttack"
import { ScriptFailure } from "@stellar-overlay/overlay-test/Script"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import * as Effect from "effect/Effect"
import { dial } from "./loopbackDial.ts"
import { hostOf } from "./loopbackSocket.ts"
import * as Operator from "./operator.ts"
import type { Plan } from "./plan.ts"
import type { Result, Target } from "./trials.ts"

/** Hosts of these attackers: each variant has so many of its own. */
const FIRST = 1_000_000
const EACH = 1000

/** They wait more than they do; but more of them at once would count each other's metrics. */
const PARALLEL = 4

const failure = (expected: string, actual: string) => new ScriptFailure({ expected, actual, transcript: [] })

/** Without an operator's port nothing is chosen that would ask it. */
const portOf = (url: string | undefined): OperatorPort => {
  if (url === undefined) {
    const none = Effect.fail(failure("the operator's port", "it is not known"))
    return { ask: () => none, series: none }
  }
  return {
    ask: (path) =>
      Effect.mapError(Operator.raw(url, path), ({ problem }) => failure(`an answer to ${path.slice(0, 60)}`, problem)),
    series: Effect.mapError(Operator.series(url), ({ problem }) => failure("the node's metrics", problem))
  }
}

/** Callers from loopback hosts, one for each address that an attack names, with keys of this run. */
const callersOf = (target: Target, n: number) => {
  const hosts = new Map<string, string>()
  return callers(Effect.fnUntraced(function*(ip, options = {}) {
    const from = hosts.get(ip) ?? hostOf(FIRST + EACH * n + hosts.size)
    hosts.set(ip, from)
    const { connection, reset } = yield* dial(target.address, { from, timeoutMillis: target.connectTimeoutMillis })
    return yield* ScriptedPeer.make(connection, {
      networkPassphrase: target.passphrase,
      slackMillis: target.slackMillis,
      reset,
      ...options,
      seed: `${target.seed}/node ${n}/${options.seed ?? ip}`
    })
  }))
}

/** Tries them; what failed is tried once more, and what stands is given to `done`. */
export const run = Effect.fnUntraced(function*(
  target: Target,
  { nodes }: Plan,
  done: (result: Result) => Effect.Effect<void>
) {
  const node: NodeTarget = { address: target.address, operator: portOf(target.dials?.url) }
  const attempt = ({ row, variant }: Plan["nodes"][number], n: number): Effect.Effect<Result> =>
    Effect.scoped(variant.run(node, callersOf(target, n))).pipe(
      Effect.match({
        onFailure: (error) => ({
          row,
          variant: variant.name,
          problems: [
            error._tag === "ScriptFailure" ? `expected ${error.expected}, but ${error.actual}` : error.message
          ],
          heard: error._tag === "ScriptFailure" ? error.transcript : []
        }),
        onSuccess: () => ({ row, variant: variant.name, problems: [], heard: [] })
      })
    )
  yield* Effect.forEach(
    nodes,
    (choice, n) =>
      Effect.flatMap(
        attempt(choice, n),
        (first) => first.problems.length === 0 ? done(first) : Effect.flatMap(attempt(choice, nodes.length + n), done)
      ),
    {
      concurrency: PARALLEL,
      discard: true
    }
  )
})
