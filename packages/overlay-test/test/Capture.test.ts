import { assert, describe, it } from "@effect/vitest"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import type { Role } from "@stellar-overlay/overlay/protocol/Handshake"
import {
  Auth,
  ErrorMsg,
  SendMore,
  SendMoreExtended,
  type StellarMessage
} from "@stellar-overlay/overlay/wire/StellarMessage"
import { Effect, Exit, Result } from "effect"
import { stellarMessage } from "../src/Arbitraries.ts"
import * as Capture from "../src/Capture.ts"
import * as CaptureReplay from "../src/CaptureReplay.ts"
import { notes, sample } from "../src/hostile/parts.ts"

const header: Capture.Header = { passphrase: passphrases.standalone, startUnixMillis: 1_767_225_600_000 }

const opens = (link: number, at: number, role: Role): Capture.Entry => ({
  _tag: "Open",
  at,
  link,
  address: `198.51.100.${link}:11625`,
  role
})
const says = (link: number, at: number, message: StellarMessage): Capture.Entry => ({
  _tag: "Message",
  at,
  link,
  from: "remote",
  message
})
const closes = (link: number, at: number): Capture.Entry => ({ _tag: "Close", at, link, how: "Eof" })
const grant = SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 })

/** Everything of a capture that can be compared. */
const plain = ({ entries, header }: Capture.Capture) => ({
  header,
  entries: entries.map((entry) =>
    entry._tag === "Message" ? { ...entry, message: Buffer.from(entry.message.bytes).toString("hex") } : entry
  )
})

describe("Capture", () => {
  it.effect.prop(
    "parse gives back what format wrote, for every message",
    [stellarMessage(), stellarMessage()],
    ([a, b]) =>
      Effect.gen(function*() {
        const local: Capture.Entry = { _tag: "Message", at: 2.125, link: 1, from: "local", message: b }
        const capture = { header, entries: [opens(1, 0, "initiator"), says(1, 1.5, a), local, closes(1, 9)] }
        assert.deepStrictEqual(plain(yield* Effect.fromResult(Capture.parse(Capture.format(capture)))), plain(capture))
      }),
    { arbitrary: { seed: 1, runs: 200 } }
  )

  it("a last line that was cut short does not count", () => {
    const text = Capture.format({ header, entries: [opens(1, 0, "initiator"), says(1, 1, grant)] })
    for (let cut = 1; cut < 60; cut++) {
      const parsed = Result.getOrThrow(Capture.parse(text.slice(0, -cut)))
      assert.deepStrictEqual(parsed.entries.map(({ _tag }) => _tag), ["Open"])
    }
  })

  it("says which line is wrong, and why", () => {
    const good = Capture.headerLine(header)
    const cases: ReadonlyArray<readonly [text: string, line: number, reason: RegExp]> = [
      ["", 1, /empty/],
      ["GET / HTTP/1.1\n", 1, /not the header/],
      [good.replace(`"version":1`, `"version":2`), 1, /version 1/],
      [`${good}{"at":1}\n`, 2, /neither/],
      [`${good}{"at":1,"link":1,"in":"AUTH","xdr":"?"}\n`, 2, /base64/],
      [`${good}\n{"at":1,"link":1,"in":"AUTH","xdr":"AAAA"}\n`, 3, /./],
      [Capture.format({ header, entries: [closes(1, 2), closes(1, 1)] }), 3, /earlier/]
    ]
    for (const [text, line, reason] of cases) {
      const parsed = Capture.parse(text)
      if (Result.isSuccess(parsed)) return assert.fail(`${text} was taken`)
      assert.strictEqual(parsed.failure.line, line)
      assert.match(parsed.failure.reason, reason)
    }
  })
})

describe("CaptureReplay", () => {
  const capture: Capture.Capture = {
    header,
    entries: [
      opens(1, 10, "acceptor"),
      opens(2, 20, "initiator"),
      says(1, 30, Auth.make({ flags: 200 })),
      says(1, 31, grant),
      says(2, 32, grant),
      ...notes(5).map((note, i) => says(1, 1000 + i, note)),
      says(1, 1500, sample("ScpMessage")),
      // plain SEND_MORE is a violation: whoever says it is dropped, and says no more
      says(2, 2000, SendMore.make({ numMessages: 1 })),
      says(2, 4000, grant),
      opens(3, 5000, "acceptor"),
      says(3, 6000, grant),
      says(3, 7000, ErrorMsg.make({ code: 0, text: "bye" })),
      closes(1, 9000)
    ]
  }

  it.effect("says what the remotes said, at the same moments, and reports what the node made of it", () =>
    Effect.gen(function*() {
      const { exit } = yield* CaptureReplay.simulate(capture)
      const { delivered, events, links } = yield* exit
      assert.deepStrictEqual(
        links.map(({ drop, failure, link, messages, said }) => [
          link,
          messages,
          said,
          drop?._tag,
          failure?.message
        ]),
        [
          [1, 7, 7, undefined, undefined],
          [2, 3, 2, "UnexpectedSendMore", undefined],
          [3, 2, 2, undefined, undefined]
        ]
      )
      assert.deepStrictEqual([delivered.get("DontHave"), delivered.get("ScpMessage")], [5, 1])
      const authenticated = events.flatMap((event) => event._tag === "PeerAuthenticated" ? [event.remote.role] : [])
      assert.deepStrictEqual(authenticated, ["acceptor", "initiator", "acceptor"])
    }))

  it.effect("SIM-01 the same capture and seed are the same run; another seed is another", () =>
    Effect.gen(function*() {
      const run = (seed: number) => CaptureReplay.simulate(capture, { seed })
      const [a, b, c] = yield* Effect.all([run(1), run(1), run(2)])
      assert.isTrue(Exit.isSuccess(a.exit))
      assert.strictEqual(a.traceHash, b.traceHash)
      assert.notStrictEqual(a.traceHash, c.traceHash)
    }))
})
