import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { admitAll } from "@stellar-overlay/overlay/protocol/Handshake"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { ErrorMsg, GetTxSet } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { type ForeignOptions, LEDGER_VERSION, makeNode, VERSION_STRING } from "./foreign.ts"
import { directions } from "./links.ts"
import { layer, leavingNothing, listen, STANDALONE, within } from "./local.ts"

const { Auth, ErrorMsg: Error, GetScpState, Hello, Peers, SendMoreExtended } = MessageType

const networkId = (passphrase: string) => createHash("sha256").update(passphrase).digest()

/** The connector dials us and is refused: our reason, what it received, and how its socket ended. */
const refusedByAcceptor = Effect.fnUntraced(function*(theirs: ForeignOptions) {
  const { accepted, port } = yield* listen()
  const foreign = yield* makeNode(theirs).dial(port)
  const { reason } = yield* Effect.flip(accepted)
  return { reason, foreign, error: yield* foreign.closed }
})

/** We dial the connector, and one of us refuses. */
const refusedByInitiator = Effect.fnUntraced(function*(theirs: ForeignOptions) {
  const { accepted, port } = yield* makeNode(theirs).listen
  const { reason } = yield* Effect.flip(within("our refusal", Effect.scoped(Peer.connect(`127.0.0.1:${port}`))))
  const foreign = yield* accepted
  return { reason, foreign, error: yield* foreign.closed }
})

const refusals = [
  { title: "it dials us", refused: refusedByAcceptor },
  { title: "we dial it", refused: refusedByInitiator }
] as const

