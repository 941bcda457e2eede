/** Attacks on a node at a loopback address, each over a connection of its own, with an honest peer beside them. */
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { SendMoreExtended } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { dial, hostOf } from "./loopbackDial.ts"
import type { Plan } from "./plan.ts"

/**
 * Both ends share a machine, which may be busy: what has to happen at once may take this long. It is less than the two
 * seconds after which a handshake is over anyway, or a node that does not notice would pass.
 */
export const SLACK_MILLIS = 1000

export interface Target {
  readonly address: PeerAddress
  readonly passphrase: string
  readonly parallel: number
  readonly connectTimeoutMillis: number
  /** Decides the keys of all attackers: new for every run, or a node bans them for what they did in the last. */
  readonly seed: string
}

/** What one variant came to; no problems means that it passed. */
export interface Result {
  readonly row: number
  readonly variant: string
  readonly problems: ReadonlyArray<string>
  /** What the attacker heard, when there are problems. */
  readonly heard: ReadonlyArray<string>
}

const connect = Effect.fnUntraced(function*(target: Target, n: number, options: ScriptedPeer.Options) {
  const { connection, reset } = yield* dial(target.address, {
    from: hostOf(n),
    timeoutMillis: target.connectTimeoutMillis
  })
  return yield* ScriptedPeer.make(connection, {
    networkPassphrase: target.passphrase,
    seed: `${target.seed}/${n}`,
    slackMillis: SLACK_MILLIS,
    reset,
    ...options
  })
})

const attempt = (target: Target, { row, variant }: Plan["chosen"][number], n: number): Effect.Effect<Result> =>
  Effect.gen(function*() {
    const peer = yield* connect(target, n, variant.attacker)
    const failed = yield* Effect.match(peer.run(variant.run), {
      onFailure: ({ actual, expected }) => [`expected ${expected}, but ${actual}`],
      onSuccess: () => []
    })
    const { script } = peer
    const wrong = script.heard.find(({ authentic }) => !authentic)
    const problems = wrong === undefined
      ? failed
      : [...failed, `a ${wrong.message?._tag ?? "frame without a message"} had a wrong sequence number or MAC`]
    return { row, variant: variant.name, problems, heard: problems.length === 0 ? [] : script.transcript }
  }).pipe(
    Effect.catch((error) =>
      Effect.succeed({ row, variant: variant.name, problems: [`no connection: ${error.message}`], heard: [] })
    ),
    Effect.scoped
  )

/** A row with so many failures that stand is red; more of it need not be tried again. */
const CONFIRMED = 4

/**
 * Tries everything that is planned, and, when all are done, what failed once more, each by itself: what was only late on
 * a busy machine is not held against the node. `done` is called with each result that stands.
 */
export const run = Effect.fnUntraced(function*(
  target: Target,
  { chosen }: Plan,
  done: (result: Result) => Effect.Effect<void>
) {
  const failed: Array<{ readonly n: number; readonly result: Result }> = []
  const confirmed = new Map<number, number>()
  yield* Effect.forEach(chosen, (choice, n) =>
    Effect.flatMap(attempt(target, choice, n + 1), (result) => {
      if (result.problems.length === 0) return done(result)
      failed.push({ n, result })
      return Effect.void
    }), { concurrency: target.parallel, discard: true })
  for (const { n, result } of failed) {
    const count = confirmed.get(result.row) ?? 0
    const stands = count < CONFIRMED ? yield* attempt(target, chosen[n]!, chosen.length + 1 + n) : result
    if (stands.problems.length > 0) confirmed.set(result.row, count + 1)
    yield* done(stands)
  }
})

/** How often the honest peer gives credit, and how much. */
const GRANT_MILLIS = 1000

/**
 * An honest peer that is there while something runs: it grants credit, answers pings and says nothing else. Gives what
 * is wrong with how it was treated, or with a second one that comes when all is over.
 */
export const besideHonest = <R>(
  target: Target,
  during: Effect.Effect<void, never, R>
): Effect.Effect<{ readonly neighbour: string | undefined; readonly alive: string | undefined }, never, R> => {
  const honest = (n: number) =>
    Effect.tap(connect(target, n, {}), (peer) => {
      peer.script.answersPings = true
      return peer.handshake()
    })
  const grants = (peer: ScriptedPeer.ScriptedPeer): Effect.Effect<never, Error> =>
    Effect.forever(Effect.andThen(
      peer.say(SendMoreExtended.make({ numMessages: 1000, numBytes: 10_000_000 })),
      peer.expectOpen(GRANT_MILLIS)
    ))
  const trouble = (error: Error): string => error.message.split("\n")[0]!
  const neighbour: Effect.Effect<Fiber.Fiber<never, Error> | string, never, Scope.Scope> = honest(0).pipe(
    Effect.flatMap((peer) => Effect.forkScoped(grants(peer))),
    Effect.catch((error) => Effect.succeed(trouble(error)))
  )
  return Effect.gen(function*() {
    const before = yield* neighbour
    yield* during
    const ended = typeof before === "string" ? before : before.pollUnsafe()
    const after = yield* Effect.match(Effect.scoped(honest(-1)), { onFailure: trouble, onSuccess: () => undefined })
    return {
      neighbour: typeof ended === "string"
        ? ended
        : ended === undefined || typeof before === "string"
        ? undefined
        : yield* Effect.match(Fiber.join(before), { onFailure: trouble, onSuccess: () => undefined }),
      alive: after
    }
  }).pipe(Effect.scoped)
}
