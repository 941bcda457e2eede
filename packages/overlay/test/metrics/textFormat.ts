/** A reader of Prometheus' text format 0.0.4, strict about what a scrape would refuse. */

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly help: string
  readonly type: string
  readonly samples: Array<Sample>
}

const unescape = (text: string): string => text.replaceAll(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c))

const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$/
const label = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\.)*)"/g

const numberOf = (text: string): number => {
  const value = text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text)
  if (Number.isNaN(value) && text !== "NaN") throw new Error(`not a number: ${text}`)
  return value
}

/** Families by name, in order. Throws for what is not in the format, comes twice, or has no family. */
export const parse = (text: string): Map<string, Family> => {
  if (!text.endsWith("\n")) throw new Error("the last line has no end")
  const families = new Map<string, Family>()
  const help = new Map<string, string>()
  const seen = new Set<string>()
  let current: [name: string, family: Family] | undefined
  for (const line of text.slice(0, -1).split("\n")) {
    const [, kind, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (kind === "HELP") {
      if (help.has(name!)) throw new Error(`help twice: ${name}`)
      help.set(name!, unescape(rest!))
      continue
    }
    if (kind === "TYPE") {
      if (families.has(name!)) throw new Error(`type twice: ${name}`)
      current = [name!, { help: help.get(name!) ?? "", type: rest!, samples: [] }]
      families.set(...current)
      continue
    }
    const match = sample.exec(line)
    if (match === null) throw new Error(`not a sample: ${line}`)
    const series = line.slice(0, line.lastIndexOf(" "))
    if (seen.has(series)) throw new Error(`series twice: ${series}`)
    seen.add(series)
    const suffix = current?.[1].type === "histogram" ? /_(bucket|sum|count)$/ : /$/
    if (current === undefined || match[1]!.replace(suffix, "") !== current[0]) throw new Error(`no family: ${line}`)
    const labels: Record<string, string> = {}
    for (const [, name, value] of (match[2] ?? "").matchAll(label)) labels[name!] = unescape(value!)
    current[1].samples.push({ name: match[1]!, labels, value: numberOf(match[3]!) })
  }
  return families
}
