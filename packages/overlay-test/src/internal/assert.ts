/** Assertions for suites that any runner may run: a failed one throws, which inside an effect is a defect. */
import * as Equal from "effect/Equal"

export const fail = (message: string): never => {
  throw new Error(message)
}

export const ok = (value: boolean, message: string): void => {
  if (!value) fail(message)
}

/** Equality by value. */
export const equal = <A>(actual: A, expected: A, message = ""): void => {
  if (!Equal.equals(actual, expected)) fail(`${message} expected ${show(expected)}, got ${show(actual)}`.trim())
}

export const notEqual = <A>(actual: A, unexpected: A, message = ""): void => {
  if (Equal.equals(actual, unexpected)) fail(`${message} got ${show(actual)}, which it must not be`.trim())
}

const show = (value: unknown): string =>
  value instanceof Uint8Array ? `[${value.join()}]` : JSON.stringify(value) ?? "undefined"
