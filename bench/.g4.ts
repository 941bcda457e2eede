import * as Campaign from "@stellar-overlay/overlay-test/campaign/Campaign"
import * as Scenario from "@stellar-overlay/overlay-test/campaign/Scenario"
import { Effect } from "effect"
const from = Number(process.argv[2] ?? 0), n = Number(process.argv[3] ?? 5)
for (let seed = from; seed < from + n; seed++) {
  const s = Scenario.draw(seed)
  const t = performance.now()
  const o = Effect.runSync(Campaign.run(s))
  console.log(seed, s.nodes.length, s.topology, s.closeTimeMillis, s.exploration, Math.round(performance.now() - t), "ms", o.steps, o.messages, "ledger", o.ledger, o.traceHash, JSON.stringify(o.fired), "planned", o.planned.length)
  console.log("   ", o.sometimes.join(" "))
  for (const f of o.failures) console.log("    !!", f.checker, Math.round(f.at), f.text.slice(0, 400))
}
