/**
 * Type-checks every TypeScript example: the ```ts blocks of README.md, of `docs`, and of the docblocks in the sources.
 * Each is compiled as a module of its own, as if it stood outside of its package.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { files, packages, root, type SourceFile, sources } from "./lib/workspace.ts"

export interface Example {
  readonly path: string
  /** The line of the file on which the example begins. */
  readonly line: number
  readonly text: string
}

/** The examples of one file. */
export const examplesOf = (file: SourceFile): Array<Example> => {
  const examples: Array<Example> = []
  let open: { readonly line: number; readonly lines: Array<string> } | undefined
  for (const [index, raw] of file.text.split("\n").entries()) {
    const line = file.path.endsWith(".ts") ? raw.replace(/^\s*\* ?/, "") : raw
    const isFence = line.startsWith("```") && (file.path.endsWith(".md") || /^\s*\*/.test(raw))
    if (open === undefined) {
      if (isFence && /^```ts\s*$/.test(line)) open = { line: index + 2, lines: [] }
    } else if (isFence) {
      examples.push({ path: file.path, line: open.line, text: `${open.lines.join("\n")}\n` })
      open = undefined
    } else {
      open.lines.push(line)
    }
  }
  return examples
}

const tsconfig = {
  extends: "../../tsconfig.base.json",
  compilerOptions: {
    noEmit: true,
    composite: false,
    incremental: false,
    declaration: false,
    declarationMap: false,
    noUnusedLocals: false,
    types: ["node"]
  },
  include: ["*.ts"]
}

/** Checks all examples; one line for each error, at its place in the file the example is in. */
export const check = (examples: ReadonlyArray<Example>): Array<string> => {
  if (examples.length === 0) return []
  const folder = join(root, "build", "examples")
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig))
  examples.forEach(({ text }, index) => writeFileSync(join(folder, `${index}.ts`), text))
  const tsc = join(root, "node_modules", ".bin", "tsc")
  const { stdout } = spawnSync(tsc, ["-p", folder, "--pretty", "false"], { cwd: folder, encoding: "utf8" })
  return stdout.split("\n").filter((line) => line !== "" && !line.startsWith(" ")).map((line) => {
    const found = /^(\d+)\.ts\((\d+),\d+\): error (.*)$/.exec(line)
    if (found === null) return line
    const example = examples[Number(found[1])]!
    return `${example.path}:${example.line + Number(found[2]) - 1}: ${found[3]}`
  })
}

export const run = (): Array<string> => {
  const markdown = files(".", (path) => path === "README.md" || /^(docs|packages)\/.*\.md$/.test(path))
  const code = packages().flatMap(({ folder }) => sources(`packages/${folder}/src`))
  return check([...markdown, ...code].flatMap(examplesOf))
}
