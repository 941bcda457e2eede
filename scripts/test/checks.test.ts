/** Breaks each check once: a check that finds nothing in bad code is worth nothing. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { test } from "node:test"
import * as docs from "../check-docs.ts"
import * as examples from "../check-examples.ts"
import * as lengths from "../check-files.ts"
import * as imports from "../check-imports.ts"
import { barrel } from "../codegen.ts"
import { root } from "../lib/workspace.ts"
import { complete, platformOf } from "../lockfile.ts"

const manifest = { name: "@stellar-overlay/overlay", version: "0.1.0", peerDependencies: { effect: "1" } }

/** The findings for a package `overlay` of these files, by path under `src`. */
const findImports = (files: Record<string, string>): Array<string> =>
  imports.check(
    "overlay",
    manifest,
    Object.entries(files).map(([path, text]) => ({ path: `packages/overlay/src/${path}`, text }))
  )

const hasOne = (findings: ReadonlyArray<string>, pattern: RegExp): void => {
  assert.equal(findings.length, 1, findings.join("\n"))
  assert.match(findings[0]!, pattern)
}

test("imports: what the order allows passes", () => {
  assert.deepEqual(
    findImports({
      "wire/A.ts": `import * as Result from "effect/Result"\nimport { read } from "../internal/bytes.ts"\n`,
      "internal/bytes.ts": "export const read = 1\n",
      "protocol/B.ts": `import "../wire/A.ts"\nimport type * as Effect from "effect/Effect"\n`,
      "NodeId.ts": "export const a = 1\n",
      "NodeTransport.ts": `import "node:net"\nimport * as S from "@effect/platform-node/NodeSocket"\n`,
      "Peer.ts": `import "./protocol/B.ts"\nimport "./NodeId.ts"\nimport type { Overlay } from "./Overlay.ts"\n`,
      "Overlay.ts": `import "./Peer.ts"\nimport * as Effect from "effect/Effect"\n`
    }).filter((finding) => !finding.includes("@effect/platform-node")),
    []
  )
})

test("imports: each rule, broken once", () => {
  hasOne(findImports({ "wire/A.ts": `import * as Effect from "effect/Effect"\n` }), /data module/)
  hasOne(
    findImports({
      "wire/A.ts": `import "../internal/x.ts"\n`,
      "internal/x.ts": `import * as Clock from "effect/Clock"\n`
    }),
    /internal\/x\.ts: "effect\/Clock" is not a data module/
  )
  hasOne(
    findImports({ "wire/A.ts": `import type { B } from "../protocol/B.ts"\n`, "protocol/B.ts": "export type B = 1\n" }),
    /wire must not import protocol\/B\.ts/
  )
  hasOne(
    findImports({ "protocol/B.ts": `import type { P } from "../Peer.ts"\n`, "Peer.ts": "export type P = 1\n" }),
    /protocol must not import Peer\.ts/
  )
  hasOne(
    findImports({
      "Peer.ts": `import "./Helper.ts"\n`,
      "Helper.ts": `import "./Overlay.ts"\n`,
      "Overlay.ts": "export {}\n"
    }),
    /Peer must not reach Overlay \(by Helper\.ts -> Overlay\.ts\)/
  )
  hasOne(
    findImports({ "A.ts": `import "./B.ts"\n`, "B.ts": `export * from "./A.ts"\n` }),
    /cycle A\.ts -> B\.ts -> A\.ts/
  )
  hasOne(findImports({ "A.ts": `import "node:fs"\n` }), /only files named Node/)
  hasOne(findImports({ "NodeId.ts": `import "fs"\n` }), /only files named Node/)
  hasOne(findImports({ "A.ts": `import "./NodeX.ts"\n`, "NodeX.ts": "export {}\n" }), /Node\.js only/)
  hasOne(findImports({ "A.ts": `import { Effect } from "effect"\n` }), /barrel/)
  hasOne(findImports({ "A.ts": `import { Socket } from "effect/socket"\n` }), /barrel/)
  hasOne(findImports({ "A.ts": `import "./B"\n` }), /does not end in \.ts/)
  hasOne(findImports({ "A.ts": `import "../../overlay-test/src/B.ts"\n` }), /leaves the package/)
  hasOne(findImports({ "A.ts": `import "left-pad"\n` }), /neither a dependency/)
  hasOne(findImports({ "A.ts": `const x = () => import("left-pad")\n` }), /neither a dependency/)
})

