/**
 * Plants one defect into the source at load time, for tests that must notice it:
 *
 *   MUTANT=mac-is-not-checked node --conditions=@stellar-overlay/source --import ./scripts/mutate.ts <program>
 *
 * The defects are in packages/overlay-test/mutants. Files are not touched. Nothing happens without MUTANT; a name that
 * does not exist, or a text that does not occur exactly once, is an error.
 */
import { registerHooks } from "node:module"
import { pathToFileURL } from "node:url"
import { type Mutant, mutants } from "../packages/overlay-test/mutants/index.ts"

/** The source with the defect in it. */
export const plant = (source: string, { file, find, name, replace }: Mutant): string => {
  const parts = source.split(find)
  if (parts.length !== 2) {
    throw new Error(`mutant ${name}: ${parts.length - 1} occurrences in ${file}, there must be one: ${find}`)
  }
  return parts.join(replace)
}

const name = process.env["MUTANT"]
if (name !== undefined && name !== "") {
  const mutant = mutants.find((other) => other.name === name)
  if (mutant === undefined) throw new Error(`there is no mutant ${name}`)
  const target = pathToFileURL(new URL(`../${mutant.file}`, import.meta.url).pathname).href
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context)
      if (url !== target || loaded.source === undefined || loaded.source === null) return loaded
      const source = typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source)
      process.stderr.write(`mutant ${name}\n`)
      return { ...loaded, source: plant(source, mutant) }
    }
  })
}
