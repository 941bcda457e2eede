import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import { CliOutput } from "effect/cli"
import { escape, toJsonText } from "../src/render/escape.ts"
import { bold, fit, type Line, render } from "../src/render/Line.ts"

/** What must never reach a terminal: both kinds of control characters, and everything that reorders or hides text. */
const harmful = (text: string): number | undefined => {
  for (const character of text) {
    const code = character.codePointAt(0)!
    const bad = code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x061c || (code >= 0x200b && code <= 0x200f)
      || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code === 0xfeff
      || (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xd800 && code <= 0xdfff) ||
      (code >= 0xe0000 && code <= 0xe007f)
    if (bad) return code
  }
  return undefined
}

const nasty =
  "\x00\x07\b\t\n\v\r\x1b[2J\x1b]0;x\x07\x7f\x85\x9b31m\u061c\u200b\u200d\u200e\u2028\u202e\u2066\u2069\ufeff\u{e0041}\ud800x\\é漢😀~"

/** Strings that are mostly trouble: any characters, with runs of the worst among them. */
const codePoint = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const hostile = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.schema(Schema.Union([codePoint(0x10ffff), codePoint(0xa0), Schema.String, Schema.Literal(nasty)]))
  ),
  (parts) => parts.map((part) => typeof part === "number" ? String.fromCodePoint(part) : part).join("")
)

const unescape = (text: string): string =>
  text.replace(/\\(\\|n|r|t|x[0-9a-f]{2}|u\{[0-9a-f]+\})/g, (_, code: string) => {
    if (code === "\\") return "\\"
    if (code === "n") return "\n"
    if (code === "r") return "\r"
    if (code === "t") return "\t"
    return String.fromCodePoint(parseInt(code.replace(/[xu{}]/g, ""), 16))
  })

describe("escape", () => {
  it("O6 H13 writes out every way to move, colour, reorder or hide", () => {
    assert.strictEqual(escape("\x1b[31mred\x07"), "\\x1b[31mred\\x07")
    assert.strictEqual(escape("a\r\nb\tc"), "a\\r\\nb\\tc")
    assert.strictEqual(escape("\u202egnp.exe"), "\\u{202e}gnp.exe")
    assert.strictEqual(escape("\x9b0m \x7f"), "\\x9b0m \\x7f")
    assert.strictEqual(escape("\ud800x"), "\\u{d800}x")
    assert.strictEqual(escape("v22.1.0 (é 漢 😀)"), "v22.1.0 (é 漢 😀)")
    assert.isUndefined(harmful(escape(nasty)))
  })

  it.effect.prop("O6 H13 nothing harmful is left of any text, and what was sent can be told from what is shown", [
    hostile
  ], ([text]) =>
    Effect.sync(() => {
      const shown = escape(text)
      assert.isUndefined(harmful(shown))
      assert.strictEqual(unescape(shown), text)
    }), { arbitrary: { seed: 1, runs: 500 } })

  it.effect.prop(
    "O6 a line escapes all of its pieces, coloured or not, cut or not",
    [hostile, hostile, Schema.Int],
    ([a, b, n]) =>
      Effect.sync(() => {
        const line: Line = [a, bold(b)]
        assert.isUndefined(harmful(render(line, { colors: false })))
        const columns = Math.abs(n) % 120
        const cut = render(line, { colors: true, columns })
        // The only control sequences are ours, around whole pieces.
        const text = cut.replaceAll("\x1b[1m", "").replaceAll("\x1b[0m", "")
        assert.isUndefined(harmful(text))
        assert.isAtMost(CliOutput.displayWidth(text), Math.max(1, columns))
      }),
    { arbitrary: { seed: 2, runs: 300 } }
  )

  it.effect.prop(
    "O6 JSON output parses to the same value and holds nothing harmful",
    [hostile, hostile],
    ([key, value]) =>
      Effect.sync(() => {
        const object = { [`k${key}`]: value, list: [value, 1n] }
        for (const indent of [undefined, 2]) {
          const text = toJsonText(object, indent)
          assert.isUndefined(harmful(text.replaceAll("\n", indent === undefined ? "\n" : "")))
          assert.deepStrictEqual(JSON.parse(text), { [`k${key}`]: value, list: [value, "1"] })
        }
      }),
    { arbitrary: { seed: 3, runs: 300 } }
  )
})

describe("Line", () => {
  it("cuts by columns, not by characters", () => {
    assert.strictEqual(render(["漢字漢字"], { colors: false, columns: 5 }), "漢字…")
    assert.strictEqual(render(["ab", bold("cd")], { colors: false, columns: 4 }), "abcd")
    assert.strictEqual(render(["ab", bold("cd")], { colors: false, columns: 3 }), "ab…")
  })

  it("leaves out the parts that do not fit", () => {
    const parts: ReadonlyArray<Line> = [["aaa"], ["bbb"], ["ccc"]]
    assert.strictEqual(render(fit(parts, " | ", 100), { colors: false }), "aaa | bbb | ccc")
    assert.strictEqual(render(fit(parts, " | ", 9), { colors: false }), "aaa | bbb")
    assert.strictEqual(render(fit(parts, " | ", 8), { colors: false }), "aaa")
  })
})
