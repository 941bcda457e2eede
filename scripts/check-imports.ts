/**
 * The direction of imports.
 *
 * In `overlay`: wire <- protocol <- Peer <- Peers <- Flood, ItemFetcher, Survey <- Overlay, with configuration, errors,
 * crypto, metrics and the host interface as leaves. `wire` and `protocol` are pure: of Effect only its data modules,
 * nothing of Node.js, never upwards, and so is everything they reach. A module without a place in the order may stand
 * anywhere, but nobody gets past the order through it.
 *
 * In every package: Node.js only in files named `Node*.ts` (and in the command line), no barrels, relative imports with
 * `.ts` and inside the package, other packages only when the manifest has them, no cycles.
 *
 * Type-only imports exist for the compiler alone. They count where a module is pure, and not for cycles and order.
 */
import { isBuiltin } from "node:module"
import { posix } from "node:path"
import { parseSync } from "vite"
import { isNodeFile, type Manifest, packages, type SourceFile, sources } from "./lib/workspace.ts"

interface Import {
  readonly from: string
  readonly specifier: string
  readonly typeOnly: boolean
}

const order: ReadonlyArray<readonly [name: string, pattern: RegExp]> = [
  ["wire", /^wire\//],
  ["protocol", /^protocol\//],
  ["leaf", /^(OverlayConfig|OverlayError|OverlayCrypto|OverlayMetrics|OverlayHost|Transport)\.ts$/],
  ["Peer", /^Peer\.ts$/],
  ["Peers", /^Peers\.ts$/],
  ["Flood, ItemFetcher, Survey", /^(Flood|ItemFetcher|Survey)\.ts$/],
  ["Overlay", /^Overlay\.ts$/]
]

// What `wire` and `protocol` may know outside their own folders.
const pureFiles = /^(wire\/|protocol\/|internal\/|DropReason\.ts$)/
const pureModules =
  /^(@stellar\/stellar-base|effect\/(Array|Brand|Data|Equal|Equivalence|Function|Hash|Inspectable|Option|Order|Pipeable|Predicate|Record|Result|Types))$/

const barrel = /^(effect(\/[a-z][a-z0-9]*)?|@effect\/[^/]+(\/[a-z][a-z0-9]*)?|@stellar-overlay\/[^/]+)$/
const nodeOnly = /^(node:|@effect\/platform-node|@effect\/sql-sqlite-node)/
const packageOf = (specifier: string): string =>
  specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/")

/** The imports and re-exports of a module; `import()` counts as an import. */
export const importsOf = (file: SourceFile): Array<Import> => {
  const { module } = parseSync(file.path, file.text)
  const found: Array<Import> = []
  const add = (specifier: string, typeOnly: boolean) => found.push({ from: file.path, specifier, typeOnly })
  for (const { entries, moduleRequest, start } of module.staticImports) {
    const declaredType = /^import\s+type\b/.test(file.text.slice(start, start + 20))
    add(moduleRequest.value, declaredType || (entries.length > 0 && entries.every((entry) => entry.isType)))
  }
  for (const { entries } of module.staticExports) {
    for (const entry of entries) if (entry.moduleRequest !== null) add(entry.moduleRequest.value, entry.isType)
  }
  for (const { moduleRequest } of module.dynamicImports) {
    const text = file.text.slice(moduleRequest.start, moduleRequest.end)
    if (/^["'`]/.test(text)) add(text.slice(1, -1), false)
  }
  return found
}

/** Follows value imports from `start`; the paths reached, each with the module it was reached from. */
const reach = (edges: ReadonlyMap<string, ReadonlyArray<string>>, start: string): Map<string, string> => {
  const from = new Map<string, string>()
  const queue = [start]
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    for (const next of edges.get(path) ?? []) {
      if (from.has(next)) continue
      from.set(next, path)
      queue.push(next)
    }
  }
  return from
}

/** Checks the sources of one package (`files` under `packages/<folder>/src`); one line for each finding. */
export const check = (folder: string, manifest: Manifest, files: ReadonlyArray<SourceFile>): Array<string> => {
  const findings: Array<string> = []
  const src = `packages/${folder}/src/`
  const inside = (path: string): string => path.slice(src.length)
  const known = new Set(files.map((file) => file.path))
  const declared = new Set([
    manifest.name,
    ...Object.keys(manifest.dependencies ?? {}),
    ...Object.keys(manifest.peerDependencies ?? {})
  ])
  const isCli = folder === "overlay-cli"
  const layered = folder === "overlay"
  const isPure = (path: string): boolean => layered && /^(wire|protocol)\//.test(inside(path))

  const edges = new Map<string, Array<string>>()
  const pureEdges = new Map<string, Array<string>>()
  const externals = new Map<string, Array<Import>>()
  for (const file of files) {
    const values: Array<string> = []
    const all: Array<string> = []
    const external: Array<Import> = []
    const report = (text: string) => findings.push(`${file.path}: ${text}`)
    for (const found of importsOf(file)) {
      const { specifier, typeOnly } = found
      if (specifier.startsWith(".")) {
        const target = posix.join(posix.dirname(file.path), specifier)
        if (!specifier.endsWith(".ts")) report(`"${specifier}" does not end in .ts`)
        else if (!target.startsWith(src)) report(`"${specifier}" leaves the package`)
        else if (!known.has(target)) report(`"${specifier}" does not exist`)
        else {
          all.push(target)
          if (!typeOnly) values.push(target)
          if (isNodeFile(target) && !typeOnly && !isNodeFile(file.path) && !isCli) {
            report(`"${specifier}" is for Node.js only, and this file is for any runtime`)
          }
          if (posix.basename(target) === "index.ts") report(`"${specifier}" is a barrel`)
        }
        continue
      }
      external.push(found)
      if (barrel.test(specifier)) report(`"${specifier}" is a barrel: import the module itself`)
      if ((nodeOnly.test(specifier) || isBuiltin(specifier)) && !isNodeFile(file.path) && !isCli) {
        report(`"${specifier}" is for Node.js: only files named Node*.ts may import it`)
      }
      if (!isBuiltin(specifier) && !declared.has(packageOf(specifier))) {
        report(`"${packageOf(specifier)}" is neither a dependency nor a peer dependency of ${manifest.name}`)
      }
    }
    edges.set(file.path, values)
    pureEdges.set(file.path, all)
    externals.set(file.path, external)
  }

  // Purity: wire and protocol themselves with their type-only imports, and what they reach with its values.
  const impure = new Set<string>()
  for (const file of files.filter(({ path }) => isPure(path))) {
    const layer = inside(file.path).split("/")[0]!
    for (const target of pureEdges.get(file.path) ?? []) {
      const allowed = pureFiles.test(inside(target)) && !(layer === "wire" && inside(target).startsWith("protocol/"))
      if (!allowed) findings.push(`${file.path}: ${layer} must not import ${inside(target)}`)
    }
    for (const path of [file.path, ...reach(edges, file.path).keys()]) {
      for (const { specifier, typeOnly } of externals.get(path) ?? []) {
        if (!typeOnly && !pureModules.test(specifier)) {
          impure.add(`${path}: "${specifier}" is not a data module, and ${layer} must stay pure`)
        }
      }
    }
  }
  findings.push(...impure)

  // Order: nothing reaches a module above its own place, on whatever way.
  const place = (path: string): number => layered ? order.findIndex(([, pattern]) => pattern.test(inside(path))) : -1
  for (const { path } of files) {
    const own = place(path)
    if (own === -1) continue
    const reached = reach(edges, path)
    for (const target of reached.keys()) {
      if (place(target) <= own) continue
      const way = [target]
      for (let at = reached.get(target); at !== undefined && at !== path; at = reached.get(at)) way.unshift(at)
      if (way.slice(0, -1).some((step) => place(step) > own)) continue // reported for the first step already
      findings.push(
        `${path}: ${order[own]![0]} must not reach ${order[place(target)]![0]} (by ${way.map(inside).join(" -> ")})`
      )
    }
  }

  // Cycles, each named once by its smallest member.
  const cyclic = new Set<string>()
  for (const { path } of files) {
    const from = reach(edges, path)
    if (!from.has(path)) continue
    const way = [path]
    for (let at = from.get(path); at !== undefined && at !== path; at = from.get(at)) way.unshift(at)
    const smallest = way.indexOf([...way].sort()[0]!)
    const round = [...way.slice(smallest), ...way.slice(0, smallest)].map(inside)
    cyclic.add(`${src}${round[0]}: import cycle ${[...round, round[0]].join(" -> ")}`)
  }
  return [...findings, ...cyclic]
}

export const run = (): Array<string> =>
  packages().flatMap(({ folder, manifest }) => check(folder, manifest, sources(`packages/${folder}/src`)))
