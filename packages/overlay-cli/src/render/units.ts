/** Numbers for people. */

const scaled = (value: number, units: ReadonlyArray<string>): string => {
  let at = 0
  while (value >= 999.5 && at < units.length - 1) {
    value /= 1000
    at++
  }
  const digits = at === 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0
  return `${value.toFixed(digits)} ${units[at]}`
}

/** `316 B`, `14.2 kB`, `1.05 MB`. */
export const bytes = (value: number): string => scaled(value, ["B", "kB", "MB", "GB", "TB"])

/** `41`, `1 204`: digits in groups of three. */
export const count = (value: number | bigint): string => String(value).replace(/\B(?=(\d{3})+$)/g, " ")

/** A rate per second: `0.5`, `41`, `120 433`. */
export const rate = (perSecond: number): string =>
  perSecond < 9.95 ? perSecond.toFixed(1) : count(Math.round(perSecond))

/** `0.42 ms`, `12 ms`, `1.3 s`. */
export const millis = (value: number): string => {
  if (value >= 999.5) return `${(value / 1000).toFixed(1)} s`
  return `${value < 0.995 ? value.toFixed(2) : value < 9.95 ? value.toFixed(1) : String(Math.round(value))} ms`
}

/** `59 s`, `12 min`, `3 h`, `2 days`. */
export const seconds = (value: number): string => {
  if (value < 120) return `${Math.round(value)} s`
  if (value < 7200) return `${Math.round(value / 60)} min`
  return value < 172_800 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86_400)} days`
}

/** Local time of day: `14:03:07.042`. */
export const timeOfDay = (unixMillis: number): string => {
  const date = new Date(unixMillis)
  const two = (value: number) => String(value).padStart(2, "0")
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${
    String(date.getMilliseconds()).padStart(3, "0")
  }`
}

/** `1 message`, `2 messages`. */
export const plural = (value: number | bigint, noun: string, nouns = `${noun}s`): string =>
  `${count(value)} ${Number(value) === 1 ? noun : nouns}`

/** The value that a share of the others does not exceed; undefined of none. `values` is sorted in place. */
export const quantile = (values: Array<number>, share: number): number | undefined =>
  values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]
