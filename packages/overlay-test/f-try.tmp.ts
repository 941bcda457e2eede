import { nodeAttacks } from "@stellar-overlay/overlay-test/hostile/NodeCatalogue"
import * as NodeTrial from "@stellar-overlay/overlay-test/hostile/NodeTrial"
import * as Effect from "effect/Effect"
const only = process.argv.slice(2)
for (const attack of nodeAttacks) {
  if (only.length && !only.includes(attack.id)) continue
  for (const [i, variant] of attack.variants.entries()) {
    const t = performance.now()
    const o = Effect.runSync(NodeTrial.inWorld(attack, variant, { seed: `${attack.id}/${i}` }))
    console.log(attack.id, variant.name, `${Math.round(performance.now() - t)} ms`, `virtual ${Math.round(o.millis)}`, `steps ${o.steps}`, `conns ${o.connections} worst ${o.worstTurn} amp ${o.amplification.toFixed(2)}`)
    for (const p of o.problems) console.log("   ", p.slice(0, 600))
  }
}
