/**
 * Arbitraries for property tests of anything that speaks the overlay's protocol: messages of every type, as bytes, as
 * classes and as stellar-base values, mutations of them, and the ways a stream of bytes may be cut up.
 *
 * Messages are generated from stellar-base's own type definitions ({@link RandomXdr}), valid and small by default. They
 * are drawn from a list of numbers that Effect's `Arbitrary` generates and shrinks, so a counterexample shrinks too:
 * fewer elements, shorter texts, zeros.
 *
 * @since 0.1.0
 */
import { type MessageTag, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { type AddressKind, PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as StellarMessage from "@stellar-overlay/overlay/wire/StellarMessage"
import type { XdrDefinition } from "@stellar-overlay/overlay/wire/XdrShape"
import { xdr } from "@stellar/stellar-base"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { mutateXdr } from "./MutateXdr.ts"
import type { Chance, Options, RandomXdr, Sizes } from "./RandomXdr.ts"
import { randomXdr, seeded } from "./RandomXdr.ts"

const uint32 = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffffffff })))

/**
 * An arbitrary of whatever a function makes of chance.
 *
 * The function must depend on its argument alone. It draws numbers in [0, 1); shrinking leaves draws out and moves them
 * towards 0, so it should make its simplest choice of a 0.
 *
 * @example
 * ```ts
 * import * as Arbitraries from "@stellar-overlay/overlay-test/Arbitraries"
 *
 * const port = Arbitraries.fromChance((chance) => 1 + Math.floor(chance() * 65535))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromChance = <A>(make: (chance: Chance) => A): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(Arbitrary.all([Arbitrary.array(uint32), uint32]), ([draws, seed]) => {
    // The listed draws come first, where the large decisions are; when they are used up, those of a seed follow, or
    // zeros once shrinking has made the seed 0.
    const rest = seed === 0 ? () => 0 : seeded(seed)
    let next = 0
    return make(() => (next < draws.length ? draws[next++]! / 0x1_0000_0000 : rest()))
  })

const below = (chance: Chance, n: number): number => Math.floor(chance() * n)

const randomBytes = (chance: Chance, length: number): Uint8Array => {
  const seed = below(chance, 0x1_0000_0000)
  const more = seed === 0 ? () => 0 : seeded(seed)
  return Uint8Array.from({ length }, () => below(more, 256))
}

/**
 * Valid bytes of a stellar-base type; the options bound their size.
 *
 * @category messages
 * @since 0.1.0
 */
export const xdrBytes = (definition: XdrDefinition, options?: Options): Arbitrary.Arbitrary<Uint8Array> =>
  fromChance((chance) => randomXdr(definition, chance, options).bytes)

const randomMessage = (chance: Chance, tag: MessageTag | undefined, sizes: Sizes | undefined): RandomXdr =>
  randomXdr(xdr.StellarMessage, chance, { ...sizes, discriminant: tag === undefined ? undefined : MessageType[tag] })

/**
 * The bytes of a valid StellarMessage: of the given type, or of any of the 21.
 *
 * @example
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Effect } from "effect"
 * import * as Arbitraries from "@stellar-overlay/overlay-test/Arbitraries"
 * import { validateStellarMessage } from "@stellar-overlay/overlay/wire/XdrValidator"
 *
 * it.effect.prop("adverts are valid", [Arbitraries.messageBytes("FloodAdvert")], ([bytes]) =>
 *   Effect.sync(() => assert.strictEqual(validateStellarMessage(bytes, 0, bytes.length), -1)))
 * ```
 *
 * @category messages
 * @since 0.1.0
 */
export const messageBytes = (tag?: MessageTag, sizes?: Sizes): Arbitrary.Arbitrary<Uint8Array> =>
  fromChance((chance) => randomMessage(chance, tag, sizes).bytes)

/**
 * A message as the class its type has: `stellarMessage("ScpMessage")`, or `stellarMessage()` for any.
 *
 * @category messages
 * @since 0.1.0
 */
export const stellarMessage = <Tag extends MessageTag = MessageTag>(
  tag?: Tag,
  sizes?: Sizes
): Arbitrary.Arbitrary<StellarMessage.Tagged<Tag>> =>
  Arbitrary.filter(
    Arbitrary.map(messageBytes(tag, sizes), StellarMessage.fromBytes),
    (message): message is StellarMessage.Tagged<Tag> => tag === undefined || message._tag === tag
  )

