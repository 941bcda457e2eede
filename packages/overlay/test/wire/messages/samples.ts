/**
 * Random stellar-base values of every message type, from a seed: the second implementation the classes are held against.
 */
import { xdr } from "@stellar/stellar-base"
import type { MessageTag } from "../../../src/wire/MessageType.ts"

/** A seeded source of values (mulberry32), so that a failure comes back with its seed. */
export class Source {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }

  int32(): number {
    return this.uint32() | 0
  }

  below(bound: number): number {
    return this.uint32() % bound
  }

  uint64(): bigint {
    return (BigInt(this.uint32()) << 32n) | BigInt(this.uint32())
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)))
  }

  upTo(max: number): Buffer {
    return this.bytes(this.below(max + 1))
  }

  pick<A>(choices: ReadonlyArray<A>): A {
    return choices[this.below(choices.length)]!
  }

  list<A>(max: number, make: () => A): Array<A> {
    return Array.from({ length: this.below(max + 1) }, make)
  }

  /** A signature of the usual 64 bytes three times out of four, else of any length the XDR allows. */
  signature(): Buffer {
    return this.below(4) === 0 ? this.upTo(64) : this.bytes(64)
  }

  node(): xdr.NodeId {
    return xdr.PublicKey.publicKeyTypeEd25519(this.bytes(32))
  }

  u64(): xdr.Uint64 {
    return new xdr.Uint64(this.uint64())
  }
}

const memos = (s: Source): xdr.Memo =>
  s.pick([xdr.Memo.memoNone(), xdr.Memo.memoHash(s.bytes(32)), xdr.Memo.memoId(s.u64())])

const operations = (s: Source): Array<xdr.Operation> =>
  s.list(3, () =>
    new xdr.Operation({
      sourceAccount: null,
      body: xdr.OperationBody.manageData(new xdr.ManageDataOp({ dataName: s.upTo(64), dataValue: s.upTo(64) }))
    }))

const signatures = (s: Source): Array<xdr.DecoratedSignature> =>
  s.list(20, () => new xdr.DecoratedSignature({ hint: s.bytes(4), signature: s.bytes(64) }))

const account = (s: Source): xdr.MuxedAccount =>
  s.pick([
    xdr.MuxedAccount.keyTypeEd25519(s.bytes(32)),
    xdr.MuxedAccount.keyTypeMuxedEd25519(new xdr.MuxedAccountMed25519({ id: s.u64(), ed25519: s.bytes(32) }))
  ])

const transactionV1 = (s: Source): xdr.TransactionV1Envelope =>
  new xdr.TransactionV1Envelope({
    tx: new xdr.Transaction({
      sourceAccount: account(s),
      fee: s.uint32(),
      seqNum: new xdr.Int64(s.uint32()),
      cond: xdr.Preconditions.precondNone(),
      memo: memos(s),
      operations: operations(s),
      ext: new xdr.TransactionExt(0)
    }),
    signatures: signatures(s)
  })

export const envelopes = {
  TX_V0: (s: Source): xdr.TransactionEnvelope =>
    xdr.TransactionEnvelope.envelopeTypeTxV0(
      new xdr.TransactionV0Envelope({
        tx: new xdr.TransactionV0({
          sourceAccountEd25519: s.bytes(32),
          fee: s.uint32(),
          seqNum: new xdr.Int64(s.uint32()),
          timeBounds: s.pick([null, new xdr.TimeBounds({ minTime: s.u64(), maxTime: s.u64() })]),
          memo: memos(s),
          operations: operations(s),
          ext: new xdr.TransactionV0Ext(0)
        }),
        signatures: signatures(s)
      })
    ),
  TX: (s: Source): xdr.TransactionEnvelope => xdr.TransactionEnvelope.envelopeTypeTx(transactionV1(s)),
  TX_FEE_BUMP: (s: Source): xdr.TransactionEnvelope =>
    xdr.TransactionEnvelope.envelopeTypeTxFeeBump(
      new xdr.FeeBumpTransactionEnvelope({
        tx: new xdr.FeeBumpTransaction({
          feeSource: account(s),
          fee: new xdr.Int64(s.uint32()),
          innerTx: xdr.FeeBumpTransactionInnerTx.envelopeTypeTx(transactionV1(s)),
          ext: new xdr.FeeBumpTransactionExt(0)
        }),
        signatures: signatures(s)
      })
    )
}

export const transaction = (s: Source): xdr.TransactionEnvelope =>
  s.pick([envelopes.TX_V0, envelopes.TX, envelopes.TX_FEE_BUMP])(s)

/** A StellarValue mostly, else an opaque that is none. */
const value = (s: Source): Buffer =>
  s.below(4) === 0
    ? s.upTo(70)
    : new xdr.StellarValue({
      txSetHash: s.bytes(32),
      closeTime: s.u64(),
      upgrades: s.list(2, () => s.upTo(20)),
      ext: xdr.StellarValueExt.stellarValueBasic()
    }).toXDR()

