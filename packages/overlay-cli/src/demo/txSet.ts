/** Transaction sets with stellar-base: two phases, classic and Soroban, the classic one sorted by hash. */
import { GeneralizedTxSet, type Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import { xdr } from "@stellar/stellar-base"

/** `transactions` with the hash of each in hex. */
export const make = (
  previousLedgerHash: Uint8Array,
  transactions: ReadonlyArray<readonly [hash: string, message: Transaction]>
): GeneralizedTxSet => {
  const sorted = [...transactions].sort(([a], [b]) => a < b ? -1 : 1)
  const component = xdr.TxSetComponent.txsetCompTxsMaybeDiscountedFee(
    new xdr.TxSetComponentTxsMaybeDiscountedFee({
      baseFee: new xdr.Int64(100),
      txes: sorted.map(([, message]) => message.xdr.transaction())
    })
  )
  return GeneralizedTxSet.make({
    body: new xdr.GeneralizedTransactionSet(
      1,
      new xdr.TransactionSetV1({
        previousLedgerHash: Buffer.from(previousLedgerHash),
        phases: [
          new xdr.TransactionPhase(0, sorted.length === 0 ? [] : [component]),
          new xdr.TransactionPhase(0, [])
        ]
      })
    )
  })
}
