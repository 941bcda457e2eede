/** The checkers of time, questions and connections, each shown a feed that breaks its property. */
import { describe } from "@effect/vitest"
import type { OverlayEvent, PeerBackedOff } from "@stellar-overlay/overlay/OverlayEvents"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import * as ConnectionCheckers from "../../src/campaign/ConnectionCheckers.ts"
import * as FloodCheckers from "../../src/campaign/FloodCheckers.ts"
import type { NodeSnapshot, Observation, WireMessage } from "../../src/campaign/Observation.ts"
import * as SearchCheckers from "../../src/campaign/SearchCheckers.ts"
import * as TimeCheckers from "../../src/campaign/TimeCheckers.ts"
import {
  address,
  authenticated,
  books,
  closed,
  connected,
  connecting,
  dropped,
  fault,
  ledger,
  message,
  opened,
  peer,
  phase,
  snapshot,
  testAll
} from "./feeds.ts"

const { Auth, DontHave, GetScpQuorumSet, GetScpState, GetTxSet, Peers, ScpMessage } = MessageType

const at = (time: number, observation: Observation): Observation => ({ ...observation, at: time })
const says = (time: number, from: string, type: MessageType, rest: Partial<WireMessage> = {}): Observation =>
  message(from, from === "a" ? "b" : "a", type, { at: time, ...rest })
const looks = (time: number, rest: Partial<NodeSnapshot> = {}): Observation => snapshot({ at: time, ...rest })
const started: Observation = { _tag: "NodeStarted", at: 0, node: "a", incarnation: 1 }

const withB = { books: [books()], listed: 1 }
const owing = { books: [books({ queued: 3 })], listed: 1 }
const every = (from: number, to: number, rest: Partial<NodeSnapshot>): ReadonlyArray<Observation> =>
  Array.from({ length: (to - from) / 2500 + 1 }, (_, i) => looks(from + 2500 * i, rest))

const event = (time: number, event: OverlayEvent): Observation => at(time, peer("a", event))
const found = { item: "txSet", hash: "00112233" } as const
const begins = (time: number, hash: string = found.hash): Observation =>
  event(time, { _tag: "FetchStarted", ...found, hash })
const asks = (time: number, hash: string = found.hash): Observation =>
  event(time, { _tag: "FetchAsked", ...found, hash, id: NodeId.fromBytes(new Uint8Array(32)) })
const finds = (time: number): Observation => event(time, { _tag: "FetchReceived", ...found, millis: 1 })

const refused = (times: number): ReadonlyArray<Observation> =>
  Array.from({ length: times }, (_, i) => [says(i, "a", GetTxSet), says(i, "b", DontHave)]).flat()

const backedOff: PeerBackedOff = { _tag: "PeerBackedOff", address, failures: 1, untilMillis: 1_020_000 }
const submitted = (hash: string): Observation => ({ _tag: "Submitted", at: 0, node: "a", hash })
const jumped: Observation = {
  _tag: "Ledger",
  at: 0,
  node: "a",
  ledgerSeq: 9,
  hash: "h",
  transactions: [],
  jumpedFrom: 2,
  rounds: 1
}
const handled = (time: number, peers: number): Observation => ({ _tag: "Handled", at: time, node: "a", peers })

const records = (value: number): Partial<NodeSnapshot> => ({ gauges: [{ name: "flood records", value, bound: 1e6 }] })
const hundred = (from: number): ReadonlyArray<Observation> =>
  Array.from({ length: 100 }, (_, i) => message("a", "b", ScpMessage, { key: from + i }))

