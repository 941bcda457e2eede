/** The packages of this workspace and their source files, as the other scripts see them. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "")

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
  readonly exports?: Readonly<Record<string, unknown>>
  readonly files?: ReadonlyArray<string>
}

export interface SourceFile {
  /** From the root of the workspace, with `/` on every platform. */
  readonly path: string
  readonly text: string
}

export interface Package {
  /** The folder under `packages`. */
  readonly folder: string
  readonly manifest: Manifest
}

const readJson = <A>(path: string): A => JSON.parse(readFileSync(join(root, path), "utf8"))

/** The manifest of the workspace itself. */
export const rootManifest = (): Manifest & { readonly workspaces: ReadonlyArray<string> } => readJson("package.json")

/** All packages, each after those it depends on. */
export const packages = (): Array<Package> =>
  rootManifest().workspaces.map((path) => ({
    folder: path.replace("packages/", ""),
    manifest: readJson<Manifest>(`${path}/package.json`)
  }))

/** Whether a file may know Node.js: `NodeTransport.ts` may, and `NodeId.ts` is about nodes of the network. */
export const isNodeFile = (path: string): boolean => /^Node(?!Id)[A-Z]/.test(path.split("/").at(-1)!)

const ignored = new Set(["node_modules", "dist", "build", "coverage", ".git"])

/** The files under a folder (from the root of the workspace) whose path passes, sorted; none when it does not exist. */
export const files = (folder: string, pass: (path: string) => boolean): Array<SourceFile> => {
  const top = join(root, folder)
  if (!existsSync(top)) return []
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((path) => !path.split("/").some((part) => ignored.has(part)) && pass(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }))
}

/** The TypeScript files under a folder. */
export const sources = (folder: string): Array<SourceFile> => files(folder, (path) => path.endsWith(".ts"))
