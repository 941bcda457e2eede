import { assert, describe, it } from "@effect/vitest"
import { xdr } from "@stellar/stellar-base"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { compileFunction } from "node:vm"
import { explain } from "../../src/internal/xdrExplain.ts"
import * as XdrProgram from "../../src/internal/xdrProgram.ts"
import * as XdrShape from "../../src/wire/XdrShape.ts"

/** 32-bit words, big-endian; a Uint8Array among them is taken as it is. */
const xdrOf = (...parts: ReadonlyArray<number | Uint8Array>): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "number" ? [part >>> 24, (part >>> 16) & 255, (part >>> 8) & 255, part & 255] : [...part]
    )
  )

const filled = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value)

/** stellar-base as a web page gets it: one file, minified. */
const loadBundle = (): { readonly xdr: typeof xdr } => {
  const file = createRequire(import.meta.url).resolve("@stellar/stellar-base/dist/stellar-base.min.js")
  const module = { exports: { xdr } }
  compileFunction(readFileSync(file, "utf8"), ["self", "module", "exports"])(globalThis, module, module.exports)
  return module.exports
}

describe("the program of XdrValidator", () => {
  it("COD-03 stellar-base's minified build, with a js-xdr of its own, compiles to the same program", () => {
    const bundle: { readonly xdr: typeof xdr } = loadBundle()
    assert.notStrictEqual(bundle.xdr.StellarMessage, xdr.StellarMessage)
    const programOf = (definitions: typeof xdr) =>
      XdrProgram.compile(XdrShape.fromDefinition(definitions.StellarMessage))
    assert.deepStrictEqual(programOf(bundle.xdr), programOf(xdr))
  })

  it("COD-03 X3 X4 what XDR has but no message uses: odd opaques, default arms, arrays, flat lists in recursion", () => {
    const check = (shape: XdrShape.XdrShape, offset: number, ...parts: ReadonlyArray<number | Uint8Array>) => {
      const bytes = xdrOf(...parts)
      assert.strictEqual(XdrProgram.run(XdrProgram.compile(shape), bytes, 0, bytes.length), offset)
      const explanation = explain(shape, XdrShape.minimumSizes(shape), bytes, 0, bytes.length)
      assert.strictEqual(explanation?.offset ?? -1, offset)
    }
    const empty: XdrShape.XdrShape = { kind: "void" }
    const word: XdrShape.XdrShape = { kind: "integer", bytes: 4 }

    const odd: XdrShape.XdrShape = { kind: "opaque", length: 5 }
    check(odd, -1, filled(5), filled(3, 0))
    check(odd, 5, filled(6), filled(2, 0))
    check(odd, 7, filled(5), Uint8Array.of(0, 0, 1))
    check(odd, 7, filled(5), filled(2, 0))
    check({ kind: "tuple", length: 2, element: odd }, 13, filled(5), filled(3, 0), filled(8))

    const arms = new Map([[1, { name: "", shape: empty }], [3, { name: "three", shape: word }]])
    const union: XdrShape.XdrShape = {
      kind: "union",
      name: "U",
      switchName: undefined,
      arms,
      otherwise: { name: "any", shape: { kind: "bool" } }
    }
    check(union, -1, 1)
    check(union, 4, 1, 0)
    check(union, -1, 3, 77)
    for (const value of [2, 0, 4, -5, 0x7fffffff]) {
      check(union, -1, value, 1)
      check(union, 4, value, 2)
    }

    // struct S { Point points<>; S *next; }, struct Point { int x; }: from 0, the nth S lies at level 2n, its list and
    // its option at 2n + 1, points at 2n + 2; inside a struct T everything lies one level deeper.
    const fields: Array<XdrShape.Field> = []
    const recursive: XdrShape.Struct = { kind: "struct", name: "S", fields }
    const point: XdrShape.Struct = { kind: "struct", name: "Point", fields: [{ name: "x", shape: word }] }
    fields.push(
      { name: "points", shape: { kind: "list", max: 9, element: point } },
      { name: "next", shape: { kind: "optional", element: recursive } }
    )
    const nested = (depth: number, ...last: ReadonlyArray<number>) =>
      xdrOf(...Array.from({ length: depth }, () => [0, 1]).flat(), ...last)
    check(recursive, -1, nested(0, 2, 7, 7, 0))
    check(recursive, -1, nested(99, 2, 7, 7, 0))
    check(recursive, 8 * 100, nested(100, 0, 0))
    check({ kind: "struct", name: "T", fields: [{ name: "s", shape: recursive }] }, -1, nested(99, 0, 0))
    check({ kind: "struct", name: "T", fields: [{ name: "s", shape: recursive }] }, 8 * 99 + 4, nested(99, 1, 7, 0))
    check({ kind: "struct", name: "T", fields: [{ name: "s", shape: recursive }] }, 8 * 99 + 8, nested(99, 0, 1, 0, 0))

    assert.throws(() => XdrProgram.compile({ kind: "list", max: 9, element: empty }), TypeError)
  })
})
