import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { Effect, Fiber } from "effect"
import { EventEmitter } from "node:events"
import { ExitCode, ofDrop, worst } from "../src/ExitCode.ts"
import * as Clock from "../src/render/clock.ts"
import { bold, red } from "../src/render/Line.ts"
import { looksLike } from "../src/render/looksLike.ts"
import * as NodeScreen from "../src/render/NodeScreen.ts"
import * as Types from "../src/render/types.ts"
import * as Units from "../src/render/units.ts"

/** A standard stream that keeps what was written, and may be full. */
class FakeStream extends EventEmitter {
  text = ""
  full = false
  destroyed = false
  readonly isTTY: boolean
  columns = 20

  constructor(isTTY: boolean) {
    super()
    this.isTTY = isTTY
  }

  write(text: string): boolean {
    this.text += text
    return !this.full
  }
}

const screenOf = (isTTY: boolean, env: Record<string, string> = {}) => {
  const stdout = new FakeStream(isTTY)
  const stderr = new FakeStream(isTTY)
  return { stdout, stderr, screen: NodeScreen.make({ stdout, stderr, env }) }
}

describe("NodeScreen", () => {
  it.effect("prints plain lines when standard output is no terminal, and no live line", () =>
    Effect.gen(function*() {
      const { screen, stderr, stdout } = screenOf(false)
      yield* screen.status(["live"])
      yield* screen.print([[bold("a"), " b"], ["x".repeat(50)]], { cut: true })
      yield* screen.note([[red("error")]])
      assert.strictEqual(stdout.text, `a b\n${"x".repeat(50)}\n`)
      assert.strictEqual(stderr.text, "error\n")
      assert.isFalse(screen.isTerminal)
    }))

  it.effect("colours a terminal, cuts to its width where asked, and keeps the live line at the bottom", () =>
    Effect.gen(function*() {
      const { screen, stdout } = screenOf(true)
      yield* screen.print([[bold("a"), " b"]])
      assert.strictEqual(stdout.text, "\x1b[1ma\x1b[0m b\n")
      stdout.text = ""
      yield* screen.status(["live"])
      yield* screen.print([["x".repeat(50)]], { cut: true })
      yield* screen.print([["y".repeat(21)]])
      yield* screen.status(undefined)
      yield* screen.status(undefined)
      assert.strictEqual(
        stdout.text,
        `\r\x1b[Klive\r\x1b[K${"x".repeat(19)}…\nlive\r\x1b[K${"y".repeat(21)}\nlive\r\x1b[K`
      )
    }))

  it.effect("the live line never takes more than one row", () =>
    Effect.gen(function*() {
      const { screen, stdout } = screenOf(true)
      yield* screen.status(["z".repeat(50)])
      assert.strictEqual(stdout.text, `\r\x1b[K${"z".repeat(18)}…`)
    }))

  it.effect("NO_COLOR and a dumb terminal are respected", () =>
    Effect.gen(function*() {
      for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
        const { screen, stdout } = screenOf(true, env)
        yield* screen.print([[bold("a"), red(" b")]])
        assert.strictEqual(stdout.text, "a b\n")
      }
      const { screen, stdout } = screenOf(true, { NO_COLOR: "" }) // set and empty means nothing
      yield* screen.print([[bold("a")]])
      assert.include(stdout.text, "\x1b[1m")
    }))

  it.effect("waits for a reader that is behind, and for one that has left no longer", () =>
    Effect.gen(function*() {
      const { screen, stdout } = screenOf(false)
      stdout.full = true
      const printing = yield* Effect.forkChild(screen.print([["a"]]), { startImmediately: true })
      assert.isUndefined(printing.pollUnsafe())
      stdout.full = false
      stdout.emit("drain")
      yield* Fiber.join(printing)
      assert.strictEqual(stdout.listenerCount("drain") + stdout.listenerCount("close"), 0)
      stdout.full = true
      const last = yield* Effect.forkChild(screen.print([["b"]]), { startImmediately: true })
      stdout.destroyed = true
      stdout.emit("close")
      yield* Fiber.join(last)
      yield* screen.print([["c"]])
      assert.strictEqual(stdout.text, "a\nb\n")
    }))
})

