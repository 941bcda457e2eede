/**
 * A project outside the workspace that installs the packed packages, compiles against them with the compiler of the
 * workspace and with an older one, imports every public module, is refused the internal ones, starts the command line,
 * and runs the first example of the README as printed.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, sep } from "node:path"
import { type Manifest, root, rootManifest } from "./workspace.ts"

/** A package as it is published: its manifest, where it is laid out, and its tarball. */
export interface Published {
  readonly manifest: Manifest
  readonly folder: string
  readonly tarball: string
}

/** The declarations have to be understood by the compilers users still have. */
const OLDER_TYPESCRIPT = "5.9.3"

/** How long the demo may take to listen, and the example to end, before they count as hanging. */
const PATIENCE_MILLIS = 60_000

const CLI = "stellar-overlay"

interface Result {
  readonly ok: boolean
  readonly output: string
}

const execute = (folder: string, command: string, args: ReadonlyArray<string>): Result => {
  const { error, status, stderr, stdout } = spawnSync(command, args, {
    cwd: folder,
    encoding: "utf8",
    shell: process.platform === "win32" && command === "npm"
  })
  return { ok: status === 0, output: `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`.trim() }
}

const need = ({ ok, output }: Result, what: string): string => {
  if (!ok) throw new Error(`${what}:\n${output}`)
  return output
}

const install = (folder: string, all: ReadonlyArray<Published>): void => {
  const pinned = rootManifest().devDependencies ?? {}
  const dependencies: Record<string, string> = {}
  for (const { manifest, tarball } of all) {
    dependencies[manifest.name] = `file:${tarball}`
    for (const [name, range] of Object.entries(manifest.peerDependencies ?? {})) {
      dependencies[name] ??= pinned[name] ?? range
    }
  }
  const devDependencies = {
    "@types/node": pinned["@types/node"],
    typescript: pinned["typescript"],
    "typescript-older": `npm:typescript@${OLDER_TYPESCRIPT}`
  }
  const manifest = { name: "consumer", private: true, type: "module", dependencies, devDependencies }
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2))
  const flags = ["--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"]
  need(execute(folder, "npm", ["install", ...flags]), "the tarballs do not install")
}

/** The modules users can import, by their path in `dist`; the internal ones apart. */
const modulesOf = (each: Published): { readonly open: Array<string>; readonly internal: Array<string> } => {
  if (each.manifest.name === CLI) return { open: [], internal: [] }
  const paths = readdirSync(join(each.folder, "dist"), { recursive: true, encoding: "utf8" })
    .map((path) => path.split(sep).join("/"))
    .filter((path) => path.endsWith(".js"))
    .map((path) => path.replace(/\.js$/, ""))
    .sort()
  const specifier = (path: string) => path === "index" ? each.manifest.name : `${each.manifest.name}/${path}`
  const isInternal = (path: string) => /(^|\/)internal\//.test(path)
  return {
    open: paths.filter((path) => !isInternal(path)).map(specifier),
    internal: paths.filter(isInternal).map(specifier)
  }
}

/** The first TypeScript block of the README. */
const readmeExample = (): string => {
  const text = /^```ts[^\n]*\n([\s\S]*?)^```/m.exec(readFileSync(join(root, "README.md"), "utf8"))?.[1]
  if (text === undefined) throw new Error("README.md has no ```ts example")
  return text
}

/** Compiles what is in the folder; errors count when they are in it or in the declarations of the packages. */
const compile = (folder: string, compiler: string, emit: boolean): void => {
  const tsc = join(folder, "node_modules", compiler, "bin", "tsc")
  const { ok, output } = execute(folder, process.execPath, [tsc, "-p", ".", ...(emit ? [] : ["--noEmit"])])
  if (ok) return
  const errors = output.split("\n").filter((line) => line.includes("error TS"))
  const ours = errors.filter((line) => !line.startsWith("node_modules/") || line.includes("stellar-overlay/"))
  if (ours.length > 0) throw new Error(`${compiler} has ${ours.length} errors:\n${ours.slice(0, 40).join("\n")}`)
  if (errors.length === 0) throw new Error(`${compiler} failed:\n${output}`)
  console.log(`  ${compiler}: ${errors.length} errors in declarations of other packages, none in ours`)
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once("exit", (code) => resolve(code)))

