import { assert, describe, it } from "@effect/vitest"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import { Auth, ErrorMsg, GetScpState, SendMore, SendMoreExtended } from "../../src/wire/StellarMessage.ts"

describe("what a program may send", () => {
  it("FLC-02 FLC-04 PEE-03 not the session's own messages: credit is granted by flow control alone", () => {
    const pair = SessionPair.connected()
    const { acceptor, initiator } = pair
    const before = acceptor.session.flow.messageCredit
    for (
      const message of [
        SendMoreExtended.make({ numMessages: 5, numBytes: 5000 }),
        SendMore.make({ numMessages: 5 }),
        Auth.make(),
        ErrorMsg.make({ code: 0, text: "goodbye" })
      ]
    ) assert.isFalse(initiator.session.send(message, pair.now), message._tag)
    pair.settle()
    assert.strictEqual(acceptor.session.flow.messageCredit, before)
    assert.isUndefined(acceptor.dropped)
    assert.isTrue(initiator.session.send(GetScpState.make({ ledgerSeq: 1 }), pair.now))
  })
})
