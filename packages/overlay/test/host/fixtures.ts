/** Validators with real keys, and what they say: signed statements about real StellarValues, made with stellar-base. */
import { xdr } from "@stellar/stellar-base"
import { primitives as crypto } from "../../src/NodeOverlayCrypto.ts"
import * as PendingEnvelopes from "../../src/protocol/PendingEnvelopes.ts"
import type { Trust } from "../../src/protocol/QuorumFilter.ts"
import * as NodeId from "../../src/wire/NodeId.ts"
import { GeneralizedTxSet, ScpMessage, ScpQuorumSet, Transaction } from "../../src/wire/StellarMessage.ts"
import { generator } from "../protocol/floodFixtures.ts"

export { primitives as crypto } from "../../src/NodeOverlayCrypto.ts"
export { generator } from "../protocol/floodFixtures.ts"

export const networkId = crypto.sha256(new TextEncoder().encode("Standalone Network ; February 2017"))

/** Unix time of every value unless a test says otherwise. */
export const CLOSE_TIME = 1_767_225_600

export interface Validator {
  readonly id: NodeId.NodeId
  readonly key: Uint8Array
  readonly sign: (data: Uint8Array) => Uint8Array
}

export const validator = (n: number): Validator => {
  const seed = crypto.sha256(new TextEncoder().encode(`validator ${n}`))
  const key = crypto.ed25519PublicKey(seed)
  return { id: NodeId.fromBytes(key), key, sign: (data) => crypto.ed25519Sign(seed, data) }
}

const nodeOf = (key: Uint8Array) => xdr.PublicKey.publicKeyTypeEd25519(Buffer.from(key))

// ------------------------------------------------------------------------------------------------------------ items

export interface Item<A> {
  readonly message: A
  readonly hash: Uint8Array
}

export interface Sketch {
  readonly threshold: number
  readonly validators: ReadonlyArray<Validator | Uint8Array>
  readonly innerSets?: ReadonlyArray<Sketch>
}

const quorumSetXdr = ({ innerSets = [], threshold, validators }: Sketch): xdr.ScpQuorumSet =>
  new xdr.ScpQuorumSet({
    threshold,
    validators: validators.map((v) => nodeOf(v instanceof Uint8Array ? v : v.key)),
    innerSets: innerSets.map(quorumSetXdr)
  })

export const quorumSet = (sketch: Sketch): Item<ScpQuorumSet> => {
  const message = ScpQuorumSet.make({ body: quorumSetXdr(sketch) })
  return { message, hash: crypto.sha256(message.body) }
}

export const txSet = (n: number, phases = 2): Item<GeneralizedTxSet> => {
  const message = GeneralizedTxSet.make({
    body: new xdr.GeneralizedTransactionSet(
      1,
      new xdr.TransactionSetV1({
        previousLedgerHash: Buffer.alloc(32, n),
        phases: Array.from({ length: phases }, () => new xdr.TransactionPhase(0, []))
      })
    )
  })
  return { message, hash: crypto.sha256(message.body) }
}

export const transaction = (n: number): Item<Transaction> => {
  const message = Transaction.make({
    envelope: xdr.TransactionEnvelope.envelopeTypeTxV0(
      new xdr.TransactionV0Envelope({
        tx: new xdr.TransactionV0({
          sourceAccountEd25519: Buffer.alloc(32),
          fee: 100,
          seqNum: new xdr.Int64(String(n)),
          timeBounds: null,
          memo: xdr.Memo.memoNone(),
          operations: [],
          ext: new xdr.TransactionV0Ext(0)
        }),
        signatures: []
      })
    )
  })
  return { message, hash: crypto.sha256(message.envelope) }
}

// ------------------------------------------------------------------------------------------------------- statements

export const value = (txSetHash: Uint8Array, closeTime = CLOSE_TIME): Uint8Array =>
  new Uint8Array(
    new xdr.StellarValue({
      txSetHash: Buffer.from(txSetHash),
      closeTime: new xdr.Uint64(closeTime),
      upgrades: [],
      ext: xdr.StellarValueExt.stellarValueSigned(
        new xdr.LedgerCloseValueSignature({ nodeId: nodeOf(Buffer.alloc(32, 1)), signature: Buffer.alloc(64, 2) })
      )
    }).toXDR()
  )

export const basicValue = (txSetHash: Uint8Array): Uint8Array =>
  new Uint8Array(
    new xdr.StellarValue({
      txSetHash: Buffer.from(txSetHash),
      closeTime: new xdr.Uint64(CLOSE_TIME),
      upgrades: [],
      ext: xdr.StellarValueExt.stellarValueBasic()
    }).toXDR()
  )