/** Starts the packed demo and waits until it prints an address it listens on. */
const startDemo = (folder: string): Promise<{ readonly child: ChildProcess; readonly address: string }> => {
  const bin = join(folder, "node_modules", CLI, "bin", "stellar-overlay.js")
  const child = spawn(process.execPath, [bin, "demo", "--seconds", "300"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"]
  })
  return new Promise((resolve, reject) => {
    let output = ""
    const give = (reason: string) => {
      clearTimeout(timer)
      child.kill("SIGKILL")
      reject(new Error(`the packed demo ${reason}:\n${output}`))
    }
    const timer = setTimeout(() => give("prints no address"), PATIENCE_MILLIS)
    const exited = () => give("ended before it listened")
    child.once("exit", exited)
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      const address = /\b127\.0\.0\.1:\d+\b/.exec(output)?.[0]
      if (address === undefined) return
      clearTimeout(timer)
      child.off("exit", exited)
      child.stdout?.off("data", read).resume()
      child.stderr?.off("data", read).resume()
      resolve({ child, address })
    }
    child.stdout?.on("data", read)
    child.stderr?.on("data", read)
  })
}

/** Runs the compiled example against a demo node, whose address it finds as `STELLAR_PEER` in its environment. */
const runExample = async (folder: string): Promise<void> => {
  const { address, child } = await startDemo(folder)
  const demoEnd = ended(child)
  try {
    const { error, status, stderr, stdout } = spawnSync(process.execPath, ["example.js"], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, STELLAR_PEER: address },
      timeout: PATIENCE_MILLIS
    })
    const output = `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`.trim()
    need({ ok: status === 0 && stdout.trim() !== "", output }, "the README's example failed or printed nothing")
    console.log(output.replace(/^/gm, "  | "))
  } finally {
    child.kill("SIGINT")
    await demoEnd
  }
}

/** Throws with what went wrong; the folder is removed when nothing did. */
export const tryAsConsumer = async (all: ReadonlyArray<Published>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "stellar-overlay-consumer-"))
  const done = (text: string) => console.log(`  ${text}`)
  try {
    install(folder, all)
    done("the tarballs install")

    const open = all.flatMap((each) => modulesOf(each).open)
    const imports = open.map((specifier, index) => `import * as m${index} from ${JSON.stringify(specifier)}\n`)
    const uses = `export const all: ReadonlyArray<object> = [${open.map((_, index) => `m${index}`).join(", ")}]\n`
    writeFileSync(join(folder, "all.ts"), [...imports, uses, "console.log(all.length)\n"].join(""))
    writeFileSync(join(folder, "example.ts"), readmeExample())
    const compilerOptions = {
      target: "ES2022",
      module: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      types: ["node"],
      skipLibCheck: false
    }
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["all.ts", "example.ts"] }))
    compile(folder, "typescript", true)
    compile(folder, "typescript-older", false)
    done(`${open.length} modules and the README's example compile, also with TypeScript ${OLDER_TYPESCRIPT}`)

    need(execute(folder, process.execPath, ["all.js"]), "the modules do not load")
    done("all modules load")

    const internal = all.flatMap((each) => modulesOf(each).internal)
    for (const specifier of internal) {
      const { ok, output } = execute(folder, process.execPath, ["-e", `import(${JSON.stringify(specifier)})`])
      if (ok || !output.includes("ERR_PACKAGE_PATH_NOT_EXPORTED")) throw new Error(`${specifier} can be imported`)
    }
    done(`${internal.length} internal modules cannot be imported`)

    const help = execute(folder, join(folder, "node_modules", ".bin", CLI), ["--help"])
    need(help, "the packed command line does not start")
    done("the command line starts")

    await runExample(folder)
    done("the README's example runs against the packed demo")
    rmSync(folder, { recursive: true })
  } catch (error) {
    console.log(`  left for inspection: ${folder}`)
    throw error
  }
}
