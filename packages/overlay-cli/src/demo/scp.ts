/**
 * Signed SCP statements with stellar-base, as a validator makes them: the signature is Ed25519 over the network id,
 * ENVELOPE_TYPE_SCP and the statement (protocol.md 5.3).
 */
import type { Identity } from "@stellar-overlay/overlay/NodeIdentity"
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import { ScpMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { xdr } from "@stellar/stellar-base"

const ENVELOPE_TYPE_SCP = 1
const ENVELOPE_TYPE_SCPVALUE = 4

const typed = (networkId: Uint8Array, type: number, data: Uint8Array): Buffer =>
  Buffer.concat([networkId, Uint8Array.of(0, 0, 0, type), data])

const nodeOf = (key: Uint8Array): xdr.NodeId => xdr.PublicKey.publicKeyTypeEd25519(Buffer.from(key))

/** A quorum set of all validators with a threshold of two thirds, rounded up. */
export const quorumSet = (keys: ReadonlyArray<Uint8Array>): xdr.ScpQuorumSet =>
  new xdr.ScpQuorumSet({
    threshold: Math.ceil((2 * keys.length) / 3),
    validators: keys.map(nodeOf),
    innerSets: []
  })

/** What a ledger closes with: a StellarValue signed by the validator that proposes it. */
export const stellarValue = (
  identity: Identity,
  networkId: Uint8Array,
  txSetHash: Uint8Array,
  closeTime: number
): Uint8Array => {
  const time = new xdr.Uint64(closeTime)
  const signed = Buffer.concat([txSetHash, time.toXDR()])
  return new Uint8Array(
    new xdr.StellarValue({
      txSetHash: Buffer.from(txSetHash),
      closeTime: time,
      upgrades: [],
      ext: xdr.StellarValueExt.stellarValueSigned(
        new xdr.LedgerCloseValueSignature({
          nodeId: nodeOf(identity.publicKey),
          signature: Buffer.from(identity.sign(typed(networkId, ENVELOPE_TYPE_SCPVALUE, signed)))
        })
      )
    }).toXDR()
  )
}

/** The kinds of statement in the order in which a slot goes through them. */
export type Phase = "NOMINATE" | "PREPARE" | "CONFIRM" | "EXTERNALIZE"

const pledges = (phase: Phase, value: Uint8Array, quorumSetHash: Uint8Array): xdr.ScpStatementPledges => {
  const hash = Buffer.from(quorumSetHash)
  const ballot = new xdr.ScpBallot({ counter: 1, value: Buffer.from(value) })
  switch (phase) {
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

/** A statement of a validator about a slot, signed. */
export const statement = (
  identity: Identity,
  networkId: Uint8Array,
  options: {
    readonly slot: number
    readonly phase: Phase
    readonly value: Uint8Array
    readonly quorumSetHash: Uint8Array
  }
): ScpMessage => {
  const made = new xdr.ScpStatement({
    nodeId: nodeOf(identity.publicKey),
    slotIndex: new xdr.Uint64(options.slot),
    pledges: pledges(options.phase, options.value, options.quorumSetHash)
  })
  const signature = identity.sign(typed(networkId, ENVELOPE_TYPE_SCP, made.toXDR()))
  return ScpMessage.make({ envelope: new xdr.ScpEnvelope({ statement: made, signature: Buffer.from(signature) }) })
}

/** Whether a statement was signed by the validator it names. */
export const isSigned = (
  message: ScpMessage,
  networkId: Uint8Array,
  crypto: Pick<Primitives, "ed25519Verify">
): boolean =>
  crypto.ed25519Verify(message.nodeKey, typed(networkId, ENVELOPE_TYPE_SCP, message.statement), message.signature)