const documented = "/**\n * A module.\n *\n * @since 0.1.0\n */\n"
const findDocs = (text: string) => docs.check({ path: "packages/overlay/src/A.ts", text })

test("docblocks: each rule, broken once", () => {
  const complete = "/**\n * A thing.\n *\n * @category models\n * @since 0.1.0\n */\n"
  assert.deepEqual(findDocs(`${documented}import "x"\n\n${complete}export const a = 1\n`), [])
  assert.deepEqual(findDocs(`${documented}\n/** For us alone.\n * @internal */\nexport const a = 1\n`), [])
  hasOne(findDocs(`${complete.replace("@since 0.1.0", "")}export type A = 1\n`).slice(0, 1), /no docblock with @since/)
  hasOne(findDocs(`${documented}export class A {}\n`), /:6: A has no docblock|A has no @category/)
  hasOne(findDocs(`${documented}\nconst b = 1\nexport interface A {}\n`), /:8: A has no docblock/)
  hasOne(findDocs(`${documented}\n${complete.replace("@category models", "")}export const a = 1\n`), /no @category/)
  hasOne(findDocs(`${documented}\n${complete.replace("A thing.", "")}export const a = 1\n`), /no sentence/)
  assert.equal(docs.isPublic("packages/overlay/src/internal/Bytes.ts"), false)
  assert.equal(docs.isPublic("packages/overlay/src/wire/NodeId.ts"), true)
})

test("examples: found in markdown and docblocks, and an error is placed where it stands", () => {
  const markdown = examples.examplesOf({
    path: "README.md",
    text: "# A\n\n```ts\nlet a: string = 1\n```\n\n```sh\nls\n```\n"
  })
  assert.deepEqual(markdown, [{ path: "README.md", line: 4, text: "let a: string = 1\n" }])
  const docblock = examples.examplesOf({
    path: "packages/overlay/src/A.ts",
    text:
      "/**\n * A.\n *\n * ```ts\n * import * as Effect from \"effect/Effect\"\n *\n * Effect.succeed(b)\n * ```\n */\n"
  })
  assert.deepEqual(docblock.map(({ line, text }) => [line, text.split("\n").length]), [[5, 4]])
  const findings = examples.check([...markdown, ...docblock])
  assert.equal(findings.filter((line) => line.startsWith("README.md:4: TS2322")).length, 1, findings.join("\n"))
  assert.equal(findings.filter((line) => line.startsWith("packages/overlay/src/A.ts:7: TS2304")).length, 1)
})

test("files: each rule, broken once", () => {
  const check = (path: string, text: string) => lengths.check({ path, text })
  const test = "packages/overlay/test/A.test.ts"
  assert.deepEqual(check("packages/overlay/src/A.ts", "f()\n".repeat(601)).errors.length, 1)
  assert.deepEqual(check("packages/overlay/src/A.ts", "f()\n".repeat(401)).warnings.length, 1)
  assert.deepEqual(check("packages/overlay/src/A.ts", "f()\n".repeat(400)), { errors: [], warnings: [] })
  assert.deepEqual(check("packages/overlay/src/A.ts", "// TODO later\n").errors.length, 1)
  assert.deepEqual(check(test, `it.effect.only("a", f)\n`).errors.length, 1)
  assert.deepEqual(check(test, `describe.skip("a", f)\n`).errors.length, 1)
  assert.deepEqual(check(test, `it("says it.only(", f) // it.skip(\n`).errors.length, 0)
})

test("barrels: public modules of any runtime, sorted, with their first paragraph", () => {
  const file = (path: string) => ({ path: `packages/overlay-sql/src/${path}`, text: documented })
  assert.equal(
    barrel(
      "overlay-sql",
      ["B.ts", "A.ts", "NodeSqlite.ts", "NodeId.ts", "internal/C.ts", "helper.ts", "index.ts"].map(file)
    ),
    "// Written by `npm run codegen`.\n\n" +
      ["A", "B", "NodeId"]
        .map((name) => `/**\n * A module.\n *\n * @since 0.1.0\n */\nexport * as ${name} from "./${name}.ts"\n`)
        .join("\n")
  )
})

