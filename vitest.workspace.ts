/**
 * The test projects, one per package. `npm test -- --project overlay` runs one of them, `npm test -- Frame` the files
 * whose path contains the word.
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { ClosingLine } from "./scripts/closing-line.ts"

// `npm test` runs on the pinned Node.js. Whoever calls vitest directly, under an older one, is taken there too.
if (Number(process.versions.node.split(".")[0]) < 22) {
  const pinned = fileURLToPath(new URL("./node_modules/node/bin/node", import.meta.url))
  process.exit(spawnSync(pinned, process.argv.slice(1), { stdio: "inherit" }).status ?? 1)
}

const conditions = ["@stellar-overlay/source", "module", "node", "development|production"]

const project = (name: string) => ({
  root: new URL(`./packages/${name}`, import.meta.url).pathname,
  ssr: { resolve: { conditions } }, // tests run the sources: `resolve.conditions` alone does not reach them
  test: {
    name,
    include: ["test/**/*.test.ts"],
    pool: "forks" as const, // some tests open sockets, spawn processes or trap globals: threads would share those
    sequence: { concurrent: false },
    // Guards against a test that hangs. No test passes or fails by time.
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})

export default defineConfig({
  test: {
    projects: ["overlay", "overlay-sql", "overlay-test", "overlay-cli"].map(project),
    allowOnly: false,
    maxWorkers: 2,
    teardownTimeout: 10_000,
    reporters: ["default", new ClosingLine()]
  }
})
