import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import * as OverlayAdmin from "@stellar-overlay/overlay/OverlayAdmin"
import { Effect, Logger } from "effect"
import { addressOf, ipOf, type Settings } from "./overlay/network.ts"

const network = LoopbackTransport.layerNetwork({ latencyMillis: 10 })
const inWorld = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  World.run(Effect.provide(program, network), { seed: 1 }).pipe(Effect.provide(Logger.layer([])))

const launch = (i: number, settings: Settings = {}) => TestNode.launch({ name: `n${i}`, ip: ipOf(i), ...settings })
const idOf = (node: TestNode.TestNode) => node.overlay.local.handshake.id

const ask = (node: TestNode.TestNode, url: string) =>
  OverlayAdmin.handle(url).pipe(Effect.provideContext(node.services))
const text = (node: TestNode.TestNode, url: string) =>
  Effect.map(ask(node, url), ({ body, contentType, status }) => {
    assert.deepStrictEqual([status, contentType], [200, "text/plain"])
    return body
  })
const json = (node: TestNode.TestNode, url: string) =>
  Effect.map(ask(node, url), ({ body, contentType, status }): unknown => {
    assert.deepStrictEqual([status, contentType], [200, "application/json"])
    return JSON.parse(body)
  })

/** Node 1 has called node 2 and was called by node 3. */
const trio = Effect.gen(function*() {
  const [one, two, three] = [yield* launch(1), yield* launch(2), yield* launch(3)]
  yield* one.overlay.connect(two.address)
  yield* three.overlay.connect(one.address)
  return { one, two, three }
})

