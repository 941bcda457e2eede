/**
 * Attacks with bytes that are no XDR, or too much of it: X1 to X6.
 *
 * The places that XDR constrains come from stellar-base's own definitions (`RandomXdr` marks them), so that no field is
 * forgotten.
 *
 * @since 0.1.0
 */
import type { MessageTag } from "@stellar-overlay/overlay/wire/MessageType"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { tolerantFields } from "@stellar-overlay/overlay/wire/XdrValidator"
import type { PeerScript } from "../PeerScript.ts"
import type { Mark } from "../RandomXdr.ts"
import { type Attack, attack, bothRoles, type Case } from "./Attack.ts"
import { everyTag, hash, random, transaction, txSet, words } from "./parts.ts"

/** Seeds tried for each message type in search of every kind of place, and for transactions in search of a boolean. */
const SEEDS = 12
const BOOLEAN_SEEDS = 80

interface Place {
  readonly tag: MessageTag
  readonly bytes: Uint8Array
  readonly mark: Mark
}

/** One valid message for every field of every message type where the given kinds of constraint occur. */
const placesOf = (...kinds: ReadonlyArray<Mark["kind"]>): ReadonlyArray<Place> => placesIn(everyTag, SEEDS, kinds)

const placesIn = (
  tags: ReadonlyArray<MessageTag>,
  seeds: number,
  kinds: ReadonlyArray<Mark["kind"]>
): ReadonlyArray<Place> => {
  const found = new Map<string, Place>()
  for (const tag of tags) {
    for (let seed = 1; seed <= seeds; seed++) {
      const { bytes, marks } = random(tag, seed, 600)
      for (const mark of marks) {
        const key = `${tag}/${mark.field}/${mark.kind}`
        if (kinds.includes(mark.kind) && !found.has(key)) found.set(key, { tag, bytes, mark })
      }
    }
  }
  return [...found.values()]
}

/** Booleans are rare: the only ones are those of contracts. */
const booleans = placesIn(["Transaction"], BOOLEAN_SEEDS, ["bool"])

const nameOf = ({ mark, tag }: Place): string =>
  `${tag}: ${mark.kind} of ${mark.field === "" ? "the message" : mark.field}`

const withWord = ({ bytes, mark }: Place, value: number): Uint8Array => {
  const out = bytes.slice()
  new DataView(out.buffer).setUint32(mark.offset, value >>> 0)
  return out
}

/** The end of every message that is not one; the validator comes before sequence and MAC. */
const corrupt = function*(peer: PeerScript, { bytes }: { readonly bytes: () => Uint8Array }) {
  yield* peer.handshake()
  yield* peer.say(bytes())
  yield* peer.expectError(1, "received corrupt XDR", 1)
}

type Corrupt = Case & { bytes: () => Uint8Array }

/**
 * Whether core takes values there that XDR does not have: any number but 0 is true to it, and it may not look at an enum
 * that decides nothing (protocol.md 1.3 and Annex E). Discriminants, lengths and padding are as strict there as here.
 */
const isLaxInCore = ({ mark: { kind } }: Place): boolean => kind === "bool" || kind === "enum"

/** Values without a name at a place, or none when every value is tolerated there. */
const invalidValues = ({ mark: { field, kind, shape } }: Place): ReadonlyArray<number> => {
  if (tolerantFields.has(field)) return []
  const known = (value: number): boolean =>
    kind === "bool"
      ? value === 0 || value === 1
      : shape.kind === "enum"
      ? shape.members.has(value)
      : shape.kind === "union" && (shape.arms.has(value) || shape.otherwise !== undefined)
  return [2, 25, 0x7fff_ffff, -0x8000_0000, -1].filter((value) => !known(value))
}

/**
 * Discriminants, enums and booleans that do not exist, in every field that has one.
 *
 * @category attacks
 * @since 0.1.0
 */
export const x1 = attack<Corrupt>({
  id: "X1",
  title: "an unknown discriminant or enum is corrupt, wherever it is",
  cases: [
    ...[1, 4, 14, 15, 25, 0x7fff_ffff, 0xffff_ffff].map((type) => ({
      name: `message type ${type}`,
      drop: "CorruptXdr" as const,
      roles: bothRoles,
      bytes: () => words(type, 0, 0, 0)
    })),
    ...[...placesOf("discriminant", "enum"), ...booleans].flatMap((place) =>
      invalidValues(place).map((value) => ({
        name: `${nameOf(place)} = ${value}`,
        drop: "CorruptXdr" as const,
        strict: isLaxInCore(place),
        bytes: () => withWord(place, value)
      }))
    )
  ],
  run: corrupt
})

