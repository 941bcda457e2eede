/**
 * The messages that benchmarks send: real XDR, built with stellar-base, so that a validator finds nothing to object to.
 *
 * Every body of a workload is a message of its own (other validator, other sequence number, other hashes): queues that
 * look for superseded statements and caches that remember hashes meet what they would meet on a network.
 */
import { Account, Asset, Keypair, Memo, Operation, TransactionBuilder, xdr } from "@stellar/stellar-base"

/** mulberry32, so that every process builds the same bytes. */
const random = (seed: number) => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  return { next, bytes: (length: number) => Buffer.from(Array.from({ length }, () => next() & 0xff)) }
}

type Source = ReturnType<typeof random>

const bytesOf = (message: xdr.StellarMessage): Uint8Array => new Uint8Array(message.toXDR())

// ------------------------------------------------------------------------------------------------------------- SCP

const node = (s: Source) => xdr.PublicKey.publicKeyTypeEd25519(s.bytes(32))

/** A signed StellarValue, as nominated and voted on: 152 bytes. */
const value = (s: Source): Buffer =>
  new xdr.StellarValue({
    txSetHash: s.bytes(32),
    closeTime: new xdr.Uint64(s.next()),
    upgrades: [],
    ext: xdr.StellarValueExt.stellarValueSigned(
      new xdr.LedgerCloseValueSignature({ nodeId: node(s), signature: s.bytes(64) })
    )
  }).toXDR()

const ballot = (s: Source, content = value(s)) => new xdr.ScpBallot({ counter: 1, value: content })

const scp = (s: Source, pledges: xdr.ScpStatementPledges, signature = s.bytes(64)): Uint8Array =>
  bytesOf(xdr.StellarMessage.scpMessage(
    new xdr.ScpEnvelope({
      statement: new xdr.ScpStatement({
        nodeId: node(s),
        slotIndex: new xdr.Uint64(50_000_000 + (s.next() & 7)),
        pledges
      }),
      signature
    })
  ))

const externalize = (s: Source, content?: Buffer) =>
  xdr.ScpStatementPledges.scpStExternalize(
    new xdr.ScpStatementExternalize({ commit: ballot(s, content), nH: 1, commitQuorumSetHash: s.bytes(32) })
  )

const confirm = (s: Source) =>
  xdr.ScpStatementPledges.scpStConfirm(
    new xdr.ScpStatementConfirm({ ballot: ballot(s), nPrepared: 1, nCommit: 1, nH: 1, quorumSetHash: s.bytes(32) })
  )

const prepare = (s: Source, prepared: boolean) =>
  xdr.ScpStatementPledges.scpStPrepare(
    new xdr.ScpStatementPrepare({
      quorumSetHash: s.bytes(32),
      ballot: ballot(s),
      prepared: prepared ? ballot(s) : null,
      preparedPrime: null,
      nC: 0,
      nH: 0
    })
  )

const nominate = (s: Source, votes: ReadonlyArray<Buffer>) =>
  xdr.ScpStatementPledges.scpStNominate(
    new xdr.ScpNomination({ quorumSetHash: s.bytes(32), votes: [...votes], accepted: [] })
  )

// ---------------------------------------------------------------------------------------------------- transactions

const passphrase = "Standalone Network ; February 2017"
const keys = Keypair.fromRawEd25519Seed(Buffer.alloc(32, 7))
const issued = new Asset("USD", keys.publicKey())

/** One signed v1 transaction with payments; 280 bytes as a message with one payment of an issued asset and a memo. */
const transaction = (s: Source, payments: number, asset: Asset, memo: Memo): xdr.TransactionEnvelope => {
  const builder = new TransactionBuilder(new Account(keys.publicKey(), String(s.next())), {
    fee: "100",
    networkPassphrase: passphrase,
    timebounds: { minTime: 0, maxTime: 2_000_000_000 }
  }).addMemo(memo)
  for (let i = 0; i < payments; i++) {
    builder.addOperation(Operation.payment({ destination: keys.publicKey(), asset, amount: "10" }))
  }
  const built = builder.build()
  // A random signature: benchmarks do not verify it, and signing thousands would take seconds.
  built.signatures.push(new xdr.DecoratedSignature({ hint: s.bytes(4), signature: s.bytes(64) }))
  return built.toEnvelope()
}

const payment = (s: Source, payments: number, asset: Asset, memo: Memo): Uint8Array =>
  bytesOf(xdr.StellarMessage.transaction(transaction(s, payments, asset, memo)))

const text16 = Memo.text("sixteen letters!")