describe("OverlayAdmin", () => {
  it.effect("OVM-14 info counts pending and authenticated peers", () =>
    inWorld(Effect.gen(function*() {
      const { one } = yield* trio
      const { blackHole } = yield* LoopbackTransport.LoopbackNetwork
      yield* blackHole(addressOf(9))
      one.overlay.peers.dial(addressOf(9), { force: true })
      const answer = yield* json(one, "/info")
      assert.nestedPropertyVal(answer, "info.peers.pending_count", 1)
      assert.nestedPropertyVal(answer, "info.peers.authenticated_count", 2)
      assert.nestedPropertyVal(answer, "info.node", idOf(one))
    })))

  it.effect("OVM-14 peers shows the four lists, null where one is empty, keys whole or short, compact or not", () =>
    inWorld(Effect.gen(function*() {
      const { one, three, two } = yield* trio
      const { blackHole } = yield* LoopbackTransport.LoopbackNetwork
      const answer = yield* json(one, "peers")
      assert.nestedPropertyVal(answer, "pending_peers.inbound", null)
      assert.nestedPropertyVal(answer, "pending_peers.outbound", null)
      assert.nestedPropertyVal(answer, "authenticated_peers.inbound.length", 1)
      assert.nestedPropertyVal(answer, "authenticated_peers.outbound.length", 1)
      assert.nestedPropertyVal(answer, "authenticated_peers.outbound[0].address", `${ipOf(2)}:11625`)
      assert.nestedPropertyVal(answer, "authenticated_peers.outbound[0].id", idOf(two))
      assert.nestedPropertyVal(answer, "authenticated_peers.inbound[0].id", idOf(three))
      assert.nestedPropertyVal(answer, "authenticated_peers.inbound[0].address", `${ipOf(3)}:11625`)
      assert.notNestedProperty(answer, "authenticated_peers.inbound[0].message_read")
      const full = yield* json(one, "peers?compact=false&fullkeys=false")
      assert.nestedProperty(full, "authenticated_peers.inbound[0].message_read")
      assert.nestedPropertyVal(full, "authenticated_peers.inbound[0].id", idOf(three).slice(0, 5))
      yield* blackHole(addressOf(9))
      one.overlay.peers.dial(addressOf(9), { force: true })
      assert.nestedPropertyVal(yield* json(one, "peers"), "pending_peers.outbound[0]", `${ipOf(9)}:11625`)
      const lonely = yield* json(yield* launch(5), "peers")
      assert.nestedPropertyVal(lonely, "authenticated_peers.inbound", null)
      assert.nestedPropertyVal(lonely, "authenticated_peers.outbound", null)
    })))

  it.effect("OVM-10 connect dials now, whatever the back-off says", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* launch(1)
      const two = yield* launch(2)
      one.overlay.peerManager.updateBackoff(two.address, "Increase")
      assert.strictEqual(yield* text(one, `connect?peer=${ipOf(2)}&port=11625`), `Connect to: ${ipOf(2)}:11625\n`)
      yield* Effect.sleep("1 second")
      assert.isDefined(one.overlay.peers.get(idOf(two)))
      const usage = "Must specify a peer and port: connect&peer=PEER&port=PORT\n"
      for (const url of ["connect", `connect?peer=${ipOf(2)}`, "connect?port=11625"]) {
        assert.strictEqual(yield* text(one, url), usage)
      }
      for (
        const url of ["connect?peer=a b&port=1", "connect?peer=10.0.0.1&port=0", "connect?peer=10.0.0.1&port=65536"]
      ) {
        assert.property(yield* json(one, url), "exception", url)
      }
      assert.property(yield* json(one, `connect?peer=::1&port=11625`), "exception", "IPv6 is not enabled")
    })))

  it.effect("BAN-02 OVM-22 droppeer drops, and bans when asked; only connected nodes can be named", () =>
    inWorld(Effect.gen(function*() {
      const { one, three, two } = yield* trio
      assert.strictEqual(yield* text(one, `droppeer?node=${idOf(two)}`), `Drop peer: ${idOf(two)}\n`)
      assert.isUndefined(one.overlay.peers.get(idOf(two)))
      assert.strictEqual(yield* text(one, `droppeer?node=${idOf(two)}`), `Peer ${idOf(two)} not found\n`)
      assert.strictEqual(yield* text(one, "droppeer?node=nonsense"), "Peer nonsense not found\n")
      assert.strictEqual(yield* text(one, "droppeer"), "Must specify at least peer id: droppeer?node=NODE_ID\n")
      const prefix = `@${idOf(three).slice(0, 8)}`
      assert.strictEqual(yield* text(one, `droppeer?node=${prefix}&ban=1`), `Drop and ban peer: ${prefix}\n`)
      assert.deepStrictEqual(yield* json(one, "bans"), { bans: [idOf(three)] })
      assert.isUndefined(one.overlay.peers.get(idOf(three)))
      assert.strictEqual((yield* Effect.flip(one.overlay.connect(three.address))).reason._tag, "NodeBanned")
    })))

  it.effect("OVM-22 droppeer tells the peer that a user did it, with or without a ban", () =>
    inWorld(Effect.gen(function*() {
      for (const ban of ["", "&ban=1"]) {
        yield* Effect.scoped(Effect.gen(function*() {
          const heard: Array<string> = []
          const one = yield* launch(1)
          const two = yield* launch(2, {
            onEvent: (event) => {
              if (event._tag === "PeerDropped") heard.push(event.reason.detail)
            }
          })
          yield* one.overlay.connect(two.address)
          yield* text(one, `droppeer?node=${idOf(two)}${ban}`)
          yield* Effect.sleep("1 second")
          assert.deepStrictEqual(heard, ["ERR_MISC (dropped by user)"])
        }))
        yield* Effect.sleep(1)
      }
    })))

  it.effect("BAN-02 ban, unban and bans", () =>
    inWorld(Effect.gen(function*() {
      const { one, two } = yield* trio
      assert.deepStrictEqual(yield* json(one, "bans"), { bans: null })
      assert.strictEqual(yield* text(one, `ban?node=${idOf(two)}`), `Ban peer: ${idOf(two)}\n`)
      assert.isUndefined(one.overlay.peers.get(idOf(two)))
      assert.deepStrictEqual(yield* json(one, "bans"), { bans: [idOf(two)] })
      // A banned node is not connected, and can be named by the beginning of its key all the same.
      const prefix = `@${idOf(two).slice(0, 8)}`
      assert.strictEqual(yield* text(one, `unban?node=${prefix}`), `Unban peer: ${prefix}\n`)
      assert.deepStrictEqual(yield* json(one, "bans"), { bans: null })
      assert.strictEqual(yield* text(one, "unban?node=nobody"), "Peer nobody not found\n")
      assert.strictEqual(yield* text(one, "ban?node=nobody"), "Peer nobody not found\n")
      assert.strictEqual(yield* text(one, "unban"), "Must specify at least peer id: unban?node=NODE_ID\n")
      assert.strictEqual(yield* text(one, "ban"), "Must specify at least peer id: ban?node=NODE_ID\n")
    })))

  it.effect("O7 malformed and overlong requests are answered, and change nothing", () =>
    inWorld(Effect.gen(function*() {
      const { one } = yield* trio
      const before = one.overlay.peers.authenticated().length
      const urls = [
        "",
        "/",
        "//",
        "?",
        "??",
        "/?&&==&",
        "%",
        "/%zz",
        "/peers/..",
        "/../info",
        "peers#x",
        "PEERS",
        "/droppeer/?node",
        "droppeer?node=%",
        "droppeer?node=%E0%A4%A",
        "droppeer?node=%00%1b[31m",
        "droppeer?node=@",
        "droppeer?node=$",
        "connect?peer=%&port=%",
        `connect?peer=${"1.".repeat(500)}&port=1`,
        "connect?peer=10.0.0.1&port=1e3",
        "connect?peer=10.0.0.1&port=-1",
        "connect?peer[]=x&port[]=y",
        "__proto__",
        "constructor?x",
        "\u0000",
        "\ud800",
        "/".repeat(4096),
        `bans?${"a&".repeat(2000)}`
      ]
      for (const url of urls) {
        const answer = yield* ask(one, url)
        assert.include([200, 404], answer.status, url)
        assert.isAbove(answer.body.length, 0, url)
        if (answer.contentType === "application/json") JSON.parse(answer.body)
      }
      assert.strictEqual((yield* ask(one, "nothing")).status, 404)
      assert.strictEqual((yield* ask(one, "/peers/")).status, 200)
      assert.strictEqual(one.overlay.peers.authenticated().length, before)
      assert.deepStrictEqual(yield* json(one, `peers?${"x".repeat(OverlayAdmin.MAX_URL_LENGTH)}`), {
        exception: "request too long"
      })
      assert.nestedProperty(yield* json(one, `peers?${"x".repeat(OverlayAdmin.MAX_URL_LENGTH - 6)}`), "pending_peers")
    })))

  it.effect("O7 random bytes as requests never fail", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* launch(1)
      const draw = (yield* World.World).random("test")
      for (let i = 0; i < 3000; i++) {
        const command = OverlayAdmin.commands[draw.nextBelowUnsafe(OverlayAdmin.commands.length)]!
        const noise = Array.from({ length: draw.nextBelowUnsafe(30) }, () =>
          String.fromCharCode(draw.nextBelowUnsafe(i % 2 === 0 ? 128 : 65_536))).join("")
        const url = i % 3 === 0 ? noise : `${command}?node=${noise}&peer=${noise}&port=${noise}`
        assert.include([200, 404], (yield* ask(one, url)).status)
      }
      assert.deepStrictEqual(yield* json(one, "bans"), { bans: null })
    })))

  it.effect("O5 O7 a defect inside a command is an exception for the operator, and nothing more", () =>
    inWorld(Effect.gen(function*() {
      const { one } = yield* trio
      const { pending } = one.overlay.peers
      Object.assign(one.overlay.peers, {
        pending: () => {
          throw new Error("injected")
        }
      })
      assert.deepStrictEqual(yield* json(one, "peers"), { exception: "internal error" })
      Object.assign(one.overlay.peers, { pending })
      assert.nestedPropertyVal(yield* json(one, "peers"), "authenticated_peers.inbound.length", 1)
    })))
})
