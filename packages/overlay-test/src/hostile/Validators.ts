/**
 * Validators with keys of their own, and what they say: signed SCP statements with the sets they refer to, written byte
 * by byte and not by the code under test.
 *
 * @since 0.1.0
 */
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import { ENVELOPE_TYPE_SCP } from "@stellar-overlay/overlay/protocol/ScpSignature"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { GeneralizedTxSet, ScpMessage, ScpQuorumSet } from "@stellar-overlay/overlay/wire/StellarMessage"
import { concat, u32 } from "../internal/toyXdr.ts"

const { ed25519PublicKey, ed25519Sign, sha256 } = NodeOverlayCrypto.primitives
const utf8 = new TextEncoder()

const PREPARE = 0
const EXTERNALIZE = 2

/**
 * Someone who signs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Validator {
  readonly id: NodeId.NodeId
  /** 32 bytes. */
  readonly key: Uint8Array
  /** Its Ed25519 seed, 32 bytes. */
  readonly seed: Uint8Array
  readonly sign: (data: Uint8Array) => Uint8Array
}

/**
 * The validator of a name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const validator = (name: string | number): Validator => {
  const seed = sha256(utf8.encode(`validator ${name}`))
  const key = ed25519PublicKey(seed)
  return { id: NodeId.fromBytes(key), key, seed, sign: (data) => ed25519Sign(seed, data) }
}

/** A node id: an Ed25519 key (0). */
const nodeOf = (key: Uint8Array): Uint8Array => concat(u32(0), key)

const u64 = (value: number | bigint): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}

/** A variable opaque: length, bytes, zeros up to a multiple of four. */
const opaque = (bytes: Uint8Array): Uint8Array => concat(u32(bytes.length), bytes, new Uint8Array(-bytes.length & 3))

/**
 * An item that is asked for by its hash.
 *
 * @category models
 * @since 0.1.0
 */
export interface Item<A> {
  readonly message: A
  readonly hash: Uint8Array
}

/**
 * What a quorum set is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface QuorumSketch {
  readonly threshold: number
  readonly validators: ReadonlyArray<Uint8Array>
  readonly innerSets?: ReadonlyArray<QuorumSketch> | undefined
}

const quorumSetXdr = ({ innerSets = [], threshold, validators }: QuorumSketch): Uint8Array =>
  concat(
    u32(threshold),
    u32(validators.length),
    ...validators.map(nodeOf),
    u32(innerSets.length),
    ...innerSets.map(quorumSetXdr)
  )

/**
 * A quorum set, sane or not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const quorumSet = (sketch: QuorumSketch): Item<ScpQuorumSet> => {
  const message = ScpQuorumSet.make({ body: quorumSetXdr(sketch) })
  return { message, hash: sha256(message.body) }
}

/**
 * The n-th of 256 empty transaction sets.
 *
 * @category constructors
 * @since 0.1.0
 */
export const emptyTxSet = (n: number): Item<GeneralizedTxSet> => {
  // Version 1; two phases of version 0 without components.
  const body = concat(u32(1), new Uint8Array(32).fill(n), u32(2), u32(0), u32(0), u32(0), u32(0))
  const message = GeneralizedTxSet.make({ body })
  return { message, hash: sha256(message.body) }
}

/** A StellarValue without upgrades, of the signed kind; nobody checks by whom. */
const signedValue = (txSetHash: Uint8Array, closeTime: number): Uint8Array =>
  concat(
    txSetHash,
    u64(closeTime),
    u32(0),
    u32(1),
    nodeOf(new Uint8Array(32).fill(1)),
    opaque(new Uint8Array(64).fill(2))
  )

/**
 * The transaction set that statements refer to unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const theTxSet: Item<GeneralizedTxSet> = emptyTxSet(1)

/**
 * The quorum set of whoever makes statements, unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const theQuorumSet: Item<ScpQuorumSet> = quorumSet({ threshold: 1, validators: [validator("honest").key] })

/**
 * A PREPARE, or an EXTERNALIZE.
 *
 * @category models
 * @since 0.1.0
 */
export interface Said {
  readonly by: Validator
  readonly slot: number | bigint
  readonly kind?: "PREPARE" | "EXTERNALIZE" | undefined
  /** The ballot; a greater one takes the place of a smaller one. 1 unless given. */
  readonly counter?: number | undefined
  /** Unix seconds. */
  readonly closeTime: number
  readonly txSetHash?: Uint8Array | undefined
  readonly quorumSetHash?: Uint8Array | undefined
  /** The standalone network unless given. */
  readonly networkPassphrase?: string | undefined
  /** Instead of a signature. */
  readonly signature?: Uint8Array | undefined
}

/**
 * The statement, signed by its validator unless told otherwise.
 *
 * @category constructors
 * @since 0.1.0
 */
export const scp = (said: Said): ScpMessage => {
  const value = signedValue(said.txSetHash ?? theTxSet.hash, said.closeTime)
  const quorumSetHash = said.quorumSetHash ?? theQuorumSet.hash
  const ballot = concat(u32(said.counter ?? 1), opaque(value))
  const pledges = said.kind === "EXTERNALIZE"
    ? concat(u32(EXTERNALIZE), ballot, u32(1), quorumSetHash)
    // nothing prepared, nC and nH 0
    : concat(u32(PREPARE), quorumSetHash, ballot, u32(0), u32(0), u32(0), u32(0))
  const statement = concat(nodeOf(said.by.key), u64(said.slot), pledges)
  const networkId = sha256(utf8.encode(said.networkPassphrase ?? passphrases.standalone))
  const signature = said.signature ?? said.by.sign(concat(networkId, u32(ENVELOPE_TYPE_SCP), statement))
  return ScpMessage.make({ envelope: concat(statement, opaque(signature)) })
}
