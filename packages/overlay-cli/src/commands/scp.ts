/** `stellar-overlay scp <host:port>`: who votes what about each ledger, and how fast they agree. */
import type { Peer } from "@stellar-overlay/overlay/Peer"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ExitCode } from "../ExitCode.ts"
import * as Client from "../net/client.ts"
import { steadyNow } from "../net/steadyNow.ts"
import { dim } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { timeOfDay } from "../render/units.ts"
import { Ballots, type Slot } from "../scp/Ballots.ts"
import * as Show from "../scp/show.ts"
import { work } from "../work.ts"

const run = Effect.fnUntraced(function*(options: Client.Options) {
  const { json } = options
  const screen = yield* Screen
  const now = yield* steadyNow
  const ballots = new Ballots()
  const take = (batch: ReadonlyArray<StellarMessage>) =>
    Effect.suspend(() => {
      const at = now()
      const over: Array<Slot> = []
      for (const message of batch) {
        const slot = message._tag === "ScpMessage" ? ballots.receive(message, at) : undefined
        if (slot !== undefined) over.push(slot)
      }
      return json
        ? screen.json(over.map(Show.object))
        : screen.print(over.map((slot) => [dim(timeOfDay(at)), " ", ...Show.line(slot)]), { cut: true })
    })
  return yield* Client.run(options, {
    // Only what is said from now on has a time.
    peer: { scpStateFrom: "none" },
    use: Effect.fnUntraced(function*(peer: Peer) {
      yield* Client.status(json, () => {
        const { externalizedSlots, statements, validators } = ballots
        const object = {
          slot: ballots.current?.slot,
          slots: externalizedSlots,
          statements,
          validators: validators.size
        }
        return { parts: Show.parts(ballots), object }
      })
      yield* Stream.runForEach(Stream.chunks(peer.messages), take)
    }, Effect.scoped),
    finished: Effect.suspend(() => {
      const last = ballots.current === undefined ? [] : [ballots.current]
      return json
        ? screen.json([...last.map(Show.object), Show.totalsJson(ballots)])
        : screen.print([...last.map(Show.line), ...Show.totals(ballots)])
    })
  })
})

/** `scp`: shows what validators say, by slot. */
export const scp = Command.make("scp", {
  ...Client.flags,
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One JSON object per line: slots, now and then a status, and the validators at the end"),
    Flag.withDefault(false)
  )
}, (parsed) => work(run(Client.options(parsed)), { interrupted: ExitCode.Ok })).pipe(
  Command.withDescription(
    "Connect to a node as a peer and follow consensus: for each slot how many validators nominated, prepared, confirmed and externalized, how long that took, who came last and who is missing; at the end the lag of each validator. Signatures are not checked; the node has done that."
  ),
  Command.withShortDescription("Follow who votes what, and who is late"),
  Command.withExamples([
    { command: "stellar-overlay scp core-live-a.stellar.org --seconds 60" },
    { command: "stellar-overlay scp 127.0.0.1 --json | jq 'select(.event == \"slot\") | .lagMillis'" }
  ])
)