describe("interop: handshake", () => {
  for (const { link, role, title } of directions) {
    it.live(`SIM-05 HSK-06 ${title}: both authenticate in order and know each other's facts`, () =>
      Effect.gen(function*() {
        const addresses = [PeerAddress.make("198.51.100.7", 11625), PeerAddress.make("203.0.113.9", 11700)]
        const { foreign, node, peer } = yield* link({ ours: { admission: { ...admitAll, peersFor: () => addresses } } })

        const { certificateExpiration, ...remote } = peer.remote
        assert.deepStrictEqual({ ...remote, networkId: Buffer.from(remote.networkId) }, {
          role,
          id: peer.id,
          address: PeerAddress.make("127.0.0.1", 11625),
          ledgerVersion: LEDGER_VERSION,
          overlayVersion: 41,
          overlayMinVersion: 40,
          version: VERSION_STRING,
          networkId: networkId(STANDALONE),
          listeningPort: 11625
        })
        assert.strictEqual<string>(peer.id, node.id)
        assert.strictEqual(peer.role, role)
        // Protocol.md 2.2 says Unix seconds; these are milliseconds.
        assert.isAbove(Number(certificateExpiration), 1e12)

        const { id, info } = yield* foreign.ready
        assert.strictEqual<string>(id, peer.session.options.handshake.id)
        assert.deepStrictEqual(info, {
          ledgerVersion: 25,
          overlayVersion: 42,
          overlayMinVersion: 38,
          versionString: "overlay under test",
          networkId: networkId(STANDALONE).toString("base64")
        })

        // Protocol.md 2.1: PEERS from the acceptor alone, then the first grant, then the question for SCP state.
        const acceptor = role === "acceptor"
        if (acceptor) assert.deepStrictEqual((yield* foreign.takeOf("Peers")).addresses, addresses)
        assert.strictEqual((yield* foreign.takeOf("GetScpState")).ledgerSeq, 0)
        assert.deepStrictEqual(foreign.types, [Hello, Auth, ...acceptor ? [Peers] : [], SendMoreExtended, GetScpState])
        assert.deepStrictEqual(foreign.grants, [{ messages: 200, bytes: 300_000 }])

        // Its own first grant comes before anything it says.
        const { flow } = peer.session
        foreign.send(GetTxSet.make({ hash: new Uint8Array(32) }))
        assert.strictEqual((yield* foreign.takeOf("DontHave")).itemType, MessageType.GeneralizedTxSet)
        assert.deepStrictEqual([flow.messageCredit, flow.byteCredit], [200n, 300_000n])
      }).pipe(leavingNothing, Effect.provide(layer())))

    it.live(`SIM-05 ${title}: it reads our ERROR_MSG before the end`, () =>
      Effect.gen(function*() {
        const { foreign, peer } = yield* link()
        yield* peer.drop(DropReason.make("DroppedByUser"))
        const { code, text } = yield* foreign.takeOf("ErrorMsg")
        assert.deepStrictEqual([code, text], [0, "dropped by user"])
        assert.isUndefined(yield* foreign.closed)
      }).pipe(leavingNothing, Effect.provide(layer())))

    it.live(`SIM-05 ${title}: we report its ERROR_MSG, though it carries a MAC, and its plain end`, () =>
      Effect.gen(function*() {
        const first = yield* link()
        first.foreign.send(ErrorMsg.make({ code: 4, text: "no <room>" }))
        const reason = yield* within("its error", first.peer.closed)
        assert.deepStrictEqual(reason, DropReason.fromErrorMessage(4, "no <room>"))
        assert.strictEqual(DropReason.text(reason), "ERR_LOAD (no *room*)")

        const second = yield* link()
        second.foreign.connection.end()
        assert.strictEqual((yield* within("its end", second.peer.closed))._tag, "RemoteClosed")
      }).pipe(leavingNothing, Effect.provide(layer())))
  }

  it.live("SIM-05 it dials us: on another network it is dropped in silence", () =>
    Effect.gen(function*() {
      const { error, foreign, reason } = yield* refusedByAcceptor({ network: passphrases.testnet })
      assert.strictEqual(reason._tag, "CertificateInvalid")
      assert.deepStrictEqual([foreign.types, error], [[], undefined])
    }).pipe(leavingNothing, Effect.provide(layer())))

  it.live("SIM-05 we dial it: on another network it refuses our certificate, and we see the end", () =>
    Effect.gen(function*() {
      const { error, foreign, reason } = yield* refusedByInitiator({ network: passphrases.testnet })
      assert.strictEqual(error, "Invalid auth cert")
      assert.strictEqual(reason._tag, "RemoteClosed")
      assert.include(DropReason.hint(reason), "another network")
      assert.deepStrictEqual(foreign.types, [Hello])
    }).pipe(leavingNothing, Effect.provide(layer())))

  for (const { refused, title } of refusals) {
    it.live.each([[37, 30], [50, 43]] as const)(
      `SIM-05 HSK-06 ${title}: versions %d/%d do not overlap ours, and it reads why`,
      ([overlayVersion, overlayMinVersion]) =>
        Effect.gen(function*() {
          const { error, foreign, reason } = yield* refused({ versions: { overlayVersion, overlayMinVersion } })
          assert.deepStrictEqual(
            reason,
            DropReason.make("WrongProtocolVersion", `theirs ${overlayMinVersion}..${overlayVersion}, ours 38..42`)
          )
          const { code, text } = yield* foreign.takeOf("ErrorMsg")
          assert.deepStrictEqual([code, text, error], [2, "wrong protocol version", undefined])
          assert.deepStrictEqual(foreign.types, [Hello, Error])
        }).pipe(leavingNothing, Effect.provide(layer()))
    )

    it.live(`SIM-05 ${title}: before version 28 its AUTH flags are 100, which we refuse`, () =>
      Effect.gen(function*() {
        const { foreign, reason } = yield* refused({ versions: { overlayVersion: 27, overlayMinVersion: 24 } })
        assert.deepStrictEqual(reason, DropReason.make("FlowControlBytesDisabled", 100))
        const { code, text } = yield* foreign.takeOf("ErrorMsg")
        assert.deepStrictEqual([code, text], [2, "flow control bytes disabled"])
      }).pipe(leavingNothing, Effect.provide(layer({ overlayMinVersion: 24 }))))

    it.live(`SIM-05 H5 ${title}: its certificate is too far ahead for the default bound, and our reason says so`, () =>
      Effect.gen(function*() {
        const { foreign, reason } = yield* refused({})
        assert.strictEqual(reason._tag, "CertificateTooFarAhead")
        assert.match(DropReason.hint(reason), /at \d{13}, no time in seconds.*js-stellar-node-connector/)
        assert.notInclude(foreign.types, Error)
      }).pipe(leavingNothing, Effect.provide(layer({ maxCertificateSeconds: 3900 }))))
  }
})
