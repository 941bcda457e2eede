/**
 * Attacks on a node at a loopback address, each over a connection of its own, with an honest peer beside them. Attackers
 * call the node, and where its operator's port is known they are called by it.
 */
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import type { TransportError } from "@stellar-overlay/overlay/Transport"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { SendMoreExtended } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { ExitCode } from "../ExitCode.ts"
import { dial } from "./loopbackDial.ts"
import { listen } from "./loopbackListen.ts"
import { hostOf, type RawConnection } from "./loopbackSocket.ts"
import * as Operator from "./operator.ts"
import type { Plan } from "./plan.ts"

/**
 * Both ends share a machine, which may be busy: what has to happen at once may take this long. It is less than the two
 * seconds after which a handshake is over anyway, or a node that does not notice would pass.
 */
export const SLACK_MILLIS = 1000

/**
 * How long after it has dropped a peer stellar-core closes the connection (protocol.md 3.1). What it does not notice in a
 * handshake ends at 5 s for silence and is closed as much later: still after what this and `SLACK_MILLIS` allow.
 */
export const CORE_CLOSING_MILLIS = 5000

/** The operator's port, and how many attackers the node may be connected to at a time. */
export interface Dials {
  readonly url: string
  readonly parallel: number
}

export interface Target {
  readonly address: PeerAddress
  readonly passphrase: string
  readonly parallel: number
  /** Undefined where the node cannot be made to dial. */
  readonly dials: Dials | undefined
  readonly connectTimeoutMillis: number
  /** How long the end of a connection, and whatever else has to happen at once, may take. */
  readonly slackMillis: number
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
  /** Why it did not come to an attack, which says nothing about the row. */
  readonly untried?: string | undefined
}

interface Reached {
  readonly raw: RawConnection
  /** What the attacker's HELLO says unless the attack has it say something else. */
  readonly hello: ScriptedPeer.Options["hello"]
}

const call = (target: Target, n: number): Effect.Effect<Reached, TransportError, Scope.Scope> =>
  Effect.map(
    dial(target.address, { from: hostOf(n), timeoutMillis: target.connectTimeoutMillis }),
    (raw) => ({ raw, hello: {} })
  )

/** Hosts of those who are called: others than those of callers, who announce a port where nobody listens. */
const CALLED = 500_000

/** Has the node dial an address that it never heard of: what it remembers of others does not matter. */
const beCalled = Effect.fnUntraced(function*(
  target: Target,
  n: number
): Effect.fn.Return<Reached, TransportError | Operator.CannotDial, Scope.Scope> {
  if (target.dials === undefined) return yield* Operator.unknown
  const { address, caller } = yield* listen(hostOf(CALLED + n))
  yield* Operator.order(target.dials.url, address)
  const raw = yield* Effect.timeoutOrElse(caller, {
    duration: target.connectTimeoutMillis,
    orElse: () =>
      Effect.fail(
        new Operator.CannotDial({
          code: ExitCode.Unreachable,
          problem: `the node did not dial ${address.key} in ${target.connectTimeoutMillis} ms after it was told to`,
          hint: "Is this the operator's port of the node at --target, and does that one dial at all?"
        })
      )
  })
  return { raw, hello: { listeningPort: address.port } }
})

const connect = Effect.fnUntraced(function*(
  target: Target,
  n: number,
  options: ScriptedPeer.Options
): Effect.fn.Return<ScriptedPeer.ScriptedPeer, TransportError | Operator.CannotDial, Scope.Scope> {
  const { hello, raw: { connection, reset } } = yield* options.role === "acceptor"
    ? beCalled(target, n)
    : call(target, n)
  return yield* ScriptedPeer.make(connection, {
    networkPassphrase: target.passphrase,
    seed: `${target.seed}/${n}`,
    slackMillis: target.slackMillis,
    reset,
    ...options,
    hello: { ...hello, ...options.hello }
  })
})

/** A node that has all the outbound connections it wants says so to one more (protocol.md 2.5), whoever it is. */
const hasNoRoom = ({ script }: ScriptedPeer.ScriptedPeer): boolean =>
  script.role === "acceptor" && script.messages("ErrorMsg").some(({ text }) => text === "peer rejected")

const NO_ROOM = "the node had no room for another outbound connection"

const attempt = (target: Target, { row, variant }: Plan["chosen"][number], n: number): Effect.Effect<Result> =>
  Effect.gen(function*() {
    const peer = yield* connect(target, n, variant.attacker)
    const failed = yield* Effect.match(peer.run(variant.run), {
      onFailure: ({ actual, expected }) => [`expected ${expected}, but ${actual}`],
      onSuccess: () => []
    })
    const { script } = peer
    if (failed.length > 0 && hasNoRoom(peer)) return untried(row, variant.name, NO_ROOM)
    const wrong = script.heard.find(({ authentic }) => !authentic)
    const problems = wrong === undefined
      ? failed
      : [...failed, `a ${wrong.message?._tag ?? "frame without a message"} had a wrong sequence number or MAC`]
    return { row, variant: variant.name, problems, heard: problems.length === 0 ? [] : script.transcript }
  }).pipe(
    Effect.catchTags({
      TransportError: ({ message }) =>
        Effect.succeed({ row, variant: variant.name, problems: [`no connection: ${message}`], heard: [] }),
      CannotDial: ({ problem }) => Effect.succeed(untried(row, variant.name, problem))
    }),
    Effect.scoped
  )

const untried = (row: number, variant: string, why: string): Result => ({
  row,
  variant,
  problems: [],
  heard: [],
  untried: why
})

