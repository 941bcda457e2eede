/** The dashboards that ship: Grafana can provision them, and they ask for nothing that does not exist. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { checkExpressions } from "./promtool.ts"
import { check, docs } from "./rules.ts"

interface Target {
  readonly refId: string
  readonly expr: string
  readonly datasource: { readonly type: string; readonly uid: string }
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: ReadonlyArray<Target>
  readonly datasource?: { readonly uid: string }
  readonly fieldConfig?: { readonly defaults: { readonly unit: string } }
}

interface Dashboard {
  readonly id: null
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly tags: ReadonlyArray<string>
  readonly templating: {
    readonly list: ReadonlyArray<{ readonly name: string; readonly type: string; readonly definition?: string }>
  }
  readonly panels: ReadonlyArray<Panel>
}

const folder = `${docs}dashboards/`
const dashboards = readdirSync(folder).filter((name) => name.endsWith(".json")).map((name) => ({
  name,
  board: JSON.parse(readFileSync(folder + name, "utf8")) as Dashboard
}))

const types = ["row", "stat", "timeseries", "table"]
const builtIn = ["__rate_interval", "__range", "__interval"]

describe("dashboards", () => {
  it("MET-02 there are three, with names and ids of their own", () => {
    assert.deepStrictEqual(dashboards.map(({ name }) => name).sort(), ["network.json", "node.json", "peers.json"])
    assert.strictEqual(new Set(dashboards.map(({ board }) => board.uid)).size, 3)
    assert.strictEqual(new Set(dashboards.map(({ board }) => board.title)).size, 3)
  })

  it("MET-02 promtool reads every expression", () => {
    const expressions = dashboards.flatMap(({ board }) =>
      board.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    )
    assert.isUndefined(
      checkExpressions(expressions.map((expr) => expr.replaceAll("$__rate_interval", "1m").replaceAll(/\$\w+/g, ".*")))
    )
  })

  for (const { board, name } of dashboards) {
    it(`MET-02 ${name}: can be provisioned, its panels do not overlap, and every expression names what exists`, () => {
      assert.isNull(board.id)
      assert.match(board.uid, /^[a-z-]{1,40}$/)
      assert.isAtLeast(board.schemaVersion, 36)
      assert.include(board.tags, "stellar")
      const variables = new Set([...builtIn, ...board.templating.list.map(({ name }) => name)])
      assert.isTrue(board.templating.list.some(({ name, type }) => name === "datasource" && type === "datasource"))
      for (const { definition, type } of board.templating.list) {
        if (type === "query") assert.deepStrictEqual(check(definition ?? "").problems, [])
      }
      assert.strictEqual(new Set(board.panels.map(({ id }) => id)).size, board.panels.length)
      assert.isAtLeast(board.panels.filter(({ type }) => type !== "row").length, 12)

      const taken = new Set<string>()
      for (const { datasource, fieldConfig, gridPos: { h, w, x, y }, targets = [], title, type } of board.panels) {
        assert.include(types, type, title)
        assert.isNotEmpty(title)
        assert.isTrue(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= 24, title)
        for (let i = x; i < x + w; i++) {
          for (let j = y; j < y + h; j++) {
            assert.isFalse(taken.has(`${i},${j}`), `${title} overlaps at ${i},${j}`)
            taken.add(`${i},${j}`)
          }
        }
        if (type === "row") continue
        assert.strictEqual(datasource?.uid, "${datasource}", title)
        assert.isNotEmpty(fieldConfig?.defaults.unit, title)
        assert.isNotEmpty(targets, title)
        assert.strictEqual(new Set(targets.map(({ refId }) => refId)).size, targets.length, title)
        for (const { datasource, expr } of targets) {
          assert.deepStrictEqual(datasource, { type: "prometheus", uid: "${datasource}" })
          assert.deepStrictEqual(check(expr).problems, [], `${title}: ${expr}`)
          for (const [, variable] of expr.matchAll(/\$\{?(\w+)/g)) assert.isTrue(variables.has(variable!), expr)
        }
      }
    })
  }
})
