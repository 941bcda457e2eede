import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { parseUrl } from "../src/net/AdminPort.ts"
import { connected, eventually, folder, get, node } from "./nodeSupport.ts"
import { child, cli, closedPort, objects } from "./support.ts"
import { type Fake, FakeSurveyor, network } from "./surveySupport.ts"
import { idOf, type Pairs } from "./topologySupport.ts"

const SEED = "SCQUY2OBI7XRYATIUSTD7K3X6D6A5CRDE3YNZCCR26SGQCL7WS5ZMEVS"
const SURVEYOR = "GAJCQI7TG4BHMHRRBDW6DGFPSHFXJI3Q4KXHCMMG7AVCHPEOQSH4F45T"

/** A short survey: requests go out every 0.6 s. */
const quick = ["--collect", "0.5", "--settle", "0.2", "--poll", "0.1"]

interface Told {
  readonly inboundPeers: ReadonlyArray<{ readonly nodeId: string; readonly version: string }> | null
  readonly outboundPeers: ReadonlyArray<{ readonly nodeId: string; readonly version: string }> | null
  readonly numTotalInboundPeers: number
  readonly numTotalOutboundPeers: number
}

/** Nodes around one that may survey them, each connected with it. */
const nodes = Effect.fnUntraced(function*(others: number, directory: string) {
  const config = join(directory, "fast.json")
  writeFileSync(config, JSON.stringify({ expectedCloseTimeMillis: 200, surveyorKeys: [SURVEYOR] }))
  const surveyor = yield* node(["--config", config], { NODE_SEED: SEED })
  const all = yield* Effect.all(
    Array.from({ length: others }, () => node(["--config", config, "--peer", surveyor.address])),
    { concurrency: 2 }
  )
  yield* eventually(connected(surveyor), (ids) => ids.length === others)
  return { surveyor, others: all }
})

/** Edges as `from to`, as the peers commands of the nodes have them. */
const truth = Effect.fnUntraced(function*(all: ReadonlyArray<{ readonly id: string; readonly adminPort: number }>) {
  const edges: Array<string> = []
  for (const each of all) {
    const { authenticated_peers: { outbound } } = JSON.parse(
      yield* get(each as never, "/peers")
    ) as { readonly authenticated_peers: { readonly outbound: ReadonlyArray<{ readonly id: string }> | null } }
    for (const { id } of outbound ?? []) edges.push(`${each.id} ${id}`)
  }
  return edges.sort()
})