const ballot = (s: Source): xdr.ScpBallot => new xdr.ScpBallot({ counter: s.uint32(), value: value(s) })

export const pledges = {
  PREPARE: (s: Source): xdr.ScpStatementPledges =>
    xdr.ScpStatementPledges.scpStPrepare(
      new xdr.ScpStatementPrepare({
        quorumSetHash: s.bytes(32),
        ballot: ballot(s),
        prepared: s.pick([null, ballot(s)]),
        preparedPrime: s.pick([null, ballot(s)]),
        nC: s.uint32(),
        nH: s.uint32()
      })
    ),
  CONFIRM: (s: Source): xdr.ScpStatementPledges =>
    xdr.ScpStatementPledges.scpStConfirm(
      new xdr.ScpStatementConfirm({
        ballot: ballot(s),
        nPrepared: s.uint32(),
        nCommit: s.uint32(),
        nH: s.uint32(),
        quorumSetHash: s.bytes(32)
      })
    ),
  EXTERNALIZE: (s: Source): xdr.ScpStatementPledges =>
    xdr.ScpStatementPledges.scpStExternalize(
      new xdr.ScpStatementExternalize({ commit: ballot(s), nH: s.uint32(), commitQuorumSetHash: s.bytes(32) })
    ),
  NOMINATE: (s: Source): xdr.ScpStatementPledges =>
    xdr.ScpStatementPledges.scpStNominate(
      new xdr.ScpNomination({
        quorumSetHash: s.bytes(32),
        votes: s.list(4, () => value(s)),
        accepted: s.list(4, () => value(s))
      })
    )
}

export const scpEnvelope = (s: Source, kind: keyof typeof pledges): xdr.ScpEnvelope =>
  new xdr.ScpEnvelope({
    statement: new xdr.ScpStatement({ nodeId: s.node(), slotIndex: s.u64(), pledges: pledges[kind](s) }),
    signature: s.signature()
  })

export const quorumSet = (s: Source, depth = 2): xdr.ScpQuorumSet =>
  new xdr.ScpQuorumSet({
    threshold: s.uint32(),
    validators: s.list(4, () => s.node()),
    innerSets: depth === 0 ? [] : s.list(2, () => quorumSet(s, depth - 1))
  })

export const generalizedTxSet = (s: Source): xdr.GeneralizedTransactionSet =>
  new xdr.GeneralizedTransactionSet(
    1,
    new xdr.TransactionSetV1({
      previousLedgerHash: s.bytes(32),
      phases: s.list(2, () =>
        new xdr.TransactionPhase(
          0,
          s.list(2, () =>
            xdr.TxSetComponent.txsetCompTxsMaybeDiscountedFee(
              new xdr.TxSetComponentTxsMaybeDiscountedFee({
                baseFee: s.pick([null, new xdr.Int64(100)]),
                txes: s.list(3, () => transaction(s))
              })
            ))
        ))
    })
  )

const peer = (s: Source): xdr.PeerAddress =>
  new xdr.PeerAddress({
    ip: s.pick([xdr.PeerAddressIp.iPv4(s.bytes(4)), xdr.PeerAddressIp.iPv6(s.bytes(16))]),
    port: s.pick([0, 1, 11_625, 65_535, 65_536, s.uint32()]),
    numFailures: s.uint32()
  })

const surveyed = (s: Source) => ({
  surveyorPeerId: s.node(),
  surveyedPeerId: s.node(),
  ledgerNum: s.uint32(),
  commandType: xdr.SurveyMessageCommandType.timeSlicedSurveyTopology()
})

const collecting = (s: Source) => ({ surveyorId: s.node(), nonce: s.uint32(), ledgerNum: s.uint32() })

const hashes = (s: Source): Array<xdr.Hash> =>
  // stellar-base declares Hash as a class, while its codec reads and writes plain Buffers
  s.list(40, () => s.bytes(32) as unknown as xdr.Hash)

const errorCodes = [
  xdr.ErrorCode.errMisc(),
  xdr.ErrorCode.errData(),
  xdr.ErrorCode.errConf(),
  xdr.ErrorCode.errAuth(),
  xdr.ErrorCode.errLoad()
]

const itemTypes = [xdr.MessageType.txSet(), xdr.MessageType.scpQuorumset(), xdr.MessageType.generalizedTxSet()]