/**
 * A message as a stellar-base value.
 *
 * @category messages
 * @since 0.1.0
 */
export const xdrMessage = (tag?: MessageTag, sizes?: Sizes): Arbitrary.Arbitrary<xdr.StellarMessage> =>
  Arbitrary.map(messageBytes(tag, sizes), (bytes) => StellarMessage.fromBytes(bytes).xdr)

/**
 * Bytes after one to three random mutations: flipped bits, edited words, cut, extended, spliced with the tail of
 * `other`. Given a {@link RandomXdr} instead of bytes, a third of the mutations aim at discriminants, lengths, flags and
 * padding. The result may be valid, and may by chance be the input.
 *
 * @category mutations
 * @since 0.1.0
 */
export const mutation = (input: Uint8Array | RandomXdr, other?: Uint8Array): Arbitrary.Arbitrary<Uint8Array> =>
  fromChance((chance) => mutateXdr(input, chance, other))

/**
 * The bytes of a StellarMessage after one to three random mutations; most are not valid any more.
 *
 * @category mutations
 * @since 0.1.0
 */
export const mutatedMessageBytes = (tag?: MessageTag, sizes?: Sizes): Arbitrary.Arbitrary<Uint8Array> =>
  fromChance((chance) => mutateXdr(randomMessage(chance, tag, sizes), chance, randomMessage(chance, tag, sizes).bytes))

/**
 * Ways to cut bytes into chunks, as a socket might deliver them: all at once, byte by byte, at a few places, or in small
 * pieces. Chunks are never empty, and are views of the given bytes; joined they are those bytes.
 *
 * @example
 * ```ts
 * import * as Arbitrary from "effect/Arbitrary"
 * import * as Arbitraries from "@stellar-overlay/overlay-test/Arbitraries"
 *
 * const stream = Arbitrary.flatMap(Arbitraries.messageBytes(), Arbitraries.chunking)
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const chunking = (bytes: Uint8Array): Arbitrary.Arbitrary<ReadonlyArray<Uint8Array>> =>
  fromChance((chance) => {
    const manner = below(chance, 4)
    const largest = [bytes.length, Math.ceil(bytes.length / 2), 16, 1][manner]!
    const chunks: Array<Uint8Array> = []
    for (let at = 0; at < bytes.length;) {
      // A draw of 0 takes as much as the manner allows.
      const length = largest - below(chance, manner === 0 ? 1 : largest)
      chunks.push(bytes.subarray(at, at + length))
      at += length
    }
    return chunks
  })

/**
 * 32 bytes.
 *
 * @category values
 * @since 0.1.0
 */
export const hash: Arbitrary.Arbitrary<Uint8Array> = fromChance((chance) => randomBytes(chance, 32))

/**
 * A node id of 32 random bytes. Half of all such strings are no point of the curve, so it need not be a key that
 * verifies anything.
 *
 * @category values
 * @since 0.1.0
 */
export const nodeId: Arbitrary.Arbitrary<NodeId.NodeId> = Arbitrary.map(hash, NodeId.fromBytes)

/**
 * An address with a port from 1 to 65535: IPv4, IPv6 or a host name, or only those of the given kind.
 *
 * @category values
 * @since 0.1.0
 */
export const peerAddress = (kind?: AddressKind): Arbitrary.Arbitrary<PeerAddress> =>
  fromChance((chance) => {
    const chosen = kind ?? (["ipv4", "ipv6", "name"] as const)[below(chance, 3)]!
    const port = 1 + below(chance, 65535)
    if (chosen === "name") {
      const labels = Array.from({ length: 1 + below(chance, 4) }, () => `${label(chance)}${below(chance, 100)}`)
      return PeerAddress.make(`${labels.join(".")}.example`, port)
    }
    const ip = randomBytes(chance, chosen === "ipv4" ? 4 : 16)
    // The first group keeps IPv6 addresses out of ::ffff:0:0/96, which are IPv4 addresses.
    if (chosen === "ipv6") ip[0] = 0x20
    return Result.getOrThrow(PeerAddress.fromIpBytes(ip, port))
  })

const label = (chance: Chance): string =>
  Array.from({ length: 1 + below(chance, 8) }, () => "abcdefghijklmnopqrstuvwxyz"[below(chance, 26)]).join("")
