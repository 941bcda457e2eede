/**
 * Completes package-lock.json, or with `--check` says what is missing.
 *
 * `npm install` leaves the native packages of foreign platforms out of the lockfile when the registry it talks to does
 * not carry them, and `npm ci` then refuses the lockfile as out of sync. An entry without `integrity` is enough for it:
 * it is skipped on every other platform and resolved through the registry on its own. Addresses of registries
 * (`resolved`) are removed, so that the lockfile works with any registry.
 *
 * Usage, after each change of a dependency: `npm install && npm run lockfile`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export interface LockEntry {
  version?: string
  resolved?: string
  link?: boolean
  dev?: boolean
  optional?: boolean
  cpu?: Array<string>
  os?: Array<string>
  libc?: Array<string>
  optionalDependencies?: Record<string, string>
}

export interface Lockfile {
  packages: Record<string, LockEntry>
}

const operatingSystems = [
  "aix",
  "android",
  "darwin",
  "freebsd",
  "linux",
  "netbsd",
  "openbsd",
  "openharmony",
  "sunos",
  "win32"
]
const processors = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64"]

export interface Platform {
  readonly cpu: Array<string>
  readonly libc?: Array<string>
  readonly os: Array<string>
}

/** The platform a native package names in its own name, or undefined when it names none. */
export const platformOf = (name: string): Platform | undefined => {
  const words = name.split("/").at(-1)!.split("-")
  const os = operatingSystems.find((candidate) => words.includes(candidate))
  const cpu = processors.find((candidate) => words.includes(candidate))
  if (os === undefined || cpu === undefined) return undefined
  const libc = words.some((word) => word.startsWith("musl"))
    ? ["musl"]
    : os === "linux" && words.some((word) => word === "gnu" || word === "glibc" || word === "gnueabihf")
    ? ["glibc"]
    : undefined
  return { cpu: [cpu], ...(libc === undefined ? {} : { libc }), os: [os] }
}

/** Adds what is missing to `lock` and returns one line for each change made. */
export const complete = (lock: Lockfile): Array<string> => {
  const changes: Array<string> = []
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (entry.link !== true && entry.resolved !== undefined) {
      delete entry.resolved
      changes.push(`${path}: address of a registry`)
    }
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const hoisted = `node_modules/${name}`
      if (lock.packages[hoisted] !== undefined || lock.packages[`${path}/${hoisted}`] !== undefined) continue
      const platform = platformOf(name)
      if (platform === undefined || !/^\d+\.\d+\.\d+$/.test(version)) continue
      const { cpu, libc, os } = platform // in npm's own order of keys, so that npm changes nothing later
      lock.packages[hoisted] = {
        version,
        cpu,
        ...(entry.dev === true ? { dev: true } : {}),
        ...(libc === undefined ? {} : { libc }),
        optional: true,
        os
      }
      changes.push(`${hoisted}@${version}: missing`)
    }
  }
  const paths = Object.keys(lock.packages).sort((a, b) => a.localeCompare(b, "en"))
  lock.packages = Object.fromEntries(paths.map((path) => [path, lock.packages[path]!]))
  return changes
}

if (import.meta.main) {
  const file = fileURLToPath(new URL("../package-lock.json", import.meta.url))
  const lock: Lockfile = JSON.parse(readFileSync(file, "utf8"))
  const changes = complete(lock)
  if (process.argv.includes("--check")) {
    for (const change of changes) console.error(`package-lock.json: ${change} (run \`npm run lockfile\`)`)
    process.exitCode = changes.length === 0 ? 0 : 1
  } else {
    if (changes.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
    console.log(changes.length === 0 ? "package-lock.json is complete" : changes.join("\n"))
  }
}
