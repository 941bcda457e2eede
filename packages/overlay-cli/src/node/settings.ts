/**
 * Where the configuration of a node comes from: flags over `OVERLAY_…` variables over a file over the preset of the
 * network. Whatever is wrong is refused by its name before anything starts.
 */
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"

type Values = OverlayConfig.Values
type NetworkName = OverlayConfig.NetworkName

/** A configuration that cannot be used, and what to do about it. */
export class SettingsError extends Data.TaggedError("SettingsError")<{
  /** Where the value is: a flag, a variable or a file. */
  readonly source: string
  readonly problem: string
  readonly hint: string
}> {}

/** What one source says. */
export interface Source {
  readonly network?: NetworkName | undefined
  readonly values: Partial<Values>
}

const networkNames: ReadonlyArray<NetworkName> = ["pubnet", "testnet", "standalone"]

/** A file holds values of `OverlayConfig` under their names, and may name the network instead of its passphrase. */
const FileValues = OverlayConfig.Values.mapFields(Struct.map(Schema.optionalKey))
const File = Schema.Struct({ ...FileValues.fields, network: Schema.optionalKey(Schema.Literals(networkNames)) })
const decodeFile = Schema.decodeUnknownResult(Schema.fromJsonString(File), { onExcessProperty: "error" })

/** The first problem of a schema error: the name it is about, if there is one, and the problem. */
const firstProblem = (message: string): string => {
  const [problem = message, place = ""] = message.split("\n")
  const path = /^\s*at (.*)$/.exec(place)?.[1]
  const name = path?.replace(/^\["([^"]+)"\]/, "$1")
  if (name === undefined) return problem
  return problem.includes("excess property") ? `${name}: there is no such value` : `${name}: ${problem}`
}

const readFile = Effect.fnUntraced(function*(
  path: string
): Effect.fn.Return<Source, SettingsError, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const refuse = (problem: string, hint: string) => new SettingsError({ source: path, problem, hint })
  const text = yield* Effect.mapError(
    files.readFileString(path),
    (error) => refuse(`cannot be read: ${error.message}`, "Give a file of JSON.")
  )
  const decoded = decodeFile(text)
  if (Result.isFailure(decoded)) {
    return yield* refuse(
      firstProblem(decoded.failure.message),
      "A file is one JSON object with values of OverlayConfig under their names, such as {\"targetPeerConnections\": 8}."
    )
  }
  const { network, ...values } = decoded.success
  return { network, values }
})

/** What the environment says about the network; the rest of it is read by `OverlayConfig.layerConfig`. */
const environment: Config.Config<Source> = Config.all({
  network: Config.option(Config.Literals(networkNames, "NETWORK")),
  networkPassphrase: Config.option(Config.String("NETWORK_PASSPHRASE"))
}).pipe(
  Config.nested("OVERLAY"),
  Config.map(({ network, networkPassphrase }) => ({
    network: Option.getOrUndefined(network),
    values: Option.isNone(networkPassphrase) ? {} : { networkPassphrase: networkPassphrase.value }
  }))
)

const configError = (error: Config.ConfigError): SettingsError =>
  new SettingsError({
    source: "environment",
    problem: error.message.replace(/\s*\n\s*/g, " "),
    hint: "See the OVERLAY_… variables in the documentation of OverlayConfig."
  })

/** The network that the first of the sources names which names one, by name or by passphrase. */
const chooseNetwork = (
  sources: ReadonlyArray<readonly [name: string, source: Source]>
): Result.Result<Partial<Values>, SettingsError> => {
  for (const [source, { network, values: { networkPassphrase } }] of sources) {
    if (network === undefined && networkPassphrase === undefined) continue
    const name = network ?? networkNames.find((known) => OverlayConfig.passphrases[known] === networkPassphrase)
    const preset = name === undefined ? {} : OverlayConfig.presets[name]
    if (networkPassphrase === undefined || networkPassphrase === preset.networkPassphrase) return Result.succeed(preset)
    if (network === undefined) return Result.succeed({ networkPassphrase })
    return Result.fail(
      new SettingsError({
        source,
        problem: `network and networkPassphrase contradict each other: ${network} has another passphrase`,
        hint: "Give one of the two."
      })
    )
  }
  return Result.succeed(OverlayConfig.presets.pubnet)
}

/** `connectTimeoutMillis` is `OVERLAY_CONNECT_TIMEOUT`, `peerPort` is `OVERLAY_PEER_PORT`. */
const variableOf = (key: string): string =>
  `OVERLAY_${key.replace(/Millis$/, "").replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`

/** The environment without some variables. */
const without = (self: ConfigProvider.ConfigProvider, names: ReadonlySet<string>): ConfigProvider.ConfigProvider =>
  ConfigProvider.make((path) => names.has(path.join("_")) ? Effect.undefined : self.load(path))

/** Puts the sources together and checks the whole. */
export const load = Effect.fnUntraced(function*(
  flags: Source,
  path: string | undefined
): Effect.fn.Return<Values, SettingsError, FileSystem.FileSystem> {
  const file: Source = path === undefined ? { values: {} } : yield* readFile(path)
  const variables = yield* Effect.mapError(environment, configError)
  const network = yield* Effect.fromResult(
    chooseNetwork([["flags", flags], ["environment", variables], [path ?? "", file]])
  )
  const { networkPassphrase: _fromFile, ...fileValues } = file.values
  const { networkPassphrase: _fromFlags, ...flagValues } = flags.values
  const decided = new Set(["networkPassphrase", "network", ...Object.keys(flagValues)].map(variableOf))
  const provider = without(yield* ConfigProvider.ConfigProvider, decided)
  return yield* OverlayConfig.OverlayConfig.pipe(
    Effect.provide(OverlayConfig.OverlayConfig.layerConfig({ ...network, ...fileValues, ...flagValues })),
    Effect.provideService(ConfigProvider.ConfigProvider, provider),
    Effect.mapError((error) =>
      error._tag === "OverlayConfigError"
        ? new SettingsError({
          source: "configuration",
          problem: `${error.key}: ${error.problem}`,
          hint: `${error.hint}.`
        })
        : configError(error)
    )
  )
})
