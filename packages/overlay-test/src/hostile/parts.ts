/**
 * What hostile scripts are made of: messages that are small, valid and told apart by a number, and what every one of them
 * expects sooner or later.
 */
import { type MessageTag, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import {
  DontHave,
  FloodAdvert,
  fromBytes,
  type StellarMessage,
  Transaction,
  TxSet
} from "@stellar-overlay/overlay/wire/StellarMessage"
import { xdr } from "@stellar/stellar-base"
import type { HelloOverrides } from "../HandshakeScript.ts"
import type { PeerScript } from "../PeerScript.ts"
import { type RandomXdr, randomXdr, seeded } from "../RandomXdr.ts"
import type { Script } from "../Script.ts"
import { AT_ONCE } from "./Attack.ts"

/** 32 bytes that begin with a number. */
export const hash = (i: number): Uint8Array => {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(0, i)
  return bytes
}

/** A message without flow control that every victim hands to its consumer. */
export const note = (i: number): DontHave => DontHave.make({ itemType: MessageType.GeneralizedTxSet, hash: hash(i) })

export const notes = (count: number): Array<DontHave> => Array.from({ length: count }, (_, i) => note(i))

/** The numbers of the notes among messages. */
export const noted = (messages: ReadonlyArray<StellarMessage>): Array<number> =>
  messages.flatMap((message) =>
    message._tag === "DontHave" ? [new DataView(message.hash.buffer, message.hash.byteOffset).getUint32(0)] : []
  )

/** A flow-controlled message of 8 + 32 n bytes. */
export const advert = (hashes: number, first = 0): FloodAdvert =>
  FloodAdvert.make({ hashes: Array.from({ length: hashes }, (_, i) => hash(first + i)) })

/** A valid message of a type, its content decided by a seed. */
export const random = (tag: MessageTag, seed = 1, budget = 300): RandomXdr =>
  randomXdr(xdr.StellarMessage, seeded(seed), { discriminant: MessageType[tag], budget })

/** The same as a message. */
export const sample = (tag: MessageTag, seed = 1, budget = 300): StellarMessage =>
  fromBytes(random(tag, seed, budget).bytes)

/** Every message type there is. */
export const everyTag = Object.keys(MessageType) as ReadonlyArray<MessageTag> // Object.keys says string

/**
 * A valid TRANSACTION message of exactly that many bytes, a multiple of 4 from 96 on: one operation that uploads as much
 * contract code as it takes.
 */
export const transaction = (size: number): Transaction => {
  const message = new Uint8Array(size)
  message.set(words(MessageType.Transaction, ENVELOPE_TYPE_TX))
  // key type 0 and key, fee, sequence number, no conditions, no memo, one operation
  message.set(words(1), 64)
  message.set(words(0, INVOKE_HOST_FUNCTION, UPLOAD_CONTRACT_WASM, size - 96), 68)
  return new Transaction(message)
}

/** The i-th of many transactions that differ in their source account alone. */
export const numbered = (i: number, size = 96): Transaction => {
  const { bytes } = transaction(size)
  new DataView(bytes.buffer).setUint32(12, i)
  return new Transaction(bytes)
}

/** The same transaction for ever. */
export const endless = function*(size: number): Generator<Transaction, never> {
  for (const message = transaction(size);;) yield message
}

/** A valid TX_SET of that many transactions of 100 KB, told apart by the hash before it. */
export const txSet = (i: number, transactions: number): TxSet => {
  const envelope = transaction(100_004).bytes.subarray(4)
  const message = new Uint8Array(40 + envelope.length * transactions)
  message.set(words(MessageType.TxSet))
  message.set(hash(i), 4)
  message.set(words(transactions), 36)
  for (let j = 0; j < transactions; j++) message.set(envelope, 40 + envelope.length * j)
  return new TxSet(message)
}

const ENVELOPE_TYPE_TX = 2
const INVOKE_HOST_FUNCTION = 24
const UPLOAD_CONTRACT_WASM = 2

/** Big-endian words as bytes. */
export const words = (...values: ReadonlyArray<number>): Uint8Array => {
  const bytes = new Uint8Array(4 * values.length)
  const view = new DataView(bytes.buffer)
  values.forEach((value, i) => view.setUint32(4 * i, value >>> 0))
  return bytes
}

export const repeated = <A>(count: number, make: (i: number) => A): Array<A> =>
  Array.from({ length: count }, (_, i) => make(i))

/** Stays for so long, answering pings. */
export const staysFor = function*(peer: PeerScript, millis: number): Script {
  peer.answersPings = true
  yield* peer.expectOpen(millis)
}

export const silently = { within: AT_ONCE, error: "silent" } as const

/** Nothing was heard beyond these, in this order; an acceptor that knows addresses tells them with its AUTH. */
export const heardOnly = (peer: PeerScript, ...tags: ReadonlyArray<MessageTag>): void => {
  const heard = peer.tags.filter((tag) => tag !== "Peers").join()
  if (heard !== tags.join()) throw peer.failure(`to hear ${tags.join()}`, `it was ${heard}`)
}

/** What an acceptor says before it judges a HELLO's contents; an initiator has said its own HELLO long before. */
export const helloFirst = (peer: PeerScript): ReadonlyArray<MessageTag> => peer.role === "initiator" ? [] : ["Hello"]

/** HELLOs that are refused with words; an acceptor answers them with its own first. */
export const refusedHello = function*(
  peer: PeerScript,
  { hello, text }: { hello: HelloOverrides; text: string }
): Script {
  yield* peer.handshake("Connected")
  yield* peer.say(peer.hello(hello))
  yield* peer.expectError(2, text, AT_ONCE)
  heardOnly(peer, "Hello", "ErrorMsg")
}