describe("survey of nodes over TCP", () => {
  it.live(
    "SUR-06 SUR-08 every node answers, and the result is what the nodes are connected with; database, files, resume",
    () =>
      Effect.gen(function*() {
        const directory = yield* folder
        const { others, surveyor } = yield* nodes(3, directory)
        const all = [surveyor, ...others]
        // They learn of each other; the survey is of what stays.
        const settled = yield* eventually(truth(all), (edges) => edges.length === 6)
        const [core, db, resume, html] = ["r.core.json", "net.db", "state.json", "r.html"].map((name) =>
          join(directory, name)
        )
        const ran = yield* cli([
          "survey",
          String(surveyor.adminPort),
          ...quick,
          "--nonce",
          "77",
          "--db",
          db!,
          "--resume",
          resume!,
          "-o",
          core!,
          "-o",
          html!,
          "--json"
        ])
        assert.strictEqual(ran.code, 0, ran.err.join("\n"))
        const last = objects(ran.out).at(-1)!
        assert.deepInclude(last, {
          event: "done",
          complete: true,
          surveyor: SURVEYOR,
          nonce: 77,
          known: 4,
          answered: 4,
          silent: 0,
          connections: 6,
          written: [core, html]
        })
        const { topology } = JSON.parse(readFileSync(core!, "utf8"))
        assert.deepStrictEqual(Object.keys(topology).sort(), all.map(({ id }) => id).sort())
        const told: Array<string> = []
        for (const [id, result] of Object.entries<Told>(topology)) {
          for (const peer of result.outboundPeers ?? []) {
            told.push(`${id} ${peer.nodeId}`)
            assert.strictEqual(peer.version, "stellar-overlay 0.1.0")
          }
          assert.strictEqual(result.numTotalOutboundPeers, result.outboundPeers?.length ?? 0)
          assert.strictEqual(result.numTotalInboundPeers, result.inboundPeers?.length ?? 0)
        }
        assert.deepStrictEqual(told.sort(), settled)

        const sqlite = new DatabaseSync(db!, { readOnly: true })
        assert.deepInclude(sqlite.prepare("select phase, nonce, surveyor_id from survey").get(), {
          phase: "completed",
          nonce: 77,
          surveyor_id: SURVEYOR
        })
        assert.deepStrictEqual(
          sqlite.prepare("select status, count(*) as n from survey_node group by status").all().map((row) => ({
            ...row
          })),
          [{ status: "answered", n: 4 }]
        )
        assert.deepInclude(sqlite.prepare("select count(*) as n from survey_edge").get(), { n: 12 })
        sqlite.close()
        const drawn = yield* cli(["topology", db!, "--json"])
        assert.deepInclude(objects(drawn.out)[0]!["statistics"], { nodes: 4, edges: 6, links: 6 })
        const fromState = yield* cli(["topology", resume!, "--json"])
        assert.deepInclude(objects(fromState.out)[0]!["statistics"], { nodes: 4, edges: 6 })

        // The network reports still: a second survey has to wait, and ours goes on from its file.
        const second = yield* cli(["survey", String(surveyor.adminPort), ...quick])
        assert.strictEqual(second.code, 4)
        assert.match(second.err.join("\n"), /Another survey is active on the network[\s\S]*--resume/)
        const elsewhere = yield* cli(["survey", String(others[0]!.adminPort), "--resume", resume!, ...quick])
        assert.strictEqual(elsewhere.code, 2)
        assert.match(elsewhere.err.join("\n"), /none of the nodes is the one that began this survey/)
        const again = yield* cli(["survey", "--resume", resume!, ...quick, "--json"])
        assert.deepInclude(objects(again.out).at(-1), { event: "done", answered: 4, known: 4 })
      }),
    120_000
  )

  it.live(
    "SUR-02 Ctrl-C stops collecting on the network and keeps the survey; --resume ends it",
    () =>
      Effect.gen(function*() {
        const directory = yield* folder
        const { surveyor } = yield* nodes(2, directory)
        const [resume, out] = ["state.json", "x.graphml"].map((name) => join(directory, name))
        const running = yield* child([
          "survey",
          `http://127.0.0.1:${surveyor.adminPort}`,
          "--collect",
          "600",
          "--json",
          "--resume",
          resume!,
          "-o",
          out!
        ])
        yield* running.line(`"phase":"collecting"`)
        yield* running.interrupt
        const { code, err } = yield* running.ended
        assert.strictEqual(code, 130)
        assert.match(err, /stopped: the node was told[\s\S]*--resume/)
        assert.isTrue(existsSync(out!))
        assert.strictEqual(JSON.parse(readFileSync(resume!, "utf8")).phase, "reporting")
        assert.strictEqual(
          yield* get(surveyor, "/stopsurveycollecting"),
          "Requested network to stop survey collecting.\n"
        )
        const ran = yield* cli(["survey", "--resume", resume!, ...quick, "--json"])
        assert.strictEqual(ran.code, 0, ran.err.join("\n"))
        assert.deepInclude(objects(ran.out).at(-1), { answered: 3, known: 3, silent: 0 })
      }),
    120_000
  )

  it.live(
    "SUR-16 a surveyor that died is started again and told of its survey, and --resume ends it",
    () =>
      Effect.gen(function*() {
        const directory = yield* folder
        const { others, surveyor } = yield* nodes(2, directory)
        const resume = join(directory, "state.json")
        const running = yield* child([
          "survey",
          String(surveyor.adminPort),
          "--collect",
          "0.5",
          "--settle",
          "600",
          "--nonce",
          "4711",
          "--json",
          "--resume",
          resume
        ])
        yield* eventually(
          Effect.sync(() => existsSync(resume) && JSON.parse(readFileSync(resume, "utf8")).phase),
          (phase) => phase === "reporting"
        )
        surveyor.running.process.kill("SIGKILL")
        yield* surveyor.running.ended
        yield* running.interrupt
        const { code, err } = yield* running.ended
        assert.strictEqual(code, 130)
        assert.match(err, /could not be told/)

        const again = yield* node(
          ["--config", join(directory, "fast.json"), "--peer", others[0]!.address, "--peer", others[1]!.address],
          { NODE_SEED: SEED }
        )
        assert.strictEqual(again.id, surveyor.id)
        yield* eventually(connected(again), (ids) => ids.length === 2)
        const ran = yield* cli(["survey", String(again.adminPort), "--resume", resume, ...quick])
        assert.strictEqual(ran.code, 0, ran.err.join("\n"))
        assert.match(ran.err.join("\n"), /started again: the node was told of its survey/)
        assert.match(ran.out.join("\n"), /surveyed 2 of 3 nodes/) // what it had counted itself is gone
        assert.deepStrictEqual(
          yield* get(again, "/resumesurvey?nonce=1"),
          "Failed to resume the survey. Another survey is active.\n"
        )
      }),
    120_000
  )
})

