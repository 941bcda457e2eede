/**
 * The shape of an XDR type as plain data, read from the type definitions that stellar-base itself decodes with.
 *
 * Nothing about the protocol's types is written down a second time: the validator, its diagnostics and the random
 * message generator of the test package all walk the shapes made here.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"

/**
 * A type definition of stellar-base: any member of its `xdr` namespace, such as `xdr.StellarMessage`.
 *
 * @category models
 * @since 0.1.0
 */
export interface XdrDefinition {
  readonly fromXDR: (...args: never) => unknown
}

/**
 * No bytes at all: the arm of a union that carries nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Void {
  readonly kind: "void"
}

/**
 * An integer of `bytes` bytes, every value of which is valid.
 *
 * @category models
 * @since 0.1.0
 */
export interface Integer {
  readonly kind: "integer"
  readonly bytes: number
}

/**
 * A 4-byte boolean.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bool {
  readonly kind: "bool"
}

/**
 * A 4-byte enumeration; `members` maps each known value to its name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Enum {
  readonly kind: "enum"
  readonly name: string
  readonly members: ReadonlyMap<number, string>
}

/**
 * Exactly `length` bytes, then zeros up to the next multiple of four.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opaque {
  readonly kind: "opaque"
  readonly length: number
}

/**
 * A length word, at most `max` bytes, then zeros up to the next multiple of four. A string (`text`) differs from a
 * variable opaque in intent only: XDR strings are bytes, in no particular encoding.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bytes {
  readonly kind: "bytes"
  readonly max: number
  readonly text: boolean
}

/**
 * A count word, then at most `max` elements.
 *
 * @category models
 * @since 0.1.0
 */
export interface List {
  readonly kind: "list"
  readonly max: number
  readonly element: XdrShape
}

/**
 * Exactly `length` elements.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tuple {
  readonly kind: "tuple"
  readonly length: number
  readonly element: XdrShape
}

/**
 * A flag word that is 0 or 1, then the element when it is 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface Optional {
  readonly kind: "optional"
  readonly element: XdrShape
}

/**
 * The fields in order, nothing between them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Struct {
  readonly kind: "struct"
  readonly name: string
  readonly fields: ReadonlyArray<Field>
}

/**
 * A named part of a struct.
 *
 * @category models
 * @since 0.1.0
 */
export interface Field {
  readonly name: string
  readonly shape: XdrShape
}

/**
 * A discriminant word, then the arm it selects. `switchName` is the enumeration the discriminant belongs to, or
 * undefined when it is a plain integer; `otherwise` is the arm of every discriminant that a plain-integer union does
 * not name, when it declares one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Union {
  readonly kind: "union"
  readonly name: string
  readonly switchName: string | undefined
  readonly arms: ReadonlyMap<number, Arm>
  readonly otherwise: Arm | undefined
}

/**
 * What a discriminant selects: `name` is the arm's accessor in stellar-base, or `""` for an arm that carries nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Arm {
  readonly name: string
  readonly shape: XdrShape
}

/**
 * The shape of an XDR type. Shapes of recursive types are cyclic graphs.
 *
 * @category models
 * @since 0.1.0
 */
export type XdrShape = Void | Integer | Bool | Enum | Opaque | Bytes | List | Tuple | Optional | Struct | Union

const cache = new WeakMap<object, XdrShape>()