/**
 * Lengths and counts that promise more than there is, or more than there may be.
 *
 * @category attacks
 * @since 0.1.0
 */
export const x2 = attack<Corrupt>({
  id: "X2",
  title: "a length that is not there is corrupt at its own word",
  cases: placesOf("length", "count").flatMap((place) =>
    [0xffff_ffff, 0x8000_0000, 0x7fff_ffff, 0x00ff_ffff, place.bytes.length].map((value) => ({
      name: `${nameOf(place)} = ${value}`,
      drop: "CorruptXdr" as const,
      bytes: () => withWord(place, value)
    }))
  ),
  run: corrupt
})

const MEBIBYTE = 1_048_576

/** As many repetitions of words as `size` bytes take. */
const repeat = (unit: Uint8Array, size: number): Uint8Array => {
  const bytes = new Uint8Array(size - size % unit.length)
  for (let at = 0; at < bytes.length; at += unit.length) bytes.set(unit, at)
  return bytes
}

const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** A TRANSACTION up to the type of its one operation. */
const operation = (type: number): Uint8Array => {
  const bytes = transaction(96).bytes.slice(0, 76)
  new DataView(bytes.buffer).setUint32(72, type)
  return bytes
}

const CREATE_CLAIMABLE_BALANCE = 14
const INVOKE_HOST_FUNCTION = 24
/** SCV_VEC, present, one element. */
const vector = words(16, 1, 1)
/** A quorum set without validators and with one inner set. */
const innerSet = words(1, 0, 1)

/** Invocations of the contract `hash(0)`, each with one below: function type, contract address, name "f", no arguments. */
const invocation = concat(words(0, 1), hash(0), words(1, 0x66000000, 0, 1))

const nested: ReadonlyArray<readonly [name: string, bytes: (size: number) => Uint8Array]> = [
  ["SCPQuorumSet", (size) => concat(words(MessageType.ScpQuorumSet), repeat(innerSet, size), words(1, 0, 0))],
  [
    "ClaimPredicate",
    // native asset, amount, one claimant with a tower of negations over "unconditional"
    (size) =>
      concat(
        operation(CREATE_CLAIMABLE_BALANCE),
        words(0, 0, 1, 1, 0, 0),
        hash(0),
        repeat(words(3, 1), size),
        words(0),
        words(0, 0)
      )
  ],
  [
    "SCVal",
    // invoke contract `hash(0)`, "f", with one argument: a tower of vectors over void
    (size) =>
      concat(
        operation(INVOKE_HOST_FUNCTION),
        words(0, 1),
        hash(0),
        words(1, 0x66000000, 1),
        repeat(vector, size),
        words(1),
        words(0, 0, 0)
      )
  ],
  [
    "SorobanAuthorizedInvocation",
    // upload nothing, authorised by the source account with a tower of invocations
    (size) =>
      concat(
        operation(INVOKE_HOST_FUNCTION),
        words(2, 0, 1, 0),
        repeat(invocation, size),
        words(0, 1),
        hash(0),
        words(1, 0x66000000, 0, 0),
        words(0, 0)
      )
  ]
]

/**
 * Towers of nested values: shallow ones are messages, deep ones must cost neither stack nor time.
 *
 * @category attacks
 * @since 0.1.0
 */
export const x3 = attack<Corrupt>({
  id: "X3",
  title: "deep nesting is corrupt, and costs no stack",
  cases: nested.flatMap(([name, bytes]) => [
    { name: `${name}, few levels`, bytes: () => bytes(4 * 64) },
    { name: `${name}, 1 MiB of levels`, drop: "CorruptXdr" as const, bytes: () => bytes(MEBIBYTE) },
    { name: `${name}, 8 MiB of levels`, drop: "CorruptXdr" as const, bytes: () => bytes(8 * MEBIBYTE) }
  ]),
  *run(peer, parameters) {
    if (parameters.drop !== undefined) return yield* corrupt(peer, parameters)
    yield* peer.handshake()
    yield* peer.say(parameters.bytes())
    return yield* peer.expectOpen(1000)
  }
})

