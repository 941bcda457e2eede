/**
 * Says in words what the compiled program says as an offset. It walks the shapes themselves, so the two are independent
 * readings of the same definitions, and the tests hold them against each other.
 */
import type * as XdrShape from "../wire/XdrShape.ts"
import { readInt32, readUint32 } from "./bytes.ts"
import { maxDepth, paddingOf, tolerantFields } from "./xdrProgram.ts"

interface Problem {
  readonly offset: number
  readonly path: string
  readonly problem: string
}

/** The first thing wrong with bytes[start, end) as a value of the shape; undefined when nothing is. */
export const explain = (
  root: XdrShape.XdrShape,
  minimum: ReadonlyMap<XdrShape.XdrShape, number>,
  bytes: Uint8Array,
  start: number,
  end: number
): Problem | undefined => {
  const path = ["name" in root ? root.name : root.kind]
  let at = start
  let found: Problem | undefined

  // Both return whether the walk may go on.
  const fail = (offset: number, problem: string): false => {
    found = { offset, path: path.join(""), problem }
    return false
  }
  const need = (count: number): boolean =>
    end - at >= count || fail(end, `needs ${count} bytes where ${end - at} remain`)

  const within = (step: string, shape: XdrShape.XdrShape, depth: number): boolean => {
    path.push(step)
    const sound = walk(shape, depth)
    path.pop()
    return sound
  }

  const padding = (length: number): boolean => {
    for (const last = at + paddingOf(length); at < last; at++) {
      if (bytes[at] !== 0) return fail(at, `padding byte ${bytes[at]} where only 0 may be`)
    }
    return true
  }

  const walk = (shape: XdrShape.XdrShape, depth: number): boolean => {
    switch (shape.kind) {
      case "void":
        return true
      case "integer":
        return need(shape.bytes) && advance(shape.bytes)
      case "opaque":
        return need(shape.length + paddingOf(shape.length)) && advance(shape.length) && padding(shape.length)
      case "bool":
        return flag("boolean")
      case "enum":
        if (!need(4)) return false
        if (!shape.members.has(readInt32(bytes, at))) {
          return fail(at, `unknown ${shape.name} value ${readInt32(bytes, at)}`)
        }
        return advance(4)
      case "bytes": {
        if (!need(4)) return false
        const length = readUint32(bytes, at)
        if (length > shape.max) return fail(at, `length ${length} above the maximum of ${shape.max}`)
        const padded = length + paddingOf(length)
        if (padded > end - at - 4) return fail(at, `length ${length} where ${end - at - 4} bytes remain`)
        return advance(4 + length) && padding(length)
      }
    }
    if (depth > maxDepth) return fail(at, `nested deeper than ${maxDepth} levels`)
    switch (shape.kind) {
      case "list": {
        if (!need(4)) return false
        const count = readUint32(bytes, at)
        if (count > shape.max) return fail(at, `count ${count} above the maximum of ${shape.max}`)
        if (count * (minimum.get(shape.element) ?? 0) > end - at - 4) {
          return fail(at, `count ${count} where ${end - at - 4} bytes remain`)
        }
        advance(4)
        for (let i = 0; i < count; i++) if (!within(`[${i}]`, shape.element, depth + 1)) return false
        return true
      }
      case "tuple":
        for (let i = 0; i < shape.length; i++) if (!within(`[${i}]`, shape.element, depth + 1)) return false
        return true
      case "optional": {
        const present = end - at >= 4 && readUint32(bytes, at) === 1
        return flag("optional flag") && (!present || walk(shape.element, depth + 1))
      }
      case "struct":
        for (const field of shape.fields) {
          const part = tolerantFields.has(`${shape.name}.${field.name}`) ? anyWord : field.shape
          if (!within(`.${field.name}`, part, depth + 1)) return false
        }
        return true
      case "union": {
        if (!need(4)) return false
        const value = readInt32(bytes, at)
        const arm = shape.arms.get(value) ?? shape.otherwise
        if (arm === undefined) {
          return fail(
            at,
            `unknown discriminant ${value}${shape.switchName === undefined ? "" : ` of ${shape.switchName}`}`
          )
        }
        advance(4)
        return within(arm.name === "" ? "" : `.${arm.name}`, arm.shape, depth + 1)
      }
    }
  }

  const advance = (count: number): true => {
    at += count
    return true
  }

  const flag = (what: string): boolean => {
    if (!need(4)) return false
    const value = readUint32(bytes, at)
    return value > 1 ? fail(at, `${what} is ${value} where only 0 or 1 may be`) : advance(4)
  }

  if (walk(root, 0) && at !== end) fail(at, `${end - at} bytes left over`)
  return found
}

const anyWord: XdrShape.XdrShape = { kind: "integer", bytes: 4 }