/** A random value of each message type. */
export const samples: { readonly [Tag in MessageTag]: (s: Source) => xdr.StellarMessage } = {
  ErrorMsg: (s) => xdr.StellarMessage.errorMsg(new xdr.Error({ code: s.pick(errorCodes), msg: s.upTo(100) })),
  Auth: (s) => xdr.StellarMessage.auth(new xdr.Auth({ flags: s.int32() })),
  DontHave: (s) =>
    xdr.StellarMessage.dontHave(
      new xdr.DontHave({ type: s.pick(itemTypes), reqHash: s.bytes(32) })
    ),
  Peers: (s) => xdr.StellarMessage.peers(s.list(100, () => peer(s))),
  GetTxSet: (s) => xdr.StellarMessage.getTxSet(s.bytes(32)),
  TxSet: (s) =>
    xdr.StellarMessage.txSet(
      new xdr.TransactionSet({ previousLedgerHash: s.bytes(32), txes: s.list(4, () => transaction(s)) })
    ),
  Transaction: (s) => xdr.StellarMessage.transaction(transaction(s)),
  GetScpQuorumSet: (s) => xdr.StellarMessage.getScpQuorumset(s.bytes(32)),
  ScpQuorumSet: (s) => xdr.StellarMessage.scpQuorumset(quorumSet(s)),
  ScpMessage: (s) =>
    xdr.StellarMessage.scpMessage(scpEnvelope(s, s.pick(["PREPARE", "CONFIRM", "EXTERNALIZE", "NOMINATE"]))),
  GetScpState: (s) => xdr.StellarMessage.getScpState(s.uint32()),
  Hello: (s) =>
    xdr.StellarMessage.hello(
      new xdr.Hello({
        ledgerVersion: s.uint32(),
        overlayVersion: s.uint32(),
        overlayMinVersion: s.uint32(),
        networkId: s.bytes(32),
        versionStr: s.upTo(100),
        listeningPort: s.int32(),
        peerId: s.node(),
        cert: new xdr.AuthCert({
          pubkey: new xdr.Curve25519Public({ key: s.bytes(32) }),
          expiration: s.u64(),
          sig: s.signature()
        }),
        nonce: s.bytes(32)
      })
    ),
  SendMore: (s) => xdr.StellarMessage.sendMore(new xdr.SendMore({ numMessages: s.uint32() })),
  GeneralizedTxSet: (s) => xdr.StellarMessage.generalizedTxSet(generalizedTxSet(s)),
  FloodAdvert: (s) => xdr.StellarMessage.floodAdvert(new xdr.FloodAdvert({ txHashes: hashes(s) })),
  FloodDemand: (s) => xdr.StellarMessage.floodDemand(new xdr.FloodDemand({ txHashes: hashes(s) })),
  SendMoreExtended: (s) =>
    xdr.StellarMessage.sendMoreExtended(new xdr.SendMoreExtended({ numMessages: s.uint32(), numBytes: s.uint32() })),
  TimeSlicedSurveyRequest: (s) =>
    xdr.StellarMessage.timeSlicedSurveyRequest(
      new xdr.SignedTimeSlicedSurveyRequestMessage({
        requestSignature: s.signature(),
        request: new xdr.TimeSlicedSurveyRequestMessage({
          request: new xdr.SurveyRequestMessage({
            ...surveyed(s),
            encryptionKey: new xdr.Curve25519Public({ key: s.bytes(32) })
          }),
          nonce: s.uint32(),
          inboundPeersIndex: s.uint32(),
          outboundPeersIndex: s.uint32()
        })
      })
    ),
  TimeSlicedSurveyResponse: (s) =>
    xdr.StellarMessage.timeSlicedSurveyResponse(
      new xdr.SignedTimeSlicedSurveyResponseMessage({
        responseSignature: s.signature(),
        response: new xdr.TimeSlicedSurveyResponseMessage({
          response: new xdr.SurveyResponseMessage({ ...surveyed(s), encryptedBody: s.upTo(500) }),
          nonce: s.uint32()
        })
      })
    ),
  TimeSlicedSurveyStartCollecting: (s) =>
    xdr.StellarMessage.timeSlicedSurveyStartCollecting(
      new xdr.SignedTimeSlicedSurveyStartCollectingMessage({
        signature: s.signature(),
        startCollecting: new xdr.TimeSlicedSurveyStartCollectingMessage(collecting(s))
      })
    ),
  TimeSlicedSurveyStopCollecting: (s) =>
    xdr.StellarMessage.timeSlicedSurveyStopCollecting(
      new xdr.SignedTimeSlicedSurveyStopCollectingMessage({
        signature: s.signature(),
        stopCollecting: new xdr.TimeSlicedSurveyStopCollectingMessage(collecting(s))
      })
    )
}

/** The bytes as a view in the middle of a larger buffer whose other bytes are not zero, as a socket chunk would hold them. */
export const within = (bytes: Uint8Array): Uint8Array => {
  const chunk = new Uint8Array(bytes.length + 40).fill(0xee)
  chunk.set(bytes, 17)
  return chunk.subarray(17, 17 + bytes.length)
}

/** Random values of one type, each with the seed that makes it. */
export const many = function*(
  tag: MessageTag,
  count = 150
): Generator<readonly [seed: number, value: xdr.StellarMessage]> {
  for (let seed = 1; seed <= count; seed++) yield [seed, samples[tag](new Source(seed))]
}
