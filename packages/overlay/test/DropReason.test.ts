/** The table of drop reasons against protocol.md section 3. */
import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "../src/DropReason.ts"
import { PeerDropped } from "../src/OverlayError.ts"
import { ErrorCode, errorCodeName, ErrorMsg, MAX_TEXT_LENGTH } from "../src/wire/messages/HandshakeMessages.ts"
import { PeerAddress } from "../src/wire/PeerAddress.ts"

/** Every reason by its text, the detail being "X". */
const byText = new Map<string, Array<DropReason.DropReason>>()
for (const tag of DropReason.tags) {
  const reason = DropReason.make(tag, "X")
  const text = DropReason.text(reason)
  byText.set(text, [...(byText.get(text) ?? []), reason])
}

// protocol.md 3.2, with X for what varies
const withError: ReadonlyArray<readonly [keyof typeof ErrorCode, string]> = [
  ["ERR_DATA", "received corrupt XDR"],
  ["ERR_DATA", "crypto error"],
  ["ERR_AUTH", "unexpected auth sequence"],
  ["ERR_AUTH", "receive mac key is zero"],
  ["ERR_AUTH", "unexpected MAC"],
  ["ERR_CONF", "wrong protocol version"],
  ["ERR_CONF", "connecting to self"],
  ["ERR_CONF", "wrong network passphrase"],
  ["ERR_CONF", "bad address"],
  ["ERR_CONF", "already-connected peer: X"],
  ["ERR_CONF", "flow control bytes disabled"],
  ["ERR_MISC", "out-of-order AUTH message"],
  ["ERR_LOAD", "peer rejected"],
  ["ERR_LOAD", "preferred peer selected instead"],
  ["ERR_LOAD", "random disconnect due to out of sync"],
  ["ERR_MISC", "shutdown"],
  ["ERR_MISC", "Survey has invalid signature"],
  ["ERR_MISC", "dropped by user"]
]

// protocol.md 3.3
const silent: ReadonlyArray<string> = [
  "received unexpected HELLO",
  "failed to verify auth cert",
  "node is banned",
  "failed to determine remote address",
  "received X before completed handshake",
  "received PEERS",
  "too many msgs PEERS",
  "unexpected flood message, peer at capacity",
  "unexpected message type SEND_MORE",
  "invalid message SEND_MORE_EXTENDED",
  "Peer capacity overflow",
  "idle timeout",
  "idle timeout (no new flood requests)",
  "straggling (cannot keep up)",
  "error during read",
  "error reading message header: X",
  "short read of message body",
  "error during write",
  "unable to connect: X",
  "Bad crypto request",
  "all pending inbound connections are taken",
  "all outbound connections taken"
]

describe("the table", () => {
  it("CFG-06 every reason of protocol.md 3.2 exists, with its code", () => {
    for (const [code, text] of withError) {
      const reasons = byText.get(text) ?? []
      assert.isAbove(reasons.length, 0, text)
      for (const reason of reasons) assert.strictEqual(DropReason.errorCode(reason), ErrorCode[code], reason._tag)
    }
  })

  it("CFG-06 every silent reason of protocol.md 3.3 exists, without a code", () => {
    for (const text of silent) {
      const reasons = byText.get(text) ?? []
      assert.isAbove(reasons.length, 0, text)
      for (const reason of reasons) assert.isUndefined(DropReason.errorCode(reason), reason._tag)
    }
  })

  it("CFG-06 whatever we say that core does not say, is said where core says nothing", () => {
    const known = new Set(withError.map(([, text]) => text))
    const ours = DropReason.tags.filter((tag) => {
      const reason = DropReason.make(tag, "X")
      return DropReason.errorCode(reason) !== undefined && !known.has(DropReason.text(reason))
    })
    assert.deepStrictEqual(ours, ["RateLimited"], "the per-peer rate policy, which is off by default")
  })

  const kinds = ["unreachable", "rejected", "load", "violation", "timeout", "local", "bug"]
  for (const tag of DropReason.tags) {
    it(`CFG-06 ${tag} has a text, a hint, a kind, somebody who did it and a page`, () => {
      for (const detail of ["", "detail42", 42, "$& $1 {} \\"]) {
        const reason = DropReason.make(tag, detail)
        assert.match(DropReason.text(reason), /^\S/)
        assert.isAtLeast(DropReason.hint(reason).length, 15)
        if (detail !== "$& $1 {} \\") assert.notInclude(DropReason.format(reason), "{}")
        else if (DropReason.text(DropReason.make(tag, "detail42")).includes("detail42")) {
          assert.include(DropReason.text(reason), detail, "details are no patterns")
        }
        assert.include(kinds, DropReason.kind(reason))
        assert.include(["us", "remote", "network"], DropReason.droppedBy(reason))
        assert.strictEqual(DropReason.documentation(reason), `docs/drop-reasons.md#${tag.toLowerCase()}`)
      }
    })
  }

  it("PEE-04 every text of an ERROR_MSG fits into 100 bytes with an honest detail", () => {
    assert.strictEqual(MAX_TEXT_LENGTH, 100)
    for (const tag of DropReason.tags) {
      const reason = DropReason.make(tag, "GABCD")
      if (DropReason.errorCode(reason) === undefined) continue
      assert.isAtMost(new TextEncoder().encode(DropReason.text(reason)).length, 100, tag)
    }
  })

  it("PEE-04 a long text is cut on a character border when it becomes an ERROR_MSG", () => {
    const message = ErrorMsg.make({ code: 2, text: "€".repeat(50) }) // 150 bytes
    assert.strictEqual(message.text, "€".repeat(33))
    assert.strictEqual(message.textBytes.length, 99)
  })

  it("CFG-06 who ended it: we did, the remote did, or the network", () => {
    const by = (wanted: string) =>
      DropReason.tags.filter((tag) => DropReason.droppedBy(DropReason.make(tag)) === wanted)
    assert.deepStrictEqual(by("remote"), ["RemoteClosed", "ErrorReceived", "LoadErrorReceived", "ShutdownReceived"])
    for (const tag of by("network")) assert.strictEqual(DropReason.kind(DropReason.make(tag)), "unreachable", tag)
    for (const tag of [...by("network"), ...by("remote")]) {
      assert.isUndefined(DropReason.errorCode(DropReason.make(tag)))
    }
  })

  it("PEE-05 every ERR_LOAD of ours is lack of room, and nothing that is a violation is ERR_LOAD", () => {
    for (const tag of DropReason.tags) {
      const reason = DropReason.make(tag)
      if (DropReason.errorCode(reason) === ErrorCode.ERR_LOAD) assert.strictEqual(DropReason.kind(reason), "load", tag)
    }
  })
})

