/** Defects in what a node does with many peers, over time, or with what is around it. Attacks in a world show them. */
import type { Mutant } from "./Mutant.ts"

const registry = "packages/overlay/src/protocol/PeerRegistry.ts"

export const nodeMutants: ReadonlyArray<Mutant> = [
  {
    name: "any-number-of-handshakes-of-a-host",
    file: registry,
    find: `if (this.#count(host) >= limits.maxPendingPerAddress) return DropReason.make("PerAddressLimit", host)`,
    replace: "",
    rows: ["H18"]
  },
  {
    name: "two-connections-with-one-node",
    file: registry,
    find: `if (loser === entry) return DropReason.make("AlreadyConnected", NodeId.short(remote.id))`,
    replace: "",
    rows: ["H11"]
  },
  {
    name: "closed-connections-are-counted-for-ever",
    file: registry,
    find: `entry.state = "released"
    this.#closing.delete(entry)`,
    replace: `entry.state = "released"`,
    rows: ["T13"]
  },
  {
    name: "budgets-without-end",
    file: "packages/overlay/src/protocol/HandshakeBudget.ts",
    find: `if (bucket.tokens < 1 || this.#all.tokens < 1) return DropReason.make("HandshakeRateLimited")`,
    replace: "",
    rows: ["T13", "H15", "H16"]
  },
  {
    name: "the-way-to-itself-is-forgotten",
    file: "packages/overlay/src/Peers.ts",
    find: `if (reason._tag === "ConnectingToSelf" && role === "initiator") manager.rememberSelf(entry.address)`,
    replace: "",
    rows: ["H10"]
  },
  {
    name: "agreed-keys-are-kept-for-ever",
    file: "packages/overlay/src/protocol/PeerAuth.ts",
    find: "if (this.#sharedKeys.size <= this.#cacheSize) return",
    replace: "if (this.#sharedKeys.size > 0) return",
    rows: ["H17"]
  },
  {
    name: "every-demand-is-answered",
    file: "packages/overlay/src/protocol/DemandAnswers.ts",
    find: "} else if (now - this.#answeredAt[slot]! < this.#periodMillis) {",
    replace: "} else if (now < 0) {",
    rows: ["A5"]
  },
  {
    name: "bad-signatures-are-borne",
    file: "packages/overlay/src/internal/floodScp.ts",
    find: "if (verdict.badSignature === true && from !== undefined) from.badSignatures++",
    replace: "",
    rows: ["A10"]
  },
  {
    name: "any-quorum-set",
    file: "packages/overlay/src/ItemFetcher.ts",
    find: "const isSane = isQuorumSetSane(body)",
    replace: "const isSane = isQuorumSetSane.length > 0 && body.length > 0",
    rows: ["Q6"]
  },
  {
    name: "any-address-is-good",
    file: "packages/overlay/src/internal/peerManager.ts",
    find: "(!config.routableOnly || address.isRoutable) && limiter.allowsPort(address.port)",
    replace: "limiter.allowsPort(address.port)",
    rows: ["P1"]
  },
  {
    name: "a-host-is-dialled-as-often-as-told",
    file: "packages/overlay/src/protocol/DialLimiter.ts",
    find: "return times === undefined || this.within(times, now) < this.limits.maxDialsPerHost",
    replace: "return times === undefined || times.length >= 0",
    rows: ["P8"]
  },
  {
    name: "forged-surveys",
    file: "packages/overlay/src/Survey.ts",
    find: "isForged = !verifier.verify(message)",
    replace: "isForged = message.size === 0",
    rows: ["S2"]
  },
  {
    name: "an-operator-reads-control-characters",
    file: "packages/overlay/src/internal/adminResponse.ts",
    find: "toAscii(JSON.stringify(value, null, 2))",
    replace: "JSON.stringify(value, null, 2)",
    rows: ["O6"]
  }
]
