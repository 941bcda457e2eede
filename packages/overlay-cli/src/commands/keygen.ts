/** `stellar-overlay keygen`: a new node identity. */
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { ExitCode } from "../ExitCode.ts"
import { bold, dim } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { work } from "../work.ts"

const run = Effect.fnUntraced(function*(json: boolean) {
  const screen = yield* Screen
  const crypto = yield* OverlayCrypto
  const secret = crypto.randomBytes(32)
  const seed = NodeId.encodeStrKey(NodeId.StrKeyVersion.Seed, secret)
  const nodeId = NodeId.fromBytes(crypto.ed25519PublicKey(secret))
  if (json) yield* screen.json([{ seed, nodeId }])
  else {
    yield* screen.print([[dim("seed  "), seed], [dim("node  "), bold(nodeId)]])
    if (screen.isTerminal) {
      yield* screen.note([[], ["Keep the seed secret; NODE_SEED is where a node looks for it. The node id is public."]])
    }
  }
  return ExitCode.Ok
}, Effect.provide(NodeOverlayCrypto.layer))

/** `keygen`: makes the key of a node. */
export const keygen = Command.make("keygen", {
  json: Flag.Boolean("json").pipe(Flag.withDescription("One JSON object"), Flag.withDefault(false))
}, ({ json }) => work(run(json))).pipe(
  Command.withDescription(
    "Draw a new node identity: a secret seed (S…) and the node id (G…) that belongs to it. The seed goes to standard output and nowhere else."
  ),
  Command.withShortDescription("Draw a new node identity"),
  Command.withExamples([
    { command: "stellar-overlay keygen --json > node.json", description: "Keep the identity in a file" }
  ])
)
