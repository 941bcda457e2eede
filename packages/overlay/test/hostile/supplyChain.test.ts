/** What the packages depend on: an attack that no code of theirs could stop. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

interface Entry {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
  readonly dependencies?: Record<string, string>
  readonly optionalDependencies?: Record<string, string>
  readonly peerDependencies?: Record<string, string>
  readonly peerDependenciesMeta?: Record<string, { readonly optional?: boolean }>
}

const root = new URL("../../../../", import.meta.url)
const text = readFileSync(new URL("package-lock.json", root), "utf8")
const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, Entry>> }
const published = ["overlay", "overlay-test", "overlay-sql", "overlay-cli"].map((name) => `packages/${name}`)

/** What whoever installs a package has to have: dependencies, and peers that are not optional. */
const required = ({ dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} }: Entry): Array<string> => [
  ...Object.keys(dependencies),
  ...Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true)
]

/** Where Node finds a package from another one. */
const locate = (from: string, name: string): string | undefined => {
  for (let at = from;; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    const path = `${at === "" ? "" : `${at}/`}node_modules/${name}`
    if (path in packages) return packages[path]?.link === true ? packages[path].resolved : path
    if (at === "") return undefined
  }
}

/** Everything that comes with a package. */
const closure = (start: string): Set<string> => {
  const found = new Set([start])
  for (const path of found) {
    const entry = packages[path]!
    for (const name of [...required(entry), ...Object.keys(entry.optionalDependencies ?? {})]) {
      const next = locate(path.startsWith("packages/") ? "" : path, name)
      if (next !== undefined) found.add(next)
    }
  }
  return found
}

/** Files below a folder of node_modules, other packages in it apart. */
const filesOf = (path: string): Array<string> =>
  readdirSync(new URL(`${path}/`, root), { recursive: true, encoding: "utf8" })
    .filter((file) => !file.includes("node_modules/"))

describe("the supply chain", () => {
  for (const path of published) {
    it(`O8 ${path} has at most five runtime dependencies that are not of this project`, () => {
      const manifest = JSON.parse(readFileSync(new URL(`${path}/package.json`, root), "utf8")) as Entry
      const names = required(manifest).filter((name) => !name.includes("stellar-overlay"))
      assert.isAtMost(new Set(names).size, 5, names.join())
      assert.sameMembers(required(packages[path]!), required(manifest), "the lockfile is of this package.json")
    })

    it(`O8 nothing that ${path} brings is compiled or runs a script when it is installed`, () => {
      for (const part of closure(path)) {
        if (part.startsWith("packages/")) continue
        const entry = packages[part]!
        assert.isNotTrue(entry.hasInstallScript, part)
        // A native package of a foreign platform is in the lockfile and not on the disk.
        if (entry.optional === true) continue
        const native = filesOf(part).filter((file) => /\.(node|gyp|gypi|so|dll|dylib)$/.test(file))
        assert.deepStrictEqual(native, [], part)
      }
    })
  }

  it("O8 every package in the lockfile has a fixed version and a strong integrity, and names no registry", () => {
    for (const [path, entry] of Object.entries(packages)) {
      if (path === "" || path.startsWith("packages/") || entry.link === true) continue
      assert.match(entry.version ?? "", /^\d+\.\d+\.\d+/, path)
      if (entry.integrity === undefined) {
        assert.isTrue(entry.optional, `${path} has no integrity, and is more than a native package of some platform`)
      } else assert.match(entry.integrity, /^sha512-/, path)
      assert.isUndefined(entry.resolved, path)
    }
    assert.notMatch(
      text,
      /https?:\/\/(?!github\.com|opencollective\.com|[\w.-]*(sponsors|funding|paypal|patreon))[^"]*\.tgz/
    )
  })

  it("O8 the search for native code finds it where there is some", () => {
    assert.isTrue(Object.keys(packages).some((path) => packages[path]!.hasInstallScript === true))
    assert.isTrue(closure("packages/overlay").has("node_modules/@noble/curves"))
    assert.isAbove(filesOf("node_modules/@noble/curves").length, 10)
    assert.strictEqual(fileURLToPath(root).endsWith("/"), true)
  })
})
