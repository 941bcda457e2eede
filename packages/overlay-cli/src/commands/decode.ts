/** `stellar-overlay decode`: bytes of the protocol as JSON, or the byte that is wrong. */
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { decode as decodeBytes, type Decoded, type Kind, kinds, type Problem } from "../decode/detect.ts"
import * as Input from "../decode/input.ts"
import { xdrJson } from "../decode/xdrJson.ts"
import { ExitCode } from "../ExitCode.ts"
import { bold, dim, type Line, red } from "../render/Line.ts"
import { type Hashing, toJson } from "../render/message.ts"
import { Screen } from "../render/Screen.ts"
import { work } from "../work.ts"

/** More input than this is refused: some of the greatest frames. */
const MAX_INPUT = 0x4000000

const objectOf = (
  { envelope, kind, message, offset }: Decoded,
  hashing: Hashing,
  full: boolean
): Record<string, unknown> => ({
  kind,
  offset,
  ...(envelope === undefined
    ? {}
    : { sequence: String(envelope.sequence), mac: Buffer.from(envelope.mac).toString("hex") }),
  message: toJson(message, hashing),
  ...(full ? { xdr: xdrJson(message.xdr) } : {})
})

/** Sixteen bytes around the wrong one, which is in brackets. */
const excerpt = (bytes: Uint8Array, offset: number): Line => {
  const start = Math.max(0, offset - 8)
  const end = Math.min(bytes.length, offset + 8)
  const hex = (from: number, to: number) =>
    Array.from(bytes.subarray(from, to), (byte) => byte.toString(16).padStart(2, "0")).join(" ")
  const wrong = offset < bytes.length ? hex(offset, offset + 1) : "end"
  const before = hex(start, offset)
  const after = hex(offset + 1, end)
  return [
    dim(`${start > 0 ? "… " : ""}${before}${before === "" ? "" : " "}`),
    red(`[${wrong}]`),
    dim(`${after === "" ? "" : " "}${after}${end < bytes.length ? " …" : ""}`)
  ]
}

const explain = (bytes: Uint8Array, { kind, offset, path, problem }: Problem): Array<Line> => [
  [red("error"), ": ", bold(`byte ${offset}`), ` of ${bytes.length}, ${path}: ${problem}`],
  ["  ", ...excerpt(bytes, offset)],
  ["  ", dim(`read as ${names[kind]}; --kind says otherwise`)]
]

const names: Readonly<Record<Kind, string>> = {
  frame: "frames with record marks",
  authenticated: "the body of a frame",
  message: "a message alone"
}

const readAll = Effect.gen(function*() {
  const stdio = yield* Stdio.Stdio
  const chunks: Array<Uint8Array> = []
  let size = 0
  yield* Stream.runForEachWhile(stdio.stdin, (chunk) => {
    chunks.push(chunk)
    size += chunk.length
    return Effect.succeed(size <= MAX_INPUT)
  })
  return new Uint8Array(Buffer.concat(chunks))
})

interface Options {
  readonly source: Option.Option<string>
  readonly kind: Option.Option<Kind>
  readonly full: boolean
  readonly json: boolean
}

const run = Effect.fnUntraced(function*({ full, json, kind, source }: Options) {
  const screen = yield* Screen
  const stdio = yield* Stdio.Stdio
  const hashing = yield* OverlayCrypto
  const text = Option.getOrUndefined(source)
  if (text === undefined && (yield* stdio.stdinIsTerminal)) {
    yield* screen.note([
      [red("error"), ": there is nothing to decode"],
      ["  Give hexadecimal or base64 as an argument, or bytes on standard input."]
    ])
    return ExitCode.Usage
  }
  const fromStdin = text === undefined || text === "-"
  const input = fromStdin
    ? yield* Effect.match(readAll, {
      onFailure: (error): Input.Input => ({
        _tag: "BadText",
        problem: `standard input cannot be read: ${error.message}`,
        at: undefined
      }),
      onSuccess: Input.ofBytes
    })
    : Input.ofText(text)
  if (input._tag === "BadText") {
    const where = input.at === undefined || input.at < 0 ? "" : ` at character ${input.at}`
    yield* screen.note([[red("error"), `: ${input.problem}${where}`]])
    return ExitCode.Usage
  }
  const { bytes } = input
  if (bytes.length > MAX_INPUT) {
    yield* screen.note([[red("error"), `: more than ${MAX_INPUT} bytes`]])
    return ExitCode.Usage
  }
  const { decoded, problem } = decodeBytes(bytes, Option.getOrUndefined(kind))
  for (const one of decoded) {
    yield* screen.json([objectOf(one, hashing, full)], json ? {} : { indent: 2 })
  }
  if (problem === undefined) return ExitCode.Ok
  yield* screen.note(explain(bytes, problem))
  return ExitCode.Usage
}, Effect.provide(NodeOverlayCrypto.layer))

/** `decode`: shows messages from their XDR. */
export const decode = Command.make("decode", {
  source: Argument.String("bytes").pipe(
    Argument.withDescription("Hexadecimal or base64; '-' or nothing reads standard input, where raw bytes will do too"),
    Argument.optional
  ),
  kind: Flag.Literals("kind", kinds).pipe(
    Flag.withDescription("What the bytes are; found out when left out"),
    Flag.optional
  ),
  full: Flag.Boolean("full").pipe(
    Flag.withDescription("Everything in it, also what is usually summed up by its size"),
    Flag.withDefault(false)
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("One line per message"), Flag.withDefault(false))
}, (parsed) => work(run(parsed))).pipe(
  Command.withDescription(
    "Decode a frame with its record mark (or several in a row), the body of a frame, or a StellarMessage alone, to JSON. For bytes that are not valid, name the first one that is wrong and the field it is in."
  ),
  Command.withShortDescription("Decode bytes of the protocol to JSON"),
  Command.withExamples([
    { command: "stellar-overlay decode 00000000000000020000000362796500", description: "An ERROR_MSG in hexadecimal" },
    { command: "stellar-overlay decode --kind frame - < capture.bin", description: "Raw bytes from a file" }
  ])
)
