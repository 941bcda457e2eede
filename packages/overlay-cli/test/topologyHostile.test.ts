import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import { createHash } from "node:crypto"
import { escape } from "../src/render/escape.ts"
import { toDot } from "../src/topology/dot.ts"
import { toGraphml } from "../src/topology/graphml.ts"
import { toHtml } from "../src/topology/html.ts"
import { fromNodeLink, toNodeLink } from "../src/topology/nodeLink.ts"
import { type Picture, picture } from "../src/topology/picture.ts"
import { toSvg } from "../src/topology/svg.ts"
import { type Topology, TopologyBuilder } from "../src/topology/Topology.ts"

const worst = [
  "</script><script>alert(1)</script>",
  "<!--<script>",
  "]]></title><svg onload=alert(1)>",
  "\"><img src=x onerror=alert(1)>",
  "' onmouseover='alert(1)",
  "&lt;b&gt;&#60;&amp;",
  "${alert(1)} `x` {{x}}",
  "\" -> x [label=<<b>x</b>>] // \\N \\G \\\"",
  "javascript:alert(1)",
  "</style><style>*{background:url(//x)}",
  "\u0000\u0001\u001b[2J\u202e\u2028\u2029\ud800\udfffx\ufffe\r\n\t\\",
  "__proto__",
  "a".repeat(500)
]

const hostile: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.schema(
      Schema.Union([
        Schema.Literals(worst),
        Schema.String,
        Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x10ffff }))
      ])
    )
  ),
  (parts) => parts.map((part) => typeof part === "number" ? String.fromCodePoint(part) : part).join("")
)

/** Two nodes and an edge, with one text in every place that has one. */
const topologyWith = (text: string): Topology => {
  const builder = new TopologyBuilder()
  const a = builder.node(`A${text}`, {
    state: "answered",
    version: text,
    name: text,
    address: text,
    isValidator: true,
    attributes: { [`key ${text}`]: text }
  })
  const b = builder.node(`B${text}`, { state: "silent", version: `${text}2`, name: `${text}2` })
  builder.edge(a, b, { [`edge ${text}`]: text })
  return builder.build({ source: "survey", edgeKind: "connections", network: text })
}

const pictureWith = (text: string): Picture => picture(topologyWith(text), { title: text })

/** Everything in a document that is a tag or another construct, without what is in its quotes. */
const skeleton = (document: string): ReadonlyArray<string> =>
  (document.match(/<[^>]*>/g) ?? []).map((tag) => tag.replace(/"[^"]*"/g, "\"\""))