/** A transaction set of about `size` bytes with one classic phase of payments. */
const txSet = (s: Source, size: number): Uint8Array => {
  const txes: Array<xdr.TransactionEnvelope> = []
  for (let bytes = 76; bytes + 276 <= size; bytes += 276) txes.push(transaction(s, 1, issued, text16))
  const phase = (list: Array<xdr.TransactionEnvelope>) =>
    new xdr.TransactionPhase(
      0,
      list.length === 0 ? [] : [
        xdr.TxSetComponent.txsetCompTxsMaybeDiscountedFee(
          new xdr.TxSetComponentTxsMaybeDiscountedFee({ baseFee: null, txes: list })
        )
      ]
    )
  return bytesOf(xdr.StellarMessage.generalizedTxSet(
    new xdr.GeneralizedTransactionSet(
      1,
      new xdr.TransactionSetV1({ previousLedgerHash: s.bytes(32), phases: [phase(txes), phase([])] })
    )
  ))
}

// ---------------------------------------------------------------------------------------------- adverts and demands

const hashes = (s: Source, count: number): Array<xdr.Hash> =>
  // stellar-base declares Hash as a class, while its codec reads and writes plain Buffers
  Array.from({ length: count }, () => s.bytes(32) as unknown as xdr.Hash)

const advert = (s: Source, count: number): Uint8Array =>
  bytesOf(xdr.StellarMessage.floodAdvert(new xdr.FloodAdvert({ txHashes: hashes(s, count) })))

const demand = (s: Source, count: number): Uint8Array =>
  bytesOf(xdr.StellarMessage.floodDemand(new xdr.FloodDemand({ txHashes: hashes(s, count) })))

/** Credit for one byte and no message: the receiver of the traffic must not come to think that it may send more. */
const grant = (): Uint8Array =>
  bytesOf(xdr.StellarMessage.sendMoreExtended(new xdr.SendMoreExtended({ numMessages: 0, numBytes: 1 })))

// ------------------------------------------------------------------------------------------------------- workloads

/** The bodies of the reference mix, 20 of them, in the order of sending: 9 SCP, 5 transactions, 4 adverts and demands, 2 grants. */
const mix: ReadonlyArray<(s: Source) => Uint8Array> = [
  (s) => scp(s, nominate(s, [value(s)])),
  (s) => payment(s, 1, issued, text16),
  (s) => scp(s, prepare(s, true)),
  (s) => advert(s, 21),
  (s) => scp(s, externalize(s)),
  grant,
  (s) => payment(s, 13, Asset.native(), Memo.id("1")),
  (s) => scp(s, confirm(s)),
  (s) => demand(s, 11),
  (s) => scp(s, prepare(s, false)),
  (s) => payment(s, 1, issued, text16),
  (s) => scp(s, nominate(s, [value(s), value(s)])),
  (s) => advert(s, 7),
  (s) => scp(s, prepare(s, true)),
  (s) => payment(s, 1, issued, text16),
  grant,
  (s) => scp(s, externalize(s)),
  (s) => demand(s, 3),
  (s) => payment(s, 13, Asset.native(), Memo.id("1")),
  (s) => scp(s, nominate(s, [value(s)]))
]

/** The names of the workloads. */
export const workloads = ["100 B", "400 B", "1 KB", "mix", "64 KB set", "1 MB set"] as const

/** A workload: what is sent, over and over. */
export type Workload = (typeof workloads)[number]

const repeat = (count: number, make: (s: Source) => Uint8Array) => (s: Source) =>
  Array.from({ length: count }, () => make(s))

const makers: Readonly<Record<Workload, (s: Source) => Array<Uint8Array>>> = {
  // the smallest SCP message with a validator and a slot: an EXTERNALIZE without value and signature
  "100 B": repeat(1000, (s) => scp(s, externalize(s, Buffer.alloc(0)), Buffer.alloc(0))),
  "400 B": repeat(1000, (s) => scp(s, externalize(s, s.bytes(236)))),
  "1 KB": repeat(500, (s) => payment(s, 15, Asset.native(), text16)),
  mix: (s) => Array.from({ length: 50 }, () => mix.map((make) => make(s))).flat(),
  "64 KB set": repeat(4, (s) => txSet(s, 65_536)),
  "1 MB set": repeat(2, (s) => txSet(s, 1_048_576 - 4096))
}

const built = new Map<Workload, ReadonlyArray<Uint8Array>>()

/** The bodies of a workload, StellarMessage XDR each, the same in every process. */
export const bodiesOf = (workload: Workload): ReadonlyArray<Uint8Array> => {
  const known = built.get(workload)
  if (known !== undefined) return known
  const bodies = makers[workload](random(1 + workloads.indexOf(workload)))
  built.set(workload, bodies)
  return bodies
}

/** Mean size of the bodies, in bytes. */
export const meanSize = (workload: Workload): number => {
  const bodies = bodiesOf(workload)
  return bodies.reduce((sum, { length }) => sum + length, 0) / bodies.length
}

/** One SCP message of 316 bytes, the usual EXTERNALIZE. */
export const oneScpMessage = (): Uint8Array => {
  const s = random(99)
  return scp(s, externalize(s))
}
