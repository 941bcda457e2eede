/**
 * Compiles the shape of an XDR type to a flat program that checks bytes in place, and runs it.
 *
 * A program is an Int32Array of instructions. Structs vanish: runs of bytes that may hold anything become the `skip`
 * operand of the next instruction, so a fixed message costs a few instructions whatever the number of its fields.
 * Recursive types, and large types used in several places, become subroutines; the stack is an array of its own, so
 * depth of input never becomes depth of the JavaScript stack.
 */
import type * as XdrShape from "../wire/XdrShape.ts"
import { minimumSizes, parts } from "../wire/XdrShape.ts"

/**
 * Nested structs, unions, lists and optionals on one path from the root, the root not counted. The same number, counted
 * the same way, as stellar-base decodes (js-xdr `DEFAULT_MAX_DEPTH`); stellar-core allows 1,500.
 */
export const maxDepth = 200

/** Plain enum fields in which unknown values are tolerated; see `XdrValidator`. */
export const tolerantFields: ReadonlySet<string> = new Set(["Error.code", "DontHave.type"])

/** Bytes of padding after `length` bytes. */
export const paddingOf = (length: number): number => -length & 3

// Instructions with their operands. `skip` counts unconstrained bytes that lie before what the instruction is about.
// Only an instruction that reads a word compares with the end: having moved past it shows there, or at END.
const END = 0 //        skip                                      nothing may be left
const SKIP = 1 //       skip
const BYTES = 2 //      skip max                                  length word, bytes, zero padding
const UNION = 3 //      skip min span otherwise target*span       jump by discriminant; target 0 refuses
const EXPECT = 4 //     skip value                                a word with one valid value
const ENUM = 5 //       skip min span known*span                  a word with several; known is 0 or 1
const OPTIONAL = 6 //   skip absent                               flag word; jump when it is 0
const LIST = 7 //       skip max elementMinimum empty             count word; jump when it is 0, else loop until NEXT
const NEXT = 8 //       skip
const FLAT_LIST = 9 //  skip max elementBytes                     count word, elements without constraints
const CALL = 10 //      skip target levels                        refuses as DEPTH does
const RETURN = 11 //    skip
const JUMP = 12 //      skip target
const DEPTH = 13 //     skip levels                               refuse when nested too deeply
const PADDING = 14 //   skip bytes

const maxLength = 0x7fffffff
// The widest table stellar-base asks for spans 0 to 2000 (SCSpecType).
const maxSpan = 4096

/** A subroutine is worth its call when it is used more than once and longer than this many words. */
const inlineWords = 48

/**
 * Compiles a shape. Throws for definitions it cannot express (none are reachable from StellarMessage), never for input.
 */