/**
 * The shape of a stellar-base type. The same definition always gives the same object.
 *
 * Definitions are recognised by what they hold and how they answer, never by class identity or class name, so that
 * the minified build of stellar-base, which carries its own js-xdr, gives the same shapes.
 *
 * Throws when a definition is of a kind no StellarMessage contains (floating point): a defect of the set-up, not of input.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromDefinition = (definition: XdrDefinition): XdrShape => shapeOf(definition)

const shapeOf = (type: unknown): XdrShape => {
  if (!Predicate.isObjectKeyword(type)) throw new TypeError(`not an XDR definition: ${String(type)}`)
  const known = cache.get(type)
  if (known !== undefined) return known
  if (Predicate.hasProperty(type, "_fields")) return structOf(type, type._fields)
  if (Predicate.hasProperty(type, "_switches")) return unionOf(type, type._switches)
  const shape = leafOf(type)
  cache.set(type, shape)
  return shape
}

// Structs and unions enter the cache before their parts are read: every cycle passes through one of them.
const structOf = (type: object, entries: unknown): Struct => {
  const fields: Array<Field> = []
  const shape: Struct = { kind: "struct", name: textOf(type, "structName"), fields }
  cache.set(type, shape)
  for (const entry of iterableOf(entries)) {
    const [name, part] = iterableOf(entry)
    fields.push({ name: String(name), shape: shapeOf(part) })
  }
  return shape
}

const unionOf = (type: object, switches: unknown): Union => {
  const switchOn = shapeOf(propertyOf(type, "_switchOn"))
  const members = switchOn.kind === "enum" ? switchOn.members : undefined
  const armTypes = propertyOf(type, "_arms")
  const defaultArm = propertyOf(type, "_defaultArm")
  const armOf = (arm: unknown): Arm =>
    typeof arm === "string"
      ? { name: arm, shape: shapeOf(propertyOf(armTypes, arm)) }
      : { name: "", shape: shapeOf(arm) }
  const arms = new Map<number, Arm>()
  const shape: Union & { otherwise: Arm | undefined } = {
    kind: "union",
    name: textOf(type, "unionName"),
    switchName: switchOn.kind === "enum" ? switchOn.name : undefined,
    arms,
    otherwise: undefined
  }
  cache.set(type, shape)
  for (const entry of iterableOf(switches)) {
    const [key, arm] = iterableOf(entry)
    arms.set(Predicate.hasProperty(key, "value") ? Number(key.value) : Number(key), armOf(arm))
  }
  if (defaultArm !== undefined) {
    if (members === undefined) shape.otherwise = armOf(defaultArm)
    else for (const value of members.keys()) if (!arms.has(value)) arms.set(value, armOf(defaultArm))
  }
  return shape
}

const leafOf = (type: object): XdrShape => {
  const has = (name: string) => Predicate.hasProperty(type, name)
  if (has("_byValue")) {
    const members = new Map<number, string>()
    for (const [name, member] of Object.entries(Object(propertyOf(type, "_members")))) {
      members.set(numberOf(member, "value"), name)
    }
    return { kind: "enum", name: textOf(type, "enumName"), members }
  }
  if (has("_childType")) {
    const element = shapeOf(propertyOf(type, "_childType"))
    if (has("_maxLength")) return { kind: "list", max: numberOf(type, "_maxLength"), element }
    if (has("_length")) return { kind: "tuple", length: numberOf(type, "_length"), element }
    return { kind: "optional", element }
  }
  if (has("_maxLength")) return { kind: "bytes", max: numberOf(type, "_maxLength"), text: has("readString") }
  if (has("_length")) return { kind: "opaque", length: numberOf(type, "_length") }
  const prototype = Predicate.hasProperty(type, "prototype") ? type.prototype : undefined
  if (Predicate.hasProperty(prototype, "unsigned") && typeof prototype.unsigned === "boolean") {
    return { kind: "integer", bytes: numberOf(prototype, "size") / 8 }
  }
  if (accepts(type, undefined)) return { kind: "void" }
  if (accepts(type, true)) return { kind: "bool" }
  if (accepts(type, 1) && !accepts(type, 0.5)) return { kind: "integer", bytes: 4 }
  throw new TypeError("an XDR definition of an unsupported kind")
}

const accepts = (type: object, value: unknown): boolean =>
  Predicate.hasProperty(type, "isValid") && typeof type.isValid === "function" && type.isValid(value) === true

const propertyOf = (type: unknown, name: string): unknown => Predicate.hasProperty(type, name) ? type[name] : undefined

const textOf = (type: unknown, name: string): string => String(propertyOf(type, name))

const numberOf = (type: unknown, name: string): number => {
  const value = propertyOf(type, name)
  if (typeof value !== "number") throw new TypeError(`an XDR definition without a number ${name}`)
  return value
}

const iterableOf = (value: unknown): Iterable<unknown> => {
  if (!Predicate.isIterable(value)) throw new TypeError("an XDR definition without a list of its parts")
  return value
}

/**
 * The shapes a shape is made of, in the order of the bytes.
 *
 * @category getters
 * @since 0.1.0
 */
export const parts = (shape: XdrShape): ReadonlyArray<XdrShape> => {
  switch (shape.kind) {
    case "struct":
      return shape.fields.map((field) => field.shape)
    case "union":
      return [...shape.arms.values(), ...(shape.otherwise === undefined ? [] : [shape.otherwise])].map((arm) =>
        arm.shape
      )
    case "list":
    case "tuple":
    case "optional":
      return [shape.element]
    default:
      return []
  }
}

/**
 * Every shape reachable from a shape, itself first, each once.
 *
 * @category getters
 * @since 0.1.0
 */
export const reachable = (root: XdrShape): ReadonlyArray<XdrShape> => {
  const seen = new Set<XdrShape>([root])
  // A Set iterates over what is added to it on the way.
  for (const shape of seen) for (const part of parts(shape)) seen.add(part)
  return [...seen]
}

/**
 * The size in bytes of the smallest value of each shape reachable from a shape: 0 for void, 4 for a list, and so on.
 *
 * @category getters
 * @since 0.1.0
 */
export const minimumSizes = (root: XdrShape): ReadonlyMap<XdrShape, number> => {
  const shapes = reachable(root)
  const sizes = new Map<XdrShape, number>(shapes.map((shape) => [shape, Infinity]))
  const sizeOf = (shape: XdrShape): number => sizes.get(shape) ?? Infinity
  const measure = (shape: XdrShape): number => {
    switch (shape.kind) {
      case "void":
        return 0
      case "integer":
        return shape.bytes
      case "opaque":
        return (shape.length + 3) & ~3
      case "tuple":
        return shape.length * sizeOf(shape.element)
      case "struct":
        return parts(shape).reduce((sum, part) => sum + sizeOf(part), 0)
      case "union":
        return 4 + Math.min(...parts(shape).map(sizeOf))
      default:
        return 4
    }
  }
  // Sizes only ever fall, and by whole bytes: the least fixed point is reached in as many rounds as types nest.
  for (let changed = true; changed;) {
    changed = false
    for (const shape of shapes) {
      const size = measure(shape)
      if (size < sizeOf(shape)) {
        sizes.set(shape, size)
        changed = true
      }
    }
  }
  return sizes
}
