/** Messages and ends of a link for the tests of flow control and the outbound queues. */
import {
  Account,
  Asset,
  Claimant,
  type FeeBumpTransaction,
  Keypair,
  Operation,
  type Transaction as BaseTransaction,
  TransactionBuilder,
  xdr
} from "@stellar/stellar-base"
import * as FlowControl from "../../src/protocol/FlowControl.ts"
import { type LedgerContext, makeLedgerContext } from "../../src/protocol/LedgerContext.ts"
import * as OutboundQueues from "../../src/protocol/OutboundQueues.ts"
import {
  DontHave,
  FloodAdvert,
  FloodDemand,
  GeneralizedTxSet,
  ScpMessage,
  type StellarMessage,
  Transaction
} from "../../src/wire/StellarMessage.ts"

export const passphrase = "(V) (;,,;) (V)"

/** The same sequence for the same seed: mulberry32. */
export const random = (seed: number) => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }
  return { next, int: (from: number, to: number) => from + Math.floor(next() * (to - from + 1)) }
}

// -------------------------------------------------------------------------------------------------- transactions

const keys = Keypair.fromRawEd25519Seed(Buffer.alloc(32, 7))

/** A TRANSACTION message of an exact size; its content is of no interest. */
export const transactionOfSize = (size: number): Transaction => {
  const envelope = new Uint8Array(size - 4)
  envelope[3] = 2
  return Transaction.make({ envelope })
}

/** One create-claimable-balance operation with a predicate tree of 10 levels (FLC-001 and following). */
export const greatTransaction = (signatures = 0): BaseTransaction => {
  let predicate = Claimant.predicateUnconditional()
  for (let level = 0; level < 10; level++) predicate = Claimant.predicateAnd(predicate, predicate)
  const transaction = new TransactionBuilder(new Account(keys.publicKey(), "1"), {
    fee: "100",
    networkPassphrase: passphrase
  })
    .addOperation(Operation.createClaimableBalance({
      asset: Asset.native(),
      amount: "1",
      claimants: [new Claimant(keys.publicKey(), predicate)]
    }))
    .setTimeout(0)
    .build()
  for (let i = 0; i < signatures; i++) {
    transaction.signatures.push(
      new xdr.DecoratedSignature({ hint: Buffer.alloc(4), signature: Buffer.alloc(64) })
    )
  }
  return transaction
}

export const feeBump = (inner: BaseTransaction): FeeBumpTransaction =>
  TransactionBuilder.buildFeeBumpTransaction(keys, "1000", inner, passphrase)

export const messageOf = (transaction: BaseTransaction | FeeBumpTransaction): Transaction =>
  Transaction.make({ envelope: transaction.toEnvelope() })

// --------------------------------------------------------------------------------------------------------- hashes

const hash = (i: number) => {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(0, i)
  return bytes
}

const hashes = (count: number) => Array.from({ length: count }, (_, i) => hash(i))

export const advert = (count: number): FloodAdvert => FloodAdvert.make({ hashes: hashes(count) })
export const demand = (count: number): FloodDemand => FloodDemand.make({ hashes: hashes(count) })

// ------------------------------------------------------------------------------------------------------------ scp

export interface Ballot {
  readonly counter: number
  readonly value: string
}

const ballot = (b: Ballot) => new xdr.ScpBallot({ counter: b.counter, value: Buffer.from(b.value) })

const zeroHash = Buffer.alloc(32)

export const prepare = (
  b: Ballot,
  rest: { readonly prepared?: Ballot; readonly preparedPrime?: Ballot; readonly nC?: number; readonly nH?: number } = {}
) =>
  xdr.ScpStatementPledges.scpStPrepare(
    new xdr.ScpStatementPrepare({
      quorumSetHash: zeroHash,
      ballot: ballot(b),
      prepared: rest.prepared ? ballot(rest.prepared) : null,
      preparedPrime: rest.preparedPrime ? ballot(rest.preparedPrime) : null,
      nC: rest.nC ?? 0,
      nH: rest.nH ?? 0
    })
  )

export const confirm = (b: Ballot, nPrepared = 0, nCommit = 0, nH = 0) =>
  xdr.ScpStatementPledges.scpStConfirm(
    new xdr.ScpStatementConfirm({ ballot: ballot(b), nPrepared, nCommit, nH, quorumSetHash: zeroHash })
  )

export const externalize = (b: Ballot, nH = 0) =>
  xdr.ScpStatementPledges.scpStExternalize(
    new xdr.ScpStatementExternalize({ commit: ballot(b), nH, commitQuorumSetHash: zeroHash })
  )

export const nominate = (votes: ReadonlyArray<string>, accepted: ReadonlyArray<string>) =>
  xdr.ScpStatementPledges.scpStNominate(
    new xdr.ScpNomination({
      quorumSetHash: zeroHash,
      votes: votes.map((v) => Buffer.from(v)),
      accepted: accepted.map((v) => Buffer.from(v))
    })
  )

export const scp = (
  node: number,
  slot: number | bigint,
  pledges: xdr.ScpStatementPledges = externalize({ counter: 1, value: "x" })
): ScpMessage =>
  ScpMessage.make({
    envelope: new xdr.ScpEnvelope({
      statement: new xdr.ScpStatement({
        nodeId: xdr.PublicKey.publicKeyTypeEd25519(Buffer.alloc(32, node)),
        slotIndex: new xdr.Uint64(slot.toString()),
        pledges
      }),
      signature: Buffer.alloc(64)
    })
  })

// --------------------------------------------------------------------------------------------------------- direct

export const dontHave = (i: number): DontHave => DontHave.make({ itemType: 10, hash: hash(i) })

export const txSet = (size: number): GeneralizedTxSet => GeneralizedTxSet.make({ body: new Uint8Array(size - 4) })

// ------------------------------------------------------------------------------------------------------ both ends

export const flowOptions = (options: Partial<FlowControl.FlowControlOptions> = {}): FlowControl.FlowControlOptions => ({
  ...FlowControl.defaults,
  ...options
})

/** The settings of upstream's test nodes: 20 / 20 / 10 messages. */
export const upstream = (options: Partial<FlowControl.FlowControlOptions> = {}): FlowControl.FlowControlOptions =>
  flowOptions({ readingCapacity: 20, floodReadingCapacity: 20, sendMoreBatchSize: 10, ...options })

export const ledger = (options: Partial<LedgerContext> = {}): LedgerContext => ({
  ...makeLedgerContext({ trackingIndex: 0, maxTxSetSize: 1000 }),
  ...options
})

export const queuesOf = (
  options: Partial<OutboundQueues.OutboundQueuesOptions> = {},
  context: Partial<LedgerContext> = {}
) => new OutboundQueues.OutboundQueues({ ...OutboundQueues.defaults, ...options }, ledger(context))

/** Credit without end, for tests of the queues alone. */
export const plenty = (): FlowControl.FlowControl => {
  const flow = new FlowControl.FlowControl(FlowControl.defaults, 0)
  flow.setCredit(2n ** 63n, 2n ** 63n)
  return flow
}

export const tagsOf = (messages: ReadonlyArray<StellarMessage>): Array<string> => messages.map((m) => m._tag)
