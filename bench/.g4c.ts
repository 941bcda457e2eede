import * as Campaign from "@stellar-overlay/overlay-test/campaign/Campaign"
import * as Scenario from "@stellar-overlay/overlay-test/campaign/Scenario"
import { Effect } from "effect"
const n = Number(process.argv[2] ?? 30)
Effect.runSync(Campaign.run(Scenario.draw(0)))
Effect.runSync(Campaign.run(Scenario.draw(1)))
let c0 = process.cpuUsage(); let msgs = 0, steps = 0
for (let s = 100; s < 100 + n; s++) { const o = Effect.runSync(Campaign.run(Scenario.draw(s))); msgs += o.messages; steps += o.steps; if (o.failures.length) console.log(s, o.failures.slice(0,2)) }
const c = process.cpuUsage(c0)
console.log("cpu s per world", (c.user + c.system) / 1e6 / n, "messages", msgs / n, "us per message", (c.user+c.system)/msgs, "steps", steps/n)