describe("clock", () => {
  it("a certificate in its first half hour says nothing about the clocks", () => {
    for (const left of [3600, 3000, 1800]) {
      assert.strictEqual(Clock.skewSeconds(left), 0)
      assert.strictEqual(Clock.describe(left), "no sign of a difference")
    }
  })

  it("one that expires later or sooner gives the least difference there must be", () => {
    assert.strictEqual(Clock.skewSeconds(3900), 300)
    assert.match(Clock.describe(3900), /^about 5 min or more ahead of ours: /)
    assert.strictEqual(Clock.skewSeconds(1500), -300)
    assert.match(Clock.describe(1500), /^about 5 min or more behind ours: .*expires in 25 min by our clock$/)
    assert.strictEqual(Clock.skewSeconds(-60), -1860)
    assert.match(
      Clock.describe(-60),
      /^about 31 min or more behind ours: its certificate expired 60 s ago by our clock$/
    )
  })
})

describe("types", () => {
  const parse = (list: string): string | ReadonlyArray<string> => {
    const parsed = Types.parse(list)
    return "unknown" in parsed ? parsed.unknown : [...parsed].sort()
  }

  it("are known by short names, class names and stellar-core's names", () => {
    assert.deepStrictEqual(parse("scp,tx"), ["ScpMessage", "Transaction"])
    assert.deepStrictEqual(parse("SCP_MESSAGE, ScpMessage ,scpmessage"), ["ScpMessage"])
    assert.deepStrictEqual(parse("txset"), ["GeneralizedTxSet", "TxSet"])
    assert.deepStrictEqual(parse("get-scp-state,GET_SCP_STATE"), ["GetScpState"])
    assert.deepStrictEqual(parse("all"), Object.keys(MessageType).sort())
    assert.strictEqual(parse("scp,nonsense"), "nonsense")
    assert.strictEqual(parse(","), ",")
  })
})

describe("exit codes", () => {
  it("CFG-06 every reason has one, and several targets end with the worst", () => {
    for (const tag of DropReason.tags) {
      assert.include(Object.values(ExitCode), ofDrop(DropReason.make(tag)), tag)
    }
    const code = (tag: DropReason.DropTag) => ofDrop(DropReason.make(tag))
    assert.deepStrictEqual(
      [
        code("ConnectionRefused"),
        code("HandshakeTimeout"),
        code("NodeBanned"),
        code("LoadErrorReceived"),
        code("UnexpectedMac"),
        code("Defect")
      ],
      [3, 3, 4, 4, 4, 70]
    )
    assert.strictEqual(worst([]), 0)
    assert.strictEqual(worst([0, 4, 3]), 4)
  })
})

describe("words", () => {
  it("what a port seems to speak", () => {
    const of = (text: string) => looksLike(new Uint8Array(Buffer.from(text, "latin1")))
    assert.strictEqual(of("SSH-2.0-x\r\n"), `It began with "SSH-2.0-x": this looks like an SSH server.`)
    assert.strictEqual(of("\x16\x03\x01\x02"), "It began with the bytes 16030102: this looks like a TLS server.")
    assert.strictEqual(of("hi there"), `It began with "hi there".`)
    assert.isUndefined(of(""))
  })

  it("numbers", () => {
    assert.deepStrictEqual([0, 999, 1000, 14_230, 1_048_576, 2.5e9].map(Units.bytes), [
      "0 B",
      "999 B",
      "1.00 kB",
      "14.2 kB",
      "1.05 MB",
      "2.50 GB"
    ])
    assert.deepStrictEqual([0, 999, 1204, 1_000_000].map(Units.count), ["0", "999", "1 204", "1 000 000"])
    assert.deepStrictEqual([0.42, 1.55, 12.4, 1300].map(Units.millis), ["0.42 ms", "1.6 ms", "12 ms", "1.3 s"])
    assert.deepStrictEqual([0.5, 41.2, 120_433.4].map(Units.rate), ["0.5", "41", "120 433"])
    assert.deepStrictEqual([1, 2].map((n) => Units.plural(n, "address", "addresses")), ["1 address", "2 addresses"])
    assert.deepStrictEqual([59, 600, 10_000, 864_000].map(Units.seconds), ["59 s", "10 min", "3 h", "10 days"])
  })
})
