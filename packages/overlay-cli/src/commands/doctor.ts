/** `stellar-overlay doctor`: whether a node would do well here, and what to do about it if not. */
import type { Values } from "@stellar-overlay/overlay/OverlayConfig"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { exitCode, type Finding, lines } from "../doctor/Finding.ts"
import * as Machine from "../doctor/machine.ts"
import * as Network from "../doctor/network.ts"
import { worst } from "../ExitCode.ts"
import * as Target from "../net/Target.ts"
import { load, type Source } from "../node/settings.ts"
import { bold, dim } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { work } from "../work.ts"
import { flags as nodeFlags, sourceOf } from "./node.ts"

interface Options {
  readonly flags: Source
  readonly config: string | undefined
  readonly db: string | undefined
  readonly admin: string | undefined
  readonly json: boolean
}

/** The network is the configured one: nothing else is tried. */
const targetOf = ({ connectTimeoutMillis, networkPassphrase, peerAuthenticationTimeoutSeconds }: Values) => ({
  networks: () => [{ name: undefined, passphrase: networkPassphrase }],
  connectTimeoutMillis,
  handshakeTimeoutSeconds: peerAuthenticationTimeoutSeconds
})

const run = Effect.fnUntraced(function*({ admin, config, db, flags, json }: Options) {
  const screen = yield* Screen
  const all: Array<Finding> = []
  const show = (findings: ReadonlyArray<Finding>) => {
    all.push(...findings)
    return json
      ? screen.json(findings.map(({ check, hint, status, text }) => ({ check, status, text, hint })))
      : screen.print(findings.flatMap(lines))
  }
  const loaded = yield* Effect.result(load(flags, config))
  if (Result.isFailure(loaded)) {
    const { hint, problem, source } = loaded.failure
    yield* show([Machine.badConfig(`${source}: ${problem}`, hint)])
    return worst(all.map(exitCode))
  }
  const values = loaded.success
  yield* show([{ check: "config", status: "ok", text: `network ${JSON.stringify(values.networkPassphrase)}` }])
  yield* show(yield* Machine.check(values, db, process.versions.node))
  yield* show(yield* Network.check(values, targetOf(values), admin))
  const failed = all.filter(({ status }) => status === "fail").length
  const warned = all.filter(({ status }) => status === "warn").length
  if (!json) {
    yield* screen.print([
      [],
      failed + warned === 0
        ? [bold("All is well.")]
        : [bold(`${failed} failed, ${warned} to look at`), dim(` of ${all.length} checks`)]
    ])
  }
  return worst(all.map(exitCode))
})

/** `doctor`: tries what a node needs and says what is missing. */
export const doctor = Command.make("doctor", {
  ...nodeFlags,
  config: Flag.String("config").pipe(
    Flag.withMetavar("file.json"),
    Flag.withDescription("The node's configuration file, as for `node`"),
    Flag.optional
  ),
  db: Flag.String("db").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("The node's database, as for `node`"),
    Flag.optional
  ),
  admin: Target.adminFlag.pipe(
    Flag.withDescription("Where a running node answers its operator; tells whether others reach it"),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("One JSON object per check"), Flag.withDefault(false))
}, (parsed) =>
  work(
    run({
      flags: sourceOf(parsed),
      config: Option.getOrUndefined(parsed.config),
      db: Option.getOrUndefined(parsed.db),
      admin: Option.getOrUndefined(parsed.admin),
      json: parsed.json
    })
  )).pipe(
    Command.withDescription(
      "Check, with the same arguments as `node`, what a node needs: a usable configuration, enough open files, a free port, a whole database, names that resolve, nodes that answer, versions they speak, a clock that agrees with theirs, and whether others reach us. Exit codes: 0 well, also with warnings; 2 bad configuration; 3 nobody reached; 4 anything else failed."
    ),
    Command.withShortDescription("Check what a node needs, and say what to do"),
    Command.withExamples([
      { command: "stellar-overlay doctor --network testnet --db testnet.db" },
      {
        command: "stellar-overlay doctor --network testnet --admin 127.0.0.1:11626",
        description: "With the node running"
      }
    ])
  )
