/**
 * Writes the barrel `src/index.ts` of each library, or with `--check` says which is out of date.
 *
 * A barrel has every public module that runs on any runtime as a namespace, with the first paragraph of the module's
 * docblock. Modules for Node.js (`Node*.ts`) are imported by their own path, `@stellar-overlay/overlay/NodeTransport`.
 */
import { writeFileSync } from "node:fs"
import { join, posix } from "node:path"
import { isPublic } from "./check-docs.ts"
import { isNodeFile, root, type SourceFile, sources } from "./lib/workspace.ts"

/** The folders under `src` whose modules a barrel shows. */
const shown: Readonly<Record<string, ReadonlyArray<string>>> = {
  overlay: [".", "wire", "protocol"],
  "overlay-sql": ["."],
  "overlay-test": [".", "contract"]
}

const firstParagraph = (text: string): Array<string> => {
  const docblock = /^\s*\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? ""
  const lines = docblock.split("\n").map((line) => line.replace(/^\s*\*? ?/, "").trimEnd())
  const start = lines.findIndex((line) => line !== "")
  if (start === -1 || lines[start]!.startsWith("@")) return []
  const end = lines.findIndex((line, index) => index > start && (line === "" || line.startsWith("@")))
  return lines.slice(start, end === -1 ? undefined : end)
}

/** The text of a barrel for the sources of one package. */
export const barrel = (folder: string, files: ReadonlyArray<SourceFile>): string => {
  const src = `packages/${folder}/src`
  const modules = files
    .map((file) => ({ ...file, inside: posix.relative(src, file.path) }))
    .filter(({ inside, path }) => shown[folder]!.includes(posix.dirname(inside)) && isPublic(path) && !isNodeFile(path))
    .map((file) => ({ ...file, name: posix.basename(file.path, ".ts") }))
    .sort((a, b) => a.name < b.name ? -1 : 1)
  const blocks = modules.map(({ inside, name, text }) => {
    const lines = [...firstParagraph(text), "", "@since 0.1.0"]
    return `/**\n${
      lines.map((line) => line === "" ? " *" : ` * ${line}`).join("\n")
    }\n */\nexport * as ${name} from "./${inside}"\n`
  })
  return ["// Written by `npm run codegen`.\n", ...blocks].join("\n")
}

/** Writes the barrels that are out of date, unless `dry`, and returns their paths. */
export const run = (dry: boolean): Array<string> =>
  Object.keys(shown).flatMap((folder) => {
    const path = `packages/${folder}/src/index.ts`
    const files = sources(`packages/${folder}/src`)
    const text = barrel(folder, files)
    if (files.find((file) => file.path === path)?.text === text) return []
    if (!dry) writeFileSync(join(root, path), text)
    return [path]
  })

if (import.meta.main) {
  const stale = run(process.argv.includes("--check"))
  console.log(stale.length === 0 ? "The barrels are up to date." : stale.join("\n"))
}
