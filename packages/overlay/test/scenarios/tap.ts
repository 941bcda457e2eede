/** Looking at the wire between the two sessions of a pair. */
import type { End } from "@stellar-overlay/overlay-test/SessionPair"
import { FrameParser, MAX_BODY } from "../../src/wire/Frame.ts"
import { fromBytes, type StellarMessage } from "../../src/wire/StellarMessage.ts"

/** Every message that arrives at an end from now on, whatever becomes of it there. */
export const tap = (end: End): Array<StellarMessage> => {
  const seen: Array<StellarMessage> = []
  const parser = new FrameParser()
  const { session } = end
  const receive = session.receive.bind(session)
  session.receive = (chunk, now) => {
    parser.push(chunk.slice())
    for (let body; (body = parser.next(MAX_BODY)) instanceof Uint8Array;) {
      seen.push(fromBytes(body.slice(12, -32)))
    }
    receive(chunk, now)
  }
  return seen
}

/** The messages of a tag. */
export const only = <Tag extends StellarMessage["_tag"]>(
  messages: ReadonlyArray<StellarMessage>,
  tag: Tag
): Array<Extract<StellarMessage, { readonly _tag: Tag }>> =>
  messages.filter((m): m is Extract<StellarMessage, { readonly _tag: Tag }> => m._tag === tag)
