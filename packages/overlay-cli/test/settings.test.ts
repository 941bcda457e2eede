import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import { ConfigProvider, Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { load, type Source } from "../src/node/settings.ts"
import { folder } from "./nodeSupport.ts"
import { cli } from "./support.ts"

const file = Effect.fnUntraced(function*(content: unknown) {
  const path = join(yield* folder, "node.json")
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content))
  return path
})

const loadWith = (options: {
  readonly flags?: Source
  readonly env?: Record<string, string>
  readonly path?: string
}) =>
  load(options.flags ?? { values: {} }, options.path).pipe(
    Effect.provide(NodeFileSystem.layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: options.env ?? {} }))
  )

const seed = (name: string) => `${name}.example:11625`

describe("settings of a node", () => {
  it.effect("CFG-01 without any, the public network and its nodes", () =>
    Effect.gen(function*() {
      const values = yield* loadWith({})
      assert.deepStrictEqual(values, { ...OverlayConfig.defaults, ...OverlayConfig.pubnet })
    }))

  it.effect("CFG-01 a flag comes before a variable, that before a file, and that before the network's preset", () =>
    Effect.gen(function*() {
      const path = yield* file({
        network: "testnet",
        targetPeerConnections: 4,
        maxPendingConnections: 40,
        knownPeers: [seed("file")],
        connectTimeoutMillis: 1000
      })
      const env = {
        OVERLAY_TARGET_PEER_CONNECTIONS: "5",
        OVERLAY_MAX_PENDING_CONNECTIONS: "50",
        OVERLAY_CONNECT_TIMEOUT: "2 seconds"
      }
      const values = yield* loadWith({
        path,
        env,
        flags: { values: { targetPeerConnections: 6, connectTimeoutMillis: 3000 } }
      })
      assert.deepInclude(values, {
        networkPassphrase: OverlayConfig.passphrases.testnet,
        targetPeerConnections: 6,
        maxPendingConnections: 50,
        connectTimeoutMillis: 3000,
        knownPeers: [seed("file")]
      })
      const fromFile = yield* loadWith({ path })
      assert.deepInclude(fromFile, { targetPeerConnections: 4, connectTimeoutMillis: 1000 })
      const fromEnv = yield* loadWith({ path, env: { ...env, OVERLAY_KNOWN_PEERS: `${seed("a")},${seed("b")}` } })
      assert.deepStrictEqual(fromEnv.knownPeers, [seed("a"), seed("b")])
    }))

  it.effect("CFG-01 the network of the first source that names one, by name or by passphrase, brings its preset", () =>
    Effect.gen(function*() {
      const path = yield* file({ networkPassphrase: "Ours" })
      const { passphrases, presets } = OverlayConfig
      const of = (options: Parameters<typeof loadWith>[0]) =>
        Effect.map(
          loadWith({ path, ...options }),
          ({ knownPeers, networkPassphrase }) => [networkPassphrase, knownPeers]
        )
      assert.deepStrictEqual(yield* of({}), ["Ours", []])
      assert.deepStrictEqual(yield* of({ env: { OVERLAY_NETWORK: "testnet" } }), [
        passphrases.testnet,
        presets.testnet.knownPeers ?? []
      ])
      assert.deepStrictEqual(
        yield* of({ env: { OVERLAY_NETWORK: "testnet" }, flags: { values: { networkPassphrase: "Mine" } } }),
        ["Mine", []]
      )
      assert.deepStrictEqual(
        yield* of({ env: { OVERLAY_NETWORK_PASSPHRASE: "Theirs" }, flags: { network: "standalone", values: {} } }),
        [passphrases.standalone, []]
      )
      assert.deepStrictEqual(yield* of({ env: { OVERLAY_NETWORK_PASSPHRASE: passphrases.pubnet } }), [
        passphrases.pubnet,
        presets.pubnet.knownPeers ?? []
      ])
    }))

  const wrong: ReadonlyArray<
    readonly [title: string, options: Parameters<typeof loadWith>[0] & { content?: unknown }, RegExp]
  > = [
    ["an unknown name in a file", { content: { targetPeers: 8 } }, /node\.json: targetPeers: there is no such value/],
    ["a value of the wrong kind", { content: { peerPort: "11625" } }, /node\.json: peerPort: Expected number/],
    ["a value out of its range", { content: { peerPort: 0 } }, /peerPort: .*between 1 and 65535/],
    ["an unknown network", { content: { network: "mainnet" } }, /network: /],
    ["no JSON", { content: "{ peerPort: 1 }" }, /node\.json: .*JSON/],
    ["no object", { content: [1] }, /node\.json: /],
    [
      "a network and another's passphrase",
      { content: { network: "testnet", networkPassphrase: "Ours" } },
      /node\.json: network and networkPassphrase contradict each other/
    ],
    [
      "a contradiction between two sources",
      { content: { peerFloodReadingCapacity: 300 } },
      /peerReadingCapacity: is not above peerFloodReadingCapacity/
    ],
    ["a variable that is no number", { env: { OVERLAY_PEER_PORT: "many" } }, /PEER_PORT/],
    ["a variable that is no network", { env: { OVERLAY_NETWORK: "mainnet" } }, /NETWORK/]
  ]
  for (const [title, { content, ...options }, says] of wrong) {
    it.effect(`CFG-01 refused by name: ${title}`, () =>
      Effect.gen(function*() {
        const path = content === undefined ? {} : { path: yield* file(content) }
        const { problem, source } = yield* Effect.flip(loadWith({ ...options, ...path }))
        assert.match(`${source}: ${problem}`, says)
      }))
  }

  it.effect("CFG-01 a command line that is wrong in this way ends with 2, and names the value", () =>
    Effect.gen(function*() {
      const path = yield* file({ targetPeers: 8 })
      const unknown = yield* cli(["node", "--network", "standalone", "--no-admin", "--no-listen", "--config", path])
      assert.deepStrictEqual([unknown.code, unknown.out], [2, []])
      assert.match(unknown.err.join("\n"), /targetPeers: there is no such value/)
      const missing = yield* cli(["node", "--config", `${path}.none`])
      assert.strictEqual(missing.code, 2)
      assert.match(missing.err.join("\n"), /node\.json\.none: cannot be read/)
      const contradiction = yield* cli(["node", "--network", "standalone", "--target", "0"])
      assert.strictEqual(contradiction.code, 2)
      assert.match(contradiction.err.join("\n"), /targetPeerConnections: /)
      const seedless = yield* Effect.provideService(
        cli(["node", "--network", "standalone", "--no-listen", "--no-admin"]),
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnv({ env: { NODE_SEED: "SECRET" } })
      )
      assert.strictEqual(seedless.code, 2)
      assert.match(seedless.err.join("\n"), /NODE_SEED is no seed/)
      assert.notInclude(seedless.err.join("\n"), "SECRET")
    }))
})