describe("checkers of time", () => {
  testAll([
    {
      checker: TimeCheckers.silenceEnds(() => 10_000),
      good: [
        opened,
        says(1000, "a", ScpMessage),
        looks(20_000, withB),
        looks(30_000, { books: [books({ isPaused: true })] }),
        looks(50_000, withB),
        says(51_000, "b", ScpMessage),
        looks(60_000, withB),
        closed,
        looks(200_000, { books: [books({ link: undefined })] })
      ],
      bad: { "nobody says anything": [opened, says(1000, "a", ScpMessage), looks(31_001, withB)] }
    },
    {
      checker: TimeCheckers.handshakeEnds,
      good: [
        event(0, connected),
        looks(10_000),
        event(11_000, dropped("HandshakeTimeout", false)),
        looks(20_000),
        event(21_000, connected),
        event(22_000, authenticated),
        looks(90_000),
        event(91_000, connected),
        started,
        looks(190_000)
      ],
      bad: { "neither one nor the other": [event(0, connected), looks(12_001)] }
    },
    {
      checker: TimeCheckers.timeoutsJust(() => 10_000),
      good: [
        opened,
        says(1000, "a", ScpMessage),
        event(12_000, dropped("IdleTimeout", true)),
        says(50_000, "a", ScpMessage),
        event(50_001, dropped("Straggling", true)),
        fault("ZeroWindow"),
        says(60_000, "a", DontHave),
        event(60_001, dropped("Straggling", true))
      ],
      bad: {
        "idle, and written to": [opened, says(1000, "a", ScpMessage), event(3000, dropped("IdleTimeout", true))],
        "straggling, and up to date": [opened, says(1000, "a", DontHave), event(3000, dropped("Straggling", true))]
      }
    },
    {
      checker: TimeCheckers.pinged,
      good: [
        opened,
        says(0, "a", Auth),
        says(0, "b", Auth),
        says(5000, "a", GetScpQuorumSet),
        says(5000, "b", GetScpQuorumSet),
        { ...opened, link: 2 },
        says(39_000, "a", Auth, { link: 2 }),
        says(39_000, "b", Auth, { link: 2 }),
        phase("stopping", 50_000)
      ],
      bad: {
        "one never asks": [
          opened,
          says(0, "a", Auth),
          says(0, "b", Auth),
          says(5000, "a", GetScpQuorumSet),
          phase("stopping", 50_000)
        ]
      }
    },
    {
      checker: TimeCheckers.debtsEnd((node) => node === "strict"),
      good: [
        ...every(0, 70_000, owing),
        looks(72_500, withB),
        ...every(75_000, 140_000, owing),
        ...every(200_000, 300_000, { ...owing, node: "strict" })
      ],
      bad: { "waits for ever": every(0, 75_000, owing) }
    }
  ])
})

describe("checkers of questions", () => {
  testAll([
    {
      checker: SearchCheckers.searchesGoOn(() => 3),
      good: [
        ledger("a", 1, "h"),
        begins(0),
        asks(0),
        looks(15_000, withB),
        asks(17_000),
        looks(30_000, withB),
        looks(60_000),
        looks(75_000, withB),
        finds(76_000),
        looks(200_000, withB)
      ],
      bad: {
        "asks nobody any more": [begins(0), asks(0), looks(21_000, withB)],
        "never asks": [begins(0), looks(21_000, withB)],
        "is never over": [
          ledger("a", 1, "h"),
          begins(0),
          asks(0),
          ...[2, 3, 4, 5, 6, 7].map((seq) => ledger("a", seq, "h")),
          looks(7000, withB)
        ],
        "takes its time": Array.from({ length: 6 }, (_, i) => [begins(0, `${i}`), asks(1500, `${i}`)]).flat()
      }
    },
    {
      checker: SearchCheckers.answered(3000),
      good: [
        says(0, "a", GetTxSet),
        phase("liveness", 1000),
        says(1000, "a", GetTxSet),
        says(2000, "b", DontHave),
        says(9000, "a", GetScpQuorumSet),
        phase("stopping", 10_000)
      ],
      bad: {
        "no answer": [phase("liveness", 1000), says(1000, "a", GetTxSet), phase("stopping", 10_000)],
        "one answer to two questions": [
          phase("liveness", 1000),
          says(1000, "a", GetTxSet),
          says(1000, "a", GetScpQuorumSet),
          says(2000, "b", DontHave),
          phase("stopping", 10_000)
        ]
      }
    },
    {
      checker: SearchCheckers.refusalsHeard,
      good: [...refused(5), looks(0, { listed: 2 }), ...refused(5), asks(6000), asks(6100)],
      bad: { "waits as for an answer": [looks(0, { listed: 2 }), ...refused(5), asks(6000), asks(7500)] }
    },
    {
      checker: SearchCheckers.lostAsk,
      good: [
        looks(0, { ...withB, isSynced: false }),
        says(20_000, "a", GetScpState),
        looks(40_000, { ...withB, isSynced: false }),
        looks(50_000, withB),
        looks(60_000, { isSynced: false }),
        looks(100_000, { ...withB, isSynced: false })
      ],
      bad: {
        "asks nobody": [looks(0, { ...withB, isSynced: false }), looks(26_000, { ...withB, isSynced: false })],
        "asks nobody while nothing closes": [ledger("a", 1, "h"), ...every(0, 70_000, withB)]
      }
    }
  ])
})