/** A row with so many failures that stand is red; more of it need not be tried again. */
const CONFIRMED = 4

/** A node that was told to dial so often and did not does not dial any more. */
const GIVE_UP = 16

const GIVEN_UP = `the node was told to dial ${GIVE_UP} times and did not`

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
  let undialled = 0
  const tryOne = (choice: Plan["chosen"][number], n: number): Effect.Effect<Result> =>
    choice.variant.attacker.role === "acceptor" && undialled >= GIVE_UP
      ? Effect.succeed(untried(choice.row, choice.variant.name, GIVEN_UP))
      : Effect.map(attempt(target, choice, n), (result) => {
        if (result.untried !== undefined) undialled++
        return result
      })
  const all = (role: "initiator" | "acceptor", concurrency: number) =>
    Effect.forEach(
      chosen,
      (choice, n) =>
        choice.variant.attacker.role !== role ? Effect.void : Effect.flatMap(tryOne(choice, n + 1), (result) => {
          if (result.problems.length === 0 && result.untried === undefined) return done(result)
          failed.push({ n, result })
          return Effect.void
        }),
      { concurrency, discard: true }
    )
  yield* Effect.all([all("initiator", target.parallel), all("acceptor", target.dials?.parallel ?? 1)], {
    concurrency: 2,
    discard: true
  })
  for (const { n, result } of failed) {
    const count = confirmed.get(result.row) ?? 0
    const stands = count < CONFIRMED ? yield* tryOne(chosen[n]!, chosen.length + 1 + n) : result
    if (stands.problems.length > 0) confirmed.set(result.row, count + 1)
    yield* done(stands)
  }
})

const trouble = (error: Error): string => error.message.split("\n")[0]!

/** How often the honest peer gives credit, and how much. */
const GRANT_MILLIS = 1000

/** An honest peer, authenticated. */
const honest = (target: Target, n: number, role: "initiator" | "acceptor" = "initiator") =>
  Effect.tap(connect(target, n, { role }), (peer) => {
    peer.script.answersPings = true
    return peer.handshake()
  })

/**
 * An honest peer that is there while something runs: it grants credit, answers pings and says nothing else. Gives what
 * is wrong with how it was treated, or with a second one that comes, and a third one that is called, when all is over.
 */
export const besideHonest = <R>(
  target: Target,
  during: Effect.Effect<void, never, R>
): Effect.Effect<{ readonly neighbour: string | undefined; readonly alive: string | undefined }, never, R> => {
  const grants = (peer: ScriptedPeer.ScriptedPeer): Effect.Effect<never, Error> =>
    Effect.forever(Effect.andThen(
      peer.say(SendMoreExtended.make({ numMessages: 1000, numBytes: 10_000_000 })),
      peer.expectOpen(GRANT_MILLIS)
    ))
  const neighbour: Effect.Effect<Fiber.Fiber<never, Error> | string, never, Scope.Scope> = honest(target, 0).pipe(
    Effect.flatMap((peer) => Effect.forkScoped(grants(peer))),
    Effect.catch((error) => Effect.succeed(trouble(error)))
  )
  const comes = (n: number, role: "initiator" | "acceptor") =>
    Effect.match(Effect.scoped(honest(target, n, role)), { onFailure: trouble, onSuccess: () => undefined })
  return Effect.gen(function*() {
    const before = yield* neighbour
    yield* during
    const ended = typeof before === "string" ? before : before.pollUnsafe()
    const after = (yield* comes(-1, "initiator"))
      ?? (target.dials === undefined ? undefined : yield* comes(CALLED - 1, "acceptor"))
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

/**
 * Outbound connections of a node, unless its operator has it want others. One is left free: a node that has all it wants
 * and is out of sync lets a random one go (protocol.md 9.4).
 */
const OUTBOUND = 7

/**
 * Whether the node dials, by a call to an honest peer: that it is the node with this id, and how many attackers there can
 * be at a time beside its own peers.
 */
export const canDial = Effect.fnUntraced(function*(
  target: Target,
  url: string,
  id: NodeId | undefined
): Effect.fn.Return<Dials, Operator.CannotDial> {
  const free = OUTBOUND - (yield* Operator.outbound(url))
  const dials: Dials = { url, parallel: Math.max(1, Math.min(free, target.parallel)) }
  const peer = yield* connect({ ...target, dials }, CALLED, { role: "acceptor" }).pipe(
    Effect.tap((peer) =>
      Effect.catch(peer.handshake(), (error) =>
        Effect.fail(
          new Operator.CannotDial({
            code: ExitCode.Rejected,
            problem: hasNoRoom(peer)
              ? `${url}: ${NO_ROOM}`
              : `${url}: what it has dialled is no good to it: ${trouble(error)}`,
            hint: hasNoRoom(peer)
              ? "Take a node with fewer peers, or let this one have more (TARGET_PEER_CONNECTIONS)."
              : "An honest peer must do before hostile ones are tried."
          })
        ))
    ),
    Effect.catchTag("TransportError", ({ message }) =>
      Effect.fail(
        new Operator.CannotDial({ code: ExitCode.Unreachable, problem: message, hint: "Nothing can listen here." })
      )),
    Effect.scoped
  )
  const [hello] = peer.script.messages("Hello")
  if (id === undefined || hello?.peerId === id) return dials
  return yield* new Operator.CannotDial({
    code: ExitCode.Usage,
    problem: `${url} commands the node ${hello?.peerId}, and at ${target.address.key} is ${id}`,
    hint: "Each node has an operator's port of its own."
  })
})