/**
 * Second encodings of a value: what would be relayed or hashed differently from what it means.
 *
 * @category attacks
 * @since 0.1.0
 */
export const x4 = attack<Corrupt>({
  id: "X4",
  title: "trailing bytes, padding and booleans have one encoding",
  cases: [
    ...everyTag.flatMap((tag) => [
      { name: `${tag} with a word behind it`, bytes: () => concat(random(tag).bytes, words(0)) },
      { name: `${tag} with a byte behind it`, bytes: () => concat(random(tag).bytes, new Uint8Array(1)) },
      { name: `${tag} without its last word`, bytes: () => random(tag).bytes.slice(0, -4) }
    ]),
    ...placesOf("padding").map((place) => ({
      name: nameOf(place),
      bytes: () => {
        const bytes = place.bytes.slice()
        bytes[place.mark.offset + place.mark.bytes - 1] = 1
        return bytes
      }
    })),
    ...[...placesOf("flag"), ...booleans].map((place) => ({
      name: `${nameOf(place)} = 2`,
      strict: isLaxInCore(place),
      bytes: () => withWord(place, 2)
    }))
  ].map((corrupt) => ({ ...corrupt, drop: "CorruptXdr" as const })),
  run: corrupt
})

const oversize: ReadonlyArray<readonly [name: string, bytes: () => Uint8Array]> = [
  ["an ERROR_MSG of 101 bytes", () => concat(words(MessageType.ErrorMsg, 0, 101), new Uint8Array(104))],
  ["1001 hashes in FLOOD_ADVERT", () => concat(words(MessageType.FloodAdvert, 1001), new Uint8Array(32 * 1001))],
  ["1001 hashes in FLOOD_DEMAND", () => concat(words(MessageType.FloodDemand, 1001), new Uint8Array(32 * 1001))],
  ["101 addresses in PEERS", () => concat(words(MessageType.Peers, 101), new Uint8Array(16 * 101))],
  [
    "a survey body of 64001 bytes",
    () =>
      concat(
        words(MessageType.TimeSlicedSurveyResponse, 0),
        new Uint8Array(36 + 36 + 4),
        words(1, 64_001),
        new Uint8Array(64_004),
        words(1)
      )
  ],
  [
    "a survey signature of 65 bytes",
    () => concat(words(MessageType.TimeSlicedSurveyStartCollecting, 65), new Uint8Array(68 + 36), words(1, 1))
  ]
]

/**
 * One more than XDR declares, and all of it there.
 *
 * @category attacks
 * @since 0.1.0
 */
export const x5 = attack<Corrupt>({
  id: "X5",
  title: "one more than the declared maximum is corrupt",
  roles: bothRoles,
  cases: oversize.map(([name, bytes]) => ({ name, drop: "CorruptXdr" as const, bytes })),
  run: corrupt
})

/** Large transactions, each a valid envelope of 100 KB. */
const envelopes = (count: number): Uint8Array => repeat(transaction(100_004).bytes.subarray(4), 100_000 * count)

/**
 * Transaction sets as large as they may be.
 *
 * @category attacks
 * @since 0.1.0
 */
export const x6 = attack<Corrupt>({
  id: "X6",
  title: "a transaction set of 10 MB is delivered without being decoded",
  cases: [
    { name: "TX_SET", bytes: () => txSet(1, 100).bytes },
    {
      name: "GENERALIZED_TX_SET",
      // version 1; one phase of version 0 with one component without a discounted fee
      bytes: () => concat(words(MessageType.GeneralizedTxSet, 1), hash(1), words(1, 0, 1, 0, 0, 100), envelopes(100))
    },
    {
      name: "TX_SET with the last word changed to a value that is none",
      drop: "CorruptXdr",
      bytes: () => {
        const bytes = txSet(1, 100).bytes.slice()
        bytes[bytes.length - 1] = 99
        return bytes
      }
    }
  ],
  *run(peer, parameters) {
    if (parameters.drop !== undefined) return yield* corrupt(peer, parameters)
    yield* peer.handshake()
    yield* peer.say(parameters.bytes())
    return yield* peer.expectOpen(1000)
  }
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const xdrAttacks: ReadonlyArray<Attack> = [x1, x2, x3, x4, x5, x6]
