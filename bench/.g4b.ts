import * as Campaign from "@stellar-overlay/overlay-test/campaign/Campaign"
import * as Scenario from "@stellar-overlay/overlay-test/campaign/Scenario"
import { Effect } from "effect"
const seed = Number(process.argv[2]), node = process.argv[3], addr = process.argv[4] ?? ""
const s = Scenario.draw(seed)
console.log(JSON.stringify(s.faults), JSON.stringify(s.nodes.map(n => [n.name, n.isValidator, n.knows.join()])))
const o = Effect.runSync(Campaign.run(s, { onObservation: (o) => {
  if (o._tag === "Peer" && o.node === node && "address" in o.event && String(o.event.address).includes(addr)) console.log(Math.round(o.at), o.event._tag, String(o.event.address), (o.event as any).reason ?? "", (o.event as any).authenticated ?? "", (o.event as any).role ?? "")
  if ((o._tag === "NodeStarted" || o._tag === "NodeStopped") && o.node === node) console.log(Math.round(o.at), o)
  if (o._tag === "Phase") console.log(Math.round(o.at), o.phase)
}, onFailure: (f) => console.log("   !!", f.text) }))
