/**
 * Docblocks: every public module begins with one, and every export of it has one that begins with a sentence and names
 * its `@category` and `@since`. Exports marked `@internal` are not public; neither are files under `internal`, files
 * with a name in camel case, barrels and the command line.
 */
import { posix } from "node:path"
import { parseSync } from "vite"
import { packages, type SourceFile, sources } from "./lib/workspace.ts"

/** Whether a file under `src` can be imported by users. */
export const isPublic = (path: string): boolean =>
  !path.includes("/internal/") && /^[A-Z]/.test(posix.basename(path)) && !path.startsWith("packages/overlay-cli/")

interface Comment {
  readonly text: string
  readonly start: number
  readonly end: number
}

const lineOf = (text: string, at: number): number => text.slice(0, at).split("\n").length

const summaryOf = (docblock: string): string => {
  const lines = docblock.split("\n").map((line) => line.replace(/^\s*\* ?/, "").trim())
  return lines.find((line) => line !== "") ?? ""
}

/** Checks one public file; one line for each finding. */
export const check = (file: SourceFile): Array<string> => {
  const { comments, program } = parseSync(file.path, file.text)
  const docblocks = comments
    .filter((comment) => comment.type === "Block" && comment.value.startsWith("*"))
    .map((comment): Comment => ({ text: comment.value.slice(1), start: comment.start, end: comment.end }))
  const findings: Array<string> = []

  const first = docblocks[0]
  if (first === undefined || file.text.slice(0, first.start).trim() !== "" || !/@since \d/.test(first.text)) {
    findings.push(`${file.path}:1: the module has no docblock with @since at its top`)
  }

  const documented = new Set<string>() // overloads share the docblock of the first
  for (const node of program.body) {
    if (node.type !== "ExportNamedDeclaration" || node.declaration === null) continue
    const declaration = node.declaration
    const names = declaration.type === "VariableDeclaration"
      ? declaration.declarations.map(({ id }) => id.type === "Identifier" ? id.name : "(pattern)")
      : [
        declaration.id !== null && declaration.id !== undefined && "name" in declaration.id ? declaration.id.name : "?"
      ]
    const key = `${declaration.type}:${names.join()}`
    if (documented.has(key)) continue
    documented.add(key)
    const docblock = docblocks.find(({ end }) => end <= node.start && file.text.slice(end, node.start).trim() === "")
    const report = (text: string) =>
      findings.push(`${file.path}:${lineOf(file.text, node.start)}: ${names.join(", ")} ${text}`)
    if (docblock === undefined) {
      report("has no docblock")
      continue
    }
    if (/@internal\b/.test(docblock.text)) continue
    if (summaryOf(docblock.text).startsWith("@")) report("has no sentence before its tags")
    if (!/@category \S/.test(docblock.text)) report("has no @category")
    if (!/@since \d+\.\d+\.\d+/.test(docblock.text)) report("has no @since")
  }
  return findings
}

export const run = (): Array<string> =>
  packages().flatMap(({ folder }) =>
    sources(`packages/${folder}/src`).filter(({ path }) => isPublic(path)).flatMap(check)
  )