describe("checkers of connections", () => {
  testAll([
    {
      checker: ConnectionCheckers.goneIsGone,
      good: [
        looks(0, { books: [books({ link: undefined })] }),
        looks(2500, { books: [books({ link: undefined })] }),
        looks(5000, withB),
        looks(7500, { books: [books({ link: undefined })] })
      ],
      bad: { "stays": [1, 2, 3].map((time) => looks(time, { books: [books({ link: undefined })] })) }
    },
    {
      checker: ConnectionCheckers.oneDialStays,
      good: [
        event(0, dropped("MutualDialLost", false)),
        looks(1000),
        looks(2500, withB),
        event(3000, dropped("MutualDialLost", false)),
        event(3001, dropped("PeerRejected", false)),
        looks(6000),
        fault("Reset"),
        event(9000, dropped("MutualDialLost", false)),
        looks(12_000)
      ],
      bad: { "none stays": [event(0, dropped("MutualDialLost", false)), looks(2500)] }
    },
    {
      checker: ConnectionCheckers.backsOff(1_000_000),
      good: [
        event(10_000, backedOff),
        event(20_000, connecting),
        event(20_001, backedOff),
        event(20_002, authenticated),
        event(20_003, connecting),
        event(10_000, backedOff),
        phase("healing", 11_000),
        event(12_000, connecting)
      ],
      bad: {
        "too early": [event(10_000, backedOff), event(15_000, connecting)],
        "without growing patience": [1, 2, 3, 4, 5, 6].map((failures) =>
          event(3000 * failures, { ...backedOff, failures, untilMillis: 1_000_000 })
        ),
        "for ever": [event(0, { ...backedOff, untilMillis: 1_000_000 + 10_240_001 })]
      }
    },
    {
      checker: ConnectionCheckers.lostRotate,
      good: [
        event(1, dropped("OutOfSyncRotation", true)),
        at(1000, ledger("a", 2, "h")),
        event(70_000, dropped("OutOfSyncRotation", true))
      ],
      bad: { "for no reason": [at(1000, ledger("a", 2, "h")), event(5000, dropped("OutOfSyncRotation", true))] }
    },
    {
      checker: ConnectionCheckers.othersTold,
      good: [
        ...Array.from({ length: 40 }, (_, i) => says(i, "b", Auth)),
        says(20, "b", Peers, { size: 8 + 4 * 16 }),
        looks(30, { gauges: [{ name: "known addresses", value: 2, bound: 100 }] }),
        // Seeds 47 and 141: who has no room for whom it called does not read what follows AUTH.
        says(40, "b", Peers, { size: 8 + 9 * 16 }),
        event(41, dropped("PeerRejected", false)),
        phase("stopping", 50)
      ],
      bad: {
        "nobody has a word": [
          ...Array.from({ length: 40 }, (_, i) => says(i, "b", Auth)),
          phase("stopping", 50)
        ],
        "nobody listens": [
          says(20, "b", Peers, { size: 8 + 4 * 16 }),
          looks(30, { gauges: [{ name: "known addresses", value: 1, bound: 100 }] }),
          phase("stopping", 50)
        ]
      }
    },
    {
      checker: ConnectionCheckers.endsTold,
      good: [
        looks(2500, withB),
        handled(2500, 1),
        event(4000, dropped("Shutdown", true)),
        looks(5000),
        handled(5000, 1),
        looks(12_500),
        handled(12_500, 0)
      ],
      bad: {
        "an end that is not told": [
          looks(2500, withB),
          event(4000, dropped("Shutdown", true)),
          looks(12_500),
          handled(12_500, 1)
        ],
        "a beginning that is not told": [looks(2500, withB), handled(2500, 0)]
      }
    },
    {
      checker: ConnectionCheckers.placesReturn,
      good: [
        event(0, dropped("RemoteClosed", true)),
        looks(1000, { places: 1 }),
        fault("ZeroWindow"),
        looks(9000, { places: 1 }),
        phase("healing", 10_000),
        looks(11_000, { places: 1 }),
        phase("liveness", 12_000),
        looks(13_000, { places: 1, authenticated: { inbound: 0, outbound: 1 } })
      ],
      bad: { "a place that nobody has": [event(0, dropped("RemoteClosed", true)), looks(2500, { places: 1 })] }
    },
    {
      checker: FloodCheckers.lonelyHeard,
      good: [
        submitted("1"),
        ledger("b", 2, "h", ["1"]),
        submitted("2"),
        { ...jumped, at: 3 },
        submitted("3"),
        started,
        event(4, authenticated),
        submitted("4"),
        event(5, dropped("Shutdown", true)),
        phase("liveness", 6),
        submitted("5"),
        phase("stopping", 7)
      ],
      bad: {
        "is kept quiet": [submitted("1"), ledger("a", 2, "h"), phase("stopping", 7)],
        "is kept quiet, alone again": [
          event(4, authenticated),
          event(5, dropped("Shutdown", true)),
          submitted("1"),
          phase("stopping", 7)
        ]
      }
    },
    {
      checker: FloodCheckers.recordsFade(() => 3),
      good: [
        ledger("a", 1, "h"),
        ...hundred(0),
        looks(1, records(100)),
        ...[2, 3, 4, 5].map((seq) => ledger("a", seq, "h")),
        ...hundred(100),
        looks(2, records(100))
      ],
      bad: {
        "nothing is forgotten": [
          ledger("a", 1, "h"),
          ...hundred(0),
          ...[2, 3, 4, 5].map((seq) => ledger("a", seq, "h")),
          ...hundred(100),
          looks(2, records(200))
        ]
      }
    }
  ])
})