const decodeEntities = (text: string): string =>
  text.replace(/&(amp|lt|gt|quot|#\d+);/g, (_, name: string) =>
    name.startsWith("#")
      ? String.fromCodePoint(Number(name.slice(1)))
      : { amp: "&", lt: "<", gt: ">", quot: "\"" }[name]!)

/** Strict enough: every tag is closed in turn, and no text has a sign of markup in it. */
const parseXml = (document: string) => {
  const open: Array<string> = []
  const texts: Array<{ readonly in: string; readonly text: string }> = []
  let at = 0
  while (at < document.length) {
    const next = document.indexOf("<", at)
    const text = document.slice(at, next === -1 ? document.length : next)
    assert.notMatch(text, /[<>]|&(?!(amp|lt|gt|quot|#\d+);)/)
    if (text.trim() !== "") texts.push({ in: open.at(-1) ?? "", text: decodeEntities(text) })
    if (next === -1) break
    const tag = /^<(\/?)([\w?:]+)((?:\s+[\w:.-]+="[^"<>]*")*)\s*([/?]?)>/.exec(document.slice(next))
    if (tag === null) throw new Error(`not a tag: ${document.slice(next, next + 80)}`)
    const [whole, slash, name, , end] = tag
    if (slash === "/") assert.strictEqual(open.pop(), name)
    else if (end === "") open.push(name!)
    at = next + whole.length
  }
  assert.deepStrictEqual(open, [])
  return texts
}

/** Characters nobody sees, or that a parser of XML refuses, but newlines of our own. */
const invisible = /[^\P{C}\n]|\p{Zl}|\p{Zp}/u

const scriptsOf = (page: string) => [...page.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)]

describe("hostile text in pictures and files", () => {
  it.effect.prop(
    "O6 the page: data stays data, whatever nodes call themselves",
    [hostile],
    ([text]) =>
      Effect.sync(() => {
        const benign = toHtml(pictureWith("x"))
        const page = toHtml(pictureWith(text))
        assert.notMatch(page, invisible)
        const [data, script, ...rest] = scriptsOf(page)
        assert.deepStrictEqual([data![1], script![1], rest], [` type="application/json" id="data"`, "", []])
        assert.notMatch(data![2]!, /[<>&]/)
        assert.strictEqual(script![2], scriptsOf(benign)[1]![2])
        const outside = (whole: string, json: string) => whole.replace(json, "")
        assert.deepStrictEqual(
          skeleton(outside(page, data![2]!)),
          skeleton(outside(benign, scriptsOf(benign)[0]![2]!))
        )
        const parsed = JSON.parse(data![2]!)
        assert.strictEqual(parsed.nodes[0].id, escape(`A${text}`))
        assert.strictEqual(parsed.nodes[0].version, escape(text))
        assert.deepStrictEqual(Object.entries(parsed.nodes[0].attributes), [[escape(`key ${text}`), escape(text)]])
        assert.deepStrictEqual(parsed.edges, [0, 1])
      }),
    { arbitrary: { seed: 7, runs: 150 } }
  )

  it.effect.prop("O6 the SVG: text is text", [hostile], ([text]) =>
    Effect.sync(() => {
      const svg = toSvg(pictureWith(text))
      assert.notMatch(svg, invisible)
      assert.deepStrictEqual(
        skeleton(svg).filter((tag) => !tag.startsWith("<text")),
        skeleton(toSvg(pictureWith("x"))).filter((tag) => !tag.startsWith("<text"))
      )
      const texts = parseXml(svg)
      if (text.trim() !== "") {
        assert.strictEqual(texts.find((each) => each.in === "title")?.text, escape(text))
        assert.include(texts.map((each) => each.text).join("\n"), `A${escape(text)}`)
      }
      for (const tag of skeleton(svg)) assert.notMatch(tag, /<(?:script|image|foreignObject|a)\b|href|\son\w+=/)
    }), { arbitrary: { seed: 8, runs: 150 } })

  it.effect.prop(
    "O6 GraphML: what is read is what was sent, as far as XML can carry it",
    [hostile],
    ([text]) =>
      Effect.sync(() => {
        const graphml = toGraphml(topologyWith(text))
        assert.deepStrictEqual(skeleton(graphml), skeleton(toGraphml(topologyWith("x"))))
        const texts = parseXml(graphml).filter((each) => each.in === "data").map((each) => each.text)
        const carried = text
          // eslint-disable-next-line no-control-regex
          .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
          .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd")
        if (carried.trim() !== "") assert.include(texts, carried)
        // eslint-disable-next-line no-control-regex
        assert.notMatch(graphml, /[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/)
      }),
    { arbitrary: { seed: 9, runs: 150 } }
  )

  it.effect.prop("O6 DOT: a quoted string ends where it shall", [hostile], ([text]) =>
    Effect.sync(() => {
      const bare = (dot: string) => dot.replace(/"(?:[^"\\]|\\[\s\S])*"/g, "\"\"")
      const dot = toDot(pictureWith(text))
      assert.strictEqual(bare(dot), bare(toDot(pictureWith("x"))))
      assert.notMatch(dot, invisible)
    }), { arbitrary: { seed: 10, runs: 150 } })

  it.effect.prop("O6 JSON: round trip, and safe to print", [hostile], ([text]) =>
    Effect.sync(() => {
      const topology = topologyWith(text)
      const json = toNodeLink(topology, pictureWith(text).analysis)
      assert.notMatch(json, invisible)
      const back = fromNodeLink(JSON.parse(json))
      assert.deepStrictEqual(
        back?.nodes.map(({ id, name, version = "" }) => [id, name, version]),
        topology.nodes.map(({ id, name, version }) => [id, name, version])
      )
      assert.deepStrictEqual(back?.edges, topology.edges)
    }), { arbitrary: { seed: 11, runs: 150 } })

  it("O6 the page's policy lets its own script and style run and nothing else", () => {
    const page = toHtml(pictureWith("x"))
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!
    const sha = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`
    const style = /<style>([\s\S]*?)<\/style>/.exec(page)![1]!
    assert.strictEqual(
      policy,
      `default-src 'none'; script-src ${sha(scriptsOf(page)[1]![2]!)}; style-src ${sha(style)}; img-src data:; ` +
        "base-uri 'none'; form-action 'none'"
    )
    assert.notMatch(page, /(?:src|href)=|url\(|@import|\sstyle="|\son\w+="/)
    assert.isBelow(page.indexOf("Content-Security-Policy"), page.indexOf("<style>"))
  })

  it("O6 the page's script makes no markup of text, and is JavaScript", () => {
    const script = scriptsOf(toHtml(pictureWith("x")))[1]![2]!
    assert.notMatch(
      script,
      /innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(|import\(|fetch\(|XMLHttp/
    )
    assert.isFunction(new Function(script))
  })
})
