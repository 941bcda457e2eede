import { assert, describe, it } from "@effect/vitest"
import { CrawlDatabase } from "@stellar-overlay/overlay-sql/CrawlDatabase"
import { NetworkDatabase } from "@stellar-overlay/overlay-sql/NetworkDatabase"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import { SurveyDatabase } from "@stellar-overlay/overlay-sql/SurveyDatabase"
import { Effect, Layer } from "effect"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { toGraphml } from "../src/topology/graphml.ts"
import { formatOf } from "../src/topology/output.ts"
import * as SurveyJson from "../src/topology/surveyJson.ts"
import { folder } from "./nodeSupport.ts"
import { cli, objects } from "./support.ts"
import { idOf } from "./topologySupport.ts"

const [a, b, c, d] = [idOf(0), idOf(1), idOf(2), idOf(3)]

const counters = {
  messagesRead: 93,
  messagesWritten: 96,
  bytesRead: 26392,
  bytesWritten: 26960,
  secondsConnected: 22,
  uniqueFloodBytesRecv: 11200,
  duplicateFloodBytesRecv: 10424,
  uniqueFetchBytesRecv: 0,
  duplicateFetchBytesRecv: 0,
  uniqueFloodMessageRecv: 46,
  duplicateFloodMessageRecv: 43,
  uniqueFetchMessageRecv: 0,
  duplicateFetchMessageRecv: 0
}

const peer = (nodeId: string, averageLatencyMs: number) => ({
  nodeId,
  version: "v23.0.1",
  ...counters,
  averageLatencyMs
})

const facts = {
  addedAuthenticatedPeers: 0,
  droppedAuthenticatedPeers: 1,
  numTotalInboundPeers: 1,
  numTotalOutboundPeers: 1,
  p75SCPFirstToSelfLatencyMs: 121,
  p75SCPSelfToOtherLatencyMs: 112,
  lostSyncCount: 0,
  isValidator: true,
  maxInboundPeerCount: 64,
  maxOutboundPeerCount: 8
}

/** a dialled b, b dialled c, c did not answer; d is asked still. In the form of protocol.md 12.6. */
const results = {
  surveyInProgress: true,
  backlog: [d],
  badResponseNodes: null,
  topology: {
    [a]: { ...facts, inboundPeers: null, outboundPeers: [peer(b, 20)], numTotalInboundPeers: 0 },
    [b]: { ...facts, inboundPeers: [peer(a, 99)], outboundPeers: [peer(c, 30)], isValidator: false },
    [d]: null
  }
}

describe("survey results as a topology", () => {
  it("both ends of a connection are one edge, from the node that dialled and with what it says", () => {
    const topology = SurveyJson.toTopology(SurveyJson.parse(results)!)
    assert.deepStrictEqual(
      topology.nodes.map(({ id, isValidator, state, version }) => [id, state, isValidator, version]),
      [[a, "answered", true, "v23.0.1"], [b, "answered", false, "v23.0.1"], [d, "silent", undefined, undefined], [
        c,
        "silent",
        undefined,
        "v23.0.1"
      ]]
    )
    assert.deepStrictEqual(topology.edges.map(({ from, to }) => [topology.nodes[from]!.id, topology.nodes[to]!.id]), [
      [a, b],
      [b, c]
    ])
    assert.deepStrictEqual(topology.edges.map(({ attributes }) => attributes["averageLatencyMs"]), [20, 30])
    assert.deepStrictEqual(topology.edges[0]!.attributes, { ...counters, averageLatencyMs: 20 })
  })

  it("the forms of getsurveyresult and of the survey script carry the same", () => {
    const parsed = SurveyJson.parse(results)!
    const core = SurveyJson.toCore(parsed) as typeof results
    assert.deepStrictEqual(core, { ...results, surveyInProgress: false, backlog: [], badResponseNodes: [] } as never)
    const script = SurveyJson.toScript(parsed) as Record<
      string,
      { readonly inboundPeers: unknown; readonly numTotalOutboundPeers: number }
    >
    assert.deepStrictEqual(Object.keys(script), [a, b])
    assert.deepStrictEqual(script[b]!.inboundPeers, { [a]: peer(a, 99) })
    assert.strictEqual(script[b]!.numTotalOutboundPeers, 1)
    const edges = (value: unknown) => SurveyJson.toTopology(SurveyJson.parse(value)!).edges.length
    assert.deepStrictEqual([edges(core), edges(script)], [2, 2])
  })

  it("GraphML has the names of the survey script: version at every node, counters at the edges", () => {
    const graphml = toGraphml(SurveyJson.toTopology(SurveyJson.parse(results)!))
    const keys = new Map([...graphml.matchAll(/<key id="(\w+)" for="(\w+)" attr.name="(\w+)" attr.type="(\w+)"\/>/g)]
      .map(([, id, target, name, type]) => [id!, `${target} ${name} ${type}`]))
    for (const name of Object.keys(facts)) {
      assert.include([...keys.values()], `node ${name} ${name === "isValidator" ? "boolean" : "long"}`)
    }
    for (const name of [...Object.keys(counters), "averageLatencyMs"]) {
      assert.include([...keys.values()], `edge ${name} long`)
    }
    const version = [...keys].find(([, name]) => name === "node version string")![0]
    assert.strictEqual(graphml.match(new RegExp(`<node id="G\\w{55}"><data key="${version}">`, "g"))?.length, 4)
    assert.match(graphml, /<graph edgedefault="directed">/)
    assert.include(graphml, `<edge source="${a}" target="${b}">`)
  })

  it("what is no result is none", () => {
    for (
      const value of [null, 1, "x", [], { topology: 1 }, { topology: { x: null } }, { [a]: 1 }, {
        topology: { [a]: { x: [] } }
      }]
    ) {
      const parsed = SurveyJson.parse(value)
      if (parsed !== undefined) assert.strictEqual(SurveyJson.toTopology(parsed).edges.length, 0)
    }
    assert.isUndefined(SurveyJson.parse({ topology: { nobody: null } }))
    assert.isUndefined(SurveyJson.parse({ topology: { [a]: { inboundPeers: [{ version: "x" }] } } }))
  })

  it("the name of a file says its format", () => {
    assert.deepStrictEqual(
      ["a.svg", "a.HTML", "a.graphml", "a.gv", "a.json", "a.core.json", "a.script.json", "a.png", "svg"].map(formatOf),
      ["svg", "html", "graphml", "dot", "json", "core-json", "script-json", undefined, undefined]
    )
  })
})

