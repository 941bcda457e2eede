/**
 * `npm run build`: compiles the packages, lays each out in `build/packages/<folder>` as it is published, has publint
 * look at it, packs it into `build/tarballs`, and lets a project outside the workspace install and use the tarballs.
 *
 * `--no-consumer` leaves out the last part, which needs the package registry.
 */
import { spawnSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { type Published, tryAsConsumer } from "./lib/consumer.ts"
import { type Manifest, type Package, packages, root } from "./lib/workspace.ts"

const out = join(root, "build")

/**
 * Dependencies that travel inside the tarball, as patched in this workspace: the published SQLite driver that fits this
 * version of Effect does not load without the patch.
 */
const bundled: Readonly<Record<string, ReadonlyArray<string>>> = { "overlay-sql": ["@effect/sql-sqlite-node"] }

const fail = (text: string): never => {
  throw new Error(text)
}

const run = (command: string, args: ReadonlyArray<string>, cwd: string = root): void => {
  const result = spawnSync(command, args, { cwd, stdio: "inherit", shell: process.platform === "win32" })
  if (result.status !== 0) fail(`${command} ${args.join(" ")} failed`)
}

const step = async <A>(name: string, body: () => A | Promise<A>): Promise<A> => {
  console.log(`\n== ${name}`)
  const start = performance.now()
  const value = await body()
  console.log(`== ${name}: ok (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  return value
}

const compile = (all: ReadonlyArray<Package>): void => {
  for (const { folder } of all) rmSync(join(root, "packages", folder, "dist"), { recursive: true, force: true })
  run(join(root, "node_modules", ".bin", "tsc"), ["-b", ...all.map(({ folder }) => `packages/${folder}`)])
}

// The condition by which the workspace runs from its sources means nothing outside of it.
const withoutSourceCondition = (exports: Manifest["exports"]): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(exports ?? {}).map(([path, target]) => {
      if (typeof target !== "object" || target === null) return [path, target]
      return [path, Object.fromEntries(Object.entries(target).filter(([name]) => name !== "@stellar-overlay/source"))]
    })
  )

const installedVersion = (name: string): string => {
  const manifest: Manifest = JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8"))
  return manifest.version
}

const publishedManifest = ({ folder, manifest }: Package): Manifest => {
  const { devDependencies: _, ...rest } = manifest
  const names = bundled[folder] ?? []
  const without = <A>(record: Readonly<Record<string, A>> | undefined) =>
    Object.fromEntries(Object.entries(record ?? {}).filter(([name]) => !names.includes(name)))
  return {
    ...rest,
    exports: withoutSourceCondition(manifest.exports),
    ...(names.length === 0 ? {} : {
      dependencies: {
        ...manifest.dependencies,
        ...Object.fromEntries(names.map((name) => [name, installedVersion(name)]))
      },
      bundleDependencies: names,
      peerDependencies: without(manifest.peerDependencies),
      peerDependenciesMeta: without(manifest.peerDependenciesMeta)
    })
  }
}

/** Lays a package out as it is published. */
const layOut = (each: Package): Omit<Published, "tarball"> => {
  const from = join(root, "packages", each.folder)
  const to = join(out, "packages", each.folder)
  mkdirSync(to, { recursive: true })
  for (const path of globSync([...each.manifest.files ?? []], { cwd: from })) cpSync(join(from, path), join(to, path))
  for (const name of bundled[each.folder] ?? []) {
    cpSync(join(root, "node_modules", name), join(to, "node_modules", name), { recursive: true })
  }
  const manifest = publishedManifest(each)
  writeFileSync(join(to, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`)
  cpSync(join(root, "LICENSE"), join(to, "LICENSE"))
  const readme = [join(from, "README.md"), join(root, "README.md")].find((path) => existsSync(path))
  if (readme !== undefined) cpSync(readme, join(to, "README.md"))
  return { manifest, folder: to }
}

const lint = async (folder: string): Promise<void> => {
  const { messages, pkg } = await publint({ pkgDir: folder, strict: true, pack: "npm" })
  for (const message of messages) console.log(`  ${message.type}: ${formatMessage(message, pkg)}`)
  if (messages.length > 0) fail(`publint has ${messages.length} findings`)
}

const pack = (folder: string): string => {
  const tarballs = join(out, "tarballs")
  mkdirSync(tarballs, { recursive: true })
  const before = new Set(readdirSync(tarballs))
  const result = spawnSync("npm", ["pack", "--silent", "--pack-destination", tarballs], {
    cwd: folder,
    encoding: "utf8",
    shell: process.platform === "win32"
  })
  if (result.status !== 0) fail(`npm pack failed: ${result.stderr}`)
  const name = readdirSync(tarballs).find((file) => !before.has(file)) ?? fail("npm pack wrote nothing")
  const tarball = join(tarballs, name)
  console.log(`  ${name} (${Math.ceil(statSync(tarball).size / 1024)} KiB)`)
  return tarball
}

const all = packages()
try {
  for (const name of ["packages", "tarballs"]) rmSync(join(out, name), { recursive: true, force: true })
  await step("compile", () => compile(all))
  const laidOut = await step("lay out", () => all.map(layOut))
  await step("publint", async () => {
    for (const { folder } of laidOut) await lint(folder)
  })
  const published = await step("pack", () => laidOut.map((each) => ({ ...each, tarball: pack(each.folder) })))
  if (!process.argv.includes("--no-consumer")) {
    await step("a project that uses the tarballs", () => tryAsConsumer(published))
  }
  console.log("\nThe packages are in build/packages, the tarballs in build/tarballs.")
} catch (error) {
  console.error(`\nBuild failed: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
