/**
 * What the linter does not see: the length of files, unfinished marks in sources, and tests that were left focused,
 * skipped or planned.
 */
import { parseSync } from "vite"
import { type SourceFile, sources } from "./lib/workspace.ts"

/** Longer files are refused. */
export const MAX_LINES = 600

/** Longer files are mentioned. */
export const LONG_LINES = 400

export interface Findings {
  readonly errors: Array<string>
  readonly warnings: Array<string>
}

const unfinished = /\b(TODO|FIXME|XXX|HACK)\b/
const leftOver = /\b(?:it|test|describe|layer)(?:\.\w+)*\.(?:only|skip|todo|fails)\b/

export const check = (file: SourceFile): Findings => {
  const errors: Array<string> = []
  const warnings: Array<string> = []
  const lines = file.text.split("\n")
  const length = lines.at(-1) === "" ? lines.length - 1 : lines.length
  const isGenerated = file.text.startsWith("// Written by") // as long as it has to be
  if (!isGenerated && length > MAX_LINES) errors.push(`${file.path}: ${length} lines, the limit is ${MAX_LINES}`)
  else if (!isGenerated && length > LONG_LINES) {
    warnings.push(`${file.path}: ${length} lines, better at most ${LONG_LINES}`)
  }

  const isTest = /^packages\/[^/]+\/test\//.test(file.path)
  const at = (offset: number) => `${file.path}:${file.text.slice(0, offset).split("\n").length}`
  const { comments, program } = parseSync(file.path, file.text)
  for (const comment of comments) {
    const mark = unfinished.exec(comment.value)
    if (mark !== null) errors.push(`${at(comment.start)}: unfinished mark ${mark[0]}`)
  }
  if (isTest) {
    // Without comments and strings, so that a title may say "skip".
    let code = file.text
    for (const { end, start } of comments) code = code.slice(0, start) + " ".repeat(end - start) + code.slice(end)
    code = code.replace(/(["'`])(?:\\.|(?!\1)[^\\\n])*\1/g, (text) => " ".repeat(text.length))
    const found = leftOver.exec(code)
    if (found !== null) errors.push(`${at(found.index)}: ${found[0]}`)
    if (program.body.length === 0) errors.push(`${file.path}: is empty`)
  }
  return { errors, warnings }
}

export const run = (): Findings => {
  const results = ["packages", "scripts", "bench", "examples"].flatMap(sources).map(check)
  return { errors: results.flatMap(({ errors }) => errors), warnings: results.flatMap(({ warnings }) => warnings) }
}