/** A network database with one crawl, and a later survey if wanted. */
const database = (filename: string, withSurvey: boolean) => {
  const node = (id: typeof a, status: "open" | "full", validating: boolean) => ({
    id,
    status,
    version: "v23.0.1",
    overlayVersion: 38,
    overlayMinVersion: 36,
    ledgerVersion: 23,
    listeningPort: 11625,
    clockSkewSeconds: 0,
    firstSeenAt: 1,
    lastSeenAt: 2,
    connectMillis: 1.5,
    handshakeMillis: 3,
    pingMillis: undefined,
    slot: 100,
    slotAt: 2,
    lag: 0,
    validating,
    validatedSlot: undefined,
    peersTold: 2,
    peersRefused: 0
  })
  const address = (host: string, status: "open" | "full" | "timeout", nodeId: typeof a | undefined) => ({
    host,
    port: 11625,
    seed: false,
    depth: 0,
    source: undefined,
    foundAt: 1,
    status,
    attempts: 1,
    lastAttemptAt: 2,
    nextAttemptAt: undefined,
    done: true,
    nodeId
  })
  return Effect.gen(function*() {
    const crawls = yield* CrawlDatabase
    const surveys = yield* SurveyDatabase
    const id = yield* crawls.begin({
      networkId: "00".repeat(32),
      network: "testnet",
      seeds: ["1.1.1.1"],
      options: {},
      version: "x"
    })
    yield* crawls.write(id, [
      { _tag: "NodeSeen", node: node(a, "open", true) },
      { _tag: "NodeSeen", node: node(b, "full", false) },
      { _tag: "AddressFound", address: address("1.1.1.1", "open", a) },
      { _tag: "AddressFound", address: address("1.1.1.2", "full", b) },
      { _tag: "AddressFound", address: address("1.1.1.3", "timeout", undefined) },
      {
        _tag: "PeersTold",
        at: 3,
        nodeId: a,
        addresses: [{ host: "1.1.1.2", port: 11625 }, { host: "1.1.1.3", port: 11625 }],
        refused: {}
      }
    ], 5)
    if (!withSurvey) return
    const { nodeId: peerId, ...own } = peer(b, 20)
    const survey = yield* surveys.begin({
      networkId: "00".repeat(32),
      network: undefined,
      surveyorId: a,
      nonce: 1,
      via: [],
      options: {},
      version: "x"
    })
    yield* surveys.write(survey, {
      nodes: [{
        id: a,
        status: "answered",
        requestedAt: 1,
        answeredAt: 2,
        requests: 1,
        node: {
          addedAuthenticatedPeers: 0,
          droppedAuthenticatedPeers: 0,
          totalInboundPeerCount: 0,
          totalOutboundPeerCount: 1,
          p75SCPFirstToSelfLatencyMs: 1,
          p75SCPSelfToOtherLatencyMs: 2,
          lostSyncCount: 0,
          isValidator: true,
          maxInboundPeerCount: 64,
          maxOutboundPeerCount: 8
        }
      }],
      edges: [{ node: a, direction: "outbound", peer: { ...own, id: peerId as typeof b } }]
    })
  }).pipe(
    Effect.provide(
      Layer.merge(CrawlDatabase.layer, SurveyDatabase.layer).pipe(
        Layer.provide(NetworkDatabase.layer),
        Layer.provide(NodeSqlite.layer({ filename }))
      )
    )
  )
}