interface CoreOptions {
  readonly nodes: ReadonlyArray<Fake>
  /** As core has it: no node in /info, `you` in /scp. */
  readonly isCore?: boolean
  readonly answer?: (path: string) => string | undefined
}

/** A port that answers as stellar-core does, in front of a simulated network; each look at results is a round. */
const corePort = (options: CoreOptions) =>
  Effect.gen(function*() {
    const surveyor = new FakeSurveyor(options.nodes, 3)
    const { self } = surveyor
    const asked: Array<string> = []
    let phase: "inactive" | "collecting" | "reporting" = "inactive"
    const list = (rows: Fake["inbound"]) => rows.length === 0 ? null : rows.map(({ nodeId }) => ({ id: nodeId }))
    const answer = (path: string, params: URLSearchParams): string => {
      asked.push(path)
      const given = options.answer?.(path)
      if (given !== undefined) return given
      switch (path) {
        case "info":
          return JSON.stringify({
            info: { build: "stellar-core 23.0.1", network: "Test SDF Network ; September 2015" }
          })
        case "scp":
          return JSON.stringify({ you: self.id })
        case "peers":
          return JSON.stringify({ authenticated_peers: { inbound: list(self.inbound), outbound: list(self.outbound) } })
        case "startsurveycollecting":
          if (phase !== "inactive") {
            return "Failed to start survey collecting. Another survey is active on the network."
          }
          phase = "collecting"
          return "Requested network to start survey collecting."
        case "stopsurveycollecting":
          phase = "reporting"
          return "Requested network to stop survey collecting."
        case "surveytopologytimesliced": {
          const [id, inbound, outbound] = [
            params.get("node")!,
            Number(params.get("inboundpeerindex")),
            Number(params.get("outboundpeerindex"))
          ]
          return surveyor.order(id, inbound, outbound)
            ? "Adding node.Survey already running!"
            : JSON.stringify({ exception: "addPeerToBacklog failed: Peer is already in the backlog, or peer is self." })
        }
        case "stopsurvey":
          surveyor.stop()
          return "survey stopped"
        case "getsurveyresult": {
          surveyor.round()
          const { backlog, badResponseNodes, surveyInProgress, topology } = surveyor.results
          return JSON.stringify({
            surveyInProgress,
            backlog,
            badResponseNodes: badResponseNodes.length === 0 ? null : badResponseNodes,
            topology: Object.fromEntries([...topology].map(([id, node]) => [
              id,
              node === undefined ? null : {
                ...node.facts,
                inboundPeers: node.inboundPeers.length === 0 ? null : node.inboundPeers,
                outboundPeers: node.outboundPeers.length === 0 ? null : node.outboundPeers
              }
            ]))
          })
        }
        default:
          return "unknown"
      }
    }
    const server = yield* Effect.acquireRelease(
      Effect.callback<Http.Server>((resume) => {
        const made = Http.createServer((request, response) => {
          const url = new URL(request.url ?? "/", "http://x")
          response.setHeader("connection", "close")
          response.end(answer(url.pathname.slice(1), url.searchParams))
        })
        made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      (made) =>
        Effect.sync(() => {
          made.closeAllConnections()
          made.close()
        })
    )
    const address = server.address()
    return { port: typeof address === "object" && address !== null ? address.port : 0, surveyor, asked }
  })

const wheel = (size: number): Pairs =>
  Array.from({ length: size - 1 }, (_, i) => [[i + 1, 0], [i + 1, (i % (size - 1)) + 1]] as const)
    .flat()

describe("survey through a port that answers as stellar-core", () => {
  it.live("pages of 25, a silent node, and the form of getsurveyresult with all pages put together", () =>
    Effect.gen(function*() {
      // 0 surveys; 1 is a hub with 70 inbound peers; 2 never answers.
      const fakes = network(73, [[0, 1], [0, 2], ...Array.from({ length: 70 }, (_, i) => [i + 3, 1] as const)])
      fakes[2]!.isSilent = true
      const { port, surveyor } = yield* corePort({ nodes: fakes })
      const directory = yield* folder
      const [core, script] = ["r.core.json", "r.script.json"].map((name) => join(directory, name))
      const ran = yield* cli([
        "survey",
        `127.0.0.1:${port}`,
        "--collect",
        "0.1",
        "--settle",
        "0.1",
        "--poll",
        "0.02",
        "--answer",
        "0.3",
        "--json",
        "-o",
        core!,
        "-o",
        script!
      ])
      assert.strictEqual(ran.code, 0, ran.err.join("\n"))
      assert.deepInclude(objects(ran.out).at(-1), {
        surveyor: fakes[0]!.id,
        known: 73,
        answered: 72,
        silent: 1,
        incomplete: 0,
        connections: 72
      })
      const hub = fakes[1]!.id
      const { topology } = JSON.parse(readFileSync(core!, "utf8"))
      assert.strictEqual(topology[hub].inboundPeers.length, 71)
      assert.isNull(topology[fakes[2]!.id])
      assert.strictEqual(Object.keys(JSON.parse(readFileSync(script!, "utf8"))[hub].inboundPeers).length, 71)
      assert.deepStrictEqual(
        [...new Set(surveyor.asked.filter(({ id }) => id === hub).map(({ inbound }) => inbound))],
        [0, 25, 50]
      )
      assert.strictEqual(surveyor.asked.filter(({ id }) => id === fakes[2]!.id).length, 3)
    }))

  it.live("of several ports the first that will is the surveyor, and the peers of all are where it begins", () =>
    Effect.gen(function*() {
      const fakes = network(6, wheel(6))
      const busy = yield* corePort({
        nodes: network(3, [[0, 1]]).map((fake, i) => ({ ...fake, id: i === 0 ? idOf(500) : fake.id })),
        answer: (path) =>
          path === "startsurveycollecting"
            ? "Failed to start survey collecting. Another survey is active on the network."
            : undefined
      })
      const willing = yield* corePort({ nodes: fakes })
      const closed = yield* closedPort
      const ran = yield* cli([
        "survey",
        String(closed),
        String(busy.port),
        String(willing.port),
        "--collect",
        "0.1",
        "--settle",
        "0.1",
        "--poll",
        "0.02",
        "--answer",
        "0.2",
        "--attempts",
        "1",
        "--json"
      ])
      assert.strictEqual(ran.code, 0, ran.err.join("\n"))
      assert.match(
        ran.err.join("\n"),
        /skipped: http:\/\/127\.0\.0\.1:\d+: ECONNREFUSED[\s\S]*skipped: .*Another survey/
      )
      assert.deepInclude(objects(ran.out).at(-1), { surveyor: fakes[0]!.id, answered: 6, silent: 1 })
      assert.notInclude(busy.asked, "surveytopologytimesliced")
    }))

  it.live("says what is wrong: nobody there, no node, an unknown answer, a lost node; with its exit code", () =>
    Effect.gen(function*() {
      const fakes = network(4, wheel(4))
      const closed = yield* cli(["survey", String(yield* closedPort), ...quick])
      assert.strictEqual(closed.code, 3)
      assert.match(closed.err.join("\n"), /ECONNREFUSED[\s\S]*admin port/)

      const web = yield* corePort({ nodes: fakes, answer: () => "<html>hello</html>" })
      const noNode = yield* cli(["survey", String(web.port), ...quick])
      assert.strictEqual(noNode.code, 3)
      assert.match(noNode.err.join("\n"), /\/info has not the form of a node's/)

      const booting = yield* corePort({
        nodes: fakes,
        answer: () => JSON.stringify({ error: "Core is booting, try again later" })
      })
      const refused = yield* cli(["survey", String(booting.port), ...quick])
      assert.strictEqual(refused.code, 4)
      assert.match(refused.err.join("\n"), /Core is booting/)

      const odd = yield* corePort({
        nodes: fakes,
        answer: (path) => path === "getsurveyresult" ? "\x1b[2Jgone" : undefined
      })
      const lost = yield* cli([
        "survey",
        String(odd.port),
        "--collect",
        "0.1",
        "--settle",
        "0.1",
        "--poll",
        "0.02",
        "--json"
      ])
      assert.strictEqual(lost.code, 3)
      assert.match(lost.err.join("\n"), /getsurveyresult has not the form/)
      assert.deepInclude(objects(lost.out).at(-1), { event: "done", complete: false })
      assert.include(odd.asked, "stopsurvey")

      for (
        const args of [[], ["127.0.0.1:1?x=1"], ["1", "--node", "GXX"], ["1", "-o", "x.png"], [
          "1",
          "--collect",
          "1801"
        ]]
      ) {
        assert.strictEqual((yield* cli(["survey", ...args])).code, 2, args.join(" "))
      }
      const directory = yield* folder
      writeFileSync(join(directory, "x.json"), "{}")
      const notOurs = yield* cli(["survey", "1", "--resume", join(directory, "x.json")])
      assert.strictEqual(notOurs.code, 2)
      assert.strictEqual(readFileSync(join(directory, "x.json"), "utf8"), "{}")
    }))

  it.live("O6 what strangers say reaches neither the terminal nor a file unescaped", () =>
    Effect.gen(function*() {
      const fakes = network(4, wheel(4))
      for (const rows of fakes.flatMap(({ inbound, outbound }) => [inbound, outbound])) {
        rows.forEach((row, i) => {
          rows[i] = { ...row, version: "\x1b]0;x\x07\u202e</script><script>alert(1)</script>" }
        })
      }
      const directory = yield* folder
      const outputs = ["x.html", "x.svg", "x.core.json", "x.graphml"].map((name) => join(directory, name))
      const { port } = yield* corePort({ nodes: fakes })
      const ran = yield* cli([
        "survey",
        String(port),
        "--collect",
        "0.1",
        "--settle",
        "0.1",
        "--poll",
        "0.02",
        ...outputs.flatMap((path) => ["-o", path])
      ])
      assert.strictEqual(ran.code, 0, ran.err.join("\n"))
      const printed = yield* cli(["topology", outputs[2]!])
      for (
        const text of [
          ...ran.out,
          ...ran.err,
          ...printed.out,
          ...outputs.map((path) => readFileSync(path, "utf8"))
        ]
      ) {
        // eslint-disable-next-line no-control-regex
        assert.notMatch(text, /[\x1b\x07]/)
      }
      for (const path of outputs.slice(0, 2)) assert.notInclude(readFileSync(path, "utf8"), "<script>alert")
    }))

  it("addresses of ports, short and long", () => {
    const cases: ReadonlyArray<readonly [string, string | undefined]> = [
      ["11626", "http://127.0.0.1:11626"],
      ["127.0.0.1:8080", "http://127.0.0.1:8080"],
      ["localhost", "http://localhost:11626"],
      ["http://core.example", "http://core.example:80"],
      ["https://core.example/admin/", "https://core.example:443/admin"],
      ["http://[::1]:11626", "http://[::1]:11626"],
      ["a b", undefined],
      ["http://u:p@x:1", undefined],
      ["127.0.0.1:1?x=1", undefined]
    ]
    for (const [text, url] of cases) assert.strictEqual(parseUrl(text), url, text)
  })
})