/** A value with another type tag: the tag lies after the hash, the close time and the number of upgrades. */
export const retyped = (value: Uint8Array, type: number): Uint8Array => {
  const copy = value.slice()
  new DataView(copy.buffer).setUint32(44, type)
  return copy
}

/** CAP-0083: no transaction set, and in the arm the one proposed, the previous ledger's hash and its version. */
export const emptyTxSetValue = (): Uint8Array => {
  const signed = value(new Uint8Array(32))
  const arm = new Uint8Array(68)
  return new Uint8Array(Buffer.concat([retyped(signed, 2).subarray(0, 48), arm, signed.subarray(48)]))
}

export type Kind = "NOMINATE" | "PREPARE" | "CONFIRM" | "EXTERNALIZE"

const pledges = (kind: Kind, value: Uint8Array, quorumSetHash: Uint8Array, counter: number) => {
  const hash = Buffer.from(quorumSetHash)
  const ballot = new xdr.ScpBallot({ counter, value: Buffer.from(value) })
  switch (kind) {
    case "NOMINATE":
      return xdr.ScpStatementPledges.scpStNominate(
        new xdr.ScpNomination({ quorumSetHash: hash, votes: [Buffer.from(value)], accepted: [] })
      )
    case "PREPARE":
      return xdr.ScpStatementPledges.scpStPrepare(
        new xdr.ScpStatementPrepare({ quorumSetHash: hash, ballot, prepared: null, preparedPrime: null, nC: 0, nH: 0 })
      )
    case "CONFIRM":
      return xdr.ScpStatementPledges.scpStConfirm(
        new xdr.ScpStatementConfirm({ ballot, nPrepared: 1, nCommit: 1, nH: 1, quorumSetHash: hash })
      )
    case "EXTERNALIZE":
      return xdr.ScpStatementPledges.scpStExternalize(
        new xdr.ScpStatementExternalize({ commit: ballot, nH: 1, commitQuorumSetHash: hash })
      )
  }
}

export interface Said {
  readonly by: Validator
  readonly slot: number | bigint
  readonly kind?: Kind
  readonly value?: Uint8Array
  readonly quorumSet?: Uint8Array
  readonly counter?: number
}

const theTxSet = txSet(1)
const theQuorumSet = quorumSet({ threshold: 1, validators: [validator(1)] })

const envelope = (said: Said, sign: (statement: Uint8Array) => Uint8Array): ScpMessage => {
  const statement = new xdr.ScpStatement({
    nodeId: nodeOf(said.by.key),
    slotIndex: new xdr.Uint64(said.slot.toString()),
    pledges: pledges(
      said.kind ?? "EXTERNALIZE",
      said.value ?? value(theTxSet.hash),
      said.quorumSet ?? theQuorumSet.hash,
      said.counter ?? 1
    )
  })
  return ScpMessage.make({
    envelope: new xdr.ScpEnvelope({ statement, signature: Buffer.from(sign(statement.toXDR())) })
  })
}

/** A statement its validator signed. The bytes that are signed are put together here a second time, on purpose. */
export const scp = (said: Said): ScpMessage =>
  envelope(said, (statement) => said.by.sign(Buffer.concat([networkId, Uint8Array.of(0, 0, 0, 1), statement])))

/** A statement nobody signed. */
export const forged = (said: Said, filler = 7): ScpMessage => envelope(said, () => new Uint8Array(64).fill(filler))

// --------------------------------------------------------------------------------------------------------- the core

/** Rules with the transaction set and the quorum set that statements name unless told otherwise. */
export const stocked = (
  options: Partial<PendingEnvelopes.PendingEnvelopesOptions> = {},
  trust: Trust = "everybody",
  counting: Pick<typeof crypto, "sha256" | "ed25519Verify"> = crypto
): PendingEnvelopes.PendingEnvelopes => {
  const pending = bare({ ...options, trust }, counting)
  pending.receiveTxSet(theTxSet.hash, theTxSet.message)
  pending.receiveQuorumSet(theQuorumSet.hash, theQuorumSet.message)
  return pending
}

/** Rules that know nothing yet. */
export const bare = (
  options: Partial<PendingEnvelopes.PendingEnvelopesOptions> = {},
  counting: Pick<typeof crypto, "sha256" | "ed25519Verify"> = crypto
): PendingEnvelopes.PendingEnvelopes =>
  new PendingEnvelopes.PendingEnvelopes(counting, networkId, generator(1), 0, {
    ...PendingEnvelopes.defaults,
    ...options
  })