describe("an ERROR_MSG that arrived", () => {
  it("PEE-04 <CODE> (<text>), every character but ASCII letters, digits and spaces a *", () => {
    const cases: ReadonlyArray<[number, string, string]> = [
      [0, "dropped by user", "ERR_MISC (dropped by user)"],
      [1, "received corrupt XDR", "ERR_DATA (received corrupt XDR)"],
      [2, "already-connected peer: GABCD", "ERR_CONF (already*connected peer* GABCD)"],
      [3, "unexpected MAC", "ERR_AUTH (unexpected MAC)"],
      [4, "peer rejected", "ERR_LOAD (peer rejected)"],
      [5, "", "UNKNOWN ()"],
      [-1, "\u0000\u0007\u001b[2J\r\n", "UNKNOWN (****2J**)"],
      [99, "<script>", "UNKNOWN (*script*)"]
    ]
    for (const [code, text, expected] of cases) {
      assert.strictEqual(DropReason.text(DropReason.fromErrorMessage(code, text)), expected)
    }
    assert.deepStrictEqual([0, 1, 2, 3, 4, 5, -1].map(errorCodeName), [
      "ERR_MISC",
      "ERR_DATA",
      "ERR_CONF",
      "ERR_AUTH",
      "ERR_LOAD",
      "UNKNOWN",
      "UNKNOWN"
    ])
  })

  it("PEE-04 O6 whatever a peer says, text, hint and format stay printable ASCII on one line", () => {
    for (let code = 0; code < 0x250; code++) {
      const reason = DropReason.fromErrorMessage(code % 6, `a${String.fromCodePoint(code)}b{}$&`)
      assert.match(DropReason.format(reason), /^[\x20-\x7e]+$/)
    }
    assert.strictEqual(DropReason.sanitize("ok 09 azAZ"), "ok 09 azAZ")
  })

  it("PEE-05 ERR_LOAD is lack of room, ERR_MISC shutdown a shutdown, and all of them came from the remote", () => {
    const tag = (code: number, text: string) => {
      const reason = DropReason.fromErrorMessage(code, text)
      assert.strictEqual(DropReason.droppedBy(reason), "remote")
      assert.isUndefined(DropReason.errorCode(reason), "it is not answered")
      return reason._tag
    }
    assert.strictEqual(tag(4, "peer rejected"), "LoadErrorReceived")
    assert.strictEqual(tag(4, "anything"), "LoadErrorReceived")
    assert.strictEqual(tag(0, "shutdown"), "ShutdownReceived")
    assert.strictEqual(tag(2, "shutdown"), "ErrorReceived")
    assert.strictEqual(tag(0, "shutdown now"), "ErrorReceived")
  })
})

describe("PeerDropped", () => {
  it("CFG-06 tells where, why and what to do, and whether trying again can help", () => {
    const address = PeerAddress.make("192.0.2.7", 11625)
    const error = new PeerDropped({
      address,
      id: undefined,
      reason: DropReason.make("ConnectionRefused", "ECONNREFUSED")
    })
    assert.strictEqual(error._tag, "PeerDropped")
    assert.strictEqual(
      error.message,
      "192.0.2.7:11625: unable to connect: ECONNREFUSED: Nothing listens at that address and port."
    )
    const retryable = (tag: DropReason.DropTag) =>
      new PeerDropped({ address, id: undefined, reason: DropReason.make(tag) }).retryable
    // Yes where nothing speaks against the address; no where somebody would have to change something first.
    const expected: Partial<Record<DropReason.DropTag, boolean>> = {
      ConnectionRefused: true,
      ConnectTimeout: true,
      RemoteClosed: true,
      IdleTimeout: true,
      PeerRejected: true,
      LoadErrorReceived: true,
      ShutdownReceived: true,
      WrongProtocolVersion: false,
      CertificateInvalid: false,
      NodeBanned: false,
      ConnectingToSelf: false,
      CorruptXdr: false,
      UnexpectedMac: false,
      Defect: false
    }
    for (const tag of DropReason.tags) {
      const wanted = expected[tag]
      if (wanted !== undefined) assert.strictEqual(retryable(tag), wanted, tag)
    }
  })
})
