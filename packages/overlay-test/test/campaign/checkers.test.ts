/** Every checker is shown a feed that keeps its property, which it must accept, and one that breaks it. */
import { assert, describe, it } from "@effect/vitest"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as Checker from "../../src/campaign/Checker.ts"
import * as FloodCheckers from "../../src/campaign/FloodCheckers.ts"
import * as NetworkCheckers from "../../src/campaign/NetworkCheckers.ts"
import type { Observation } from "../../src/campaign/Observation.ts"
import * as PeerCheckers from "../../src/campaign/PeerCheckers.ts"
import * as SyncCheckers from "../../src/campaign/SyncCheckers.ts"
import * as WireCheckers from "../../src/campaign/WireCheckers.ts"
import {
  address,
  authenticated,
  books,
  type Case,
  closed,
  connected,
  connecting,
  dropped,
  fault,
  ledger,
  message,
  opened,
  peer,
  snapshot,
  testAll
} from "./feeds.ts"

const {
  Auth,
  ErrorMsg,
  FloodAdvert,
  FloodDemand,
  GetScpState,
  Hello,
  Peers,
  ScpMessage,
  SendMoreExtended,
  Transaction
} = MessageType

const healing: Observation = { _tag: "Phase", at: 4000, phase: "healing" }
const jump = (from: number, to: number): Observation =>
  ({ ...ledger("a", to, `h${to}`), jumpedFrom: from }) as Observation // of a ledger
/** A connection with both its AUTHs, and the last statement about a slot on it. */
const shaken = [opened, message("a", "b", Auth), message("b", "a", Auth)]
const ended = (at: number, from: string, slot = 7, link = 1): Observation =>
  message(from, from === "b" ? "a" : "b", ScpMessage, { at, link, key: slot, scp: { origin: "V", slot, kind: 2 } })

const scp = message("a", "b", ScpMessage, { key: 7 })
const grant = message("b", "a", SendMoreExtended, { messages: 2, bytes: 250 })

const liveness = NetworkCheckers.alive({
  nodes: ["a", "b"],
  validators: ["V"],
  closeTimeMillis: 1000,
  settleMillis: 500
})
const together = [
  snapshot({ at: 9000, node: "a", books: [books({ peer: "b" })], ledgerSeq: 9 }),
  snapshot({ at: 9000, node: "b", books: [books({ peer: "a" })], ledgerSeq: 9 })
]
const began: Observation = { _tag: "Phase", at: 4000, phase: "liveness" }
const stopping: Observation = { _tag: "Phase", at: 9500, phase: "stopping" }
const closing = [5, 6, 7, 8, 9].flatMap((seq) => [ledger("a", seq, `h${seq}`), ledger("b", seq, `h${seq}`)])
const externalize = (from: string, to: string): Observation =>
  message(from, to, ScpMessage, { at: 7000, key: 1, scp: { origin: "V", slot: 7, kind: 2 } })
const alone: Observation = { _tag: "Submitted", at: 4500, node: "a", hash: "tx" }

