/** `conformance` against nodes of this project in other processes: as they are, and with defects planted into them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { plant } from "../../../scripts/mutate.ts"
import { mutants } from "../../overlay-test/mutants/index.ts"
import { patienceMutants } from "../../overlay-test/mutants/patience.ts"
import { swarmMutants } from "../../overlay-test/mutants/swarm.ts"
import { eventually, node, peersOf, type RunningNode } from "./nodeSupport.ts"
import { child, cli, closedPort, objects, server } from "./support.ts"

const root = new URL("../../../", import.meta.url)
const mutate = fileURLToPath(new URL("scripts/mutate.ts", root))

/** A node that judges what it relays, with a defect if given. */
const target = (mutant?: string) =>
  node(["--host", "relay"], mutant === undefined ? {} : { MUTANT: mutant, NODE_OPTIONS: `--import ${mutate}` })

/** `conformance` on a node, with its operator's port. */
const against = ({ address, adminPort }: RunningNode, ...options: ReadonlyArray<string>) => [
  "conformance",
  "--target",
  address,
  "--admin",
  String(adminPort),
  ...options
]

const last = (out: ReadonlyArray<string>) => objects(out).at(-1)

/** An operator's port that answers its commands with these, and carries none out. */
const pretender = (answers: Readonly<Record<string, string>>) =>
  Effect.map(
    server((socket) => {
      socket.on("data", (request) => {
        const command = /^GET \/(\w+)/.exec(String(request))?.[1] ?? ""
        socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${answers[command] ?? ""}`)
      })
    }),
    ({ port }) => `127.0.0.1:${port}`
  )

const noPeers = JSON.stringify({
  authenticated_peers: { inbound: null, outbound: null },
  pending_peers: { inbound: null, outbound: null }
})

describe("conformance", () => {
  it.live(
    "T4 M1 X1 F1 H11 O6 a node as it is holds to all that can be tried in short time, called and calling; exit 0",
    () =>
      Effect.gen(function*() {
        const { code, err, out } = yield* cli(against(yield* target()))
        const text = out.join("\n")
        assert.deepStrictEqual([code, err], [0, []], text)
        assert.match(text, /\nall as it must be: 15\d\d variants of 50 attacks in /)
        assert.match(text, /its event loop was \d+(\.\d+)? m?s late at most/)
        assert.notInclude(text, "FAILED")
        assert.notInclude(text, "need the node to dial")
      }),
    180_000
  )

  it.live(
    "T6 P2 H11 without the operator's port it says what it takes to try the rest; exit 0",
    () =>
      Effect.gen(function*() {
        const { address } = yield* target()
        const { code, out } = yield* cli(["conformance", "--target", address, "--only", "T6,P2,H11"])
        const text = out.join("\n")
        assert.strictEqual(code, 0, text)
        assert.include(text, "not checked: 9 variants that need the node to dial (--admin 127.0.0.1:PORT")
        assert.include(text, "not checked: 4 variants that ask the node's operator (--admin")
        assert.include(text, "not checked at all: H11")
      }),
    60_000
  )

  it.live(
    "T3 T4 H9 stellar-core's clocks, versions and laxity are what profile core holds a node to; exit 0",
    () =>
      Effect.gen(function*() {
        const options = ["--profile", "core", "--only", "T3,T4,H9,M6,X4"]
        const { code, out } = yield* cli(against(yield* target(), ...options))
        assert.strictEqual(code, 0, out.join("\n"))
        assert.match(out.join("\n"), /\d+ variants that are stricter than stellar-core/)
      }),
    60_000
  )

  /** One for each part of the protocol; all of them are run by hand. */
  const planted: ReadonlyArray<readonly [name: string, variants: ReadonlyArray<string>]> = [
    ["mac-is-not-checked", [", as initiator", ", as acceptor"]],
    ["frames-of-any-length", [", as initiator", ", as acceptor"]],
    ["peers-again-and-again", ["twice"]] // by whom the node dials
  ]
  for (const [name, variants] of planted) {
    const { rows } = mutants.find((mutant) => mutant.name === name)!
    it.live(
      `${rows.join(" ")} with ${name} the right rows are red, whoever calls; exit 4`,
      () =>
        Effect.gen(function*() {
          const only = [...rows, "T6"].join()
          const { code, out } = yield* cli(against(yield* target(name), "--json", "--only", only))
          assert.strictEqual(code, 4, out.join("\n"))
          assert.sameMembers(last(out)?.["red"] as Array<string>, [...rows], "and T6 is green")
          for (const variant of variants) assert.include(out.join(), variant)
        }),
      90_000
    )
  }

  it.effect("an address that is not this machine is refused; exit 2", () =>
    Effect.gen(function*() {
      for (
        const address of ["core-live-a.stellar.org", "10.0.0.1:11625", "[::ffff:10.0.0.1]:11625", "localhost:11625"]
      ) {
        const { code, err } = yield* cli(["conformance", "--target", address])
        assert.strictEqual(code, 2)
        assert.include(err.join("\n"), "not a loopback address")
      }
      for (const admin of ["http://core.example:11626", "10.0.0.1:11626", "localhost:11626"]) {
        const { code, err } = yield* cli(["conformance", "--target", "127.0.0.1:1", "--admin", admin])
        assert.strictEqual(code, 2)
        assert.include(err.join("\n"), "not a loopback address")
      }
    }))

  it.effect("rows that do not exist are a mistake; exit 2", () =>
    Effect.gen(function*() {
      const { code } = yield* cli(["conformance", "--target", "127.0.0.1:1", "--only", "T4,Z9"])
      assert.strictEqual(code, 2)
    }))

  it.live("a port where nobody listens is unreachable; exit 3", () =>
    Effect.gen(function*() {
      const { code } = yield* cli(["conformance", "--target", "127.0.0.1:1"])
      assert.strictEqual(code, 3)
    }))

  it.live(
    "a node that cannot be told to dial is an error with a hint, and no row is red",
    () =>
      Effect.gen(function*() {
        const { address } = yield* target()
        const other = yield* target()
        const full = JSON.stringify({ exception: "no route" })
        const cases: ReadonlyArray<readonly [admin: string, code: number, problem: RegExp]> = [
          [`127.0.0.1:${yield* closedPort}`, 3, /ECONNREFUSED\n  Is this the node's operator port\?/],
          [`127.0.0.1:${other.adminPort}`, 2, /commands the node G.* is G.*\n  Each node has an operator's port/],
          [yield* pretender({ peers: "hello" }), 3, /has not the form of a node's\n/],
          [yield* pretender({ peers: noPeers, connect: full }), 4, /answered connect with .*no route.*\n/],
          [
            yield* pretender({ peers: noPeers, connect: "Connect to: you" }),
            3,
            /did not dial 127\.[\d.]+:\d+ in 1000 ms/
          ]
        ]
        for (const [admin, expected, problem] of cases) {
          const ran = yield* cli([
            "conformance",
            "--target",
            address,
            "--admin",
            admin,
            "--only",
            "T6",
            "--timeout",
            "1"
          ])
          assert.strictEqual(ran.code, expected, admin)
          assert.match(ran.err.join("\n"), problem)
          assert.notInclude(ran.out.join("\n"), "FAILED")
        }
      }),
    60_000
  )

  it.live("Ctrl-C ends it and whatever it has open; exit 130", () =>
    Effect.gen(function*() {
      const attacked = yield* target()
      const running = yield* child(against(attacked, "--slow", "--only", "T8"))
      yield* running.line("profile ours")
      const during = yield* eventually(
        peersOf(attacked),
        ({ authenticated_peers: { outbound } }) => outbound !== null
      )
      assert.isNotNull(during.authenticated_peers.outbound, "it was called")
      yield* running.interrupt
      assert.strictEqual((yield* running.ended).code, 130)
      const after = yield* eventually(
        peersOf(attacked),
        ({ authenticated_peers: { inbound, outbound } }) => inbound === null && outbound === null
      )
      assert.deepStrictEqual(after.authenticated_peers, { inbound: null, outbound: null })
    }), 60_000)
})

describe("planted defects", () => {
  for (const mutant of mutants) {
    it(`${mutant.name} has its place, once, and changes it`, () => {
      const source = readFileSync(new URL(mutant.file, root), "utf8")
      assert.notStrictEqual(plant(source, mutant), source)
      // Those that honest nodes suffer from are noticed by `sim mutants`.
      if (![...swarmMutants, ...patienceMutants].includes(mutant)) assert.isNotEmpty(mutant.rows)
    })
  }

  it("have names of their own", () => {
    assert.strictEqual(new Set(mutants.map(({ name }) => name)).size, mutants.length)
  })
})
