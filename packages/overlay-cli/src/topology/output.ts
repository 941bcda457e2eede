/** A topology in files: which format a name stands for, and what is written. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { toJsonText } from "../render/escape.ts"
import { toDot } from "./dot.ts"
import { toGraphml } from "./graphml.ts"
import { toHtml } from "./html.ts"
import { toNodeLink } from "./nodeLink.ts"
import { type Picture, picture, type PictureOptions } from "./picture.ts"
import { type Analysis, analyze } from "./statistics.ts"
import * as SurveyJson from "./surveyJson.ts"
import { toSvg } from "./svg.ts"
import type { Topology } from "./Topology.ts"

export const formats = ["svg", "html", "graphml", "dot", "json", "core-json", "script-json"] as const

export type Format = (typeof formats)[number]

const endings: ReadonlyArray<readonly [ending: string, format: Format]> = [
  [".core.json", "core-json"],
  [".script.json", "script-json"],
  [".svg", "svg"],
  [".html", "html"],
  [".htm", "html"],
  [".graphml", "graphml"],
  [".dot", "dot"],
  [".gv", "dot"],
  [".json", "json"]
]

/** The format of a file by the end of its name; undefined for any other name. */
export const formatOf = (path: string): Format | undefined =>
  endings.find(([ending]) => path.toLowerCase().endsWith(ending))?.[1]

/** How names may end, for a message. */
export const knownEndings: string = endings.map(([ending]) => ending).join(", ")

/** Computes what several formats share, when it is first needed and once. */
export class Renderer {
  readonly #topology: Topology
  readonly #options: PictureOptions
  readonly #results: SurveyJson.SurveyResults | undefined
  #picture: Picture | undefined
  #analysis: Analysis | undefined

  constructor(topology: Topology, options: PictureOptions = {}, results?: SurveyJson.SurveyResults) {
    this.#topology = topology
    this.#options = options
    this.#results = results
  }

  get picture(): Picture {
    return this.#picture ??= picture(this.#topology, this.#options)
  }

  get analysis(): Analysis {
    return this.#picture?.analysis ?? (this.#analysis ??= analyze(this.#topology))
  }

  render(format: Format): string {
    switch (format) {
      case "svg":
        return toSvg(this.picture)
      case "html":
        return toHtml(this.picture)
      case "dot":
        return toDot(this.picture)
      case "graphml":
        return toGraphml(this.#topology)
      case "json":
        return toNodeLink(this.#topology, this.analysis)
      case "core-json":
        return `${toJsonText(SurveyJson.toCore(this.#results ?? SurveyJson.fromTopology(this.#topology)), 2)}\n`
      case "script-json":
        return `${toJsonText(SurveyJson.toScript(this.#results ?? SurveyJson.fromTopology(this.#topology)))}\n`
    }
  }
}

/** Writes a file in whole or not at all: beside its place first. Fails with what the system says. */
export const writeFile = Effect.fnUntraced(function*(path: string, text: string) {
  const files = yield* FileSystem.FileSystem
  const beside = `${path}.part`
  yield* files.writeFileString(beside, text)
  yield* files.rename(beside, path)
})
