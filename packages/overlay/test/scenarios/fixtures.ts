/** Messages that are valid on the wire, of sizes a test chooses. */
import { xdr } from "@stellar/stellar-base"
import type { MessageTag } from "../../src/wire/MessageType.ts"
import {
  FloodAdvert,
  FloodDemand,
  fromXdr,
  GetTxSet,
  type StellarMessage,
  Transaction
} from "../../src/wire/StellarMessage.ts"
import { samples, Source } from "../wire/messages/samples.ts"

const uploadTransaction = (wasm: number, sequence: bigint): xdr.TransactionEnvelope =>
  xdr.TransactionEnvelope.envelopeTypeTx(
    new xdr.TransactionV1Envelope({
      tx: new xdr.Transaction({
        sourceAccount: xdr.MuxedAccount.keyTypeEd25519(Buffer.alloc(32, 7)),
        fee: 100,
        seqNum: new xdr.Int64(sequence.toString()),
        cond: xdr.Preconditions.precondNone(),
        memo: xdr.Memo.memoNone(),
        operations: [
          new xdr.Operation({
            sourceAccount: null,
            body: xdr.OperationBody.invokeHostFunction(
              new xdr.InvokeHostFunctionOp({
                hostFunction: xdr.HostFunction.hostFunctionTypeUploadContractWasm(Buffer.alloc(wasm)),
                auth: []
              })
            )
          })
        ],
        ext: new xdr.TransactionExt(0)
      }),
      signatures: []
    })
  )

/** The size of the smallest transaction that `transaction` makes. */
export const SMALLEST = Transaction.make({ envelope: uploadTransaction(0, 0n) }).size

/** A valid TRANSACTION of an exact size, a multiple of 4; different for different numbers. */
export const transaction = (size: number, number = 0): Transaction =>
  Transaction.make({ envelope: uploadTransaction(size - SMALLEST, BigInt(number)) })

/** The number a transaction was made with. */
export const numberOf = (message: Transaction): number =>
  Number(message.xdr.transaction().v1().tx().seqNum().toString())

/** A transaction of the legacy v0 envelope without operations, the smallest there is: FLC-027's empty TRANSACTION. */
export const emptyTransaction = (sequence = 0): Transaction =>
  Transaction.make({
    envelope: xdr.TransactionEnvelope.envelopeTypeTxV0(
      new xdr.TransactionV0Envelope({
        tx: new xdr.TransactionV0({
          sourceAccountEd25519: Buffer.alloc(32),
          fee: 0,
          seqNum: new xdr.Int64(String(sequence)),
          timeBounds: null,
          memo: xdr.Memo.memoNone(),
          operations: [],
          ext: new xdr.TransactionV0Ext(0)
        }),
        signatures: []
      })
    )
  })

export const hashOf = (i: number): Uint8Array => {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(0, i)
  bytes[31] = 1
  return bytes
}

export const advert = (...numbers: ReadonlyArray<number>) => FloodAdvert.make({ hashes: numbers.map(hashOf) })
export const demand = (...numbers: ReadonlyArray<number>) => FloodDemand.make({ hashes: numbers.map(hashOf) })
export const getTxSet = (number: number) => GetTxSet.make({ hash: hashOf(number) })

/** A message of a type with valid content of no interest. */
export const sample = (tag: MessageTag, seed = 1): StellarMessage => fromXdr(samples[tag](new Source(seed)))

/** A quorum set of many validators (FLC-021). */
export const quorumSet = (validators: number): StellarMessage =>
  fromXdr(
    xdr.StellarMessage.scpQuorumset(
      new xdr.ScpQuorumSet({
        threshold: 1,
        validators: Array.from({ length: validators }, (_, i) =>
          xdr.PublicKey.publicKeyTypeEd25519(Buffer.from(hashOf(i)))),
        innerSets: []
      })
    )
  )
