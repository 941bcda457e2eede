/**
 * Writes the barrel `src/index.ts` of each library and the page of drop reasons, or with `--check` says which is out of
 * date.
 *
 * A barrel has every public module that runs on any runtime as a namespace, with the first paragraph of the module's
 * docblock. Modules for Node.js (`Node*.ts`) are imported by their own path, `@stellar-overlay/overlay/NodeTransport`.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join, posix } from "node:path"
import * as DropReason from "../packages/overlay/src/DropReason.ts"
import { errorCodeName } from "../packages/overlay/src/wire/StellarMessage.ts"
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

const droppedBy = { us: "we end it", remote: "the remote ends it", network: "the network ends it" }

/** The text of docs/drop-reasons.md, which every reason points to. */
export const dropReasons = (): string => {
  const sections = DropReason.tags.map((tag) => {
    const reason = DropReason.make(tag, "…")
    const code = DropReason.errorCode(reason)
    const facts = [droppedBy[DropReason.droppedBy(reason)], DropReason.kind(reason), code && errorCodeName(code)]
    return `## ${tag}\n\n\`${DropReason.text(reason)}\`: ${facts.filter((fact) => fact !== undefined).join(", ")}.\n\n${
      DropReason.hint(reason)
    }\n`
  })
  return `# Drop reasons

Why connections end. Each connection ends for exactly one of these reasons; the text is stellar-core's where core has the
same reason, and … stands for the details. "We" is this node. An ERROR_MSG, where one is named, reaches the remote before
the connection is closed.

${sections.join("\n")}`
}

/** Writes what is out of date, unless `dry`, and returns the paths. */
export const run = (dry: boolean): Array<string> => {
  const files = new Map(
    Object.keys(shown).map((folder) => {
      const src = `packages/${folder}/src`
      return [`${src}/index.ts`, barrel(folder, sources(src))]
    })
  )
  files.set("docs/drop-reasons.md", dropReasons())
  return [...files].flatMap(([path, text]) => {
    const file = join(root, path)
    if (existsSync(file) && readFileSync(file, "utf8") === text) return []
    if (!dry) writeFileSync(file, text)
    return [path]
  })
}

if (import.meta.main) {
  const stale = run(process.argv.includes("--check"))
  console.log(stale.length === 0 ? "Generated files are up to date." : stale.join("\n"))
}
