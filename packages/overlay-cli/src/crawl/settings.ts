/** What a crawl may be told on the command line. */
import { type NetworkName, passphrases, presets } from "@stellar-overlay/overlay/OverlayConfig"
import { type CrawlLimits, defaultCrawlLimits } from "@stellar-overlay/overlay/protocol/CrawlFrontier"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import * as Target from "../net/Target.ts"

const between = (name: string, minimum: number, maximum: number, what: string) =>
  Flag.Int(name).pipe(
    Flag.withDescription(what),
    Flag.filter((n) => n >= minimum && n <= maximum, () => `a number from ${minimum} to ${maximum}`),
    Flag.optional
  )

const secondsFlag = (name: string, what: string, minimum = 0) =>
  Flag.Finite(name).pipe(
    Flag.withMetavar("seconds"),
    Flag.withDescription(what),
    Flag.filter((n) => n >= minimum && n <= 86_400, () => `seconds, ${minimum === 0 ? "0" : "above 0"} to 86400`),
    Flag.optional
  )

const d = defaultCrawlLimits
const inSeconds = (millis: number) => millis / 1000

export const flags = {
  seeds: Target.address("seeds").pipe(
    Argument.withDescription("Where to begin; those of the network when none is given"),
    Argument.variadic()
  ),
  db: Flag.String("db").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("The SQLite file that gets the findings, created when missing (default: memory)"),
    Flag.filter((text) => text.length > 0, () => "a file name"),
    Flag.optional
  ),
  network: Flag.Literals("network", ["pubnet", "testnet", "standalone"]).pipe(
    Flag.withDescription("The network to crawl (default: pubnet)"),
    Flag.optional
  ),
  passphrase: Target.flags.passphrase,
  resume: Flag.Boolean("resume").pipe(
    Flag.withDescription("Go on with the last crawl of this network in the database that did not complete"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  compare: Flag.Boolean("compare").pipe(
    Flag.withDescription("Say at the end what is different from the crawl of this network before"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  local: Flag.Boolean("local").pipe(
    Flag.withDescription(
      "A network on this machine or behind one router: private and loopback addresses count, and hosts and subnets have no limits (implied by --network standalone)"
    ),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  ipv6: Flag.Boolean("ipv6").pipe(
    Flag.withDescription("Dial IPv6 addresses too"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  identify: Flag.Boolean("identify").pipe(
    Flag.withDescription(
      "Ask who closes the connection without a word once more in the name of each other known network"
    ),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  maxTime: secondsFlag("max-time", "Stop after so long; --resume goes on (default: when everybody was asked)", 0.001),
  maxAddresses: between("max-addresses", 1, 1_000_000, `Addresses known, at most (default: ${d.maxAddresses})`),
  concurrency: between("concurrency", 1, 1000, `Connections at once (default: ${d.concurrency})`),
  rate: Flag.Finite("rate").pipe(
    Flag.withMetavar("per second"),
    Flag.withDescription(`Dials per second, all together (default: ${d.dialsPerSecond})`),
    Flag.filter((n) => n >= 0.01 && n <= 10_000, () => "a number from 0.01 to 10000"),
    Flag.optional
  ),
  hostInterval: secondsFlag(
    "host-interval",
    `Between two dials of one host (default: ${inSeconds(d.hostIntervalMillis)}, local: 0)`
  ),
  subnetInterval: secondsFlag(
    "subnet-interval",
    `Between two dials of one /24 or IPv6 /48 (default: ${inSeconds(d.subnetIntervalMillis)}, local: 0)`
  ),
  dialsPerHost: between(
    "dials-per-host",
    1,
    100_000,
    `Dials of a host within an hour before a node proved itself there (default: ${d.maxDialsPerHost}, local: no limit)`
  ),
  addressesPerHost: between(
    "addresses-per-host",
    1,
    65_535,
    `Addresses of one host, at most (default: ${d.maxAddressesPerHost}, local: no limit)`
  ),
  attempts: between("attempts", 1, 20, `Attempts at an address that does not answer (default: ${d.attempts})`),
  retry: secondsFlag(
    "retry",
    `Before the second attempt; doubles each time (default: ${inSeconds(d.firstRetryMillis)})`
  ),
  listen: secondsFlag("listen", "How long to listen to SCP at each node that lets us in (default: 6)"),
  timeout: secondsFlag("timeout", "Give up connecting after so long (default: 5)", 0.001),
  handshakeTimeout: secondsFlag("handshake-timeout", "Give up the handshake after so long (default: 10)", 0.001),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One JSON object per line: attempts, nodes, now and then the progress, and a summary"),
    Flag.withDefault(false)
  )
}

type Parsed =
  & { readonly [K in keyof Omit<typeof flags, "seeds">]: (typeof flags)[K] extends Flag.Flag<infer A> ? A : never }
  & {
    readonly seeds: ReadonlyArray<PeerAddress>
  }

/** What the arguments say. */
export interface Settings {
  readonly seeds: ReadonlyArray<PeerAddress>
  readonly networkPassphrase: string
  /** Its name when it is a well-known one. */
  readonly network: NetworkName | undefined
  readonly db: string | undefined
  readonly resume: boolean
  readonly compare: boolean
  readonly identify: boolean
  readonly json: boolean
  readonly limits: Partial<CrawlLimits>
  readonly listenMillis: number | undefined
  readonly maxMillis: number | undefined
  readonly connectTimeoutMillis: number
  readonly handshakeTimeoutSeconds: number
}

/** Arguments that contradict each other, and what to do about it. */
export interface Problem {
  readonly problem: string
  readonly hint: string
}

/** No limits of a host or subnet, and addresses of one's own machine and house. */
const localLimits: Partial<CrawlLimits> = {
  hostIntervalMillis: 0,
  subnetIntervalMillis: 0,
  maxDialsPerHost: 1_000_000,
  maxAddressesPerHost: 65_535,
  maxAddressesPerSubnet: 1_000_000,
  maxAddressesPerSource: 1_000_000,
  allowPrivate: true,
  allowLocalhost: true
}

const names = Object.keys(passphrases) as Array<NetworkName> // the keys of a constant

type Defined<A> = { readonly [K in keyof A]?: Exclude<A[K], undefined> }

const defined = <A extends object>(values: A): Defined<A> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<A> // the same keys

const millis = (flag: Option.Option<number>): number | undefined =>
  Option.isNone(flag) ? undefined : Math.ceil(flag.value * 1000)

export const settings = (parsed: Parsed): Settings | Problem => {
  const passphrase = Option.getOrUndefined(parsed.passphrase)
  const named = Option.getOrUndefined(parsed.network)
  if (passphrase !== undefined && named !== undefined && passphrases[named] !== passphrase) {
    return {
      problem: `--network ${named} and --passphrase contradict each other`,
      hint: "Give one of the two: a network that is not well known has a passphrase only."
    }
  }
  const network = named ??
    (passphrase === undefined ? "pubnet" : names.find((name) => passphrases[name] === passphrase))
  const networkPassphrase = passphrase ?? passphrases[network ?? "pubnet"]
  const db = Option.getOrUndefined(parsed.db)
  if (db === undefined && (parsed.resume || parsed.compare)) {
    return {
      problem: `--${parsed.resume ? "resume" : "compare"} needs --db`,
      hint: "Earlier crawls are in a database."
    }
  }
  const preset = network === undefined ? [] : presets[network].knownPeers ?? []
  const usual = preset.map((text) => {
    const { host, port } = splitUsual(text)
    return PeerAddress.make(host, port)
  })
  const seeds = parsed.seeds.length > 0 ? parsed.seeds : usual
  if (seeds.length === 0 && !parsed.resume) {
    return {
      problem: "no seeds",
      hint: "Name at least one node to start from, such as 127.0.0.1:11625; only pubnet and testnet have usual ones."
    }
  }
  const isLocal = parsed.local || network === "standalone"
  return {
    seeds,
    networkPassphrase,
    network,
    db,
    resume: parsed.resume,
    compare: parsed.compare,
    identify: parsed.identify,
    json: parsed.json,
    limits: {
      ...(isLocal ? localLimits : {}),
      ipv6: parsed.ipv6,
      ...defined({
        maxAddresses: Option.getOrUndefined(parsed.maxAddresses),
        concurrency: Option.getOrUndefined(parsed.concurrency),
        dialsPerSecond: Option.getOrUndefined(parsed.rate),
        hostIntervalMillis: millis(parsed.hostInterval),
        subnetIntervalMillis: millis(parsed.subnetInterval),
        maxDialsPerHost: Option.getOrUndefined(parsed.dialsPerHost),
        maxAddressesPerHost: Option.getOrUndefined(parsed.addressesPerHost),
        attempts: Option.getOrUndefined(parsed.attempts),
        firstRetryMillis: millis(parsed.retry)
      })
    },
    listenMillis: millis(parsed.listen),
    maxMillis: millis(parsed.maxTime),
    connectTimeoutMillis: millis(parsed.timeout) ?? 5000,
    handshakeTimeoutSeconds: Math.max(1, Math.ceil(Option.getOrElse(parsed.handshakeTimeout, () => 10)))
  }
}

/** The presets have names, with or without a port. */
const splitUsual = (text: string): { readonly host: string; readonly port: number } => {
  const [host = "", port] = text.split(":")
  return { host, port: port === undefined ? 11625 : Number(port) }
}
