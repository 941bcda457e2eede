/**
 * One node behind several connections: whatever the order in which their bytes arrive, exactly one of them survives.
 *
 * Nodes are a `PeerRegistry` and its sessions; a seed decides which byte moves next. The cryptography is a toy, so that
 * ten thousand orders take seconds.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Chance, seeded } from "@stellar-overlay/overlay-test/RandomXdr"
import { ScriptedSession } from "@stellar-overlay/overlay-test/ScriptedSession"
import * as DropReason from "../../src/DropReason.ts"
import { type Admission, admitAll, type Role } from "../../src/protocol/Handshake.ts"
import { PeerAuth } from "../../src/protocol/PeerAuth.ts"
import { type Entry, PeerRegistry } from "../../src/protocol/PeerRegistry.ts"
import type { Now } from "../../src/protocol/Primitives.ts"
import { Session } from "../../src/protocol/Session.ts"
import * as NodeId from "../../src/wire/NodeId.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { toyCrypto } from "./fixtures.ts"

const now: Now = { millis: 0, unixSeconds: 1_767_225_600 }
const template = new ScriptedSession().victim.session.options
const crypto = toyCrypto()

/** A node that lets in by the registry's rules, or one that lets in everybody. */
class Node {
  readonly id: NodeId.NodeId
  readonly auth: PeerAuth
  readonly address: PeerAddress
  readonly registry: PeerRegistry | undefined

  constructor(key: number, careful: boolean) {
    const seed = new Uint8Array(32).fill(key)
    this.id = NodeId.fromBytes(seed) // a toy: the public key is the seed
    this.auth = new PeerAuth(crypto, template.handshake.networkId, seed)
    this.address = PeerAddress.make(`10.${key}.0.1`, 11_625)
    this.registry = careful
      ? new PeerRegistry(this.id, {
        maxInbound: 64,
        maxOutbound: 8,
        maxInboundPending: 64,
        maxOutboundPending: 64,
        possiblyPreferredExtra: 2,
        maxPendingPerAddress: 64,
        maxPendingPerSubnet24: 64,
        maxPendingPerSubnet16: 64,
        evictPendingAfterMillis: Number.POSITIVE_INFINITY,
        preferredPeersOnly: false,
        mutualDials: "winner"
      }, {
        isExempt: () => true,
        isPreferredAddress: () => false,
        isPossiblyPreferred: () => false,
        isPreferredKey: () => false,
        dispensable: () => undefined
      })
      : undefined
  }
}

/** One end of a link, with its place in the registry. */
class End {
  readonly session: Session
  readonly node: Node
  readonly entry: Entry | undefined
  readonly outgoing: Array<Uint8Array> = []
  other!: End
  told = false

  constructor(node: Node, role: Role, remote: PeerAddress, entry: Entry | undefined) {
    this.node = node
    this.entry = entry
    const { registry } = node
    const admission: Admission = registry === undefined || entry === undefined ? admitAll : {
      ...admitAll,
      helloReceived: (facts) => registry.hello(entry, facts),
      authenticated: () => registry.authenticate(entry)
    }
    this.session = new Session({
      ...template,
      role,
      remote,
      crypto,
      auth: node.auth,
      admission,
      nonce: crypto.randomBytes(32),
      handshake: { ...template.handshake, id: node.id, listeningPort: node.address.port }
    }, now)
    if (entry !== undefined) entry.drop = (reason) => this.session.drop(reason, now)
  }

  /** Moves one chunk, or the end, to the other side; false when there is nothing to move. */
  step(): boolean {
    const { session } = this
    for (let slab; (slab = session.nextWrite(now)) !== undefined; session.wrote(now)) this.outgoing.push(slab)
    if (session.dropReason !== undefined && this.entry?.state !== "released") this.release()
    const chunk = this.outgoing.shift()
    if (chunk !== undefined) {
      this.other.session.receive(chunk, now)
      return true
    }
    if (session.dropReason === undefined || this.told) return false
    this.told = true
    this.other.session.drop(this.other.session.readFailure(true, ""), now)
    return true
  }

  private release(): void {
    if (this.entry !== undefined) this.node.registry?.release(this.entry)
  }
}

/** A dial: both ends of a new link, or nothing where the dialler's own registry refuses it. */
const dial = (from: Node, to: Node, port: number): ReadonlyArray<End> => {
  const outbound = from.registry?.reserveOutbound(to.address, 0)
  if (outbound !== undefined && "_tag" in outbound) return []
  const ephemeral = PeerAddress.make(from.address.host, port)
  const inbound = to.registry?.reserveInbound(ephemeral, 0)
  assert.isFalse(inbound !== undefined && "_tag" in inbound)
  const ends = [
    new End(from, "initiator", to.address, outbound),
    new End(to, "acceptor", ephemeral, inbound as Entry | undefined) // the assertion above says so
  ] as const
  ends[0].other = ends[1]
  ends[1].other = ends[0]
  ends[0].session.connected(now)
  return ends
}