describe("topology", () => {
  it.live("draws a crawl from its database in every format, and tells the numbers", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const db = join(directory, "net.db")
      yield* database(db, false)
      const outputs = ["x.svg", "x.html", "x.graphml", "x.dot", "x.json"].map((name) => join(directory, name))
      const ran = yield* cli(["topology", db, ...outputs.flatMap((path) => ["-o", path])])
      assert.strictEqual(ran.code, 0, ran.err.join("\n"))
      assert.match(ran.out.join("\n"), /Nodes +2\n[\s\S]*Edges +1\n/)
      assert.match(ran.err.join("\n"), /1 address where nobody answered left out/)
      for (const path of outputs) assert.isAbove(readFileSync(path).length, 300, path)
      assert.isFalse(readdirSync(directory).some((name) => name.endsWith(".part")))
      const svg = readFileSync(outputs[0]!, "utf8")
      assert.include(svg, "testnet · crawl · ")
      const json = JSON.parse(readFileSync(outputs[4]!, "utf8"))
      const nodeOf = (id: string) => json.nodes.find((node: { readonly id: string }) => node.id === id)
      assert.deepInclude(nodeOf(a), { state: "answered", isValidator: true, address: "1.1.1.1:11625" })
      assert.deepInclude(nodeOf(b), { state: "full", isValidator: false })

      const all = yield* cli(["topology", db, "--all", "--json"])
      assert.deepInclude(objects(all.out)[0], { source: "crawl", leftOut: 0 })
      assert.deepInclude(objects(all.out)[0]!["statistics"], { nodes: 3, edges: 2 })
      // What it wrote, it reads.
      const again = yield* cli(["topology", outputs[4]!, "--json"])
      assert.deepInclude(objects(again.out)[0]!["statistics"], { nodes: 2, edges: 1, validators: 1 })
    }))

  it.live("takes the survey of a database, with the addresses of its crawl, and either by name", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const db = join(directory, "net.db")
      const out = join(directory, "x.json")
      yield* database(db, true)
      const survey = yield* cli(["topology", db, "--source", "survey", "--json", "-o", out])
      assert.deepInclude(objects(survey.out)[0], { source: "survey" })
      const { nodes } = JSON.parse(readFileSync(out, "utf8"))
      assert.deepInclude(nodes.find((node: { readonly id: string }) => node.id === a), {
        address: "1.1.1.1:11625",
        numTotalOutboundPeers: 1,
        isValidator: true
      })
      const crawl = yield* cli(["topology", db, "--source", "crawl", "--run", "1", "--json"])
      assert.deepInclude(objects(crawl.out)[0], { source: "crawl" })
      const none = yield* cli(["topology", db, "--source", "crawl", "--run", "7"])
      assert.strictEqual(none.code, 2)
      assert.match(none.err.join("\n"), /no crawl 7 in it[\s\S]*crawls 1 to 1/)
    }))

  it.live("reads results of getsurveyresult", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const path = join(directory, "results.json")
      writeFileSync(path, JSON.stringify(results))
      const ran = yield* cli(["topology", path, "--json", "-o", join(directory, "y.core.json")])
      assert.deepInclude(objects(ran.out)[0]!["statistics"], { nodes: 4, edges: 2, validators: 1 })
      assert.deepStrictEqual(
        Object.keys(JSON.parse(readFileSync(join(directory, "y.core.json"), "utf8")).topology).sort(),
        [a, b, c, d].sort()
      )
    }))

  it.live("says what is wrong with a file, and leaves it alone; exit 2", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const write = (name: string, text: string) => {
        writeFileSync(join(directory, name), text)
        return join(directory, name)
      }
      const other = join(directory, "other.db")
      const sqlite = new DatabaseSync(other)
      sqlite.exec("create table peers (ip text)")
      sqlite.close()
      const cases: ReadonlyArray<readonly [args: ReadonlyArray<string>, problem: RegExp]> = [
        [[join(directory, "missing.db")], /missing\.db/],
        [[directory], /./],
        [[write("empty", "")], /neither a database nor JSON/],
        [[write("text", "hello, this is text")], /neither a database nor JSON/],
        [[write("else.json", "{\"a\":[1]}")], /JSON of something else/],
        [[write("nobody.json", "{\"topology\":{}}")], /nobody in it/],
        [[write("broken.db", "SQLite format 3\0 and then nothing of the kind")], /broken\.db/],
        [[other], /without crawls and surveys/],
        [[write("ok.json", JSON.stringify(results)), "-o", join(directory, "x.png")], /no format by this name/],
        [[join(directory, "ok.json"), "-o", join(directory, "no", "where.svg")], /where\.svg/]
      ]
      for (const [args, problem] of cases) {
        const ran = yield* cli(["topology", ...args])
        assert.deepStrictEqual([ran.code, ran.out], [2, []], args.join(" "))
        assert.match(ran.err.join("\n"), problem)
      }
      assert.isFalse(existsSync(join(directory, "missing.db")))
      const reopened = new DatabaseSync(other, { readOnly: true })
      assert.deepStrictEqual(reopened.prepare("select name from sqlite_master").all().map(({ name }) => name), [
        "peers"
      ])
      reopened.close()
    }))
})
