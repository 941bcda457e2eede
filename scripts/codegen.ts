/**
 * Writes the barrel `src/index.ts` of each library and the pages of drop reasons and metrics, or with `--check` says
 * which is out of date.
 *
 * A barrel has every public module that runs on any runtime as a namespace, with the first paragraph of the module's
 * docblock. Modules for Node.js (`Node*.ts`) are imported by their own path, `@stellar-overlay/overlay/NodeTransport`.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join, posix } from "node:path"
import * as DropReason from "../packages/overlay/src/DropReason.ts"
import * as OverlayMetricNames from "../packages/overlay/src/OverlayMetricNames.ts"
import { errorCodeName } from "../packages/overlay/src/wire/StellarMessage.ts"
import { isPublic } from "./check-docs.ts"
import { isNodeFile, root, type SourceFile, sources } from "./lib/workspace.ts"

/** The folders under `src` whose modules a barrel shows. */
const shown: Readonly<Record<string, ReadonlyArray<string>>> = {
  overlay: [".", "wire", "protocol"],
  "overlay-sql": ["."],
  "overlay-test": [".", "contract"]
}

const firstParagraph = (text: string): Array<string> => {
  const docblock = /^\s*\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? ""
  const lines = docblock.split("\n").map((line) => line.replace(/^\s*\*? ?/, "").trimEnd())
  const start = lines.findIndex((line) => line !== "")
  if (start === -1 || lines[start]!.startsWith("@")) return []
  const end = lines.findIndex((line, index) => index > start && (line === "" || line.startsWith("@")))
  return lines.slice(start, end === -1 ? undefined : end)
}

/** The text of a barrel for the sources of one package. */
export const barrel = (folder: string, files: ReadonlyArray<SourceFile>): string => {
  const src = `packages/${folder}/src`
  const modules = files
    .map((file) => ({ ...file, inside: posix.relative(src, file.path) }))
    .filter(({ inside, path }) => shown[folder]!.includes(posix.dirname(inside)) && isPublic(path) && !isNodeFile(path))
    .map((file) => ({ ...file, name: posix.basename(file.path, ".ts") }))
    .sort((a, b) => a.name < b.name ? -1 : 1)
  const blocks = modules.map(({ inside, name, text }) => {
    const lines = [...firstParagraph(text), "", "@since 0.1.0"]
    return `/**\n${
      lines.map((line) => line === "" ? " *" : ` * ${line}`).join("\n")
    }\n */\nexport * as ${name} from "./${inside}"\n`
  })
  return ["// Written by `npm run codegen`.\n", ...blocks].join("\n")
}

const droppedBy = { us: "we end it", remote: "the remote ends it", network: "the network ends it" }

/** The text of docs/drop-reasons.md, which every reason points to. */
export const dropReasons = (): string => {
  const sections = DropReason.tags.map((tag) => {
    const reason = DropReason.make(tag, "…")
    const code = DropReason.errorCode(reason)
    const facts = [droppedBy[DropReason.droppedBy(reason)], DropReason.kind(reason), code && errorCodeName(code)]
    return `## ${tag}\n\n\`${DropReason.text(reason)}\`: ${facts.filter((fact) => fact !== undefined).join(", ")}.\n\n${
      DropReason.hint(reason)
    }\n`
  })
  return `# Drop reasons

Why connections end. Each connection ends for exactly one of these reasons; the text is stellar-core's where core has the
same reason, and … stands for the details. "We" is this node. An ERROR_MSG, where one is named, reaches the remote before
the connection is closed.

${sections.join("\n")}`
}

const labelText = ({ bound, name, values }: OverlayMetricNames.MetricLabel): string =>
  `${name} (${
    values === undefined ? `at most ${bound}` : values.length > 8 ? `${values.length} values` : values.join(", ")
  })`

/** The text of docs/metrics.md. */
export const metrics = (): string => {
  const rows = OverlayMetricNames.names.map((name) => {
    const { core, help, labels, type, unit } = OverlayMetricNames.definitionOf(name)
    return `| \`${name}\` | ${type} | ${unit} | ${labels.map(labelText).join("; ")} | ${help} | ${
      core === undefined ? "" : `\`${core}\``
    } |`
  })
  return `# Metrics

What a node counts and measures, with stellar-core's name where it has the same metric. Per-message counts are increments in
the connection's own state, summed when somebody asks; histograms are shared by all connections of a node. All label values
come from closed lists, but for \`peer\`, of which there are never more than ${OverlayMetricNames.MAX_PEER_LABELS} and \`other\`.

Core's meters are counters here, its timers histograms in seconds, its counters gauges. \`X\` in core's names is the value of
the label \`type\`. \`overlay.message.drop\` is never marked, in core and here. \`overlay.flood.tx-batch-size\` exists in core's
test builds only and not here; \`app.post-on-overlay-thread.delay\` is the wait for a thread that does not exist here, for
which the delay of the event loop is the equivalent. \`overlay.timeout.*\` and \`overlay.error.*\` follow from the
reasons of drops.

| Name | Type | Unit | Labels | Meaning | stellar-core |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}
`
}

/** Writes what is out of date, unless `dry`, and returns the paths. */
export const run = (dry: boolean): Array<string> => {
  const files = new Map(
    Object.keys(shown).map((folder) => {
      const src = `packages/${folder}/src`
      return [`${src}/index.ts`, barrel(folder, sources(src))]
    })
  )
  files.set("docs/drop-reasons.md", dropReasons())
  files.set("docs/metrics.md", metrics())
  return [...files].flatMap(([path, text]) => {
    const file = join(root, path)
    if (existsSync(file) && readFileSync(file, "utf8") === text) return []
    if (!dry) writeFileSync(file, text)
    return [path]
  })
}

if (import.meta.main) {
  const stale = run(process.argv.includes("--check"))
  console.log(stale.length === 0 ? "Generated files are up to date." : stale.join("\n"))
}
