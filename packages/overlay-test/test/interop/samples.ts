/** Messages to exchange: random ones of every type the connector knows, and numbered ones that are quick to make. */
import { randomXdr, seeded } from "@stellar-overlay/overlay-test/RandomXdr"
import { type MessageTag, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as StellarMessage from "@stellar-overlay/overlay/wire/StellarMessage"
import { FloodAdvert, FloodDemand, ScpMessage, Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import { xdr } from "@stellar/stellar-base"
import { knows } from "./foreign.ts"

/** Random messages of a type that the connector's older stellar-base can decode too, and whose queue does not shed them. */
export const randomMessages = (tag: MessageTag, count: number): Array<StellarMessage.StellarMessage> => {
  const found: Array<StellarMessage.StellarMessage> = []
  const type = MessageType[tag]
  for (let seed = 1; found.length < count && seed < 20 * count; seed++) {
    const { bytes } = randomXdr(xdr.StellarMessage, seeded(1000 * type + seed), { discriminant: type, budget: 800 })
    const message = StellarMessage.fromBytes(bytes)
    // Slot 0 is older than what is remembered (protocol.md 4.6).
    if (knows(message) && !(message._tag === "ScpMessage" && message.slotIndex === 0n)) found.push(message)
  }
  return found
}

const hashOf = (n: number): Uint8Array => {
  const hash = new Uint8Array(32).fill(0xa5)
  new DataView(hash.buffer).setUint32(0, n)
  return hash
}

const nomination = ScpMessage.make({
  envelope: new xdr.ScpEnvelope({
    statement: new xdr.ScpStatement({
      nodeId: xdr.PublicKey.publicKeyTypeEd25519(Buffer.alloc(32, 3)),
      slotIndex: xdr.Uint64.fromString("1"),
      pledges: xdr.ScpStatementPledges.scpStNominate(
        new xdr.ScpNomination({ quorumSetHash: Buffer.alloc(32, 1), votes: [Buffer.alloc(40, 7)], accepted: [] })
      )
    }),
    signature: Buffer.alloc(64, 4)
  })
}).bytes

const payment = Transaction.make({
  envelope: xdr.TransactionEnvelope.envelopeTypeTx(
    new xdr.TransactionV1Envelope({
      tx: new xdr.Transaction({
        sourceAccount: xdr.MuxedAccount.keyTypeEd25519(Buffer.alloc(32, 9)),
        fee: 100,
        seqNum: xdr.Int64.fromString("1"),
        cond: xdr.Preconditions.precondNone(),
        memo: xdr.Memo.memoNone(),
        operations: [
          new xdr.Operation({
            sourceAccount: null,
            body: xdr.OperationBody.payment(
              new xdr.PaymentOp({
                destination: xdr.MuxedAccount.keyTypeEd25519(Buffer.alloc(32, 8)),
                asset: xdr.Asset.assetTypeNative(),
                amount: xdr.Int64.fromString("1")
              })
            )
          })
        ],
        ext: new xdr.TransactionExt(0)
      }),
      signatures: [new xdr.DecoratedSignature({ hint: Buffer.alloc(4, 5), signature: Buffer.alloc(64, 6) })]
    })
  )
}).bytes

/** A copy of a message with a number written at an offset. */
const numbered = (template: Uint8Array, offset: number, n: number): Uint8Array => {
  const bytes = template.slice()
  new DataView(bytes.buffer).setUint32(offset, n)
  return bytes
}

/** The nomination of slot `n`, 1 and up. */
export const scpMessage = (n: number): ScpMessage => new ScpMessage(numbered(nomination, SLOT_INDEX + 4, n))

/** A payment, signed, with sequence number `n`. */
export const transaction = (n: number): Transaction => new Transaction(numbered(payment, SEQUENCE_NUMBER + 4, n))

export const advert = (n: number): FloodAdvert => FloodAdvert.make({ hashes: [hashOf(n)] })

export const demand = (n: number): FloodDemand => FloodDemand.make({ hashes: [hashOf(n)] })

/** After the message type and the node id; after the message and envelope types, the account and the fee. */
const SLOT_INDEX = 4 + 36
const SEQUENCE_NUMBER = 8 + 36 + 4
