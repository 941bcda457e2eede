/**
 * Attacks with adverts and addresses that one connection can carry out: A2, P2, P3. What a node makes of good ones is
 * in `FloodAttacks` and `AddressAttacks`.
 *
 * @since 0.1.0
 */
import { type MessageTag, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Peers } from "@stellar-overlay/overlay/wire/StellarMessage"
import { type Attack, attack, bothRoles, type Case } from "./Attack.ts"
import { repeated, silently, words } from "./parts.ts"

/** So many elements of so many bytes each, all zero, whatever the declared maximum. */
const vector = (tag: MessageTag, count: number, size: number): Uint8Array => {
  const bytes = new Uint8Array(8 + count * size)
  bytes.set(words(MessageType[tag], count))
  return bytes
}

/**
 * Adverts and demands of more hashes than there may be, and of none.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a2 = attack<Case & { tag: MessageTag; count: number }>({
  id: "A2",
  title: "an advert or demand of 1001 hashes is corrupt, an empty one is nothing",
  roles: bothRoles,
  cases: (["FloodAdvert", "FloodDemand"] as const).flatMap((tag) => [
    { name: `${tag} of none`, tag, count: 0 },
    { name: `${tag} of 1000`, tag, count: 1000 },
    { name: `${tag} of 1001`, drop: "CorruptXdr" as const, tag, count: 1001 }
  ]),
  *run(peer, { count, drop, tag }) {
    yield* peer.handshake()
    yield* peer.say(vector(tag, count, 32))
    if (drop === undefined) yield* peer.expectOpen(1000)
    else yield* peer.expectError(1, "received corrupt XDR", 1)
  }
})

/**
 * Addresses that no node stores or dials, because there is no port: the victim may be a node with a network behind it,
 * and nobody else's machine is to be called for this.
 */
const addresses = (count: number) => repeated(count, (i) => PeerAddress.make(`127.99.0.${1 + i}`, 0))

/**
 * PEERS from somebody who was not asked, or once more.
 *
 * @category attacks
 * @since 0.1.0
 */
export const p2 = attack<Case & { times: number; count: number }>({
  id: "P2",
  title: "PEERS comes once, and only from the one who was called",
  cases: [
    { name: "from a caller", drop: "ReceivedPeers", times: 1, count: 1, roles: ["initiator"] },
    { name: "an empty one from a caller", drop: "ReceivedPeers", times: 1, count: 0, roles: ["initiator"] },
    { name: "once", times: 1, count: 50, roles: ["acceptor"] },
    { name: "twice", drop: "TooManyPeersMessages", times: 2, count: 50, roles: ["acceptor"] },
    { name: "an empty one twice", drop: "TooManyPeersMessages", times: 2, count: 0, roles: ["acceptor"] }
  ],
  *run(peer, { count, drop, times }) {
    yield* peer.handshake()
    for (let i = 0; i < times; i++) yield* peer.say(Peers.make({ addresses: addresses(count) }))
    if (drop === undefined) yield* peer.expectOpen(1000)
    else yield* peer.expectClosed(silently)
  }
})

/**
 * PEERS of more addresses than there may be.
 *
 * @category attacks
 * @since 0.1.0
 */
export const p3 = attack<Case & { count: number }>({
  id: "P3",
  title: "PEERS of more than 100 addresses is corrupt",
  roles: bothRoles,
  cases: [
    { name: "100 addresses", roles: ["acceptor"], count: 100 },
    { name: "101 addresses", drop: "CorruptXdr", count: 101 },
    { name: "10,000 addresses", drop: "CorruptXdr", count: 10_000 }
  ],
  *run(peer, { count, drop }) {
    yield* peer.handshake()
    // 16 bytes each: the type of address 0, four bytes of it, a port, a number of failures.
    yield* peer.say(vector("Peers", count, 16))
    if (drop === undefined) yield* peer.expectOpen(1000)
    else yield* peer.expectError(1, "received corrupt XDR", 1)
  }
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const gossipAttacks: ReadonlyArray<Attack> = [a2, p2, p3]
