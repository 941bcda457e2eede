/**
 * A stellar-base value as plain JSON, all of it: structs by their fields, unions as `{ arm: value }`, enums by name, opaque
 * data as hexadecimal, keys as node ids, 64-bit numbers as decimal text.
 */
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"

const has = <K extends string>(value: object, key: K): value is Record<K, unknown> => key in value

/** Unions of this arm are public keys, which people know by another form. */
const PUBLIC_KEY_ARM = "publicKeyTypeEd25519"

const nameOf = (discriminant: unknown): string =>
  typeof discriminant === "object" && discriminant !== null && has(discriminant, "name")
    ? String(discriminant.name)
    : String(discriminant)

/** The inspected classes are stellar-base's, which has no public way to ask for the shape of a value. */
export const xdrJson = (value: unknown): unknown => {
  if (value === undefined || value === null) return null
  if (typeof value === "bigint") return String(value)
  if (typeof value !== "object") return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex")
  if (Array.isArray(value)) return value.map(xdrJson)
  if (has(value, "_attributes")) {
    const fields = value._attributes
    return typeof fields === "object" && fields !== null
      ? Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, xdrJson(field)]))
      : {}
  }
  if (has(value, "_switch")) {
    const arm = nameOf(value._switch)
    const content = has(value, "_value") ? value._value : undefined
    if (arm === PUBLIC_KEY_ARM && content instanceof Uint8Array) return NodeId.fromBytes(content)
    return content === undefined ? arm : { [arm]: xdrJson(content) }
  }
  if (has(value, "name")) return String(value.name)
  return String(value)
}
