/** `stellar-overlay mempool <host:port>`: the transactions a node passes on, from advert to ledger. */
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { ExitCode } from "../ExitCode.ts"
import { type Event, Mempool } from "../mempool/Mempool.ts"
import * as Show from "../mempool/show.ts"
import * as Client from "../net/client.ts"
import { steadyNow } from "../net/steadyNow.ts"
import { dim } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { timeOfDay } from "../render/units.ts"
import { work } from "../work.ts"

/** How often demands without an answer are looked for. */
const TICK_MILLIS = 1000

const run = Effect.fnUntraced(function*(options: Client.Options) {
  const { json } = options
  const screen = yield* Screen
  const crypto = yield* OverlayCrypto
  const now = yield* steadyNow
  const mempool = new Mempool(crypto)
  const show = (events: ReadonlyArray<Event>) => {
    const at = now()
    return json
      ? screen.json(events.map((event) => Show.object(event, at)))
      : screen.print(events.map((event) => [dim(timeOfDay(at)), " ", ...Show.line(event, at)]), { cut: true })
  }
  const take = (peer: Peer) => (batch: ReadonlyArray<StellarMessage>) =>
    Effect.suspend(() => {
      const events: Array<Event> = []
      const at = now()
      for (const message of batch) {
        const reply = mempool.receive(message, at, events)
        if (reply !== undefined) peer.offer(reply)
      }
      return show(events)
    })
  const tick = Effect.suspend(() => {
    const events: Array<Event> = []
    mempool.tick(now(), events)
    return show(events)
  })
  return yield* Client.run(options, {
    // What came before is of no interest: an answer would come as SCP messages that look new.
    peer: { scpStateFrom: "none" },
    use: Effect.fnUntraced(function*(peer) {
      yield* Client.status(
        json,
        () => ({ parts: Show.parts(mempool), object: { ...mempool.counts, open: mempool.open } })
      )
      yield* Effect.forkScoped(Effect.repeat(tick, Schedule.spaced(TICK_MILLIS)))
      yield* Stream.runForEach(Stream.chunks(peer.messages), take(peer))
    }, Effect.scoped),
    finished: Effect.suspend(() =>
      json ? screen.json([{ event: "summary", ...mempool.counts }]) : screen.print([Show.totals(mempool.counts)])
    )
  })
}, Effect.provide(NodeOverlayCrypto.layer))

/** `mempool`: shows transactions as they are advertised. */
export const mempool = Command.make("mempool", {
  ...Client.flags,
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One JSON object per line: transactions, ledgers, and now and then a status"),
    Flag.withDefault(false)
  )
}, (parsed) => work(run(Client.options(parsed)), { interrupted: ExitCode.Ok })).pipe(
  Command.withDescription(
    "Connect to a node as a peer and follow the transactions it passes on: when each was advertised, how long it took to get it, and in which ledger it ended up. Each is asked for once, as a node would."
  ),
  Command.withShortDescription("Follow transactions from advert to ledger"),
  Command.withExamples([
    { command: "stellar-overlay mempool core-testnet1.stellar.org --seconds 30" },
    { command: "stellar-overlay mempool 127.0.0.1 --json | jq 'select(.event == \"received\") | .pullMillis'" }
  ])
)
