/** `stellar-overlay node`: a node of the overlay that finds its peers and keeps them. */
import type { Values } from "@stellar-overlay/overlay/OverlayConfig"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { ExitCode } from "../ExitCode.ts"
import { recordFlag } from "../net/record.ts"
import { addressFlag } from "../net/Target.ts"
import { hostNames } from "../node/host.ts"
import { DEFAULT_PORT } from "../node/NodeAdmin.ts"
import { run } from "../node/run.ts"
import type { Source } from "../node/settings.ts"
import { work } from "../work.ts"

const portFlag = (name: string) =>
  Flag.Int(name).pipe(Flag.filter((n) => n >= 0 && n <= 65535, () => "a port from 0 to 65535"))

/** The flags of whatever runs a node from a configuration. */
export const flags = {
  network: Flag.Literals("network", ["pubnet", "testnet", "standalone"]).pipe(
    Flag.withDescription("The network, with the addresses it is usually entered by (default: pubnet)"),
    Flag.optional
  ),
  passphrase: Flag.String("passphrase").pipe(
    Flag.withDescription("The passphrase of a private network, instead of --network"),
    Flag.optional
  ),
  peer: addressFlag("peer").pipe(
    Flag.withDescription("A node to start from, in place of those of the network; may be given again"),
    Flag.atLeast(0)
  ),
  preferred: addressFlag("preferred").pipe(
    Flag.withDescription("A node to be connected with before all others; may be given again"),
    Flag.atLeast(0)
  ),
  target: Flag.Int("target").pipe(
    Flag.withDescription("How many outbound connections to aim for (default: 8)"),
    Flag.optional
  ),
  port: portFlag("port").pipe(
    Flag.withDescription("Where to listen for peers (default: 11625; 0 takes any free port)"),
    Flag.optional
  ),
  listenHost: Flag.String("listen-host").pipe(
    Flag.withDescription("The address to listen on (default: 0.0.0.0, and 127.0.0.1 on standalone)"),
    Flag.optional
  ),
  noListen: Flag.Boolean("no-listen").pipe(
    Flag.withDescription("Accept nobody; only dial"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  )
}

type Parsed = {
  readonly [K in keyof typeof flags]: (typeof flags)[K] extends Flag.Flag<infer A> ? A : never
}

const valuesOf = (parsed: Parsed): Partial<Values> => {
  const port = Option.getOrUndefined(parsed.port)
  const target = Option.getOrUndefined(parsed.target)
  return {
    ...(Option.isNone(parsed.passphrase) ? {} : { networkPassphrase: parsed.passphrase.value }),
    ...(parsed.peer.length === 0 ? {} : { knownPeers: parsed.peer.map((address) => address.key) }),
    ...(parsed.preferred.length === 0 ? {} : { preferredPeers: parsed.preferred.map((address) => address.key) }),
    ...(target === undefined ? {} : { targetPeerConnections: target }),
    ...(port === undefined ? {} : port === 0 ? { listenPort: 0 } : { peerPort: port, listenPort: null }),
    ...(Option.isNone(parsed.listenHost) ? {} : { listenHost: parsed.listenHost.value }),
    ...(parsed.noListen ? { listen: false } : {})
  }
}

/** Where the configuration comes from that the flags name. */
export const sourceOf = (parsed: Parsed): Source => ({
  network: Option.getOrUndefined(parsed.network),
  values: valuesOf(parsed)
})

/** `node`: runs a node that relays, until it is ended. */
export const node = Command.make("node", {
  ...flags,
  config: Flag.String("config").pipe(
    Flag.withMetavar("file.json"),
    Flag.withDescription("A file with values of OverlayConfig; flags and OVERLAY_… variables come before it"),
    Flag.optional
  ),
  db: Flag.String("db").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("A SQLite file for known addresses and bans, created when missing (default: memory)"),
    Flag.optional
  ),
  host: Flag.Literals("host", hostNames).pipe(
    Flag.withDescription(
      "What the node does with messages: watcher looks at consensus only, relay verifies and passes on (default: watcher)"
    ),
    Flag.withDefault("watcher")
  ),
  adminPort: portFlag("admin-port").pipe(
    Flag.withDescription(`Where 127.0.0.1 answers the operator (default: ${DEFAULT_PORT}; 0 takes any free port)`),
    Flag.withDefault(DEFAULT_PORT)
  ),
  noAdmin: Flag.Boolean("no-admin").pipe(
    Flag.withDescription("Answer no operator"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  record: recordFlag,
  minPeers: Flag.Int("min-peers").pipe(
    Flag.withDescription("With fewer authenticated peers /readyz answers 503 (default: 1)"),
    Flag.filter((n) => n >= 0, () => "a number from 0 on"),
    Flag.optional
  ),
  maxOutOfSync: Flag.Finite("max-out-of-sync").pipe(
    Flag.withMetavar("seconds"),
    Flag.withDescription("Out of sync for longer /readyz answers 503 (default: 60)"),
    Flag.filter((n) => n >= 0, () => "a number from 0 on"),
    Flag.optional
  ),
  seconds: Flag.Finite("seconds").pipe(
    Flag.withDescription("End after so many seconds (default: at Ctrl-C)"),
    Flag.filter((n) => n > 0, () => "a number above 0"),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One JSON object per line instead of text"),
    Flag.withDefault(false)
  )
}, (parsed) =>
  work(
    run({
      flags: sourceOf(parsed),
      config: Option.getOrUndefined(parsed.config),
      db: Option.getOrUndefined(parsed.db),
      record: Option.getOrUndefined(parsed.record),
      host: parsed.host,
      adminPort: parsed.noAdmin ? undefined : parsed.adminPort,
      health: {
        ...Option.isNone(parsed.minPeers) ? {} : { minPeers: parsed.minPeers.value },
        ...Option.isNone(parsed.maxOutOfSync) ? {} : { maxOutOfSyncMillis: 1000 * parsed.maxOutOfSync.value }
      },
      seconds: Option.getOrUndefined(parsed.seconds),
      json: parsed.json
    }),
    { interrupted: ExitCode.Ok }
  )).pipe(
    Command.withDescription(
      "Run a node: it listens, finds peers and keeps them, remembers them in a database, and tells each before it goes. An operator on this machine can ask it over HTTP: /info, /peers, /connect, /droppeer, /ban, /unban, /bans, as stellar-core answers; /healthz, /readyz, /metrics for Prometheus, and /events as they happen. NODE_SEED in the environment is its identity; without it one is drawn for the run."
    ),
    Command.withShortDescription("Run a node that finds its peers and keeps them"),
    Command.withExamples([
      { command: "stellar-overlay node --network testnet --db testnet.db" },
      { command: "curl 'http://127.0.0.1:11626/peers?compact=false'", description: "Who is connected, as an operator" },
      { command: "curl -N 'http://127.0.0.1:11626/events?type=PeerDropped'", description: "Who leaves, and why" },
      {
        command: "stellar-overlay node --network standalone --peer 127.0.0.1:11625 --port 11725 --admin-port 11726",
        description: "One more node on this machine"
      }
    ])
  )