export const compile = (root: XdrShape.XdrShape): Int32Array => {
  const minimum = minimumSizes(root)
  const { deep, subroutines } = plan(root)
  const code: Array<number> = []
  const calls: Array<{ readonly slot: number; readonly shape: XdrShape.XdrShape }> = []
  let pending = 0
  let lastDepth = -1

  const push = (instruction: number, ...operands: ReadonlyArray<number>): void => {
    code.push(instruction, pending, ...operands)
    pending = 0
  }
  const label = (): number => {
    if (pending > 0) push(SKIP)
    lastDepth = -1
    return code.length
  }

  // `levels` is the depth of the shape below the entry of the routine being compiled. Of checks at one place the
  // deepest says it all.
  const depth = (shape: XdrShape.XdrShape, levels: number): void => {
    if (levels === 0 || !deep.has(shape)) return
    if (pending === 0 && lastDepth >= 0 && lastDepth === code.length - 3) code[lastDepth + 2] = levels
    else {
      lastDepth = code.length
      push(DEPTH, levels)
    }
  }

  const emit = (shape: XdrShape.XdrShape, levels: number): void => {
    if (!subroutines.has(shape)) return emitInline(shape, levels)
    push(CALL, 0, levels)
    calls.push({ slot: code.length - 2, shape })
  }

  const emitInline = (shape: XdrShape.XdrShape, levels: number): void => {
    switch (shape.kind) {
      case "void":
        return
      case "integer":
        pending += shape.bytes
        return
      case "bool":
        return push(ENUM, 0, 2, 1, 1)
      case "enum": {
        const { min, span } = range(shape.members.keys())
        return push(ENUM, min, span, ...Array.from({ length: span }, (_, i) => shape.members.has(min + i) ? 1 : 0))
      }
      case "opaque":
        pending += shape.length
        if (paddingOf(shape.length) > 0) push(PADDING, paddingOf(shape.length))
        return
      case "bytes":
        return push(BYTES, Math.min(shape.max, maxLength))
      case "list":
        depth(shape, levels)
        return emitList(shape, levels)
      case "tuple":
        depth(shape, levels)
        for (let i = 0; i < shape.length; i++) emit(shape.element, levels + 1)
        return
      case "optional": {
        depth(shape, levels)
        push(OPTIONAL, 0)
        const absent = code.length - 1
        emit(shape.element, levels + 1)
        code[absent] = label()
        return
      }
      case "struct":
        depth(shape, levels)
        for (const field of shape.fields) {
          if (tolerantFields.has(`${shape.name}.${field.name}`)) pending += 4
          else emit(field.shape, levels + 1)
        }
        return
      case "union":
        depth(shape, levels)
        return emitUnion(shape, levels)
    }
  }

  const emitList = (shape: XdrShape.List, levels: number): void => {
    const max = Math.min(shape.max, maxLength)
    const flat = deep.has(shape.element) && shape.element.kind === "struct" ? undefined : flatSize(shape.element)
    const least = flat ?? minimum.get(shape.element) ?? 0
    // An element of no bytes would let a count word cost time without costing the sender bytes.
    if (least === 0) throw new TypeError("an XDR list of elements that may be empty")
    if (flat !== undefined) return push(FLAT_LIST, max, flat)
    push(LIST, max, least, 0)
    const empty = code.length - 1
    emit(shape.element, levels + 1)
    push(NEXT)
    code[empty] = label()
  }

  const emitUnion = (shape: XdrShape.Union, levels: number): void => {
    const [only] = shape.arms
    if (only !== undefined && shape.arms.size === 1 && shape.otherwise === undefined) {
      push(EXPECT, only[0])
      return emit(only[1].shape, levels + 1)
    }
    const { min, span } = range(shape.arms.keys())
    push(UNION, min, span, 0, ...Array.from({ length: span }, () => 0))
    const targets = code.length - span
    const joins: Array<number> = []
    const emitArm = (slot: number, arm: XdrShape.Arm): void => {
      const entry = label()
      emit(arm.shape, levels + 1)
      if (code.length === entry && pending === 0) joins.push(slot)
      else {
        code[slot] = entry
        push(JUMP, 0)
        joins.push(code.length - 1)
      }
    }
    for (const [value, arm] of shape.arms) emitArm(targets + value - min, arm)
    if (shape.otherwise !== undefined) emitArm(targets - 1, shape.otherwise)
    const join = label()
    for (const slot of joins) code[slot] = join
  }

  emitInline(root, 0)
  push(END)
  const entries = new Map<XdrShape.XdrShape, number>()
  for (const shape of subroutines) {
    // CALL has checked the depth of the shape itself.
    entries.set(shape, label())
    emitInline(shape, 0)
    push(RETURN)
  }
  for (const { slot, shape } of calls) code[slot] = entries.get(shape) ?? 0
  return Int32Array.from(code)
}

/** The values a table of discriminants spans. */
const range = (keys: Iterable<number>): { readonly min: number; readonly span: number } => {
  const values = [...keys]
  const min = Math.min(...values)
  const span = Math.max(...values) - min + 1
  if (span > maxSpan) throw new TypeError("XDR discriminants too far apart for a table")
  return { min, span }
}

/** The size of a shape every value of which has that size and is valid; undefined for the others. */
const flatSize = (shape: XdrShape.XdrShape): number | undefined => {
  switch (shape.kind) {
    case "void":
      return 0
    case "integer":
      return shape.bytes
    case "opaque":
      return paddingOf(shape.length) === 0 ? shape.length : undefined
    case "struct":
      return shape.fields.reduce<number | undefined>((sum, field) => {
        const size = sum === undefined ? undefined : flatSize(field.shape)
        return sum === undefined || size === undefined ? undefined : sum + size
      }, 0)
    default:
      return undefined
  }
}

/**
 * Which shapes become subroutines, and which may lie at any depth because a recursive type contains them (only those
 * pay for depth checks).
 */
const plan = (root: XdrShape.XdrShape) => {
  const subroutines = new Set<XdrShape.XdrShape>()
  const uses = new Map<XdrShape.XdrShape, number>()
  const words = new Map<XdrShape.XdrShape, number>()
  const heights = new Map<XdrShape.XdrShape, number>()
  const path = new Set<XdrShape.XdrShape>()
  const recursive = new Set<XdrShape.XdrShape>()

  const visit = (shape: XdrShape.XdrShape): void => {
    uses.set(shape, (uses.get(shape) ?? 0) + 1)
    if (path.has(shape)) recursive.add(shape)
    if (uses.get(shape) !== 1) return
    path.add(shape)
    const inner = parts(shape)
    inner.forEach(visit)
    path.delete(shape)
    heights.set(shape, 1 + Math.max(0, ...inner.map((part) => heights.get(part) ?? 0)))
  }
  visit(root)
  if ((heights.get(root) ?? 0) > maxDepth) throw new TypeError("XDR types nested too deeply without recursion")

  // Cutting the graph at the recursive types leaves no cycle, so lengths can be summed.
  const length = (shape: XdrShape.XdrShape): number => {
    if (recursive.has(shape) && path.has(shape)) return 3
    const known = words.get(shape)
    if (known !== undefined) return known
    path.add(shape)
    const own = shape.kind === "union" ? 5 + 3 * shape.arms.size : shape.kind === "enum" ? 4 + shape.members.size : 3
    const sum = parts(shape).reduce((total, part) => total + length(part), own)
    path.delete(shape)
    const subroutine = recursive.has(shape) || (sum > inlineWords && (uses.get(shape) ?? 0) > 1)
    if (subroutine) subroutines.add(shape)
    words.set(shape, subroutine ? 3 : sum)
    return words.get(shape) ?? sum
  }
  length(root)

  const deep = new Set<XdrShape.XdrShape>(recursive)
  for (const shape of deep) for (const part of parts(shape)) deep.add(part)
  return { subroutines, deep }
}