const cases: ReadonlyArray<Case> = [
  {
    checker: FloodCheckers.sentOnce,
    good: [
      scp,
      message("b", "a", ScpMessage, { key: 7 }),
      message("b", "a", GetScpState),
      scp,
      message("a", "b", FloodAdvert, { hashes: [5] }),
      message("b", "a", FloodDemand, { hashes: [5] }),
      message("a", "b", Transaction, { key: 5 }),
      closed,
      scp
    ],
    bad: {
      "a message twice": [scp, scp],
      "a message once more than asked for": [scp, message("b", "a", GetScpState), scp, scp],
      "an advert twice": [
        message("a", "b", FloodAdvert, { hashes: [5] }),
        message("a", "b", FloodAdvert, { hashes: [5] })
      ],
      "a demand of what was not advertised": [message("b", "a", FloodDemand, { hashes: [5] })],
      "a demand more than there were adverts": [
        message("a", "b", FloodAdvert, { hashes: [5] }),
        message("b", "a", FloodDemand, { hashes: [5] }),
        message("b", "a", FloodDemand, { hashes: [5] })
      ],
      "a body that nobody asked for": [
        message("a", "b", FloodAdvert, { hashes: [5] }),
        message("a", "b", Transaction, { key: 5 })
      ]
    }
  },
  {
    checker: WireCheckers.creditConserved,
    good: [
      grant,
      scp,
      scp,
      message("b", "a", SendMoreExtended, { messages: 2, bytes: 200 }),
      snapshot({ books: [books({ messageCredit: 2, byteCredit: 250 })] })
    ],
    bad: {
      "a message too many": [grant, scp, scp, scp],
      "bytes too many": [grant, message("a", "b", ScpMessage, { size: 251 })],
      "a message before any grant": [scp],
      "a grant of what did not come": [grant, scp, message("b", "a", SendMoreExtended, { messages: 2, bytes: 100 })],
      "credit lost": [grant, snapshot({ books: [books({ messageCredit: 1, byteCredit: 250 })] })],
      "messages that stay": [snapshot({ books: [books({ queued: 1 })] })],
      "credit from nowhere": [grant, snapshot({ books: [books({ messageCredit: 3, byteCredit: 250, isBusy: true })] })],
      "bytes held": [snapshot({ books: [books({ localFloodBytes: 1 })] })],
      "capacity held": [snapshot({ books: [books({ localFloodMessages: 199 })] })],
      "a grant owed": [
        message("a", "b", SendMoreExtended, { messages: 200, bytes: 300_000 }),
        ...Array.from({ length: 40 }, (_, key) => message("b", "a", ScpMessage, { key })),
        snapshot({ books: [books()] })
      ]
    }
  },
  {
    checker: WireCheckers.inOrder,
    good: [
      opened,
      message("a", "b", Hello),
      message("b", "a", Hello),
      message("a", "b", Auth),
      message("b", "a", Auth),
      message("b", "a", Peers),
      message("a", "b", ErrorMsg),
      closed
    ],
    bad: {
      "something before HELLO": [opened, message("a", "b", Auth)],
      "something before AUTH": [opened, message("a", "b", Hello), scp],
      "HELLO twice": [opened, message("a", "b", Hello), message("a", "b", Auth), message("a", "b", Hello)],
      "a word after the last": [opened, message("a", "b", Hello), message("a", "b", ErrorMsg), message("a", "b", Auth)],
      "PEERS from who called": [opened, message("a", "b", Hello), message("a", "b", Auth), message("a", "b", Peers)]
    }
  },
  {
    checker: FloodCheckers.notEchoed(100),
    good: [began, ...Array.from({ length: 50 }, (_, key) => message("a", "b", ScpMessage, { key, at: key })), stopping],
    bad: {
      "everything comes back": [
        began,
        ...Array.from({ length: 50 }, (_, key) => [
          message("a", "b", ScpMessage, { key, at: 0 }),
          message("b", "a", ScpMessage, { key, at: 500 })
        ]).flat(),
        stopping
      ]
    }
  },
  {
    checker: FloodCheckers.pulledOnce,
    good: [began, ...Array.from({ length: 50 }, (_, key) => message("a", "b", Transaction, { key })), stopping],
    bad: {
      "bodies come twice": [
        began,
        ...Array.from({ length: 50 }, (_, key) => message("a", "b", Transaction, { key: key >> 1 })),
        stopping
      ]
    }
  },
  {
    checker: PeerCheckers.oneReason,
    good: [
      peer("a", connecting),
      peer("a", connected),
      peer("a", authenticated),
      peer("a", dropped("AlreadyConnected", false, address.key)), // a second dial that was not made
      peer("a", dropped("Shutdown", true)),
      { _tag: "NodeStopped", at: 2, node: "a", inOrder: true }
    ],
    bad: {
      "two reasons": [
        peer("a", connecting),
        peer("a", dropped("ConnectTimeout", false)),
        peer("a", dropped("Shutdown", false))
      ],
      "an end without a beginning": [peer("a", dropped("CorruptXdr", false))],
      "authenticated before it is connected": [peer("a", connecting), peer("a", authenticated)],
      "an end that is not told": [
        peer("a", connecting),
        peer("a", connected),
        { _tag: "NodeStopped", at: 2, node: "a", inOrder: true }
      ],
      "a wrong word about authentication": [
        peer("a", connecting),
        peer("a", connected),
        peer("a", dropped("Shutdown", true))
      ]
    }
  },
  {
    checker: PeerCheckers.slotsConserved,
    good: [
      peer("a", connecting),
      peer("a", connected),
      peer("a", authenticated),
      snapshot({ authenticated: { inbound: 0, outbound: 1 }, listed: 1, places: 1, books: [books()] })
    ],
    bad: {
      "a slot that nobody has": [snapshot({ authenticated: { inbound: 1, outbound: 0 }, places: 1 })],
      "a peer that is not counted": [peer("a", connecting), peer("a", connected), peer("a", authenticated), snapshot()],
      "a pending slot that is not counted": [peer("a", connecting), snapshot()],
      "no place": [
        peer("a", connecting),
        snapshot({ pending: { inbound: 0, outbound: 1 }, places: 0 })
      ]
    }
  },
  {
    checker: PeerCheckers.boundsKept,
    good: [snapshot({ gauges: [{ name: "x", value: 3, bound: 3 }] })],
    bad: {
      "above": [snapshot({ gauges: [{ name: "x", value: 4, bound: 3 }] })],
      "below nothing": [snapshot({ gauges: [{ name: "x", value: -1, bound: 3 }] })]
    }
  },
  {
    checker: PeerCheckers.nobodyAccused,
    good: [
      peer("a", dropped("IdleTimeout", true)),
      peer("a", dropped("ErrorReceived", true, "ERR_CONF (already*connected peer* GAAAA)")),
      { _tag: "Fault", at: 1, kind: "FrameDamage", detail: "", nodes: [] },
      peer("a", dropped("UnexpectedMac", true))
    ],
    bad: {
      "a violation without damage": [peer("a", dropped("UnexpectedMac", true))],
      "a certificate refused with clocks right": [peer("a", dropped("CertificateExpired", false))],
      "being told of a violation": [peer("a", dropped("ErrorReceived", true, "ERR_DATA (received corrupt XDR)"))],
      "a defect": [
        { _tag: "Fault", at: 1, kind: "FrameDamage", detail: "", nodes: [] },
        peer("a", dropped("Defect", true))
      ],
      "an error in the log": [{ _tag: "ErrorLogged", at: 1, node: "a", text: "a handler failed" }]
    }
  },
  {
    checker: PeerCheckers.quietPeace,
    good: [peer("a", dropped("PeerRejected", true)), stopping, peer("a", dropped("ReadError", true))],
    bad: {
      "a time-out": [peer("a", dropped("NoCapacityTimeout", true))],
      "a connection that breaks": [peer("a", dropped("ReadError", true))]
    }
  },
  {
    checker: PeerCheckers.nothingLeft,
    good: [{ _tag: "LeftOver", at: 1, tasks: 0, timers: 0, sockets: 0 }],
    bad: {
      "a timer": [{ _tag: "LeftOver", at: 1, tasks: 0, timers: 1, sockets: 0 }],
      "a socket": [{ _tag: "LeftOver", at: 1, tasks: 0, timers: 0, sockets: 1 }]
    }
  },
  {
    checker: NetworkCheckers.oneChain,
    good: [ledger("a", 2, "x", ["t"]), ledger("b", 2, "x", ["t"]), ledger("a", 3, "y")],
    bad: {
      "two ledgers": [ledger("a", 2, "x"), ledger("b", 2, "z")],
      "a transaction twice": [ledger("a", 2, "x", ["t"]), ledger("a", 3, "y", ["t"])],
      "a ledger again": [ledger("a", 2, "x"), ledger("a", 2, "x")],
      "a ledger on another": [snapshot({ diverged: 1 })]
    }
  },
  {
    checker: liveness,
    good: [began, ...closing, externalize("a", "b"), ...together, stopping],
    bad: {
      "apart": [began, ...closing, together[0]!, snapshot({ ...together[1]!, books: [] }), stopping],
      "out of sync": [began, ...closing, together[0]!, snapshot({ ...together[1]!, isSynced: false }), stopping],
      "behind": [began, ...closing, together[0]!, snapshot({ ...together[1]!, ledgerSeq: 6 }), stopping],
      "standing still": [began, ...together, stopping],
      "missing": [began, ...closing, together[0]!, stopping],
      "a statement that stays at home": [began, ...closing, externalize("a", "c"), ...together, stopping],
      "a transaction that gets nowhere": [began, alone, ...closing, ...together, stopping]
    }
  },
  {
    checker: NetworkCheckers.everyLink(500),
    good: [...shaken, began, ended(7000, "a"), ended(9400, "b", 8), stopping],
    bad: {
      "a statement that takes another way": [...shaken, { ...opened, link: 2 }, began, ended(7000, "a", 7, 2), stopping]
    }
  },
  {
    checker: SyncCheckers.foundPeers,
    good: [snapshot({ at: 5000 }), snapshot({ at: 7500, listed: 1 }), fault("Crash"), snapshot({ at: 10_000 })],
    bad: { "alone": [snapshot({ at: 7500 })] }
  },
  {
    checker: SyncCheckers.caughtUp(5, 0),
    good: [jump(3, 8), healing, jump(3, 9), ledger("b", 10, "h"), jump(5, 7)],
    bad: { "given up what is remembered": [healing, ledger("b", 10, "h"), jump(6, 9)] }
  },
  {
    // Seeds 588 and 914: two hours behind by its clock until shortly before the end of the faults, and alone with its question.
    checker: SyncCheckers.caughtUp(5, 4000),
    good: [healing, ledger("b", 8, "h"), jump(6, 7)],
    bad: { "fell behind in peace": [healing, ledger("b", 10, "h"), jump(6, 8)] }
  },
  {
    checker: SyncCheckers.syncFollowed,
    good: [
      ...[1, 2, 3, 4].map(() => snapshot({ books: [books()] })),
      ...[1, 2, 3, 4].map(() => snapshot({ isSynced: false, books: [books({ shedsTransactions: true })] })),
      ...[1, 2].map(() => snapshot({ books: [books({ shedsTransactions: true })] })),
      fault("Pause"),
      ...[1, 2, 3].map(() => snapshot({ books: [books({ shedsTransactions: true })] }))
    ],
    bad: {
      "takes transactions out of sync": [1, 2, 3].map(() => snapshot({ isSynced: false, books: [books()] })),
      "sheds them in sync": [1, 2, 3].map(() => snapshot({ books: [books(), books({ shedsTransactions: true })] }))
    }
  }
]

describe("checkers", () => {
  testAll(cases)

  it("SIM-01 a checker keeps eight failures and counts the rest", () => {
    const panel = new Checker.Panel([PeerCheckers.nothingLeft])
    for (let i = 0; i < 20; i++) panel.observe({ _tag: "LeftOver", at: i, tasks: 1, timers: 0, sockets: 0 })
    assert.strictEqual(panel.failures.length, Checker.MAX_FAILURES)
    assert.strictEqual(panel.dropped, 20 - Checker.MAX_FAILURES)
  })
})