test("lockfile: missing platforms are added, addresses removed, and a complete file is left alone", () => {
  assert.deepEqual(platformOf("@oxlint/binding-linux-arm64-musl"), { cpu: ["arm64"], libc: ["musl"], os: ["linux"] })
  assert.deepEqual(platformOf("@oxlint/binding-win32-x64-msvc"), { cpu: ["x64"], os: ["win32"] })
  assert.equal(platformOf("left-pad"), undefined)
  const lock = {
    packages: {
      "node_modules/tool": {
        version: "1.0.0",
        resolved: "https://registry.example/tool.tgz",
        dev: true,
        optionalDependencies: { "@tool/darwin-arm64": "1.0.0", "left-pad": "1.0.0" }
      }
    }
  }
  assert.equal(complete(lock).length, 2)
  assert.deepEqual(lock.packages, {
    "node_modules/@tool/darwin-arm64": { version: "1.0.0", cpu: ["arm64"], os: ["darwin"], dev: true, optional: true },
    "node_modules/tool": {
      version: "1.0.0",
      dev: true,
      optionalDependencies: { "@tool/darwin-arm64": "1.0.0", "left-pad": "1.0.0" }
    }
  })
  assert.equal(complete(lock).length, 0)
})

/** Runs a tool of the workspace on these files in a folder of their own. */
const runTool = (
  files: Record<string, string>,
  config: ReadonlyArray<string>,
  command: ReadonlyArray<string>
): string => {
  const folder = mkdtempSync(join(tmpdir(), "checks-"))
  try {
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "dir")
    for (const name of config) cpSync(join(root, name), join(folder, name))
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    const bin = join(root, "node_modules", ".bin", command[0]!)
    const result = spawnSync(bin, command.slice(1), { cwd: folder, encoding: "utf8" })
    return `${result.stdout}${result.stderr}`
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test("lint: time, chance, timers, promises and Node.js are refused in sources, except where they belong", () => {
  const bad = {
    "Date.now": "export const a = Date.now()",
    "new Date": "export const a = new Date()",
    "performance.now": "export const a = performance.now()",
    "Math.random": "export const a = Math.random()",
    setTimeout: "setTimeout(() => {}, 1)",
    setInterval: "setInterval(() => {}, 1)",
    setImmediate: "setImmediate(() => {})",
    queueMicrotask: "queueMicrotask(() => {})",
    "async function": "export const a = async () => 1",
    "new Promise": "export const a = new Promise(() => {})",
    "Promise.resolve": "export const a = Promise.resolve(1)",
    WebCrypto: "export const a = crypto.getRandomValues(new Uint8Array(1))",
    "globalThis.crypto": "export const a = globalThis.crypto.subtle",
    process: "export const a = process.env",
    Buffer: `export const a = Buffer.from("a")`,
    console: "console.log(1)",
    any: "export const a: any = 1",
    "ts-ignore": "// @ts-ignore\nexport const a = 1"
  }
  const names = Object.keys(bad)
  const files = (name: (index: number) => string) =>
    Object.fromEntries(Object.values(bad).map((text, index) => [name(index), `${text}\n`]))
  const lint = (list: Record<string, string>) =>
    runTool(list, [".oxlintrc.json"], ["oxlint", "--format", "unix", "packages"])

  const refused = lint(files((index) => `packages/overlay/src/A${index}.ts`))
  names.forEach((name, index) => assert.ok(refused.includes(`A${index}.ts:`), `${name} is not refused\n${refused}`))

  const allowed = lint(files((index) => `packages/overlay/src/NodeA${index}.ts`))
  names.forEach((name, index) => {
    const found = allowed.includes(`NodeA${index}.ts:`)
    assert.equal(found, name === "any" || name === "ts-ignore", `${name} in a file for Node.js\n${allowed}`)
  })
  assert.ok(lint({ "packages/overlay/src/NodeId.ts": "export const a = Date.now()\n" }).includes("NodeId.ts:"))
})

test("types: Effect diagnostics are errors", () => {
  const text = [
    `import * as Effect from "effect/Effect"`,
    `export const program = Effect.gen(function*() {`,
    `  Effect.log("never runs")`,
    `  return yield* Effect.succeed(1)`,
    `})`,
    ""
  ].join("\n")
  const output = runTool(
    { "a.ts": text, "tsconfig.json": `{ "extends": "./tsconfig.base.json", "include": ["a.ts"] }` },
    ["tsconfig.base.json"],
    ["tsc", "-p", ".", "--noEmit"]
  )
  assert.match(output, /a\.ts\(3,3\): error .*effect\(floatingEffect\)/)
})