/** Runs dials and moves in a random order until nothing moves; gives every end there was. */
const settle = (chance: Chance, dials: Array<() => ReadonlyArray<End>>): ReadonlyArray<End> => {
  const ends: Array<End> = []
  for (let rest = 0; rest < 200;) {
    const pick = Math.floor(chance() * (dials.length + ends.length))
    if (pick < dials.length) {
      ends.push(...dials.splice(pick, 1)[0]!())
      rest = 0
    } else rest = ends[pick - dials.length]!.step() ? 0 : rest + 1
    if (dials.length === 0 && ends.every((end) => end.outgoing.length === 0) && !ends.some((end) => end.step())) break
  }
  for (let moved = true; moved;) moved = ends.map((end) => end.step()).includes(true)
  return ends
}

const living = (ends: ReadonlyArray<End>) => ends.filter(({ session }) => session.isAuthenticated)

const reasons = (ends: ReadonlyArray<End>) => ends.flatMap(({ session }) => session.dropReason?._tag ?? [])

describe("one node behind several connections", () => {
  it("H11 HSK-10 10,000 orders of two crossed dials: exactly one link survives", () => {
    const counts = new Map<string, number>()
    for (let seed = 0; seed < 10_000; seed++) {
      const chance = seeded(seed)
      const [a, b] = [new Node(1, true), new Node(2, true)]
      const ends = settle(chance, [() => dial(a, b, 50_001), () => dial(b, a, 50_002)])
      const alive = living(ends)
      assert.lengthOf(alive, 2, `seed ${seed}: ${reasons(ends).join()}`)
      assert.strictEqual(alive[0]!.other, alive[1]!, `seed ${seed}: the two ends are of different links`)
      for (const { registry } of [a, b]) {
        assert.deepStrictEqual([registry!.size, registry!.authenticatedCount()], [1, 1], `seed ${seed}`)
      }
      const dialler = alive.find(({ session }) => session.options.role === "initiator")!.node
      // Where both were under way the node with the greater id chose, and it chose its own.
      const chosen = reasons(ends).includes("MutualDialLost")
      if (chosen) assert.strictEqual(dialler, b, `seed ${seed}`)
      const kind = ends.length === 2 ? "not even dialled" : chosen ? "chosen" : "refused"
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    }
    for (const kind of ["not even dialled", "chosen", "refused"]) assert.isAbove(counts.get(kind) ?? 0, 500, kind)
  })

  it("H11 2,000 orders of four dials of one identity: the victim keeps one, whatever the attacker wants", () => {
    for (let seed = 0; seed < 2000; seed++) {
      const [attacker, victim] = [new Node(1, false), new Node(2, true)]
      const dials = [1, 2, 3, 4].map((i) => () => dial(attacker, victim, 50_000 + i))
      const ends = settle(seeded(seed), dials)
      const own = ends.filter(({ node }) => node === victim)
      assert.lengthOf(living(own), 1, `seed ${seed}: ${reasons(own).join()}`)
      assert.deepStrictEqual(reasons(own), ["AlreadyConnected", "AlreadyConnected", "AlreadyConnected"])
      assert.deepStrictEqual([victim.registry!.size, victim.registry!.authenticatedCount()], [1, 1])
      for (const { session } of own) {
        if (session.dropReason === undefined) continue
        assert.strictEqual(DropReason.text(session.dropReason), `already-connected peer: ${NodeId.short(attacker.id)}`)
      }
    }
  })

  it("H10 a node that meets itself drops both ends, in either order", () => {
    for (let seed = 0; seed < 100; seed++) {
      const self = new Node(1, true)
      const elsewhere = PeerAddress.make("10.9.0.1", 11_625)
      const ends = settle(seeded(seed), [() => {
        const outbound = self.registry!.reserveOutbound(elsewhere, 0) as Entry // nothing else is there
        const inbound = self.registry!.reserveInbound(PeerAddress.make("10.9.0.1", 50_000), 0) as Entry
        const pair = [
          new End(self, "initiator", elsewhere, outbound),
          new End(self, "acceptor", inbound.address, inbound)
        ] as const
        pair[0].other = pair[1]
        pair[1].other = pair[0]
        pair[0].session.connected(now)
        return pair
      }])
      assert.isEmpty(living(ends))
      assert.include(reasons(ends), "ConnectingToSelf")
      assert.strictEqual(self.registry!.size, 0)
    }
  })
})
