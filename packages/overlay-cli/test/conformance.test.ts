/** What is chosen for a node and why the rest is not, and how what came of it reads. */
import { assert, describe, it } from "@effect/vitest"
import { needsVictim } from "@stellar-overlay/overlay-test/hostile/Attack"
import * as AttackTrial from "@stellar-overlay/overlay-test/hostile/AttackTrial"
import { attacks } from "@stellar-overlay/overlay-test/hostile/Catalogue"
import { outsideAttacks } from "@stellar-overlay/overlay-test/hostile/OverlayCatalogue"
import * as Operator from "../src/conformance/operator.ts"
import * as Plan from "../src/conformance/plan.ts"
import * as Report from "../src/conformance/report.ts"
import { render } from "../src/render/Line.ts"

const plan = (options: Partial<Plan.Options> = {}) =>
  Plan.make(attacks, outsideAttacks, { only: undefined, slow: false, profile: "ours", dials: false, ...options })

const total = ({ chosen, left, nodes }: Plan.Plan) =>
  chosen.length + nodes.length + [...left.values()].reduce((sum, count) => sum + count, 0)

describe("what conformance chooses", () => {
  it("every variant is chosen or has a reason, whatever the options", () => {
    const all = [...attacks, ...outsideAttacks].reduce((sum, { variants }) => sum + variants.length, 0)
    for (const dials of [false, true]) {
      for (const slow of [false, true]) {
        for (const profile of ["ours", "core"] as const) {
          assert.strictEqual(total(plan({ dials, slow, profile })), all, JSON.stringify({ dials, slow, profile }))
        }
      }
    }
  })

  it("what is said to need the operator's port is what it adds", () => {
    for (const slow of [false, true]) {
      const [without, withPort] = [plan({ slow }), plan({ slow, dials: true })]
      assert.strictEqual(without.left.get("dials"), withPort.chosen.length - without.chosen.length)
      assert.strictEqual(without.left.get("asks"), withPort.nodes.length - without.nodes.length)
      assert.isTrue(without.chosen.every(({ variant }) => variant.attacker.role !== "acceptor"))
      assert.isAbove(withPort.chosen.filter(({ variant }) => variant.attacker.role === "acceptor").length, 250)
      assert.isUndefined(withPort.left.get("dials"))
    }
  })

  it("nothing that needs a victim made for it is chosen", () => {
    for (const { variant } of plan({ dials: true, slow: true }).chosen) assert.isFalse(needsVictim(variant))
    for (const { variants } of outsideAttacks) for (const { victim } of variants) assert.isEmpty(Object.keys(victim))
  })

  it("P2 P3 whoever is called tells no address that a node could store or dial", () => {
    let told = 0
    for (const { row, variant } of plan({ dials: true }).chosen) {
      if (variant.attacker.role !== "acceptor" || !attacks[row]!.id.startsWith("P")) continue
      for (const message of AttackTrial.onSession(variant).delivered) {
        if (message._tag !== "Peers") continue
        told += message.count
        assert.isTrue(message.addresses.every(({ port }) => port === 0), variant.name)
      }
    }
    assert.isAtLeast(told, 50)
  })

  it("profile core leaves out what stellar-core does otherwise: its clock, its windows, booleans and enums", () => {
    const names = (profile: "ours" | "core") =>
      new Set(plan({ profile, dials: true }).chosen.map(({ row, variant }) => `${row} ${variant.name}`))
    const [ours, core] = [names("ours"), names("core")]
    const left = [...ours].filter((name) => !core.has(name))
    for (
      const text of ["not a byte, as initiator", "38 to 38", "42 to 42", "an unknown code", "enum of ", "bool of "]
    ) {
      assert.isTrue(left.some((name) => name.includes(text)), text)
    }
    for (const text of ["at a node that looks every 5 s", "0 to 4294967295", "ERR_CONF in GotAuth", "flag of "]) {
      assert.isFalse(left.some((name) => name.includes(text)), text)
      assert.isTrue([...core].some((name) => name.includes(text)), text)
    }
  })
})

describe("what conformance reports", () => {
  const result = (row: number, more: object = {}) => ({ row, variant: "a", problems: [], heard: [], ...more })
  const reportOf = (results: ReadonlyArray<Parameters<typeof Report.rowsOf>[1][number]>): Report.Report => ({
    rows: Report.rowsOf(plan({ only: new Set(["T6"]) }), results),
    left: new Map(),
    empty: [],
    neighbour: undefined,
    alive: undefined,
    untried: Report.untriedOf(results),
    notes: [],
    millis: 1
  })

  it("a variant that came to no attack makes no row red, and nothing green", () => {
    const report = reportOf([result(0), result(0, { untried: "it did not dial" })])
    const text = Report.lines(report).map((line) => render(line, { colors: false })).join("\n")
    assert.isFalse(Report.isGreen(report))
    assert.include(text, "not all was tried")
    assert.include(text, "not tried: 1 variant, because it did not dial")
    assert.notInclude(text, "FAILED")
    assert.isTrue(Report.isGreen(reportOf([result(0)])))
    assert.isFalse(Report.isGreen(reportOf([result(0, { problems: ["no"] })])))
    assert.isFalse(Report.isGreen(reportOf([])))
  })

  it("an operator's port is on this machine by its address, not by a name", () => {
    for (const url of ["http://127.0.0.1:1", "http://[::1]:2", "https://127.9.9.9:3/x"]) {
      assert.isTrue(Operator.isLoopbackUrl(url), url)
    }
    for (const url of ["http://localhost:1", "http://10.0.0.1:1", "http://127.0.0.1.example:1", "http://[::2]:1"]) {
      assert.isFalse(Operator.isLoopbackUrl(url), url)
    }
  })
})