// Pairs of (where to go on, elements left or levels). A shape on the path from the root has at most two frames, one for
// the call and one for its loop when it is a list; CALL and DEPTH refuse a path that grows beyond `maxDepth`.
const stack = new Int32Array(2 * 2 * (maxDepth + 2))

/**
 * Runs a program over bytes[start, end): -1 when they are exactly one valid value, else the offset of the first byte
 * that is not as it must be; `end` itself when bytes are missing. Allocates nothing.
 */
export const run = (program: Int32Array, bytes: Uint8Array, start: number, end: number): number => {
  let at = start
  let pc = 0
  let top = 0
  let level = 0
  for (;;) {
    at += program[pc + 1]!
    // V8 makes a jump table of literal labels only: with named constants, code that is not optimized yet takes twice
    // as long.
    switch (program[pc]!) {
      case 0: // END
        return at === end ? -1 : at > end ? end : at
      case 1: // SKIP
        pc += 2
        break
      case 2: { // BYTES
        if (at + 4 > end) return end
        const length = word(bytes, at) >>> 0
        const padded = length + (-length & 3)
        if (length > program[pc + 2]! || padded > end - at - 4) return at
        at += 4 + padded
        for (let i = at - padded + length; i < at; i++) if (bytes[i]! !== 0) return i
        pc += 3
        break
      }
      case 3: { // UNION
        if (at + 4 > end) return end
        const index = word(bytes, at) - program[pc + 2]!
        const slot = index >>> 0 < program[pc + 3]! ? pc + 5 + index : pc + 4
        const target = program[slot]! || program[pc + 4]!
        if (target === 0) return at
        at += 4
        pc = target
        break
      }
      case 4: // EXPECT
        if (at + 4 > end) return end
        if (word(bytes, at) !== program[pc + 2]!) return at
        at += 4
        pc += 3
        break
      case 5: { // ENUM
        if (at + 4 > end) return end
        const index = word(bytes, at) - program[pc + 2]!
        const span = program[pc + 3]!
        if (index >>> 0 >= span || program[pc + 4 + index]! === 0) return at
        at += 4
        pc += 4 + span
        break
      }
      case 6: { // OPTIONAL
        if (at + 4 > end) return end
        const flag = word(bytes, at)
        if (flag >>> 0 > 1) return at
        at += 4
        pc = flag === 0 ? program[pc + 2]! : pc + 3
        break
      }
      case 7: { // LIST
        if (at + 4 > end) return end
        const count = word(bytes, at) >>> 0
        if (count > program[pc + 2]! || count * program[pc + 3]! > end - at - 4) return at
        at += 4
        if (count === 0) pc = program[pc + 4]!
        else {
          pc += 5
          stack[top] = pc
          stack[top + 1] = count
          top += 2
        }
        break
      }
      case 8: { // NEXT
        const left = stack[top - 1]! - 1
        if (left > 0) {
          stack[top - 1] = left
          pc = stack[top - 2]!
        } else {
          top -= 2
          pc += 2
        }
        break
      }
      case 9: { // FLAT_LIST
        if (at + 4 > end) return end
        const count = word(bytes, at) >>> 0
        const size = count * program[pc + 3]!
        if (count > program[pc + 2]! || size > end - at - 4) return at
        at += 4 + size
        pc += 4
        break
      }
      case 10: // CALL
        stack[top] = pc + 4
        stack[top + 1] = program[pc + 3]!
        top += 2
        level += program[pc + 3]!
        if (level > maxDepth) return at > end ? end : at
        pc = program[pc + 2]!
        break
      case 11: // RETURN
        top -= 2
        level -= stack[top + 1]!
        pc = stack[top]!
        break
      case 12: // JUMP
        pc = program[pc + 2]!
        break
      case 13: // DEPTH
        if (level + program[pc + 2]! > maxDepth) return at > end ? end : at
        pc += 3
        break
      default: { // PADDING: the compiler emits nothing else
        const last = at + program[pc + 2]!
        if (last > end) return end
        for (; at < last; at++) if (bytes[at]! !== 0) return at
        pc += 3
      }
    }
  }
}

const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
