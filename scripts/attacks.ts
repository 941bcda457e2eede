/**
 * Carries out the attacks on whole nodes in worlds of their own, and prints what came of each:
 *
 *   node --conditions=@stellar-overlay/source scripts/attacks.ts [ROW]...
 *
 * The exit code is 1 when something was wrong. With `--import ./scripts/mutate.ts` and MUTANT the nodes have a defect.
 */
import { overlayAttacks } from "@stellar-overlay/overlay-test/hostile/OverlayCatalogue"
import * as OverlayTrial from "@stellar-overlay/overlay-test/hostile/OverlayTrial"
import * as Effect from "effect/Effect"

const only = new Set(process.argv.slice(2))
const red = new Set<string>()
for (const attack of overlayAttacks) {
  if (only.size > 0 && !only.has(attack.id)) continue
  for (const [i, variant] of attack.variants.entries()) {
    const seed = `${attack.id}/${i}`
    const { amplification, connections, millis, problems, steps, worstTurn } = Effect.runSync(
      OverlayTrial.inWorld(attack, variant, { seed })
    )
    if (problems.length > 0) red.add(attack.id)
    console.log(
      `${attack.id.padEnd(4)}${
        problems.length === 0 ? "ok    " : "FAILED"
      } ${variant.name}: ${connections} connections, `
        + `${(millis / 1000).toFixed(1)} virtual s, ${steps} steps, greatest turn ${worstTurn} us, `
        + `${amplification.toFixed(2)} bytes out per byte in`
    )
    for (const problem of problems) console.log(`      ${problem.split("; heard:")[0]}`)
  }
}
console.log(red.size === 0 ? "all as it must be" : `red: ${[...red].join(" ")}`)
if (red.size > 0) process.exitCode = 1
