import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const launcher = fileURLToPath(new URL("../bin/stellar-overlay.js", import.meta.url))

/** Prints how it was started, and ends with 7, with 3 at a signal when told to wait, or by a signal when told to die. */
const program = `
if (process.argv.includes("die")) process.kill(process.pid, "SIGKILL")
else if (process.argv.includes("wait")) {
  const timer = setInterval(() => {}, 1000)
  process.on("SIGTERM", () => { clearInterval(timer); console.log("goodbye"); process.exitCode = 3 })
} else process.exitCode = 7
const conditions = process.execArgv.join()
console.log(JSON.stringify({ program: PROGRAM, conditions, args: process.argv.slice(2) }))
`

/** A folder with the launcher at its place in a checkout, or in an installation below `node_modules`. */
const place = (kind: "checkout" | "checkout without node" | "installed") =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "launcher-"))
      const home = join(folder, kind === "installed" ? "node_modules/stellar-overlay" : "packages/overlay-cli")
      for (const name of ["bin", "src", "dist"]) mkdirSync(join(home, name), { recursive: true })
      cpSync(launcher, join(home, "bin", "stellar-overlay.js"))
      writeFileSync(join(home, "package.json"), `{ "type": "module" }`)
      writeFileSync(join(home, "src", "bin.ts"), program.replace("PROGRAM", `"source"`))
      writeFileSync(join(home, "dist", "bin.js"), program.replace("PROGRAM", `"compiled"`))
      if (kind === "checkout") {
        const pinned = join(folder, "node_modules", "node", "bin", "node")
        mkdirSync(dirname(pinned), { recursive: true })
        symlinkSync(process.execPath, pinned)
      }
      return { folder, bin: join(home, "bin", "stellar-overlay.js") }
    }),
    ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

const run = (args: ReadonlyArray<string>, onOutput?: (child: ChildProcess, stdout: string) => void) =>
  Effect.callback<Ended>((resume) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => {
      stdout += chunk
      onOutput?.(child, stdout)
    })
    child.stderr.on("data", (chunk) => {
      stderr += chunk
    })
    child.on("close", (code, signal) => resume(Effect.succeed({ code, signal, stdout, stderr })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Makes Node.js say that it is older than it is. */
const pretend = (version: string) => [
  "--import",
  `data:text/javascript,Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`
]

describe("launcher", () => {
  it.effect("in a checkout it runs the sources with the pinned Node.js, even when it is itself run by an older one", () =>
    Effect.gen(function*() {
      const { bin } = yield* place("checkout")
      const { code, stdout } = yield* run([...pretend("20.1.0"), bin, "ping", "--x"])
      const said = JSON.parse(stdout)
      assert.strictEqual(code, 7)
      assert.deepInclude(said, { program: "source", args: ["ping", "--x"] })
      assert.include(said.conditions, "--conditions=@stellar-overlay/source")
    }))

  it.effect("a signal reaches the program, which says goodbye, and its exit code comes back", () =>
    Effect.gen(function*() {
      const { bin } = yield* place("checkout")
      let asked = false
      const ended = yield* run([bin, "wait"], (child, stdout) => {
        if (!asked && stdout.includes("\n")) {
          asked = true
          child.kill("SIGTERM")
        }
      })
      assert.strictEqual(ended.code, 3)
      assert.include(ended.stdout, "goodbye")
    }))

  it.effect("a program that dies of a signal makes the launcher end in the same way", () =>
    Effect.gen(function*() {
      const { bin } = yield* place("checkout")
      const ended = yield* run([bin, "die"])
      assert.strictEqual(ended.signal, "SIGKILL")
    }))

  it.effect("installed from npm it runs the compiled program in the same process", () =>
    Effect.gen(function*() {
      const { bin } = yield* place("installed")
      const { code, stdout } = yield* run([bin, "ping"])
      assert.strictEqual(code, 7)
      assert.deepInclude(JSON.parse(stdout), { program: "compiled", args: ["ping"] })
    }))

  it.effect("with a Node.js that is too old it says so and what to do", () =>
    Effect.gen(function*() {
      for (const kind of ["installed", "checkout without node"] as const) {
        const { bin } = yield* place(kind)
        const { code, stderr, stdout } = yield* run([...pretend("22.18.0"), bin, "ping"])
        assert.strictEqual(code, 2)
        assert.strictEqual(stdout, "")
        assert.match(stderr, /needs Node\.js 22\.19 or newer, and this is 22\.18\.0/)
      }
    }))
})
