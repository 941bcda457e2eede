import { assert, describe, it } from "@effect/vitest"
import * as AuthenticatedMessage from "@stellar-overlay/overlay/wire/AuthenticatedMessage"
import {
  ErrorMsg,
  FloodAdvert,
  GetScpState,
  Hello,
  SendMoreExtended,
  type StellarMessage
} from "@stellar-overlay/overlay/wire/StellarMessage"
import { Effect } from "effect"
import { cli, objects } from "./support.ts"

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

/** As on the wire: mark, v, sequence 7, message, a MAC of 0xaa. */
const frame = (message: StellarMessage): Uint8Array => {
  const slab = new Uint8Array(AuthenticatedMessage.frameLengthFor(message.size))
  AuthenticatedMessage.writeFrame(slab, 0, message.bytes, 0, 7)
  return slab.fill(0xaa, slab.length - 32)
}

const grant = SendMoreExtended.make({ numMessages: 40, numBytes: 1234 })
const error = ErrorMsg.make({ code: 2, text: "bye" })

const hello = (version: string) =>
  Hello.make({
    ledgerVersion: 27,
    overlayVersion: 42,
    overlayMinVersion: 38,
    networkId: new Uint8Array(32).fill(1),
    versionStr: version,
    listeningPort: 11625,
    peerId: new Uint8Array(32).fill(2),
    cert: { pubkey: new Uint8Array(32).fill(3), expiration: 4n, signature: new Uint8Array(64).fill(5) },
    nonce: new Uint8Array(32).fill(6)
  })

const grantJson = { type: "SEND_MORE_EXTENDED", size: 12, numMessages: 40, numBytes: 1234 }
const envelope = { sequence: "7", mac: "aa".repeat(32) }

describe("decode", () => {
  it.effect("finds out what the bytes are, in hexadecimal or base64", () =>
    Effect.gen(function*() {
      const forms = (bytes: Uint8Array) => [
        hex(bytes),
        hex(bytes).toUpperCase(),
        `0x${hex(bytes)}`,
        hex(bytes).replace(/../g, "$& ").trim(),
        hex(bytes).replace(/..(?!$)/g, "$&:"),
        Buffer.from(bytes).toString("base64"),
        Buffer.from(bytes).toString("base64url")
      ]
      const body = frame(grant).subarray(4)
      for (
        const [bytes, expected] of [
          [grant.bytes, { kind: "message", offset: 0, message: grantJson }],
          [frame(grant), { kind: "frame", offset: 0, ...envelope, message: grantJson }],
          [body, { kind: "authenticated", offset: 0, ...envelope, message: grantJson }]
        ] as const
      ) {
        for (const form of forms(bytes)) {
          const { code, err, out } = yield* cli(["decode", "--json", form])
          assert.deepStrictEqual(err, [])
          assert.strictEqual(code, 0)
          assert.deepStrictEqual(objects(out), [expected])
        }
      }
    }))

  it.effect("an ERROR_MSG, whose first bytes are zeros too, is told from a frame body", () =>
    Effect.gen(function*() {
      const long = ErrorMsg.make({ code: 2, text: "x".repeat(100) })
      for (const message of [error, long]) {
        const alone = yield* cli(["decode", "--json", hex(message.bytes)])
        assert.strictEqual(objects(alone.out)[0]!["kind"], "message")
        const body = yield* cli(["decode", "--json", hex(frame(message).subarray(4))])
        assert.strictEqual(objects(body.out)[0]!["kind"], "authenticated")
      }
    }))

  it.effect("reads several frames from standard input, as raw bytes or as text", () =>
    Effect.gen(function*() {
      const frames = new Uint8Array(
        Buffer.concat([frame(grant), frame(error), frame(GetScpState.make({ ledgerSeq: 9 }))])
      )
      for (const input of [frames, Buffer.from(hex(frames)), Buffer.from(`${hex(frames)}\n`)]) {
        const { code, out } = yield* cli(["decode", "-", "--json"], new Uint8Array(input))
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(objects(out).map(({ offset }) => offset), [0, 60, 124])
      }
    }))

  it.effect("names the byte that is wrong, counted from the start of the input, and the field it is in", () =>
    Effect.gen(function*() {
      const inFrame = frame(FloodAdvert.make({ hashes: [new Uint8Array(32)] }))
      new DataView(inFrame.buffer).setUint32(4 + 12 + 4, 1001) // one hash more than allowed
      const cases: ReadonlyArray<readonly [input: string, says: RegExp]> = [
        ["0000000c000000", /byte 7 of 7, StellarMessage/],
        ["0000006300000000", /byte 0 of 8, StellarMessage.*99/],
        [hex(grant.bytes).slice(0, -2) + "d200000000", /byte 12 of 16/],
        [`${hex(error.bytes).slice(0, -2)}01`, /byte 15 of 16, StellarMessage.*padding/],
        [hex(inFrame), /byte 20 of 88, StellarMessage.*1001/],
        [
          hex(frame(grant)).replace(/^80000038/, "80000039"),
          /byte 60 of 60, Frame\.body: 57 bytes were announced and 56 are there/
        ],
        ["80000000", /byte 0 of 4, Frame\.mark: announces a body of 0 bytes/],
        [`${hex(frame(grant))}8000`, /byte 62 of 62, Frame\.mark/],
        [`80000004${"00000001"}`, /byte 4 of 8, AuthenticatedMessage\.v/]
      ]
      for (const [input, says] of cases) {
        const { code, err } = yield* cli(["decode", "--json", input])
        assert.match(err[0]!, says, input)
        assert.strictEqual(code, 2)
      }
    }))

  it.effect("what was good before the bad byte is shown", () =>
    Effect.gen(function*() {
      const { code, out } = yield* cli(["decode", "--json", `${hex(frame(grant))}80000004`])
      assert.strictEqual(code, 2)
      assert.strictEqual(objects(out).length, 1)
    }))

  it.effect("--kind decides what to read the bytes as", () =>
    Effect.gen(function*() {
      const { code, err } = yield* cli(["decode", "--kind", "message", hex(frame(grant))])
      assert.strictEqual(code, 2)
      assert.match(err[0]!, /byte 0 of 60, StellarMessage/)
    }))

  it.effect("--full decodes everything", () =>
    Effect.gen(function*() {
      const { out } = yield* cli(["decode", "--json", "--full", hex(grant.bytes)])
      assert.deepStrictEqual(objects(out)[0]!["xdr"], { sendMoreExtended: { numMessages: 40, numBytes: 1234 } })
    }))

  it.effect("text that is no encoding, or nothing at all, is refused with the character at fault", () =>
    Effect.gen(function*() {
      for (
        const [input, says] of [
          ["abc%def", /neither hexadecimal nor base64 at character 3/],
          ["0x123", /even number of digits/],
          ["   ", /nothing to decode/]
        ] as const
      ) {
        const { code, err } = yield* cli(["decode", input])
        assert.strictEqual(code, 2)
        assert.match(err[0]!, says)
      }
      const { code } = yield* cli(["decode"], new Uint8Array(0))
      assert.strictEqual(code, 2)
    }))

  it.effect("H13 O6 remote text in the output cannot reach the terminal", () =>
    Effect.gen(function*() {
      const version = "core\x1b[2J\u202e\x9b31m\x7f"
      for (const flags of [[], ["--json"], ["--full"]]) {
        const { out } = yield* cli(["decode", ...flags, hex(hello(version).bytes)])
        const text = out.join("\n")
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]/)
        assert.strictEqual(JSON.parse(text).message.versionStr, version)
      }
    }))
})
