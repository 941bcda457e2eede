/**
 * Every connection of a node, from the first byte to the last, and the one place where it is decided who may stay.
 *
 * A connection is reserved before it exists and released once, whatever happens in between; slots are therefore never
 * exceeded and always come back. Four lists: pending or authenticated, inbound or outbound. No connection is in two. A
 * connection that was dropped leaves its list at once, and counts only as a socket until it is closed (`close`, then
 * `release`).
 *
 * Two connections with one node. An authenticated one always stays. While both are pending somebody has to choose, and
 * both ends must not choose differently, or none is left: of two crossed dials the node with the greater id chooses and
 * keeps its own; of two dials in one direction the acceptor chooses and keeps the first. The other end waits for the
 * choice. Stellar-core, which always drops the connection whose HELLO it handles later, fits either role, because it
 * drops its own of two crossed dials. `mutualDials: "core"` does as core does, and two such nodes usually lose both.
 *
 * Implements protocol.md 2.4 steps 12 to 14 and 9.5 (stellar-core: `OverlayManagerImpl::PeersList`).
 *
 * @since 0.1.0
 */
import * as DropReason from "../DropReason.ts"
import * as NodeId from "../wire/NodeId.ts"
import type { PeerAddress } from "../wire/PeerAddress.ts"
import type { RemoteFacts, Role } from "./Handshake.ts"

/**
 * How many connections of each kind there may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerLimits {
  readonly maxInbound: number
  readonly maxOutbound: number
  readonly maxInboundPending: number
  readonly maxOutboundPending: number
  /** Pending inbound connections beyond the limit for hosts that a preferred peer might have. */
  readonly possiblyPreferredExtra: number
  readonly maxPendingPerAddress: number
  readonly maxPendingPerSubnet24: number
  readonly maxPendingPerSubnet16: number
  /**
   * When the pending inbound list is full, one that is older than this and has not said HELLO, or four times as old, makes
   * room for a newcomer. Infinity for never, as in core.
   */
  readonly evictPendingAfterMillis: number
  readonly preferredPeersOnly: boolean
  readonly mutualDials: "winner" | "core"
}

/**
 * One connection's place. `drop` ends the connection, or the attempt to make it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly role: Role
  /** Where the socket leads: the dialled address, or the remote's ephemeral one. */
  readonly address: PeerAddress
  /** Host, /24 and /16 of the address: what inbound connections are counted by. */
  readonly groups: readonly [host: string, subnet24: string, subnet16: string]
  /** Monotonic milliseconds. */
  readonly since: number
  state: "pending" | "authenticated" | "closing" | "released"
  /** Set by HELLO. */
  remote: RemoteFacts | undefined
  drop: (reason: DropReason.DropReason) => void
}

/**
 * What the registry asks about peers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Preferences {
  /** Not limited by host and subnet. */
  readonly isExempt: (address: PeerAddress) => boolean
  readonly isPreferredAddress: (address: PeerAddress) => boolean
  readonly isPossiblyPreferred: (address: PeerAddress) => boolean
  readonly isPreferredKey: (id: NodeId.NodeId) => boolean
  /** Of a full inbound list, one that may make room for a newcomer, or undefined. */
  readonly dispensable: (inbound: ReadonlyArray<Entry>, newcomer: Entry) => Entry | undefined
}

/**
 * The lists.
 *
 * @category models
 * @since 0.1.0
 */
export class PeerRegistry {
  readonly limits: PeerLimits
  readonly #self: NodeId.NodeId
  readonly #preferences: Preferences
  /** Pending and authenticated. */
  readonly #entries = new Set<Entry>()
  /** Dropped, their sockets not closed yet. */
  readonly #closing = new Set<Entry>()
  readonly #authenticated = { initiator: new Map<NodeId.NodeId, Entry>(), acceptor: new Map<NodeId.NodeId, Entry>() }
  readonly #pending = { initiator: 0, acceptor: 0 }
  /** Inbound sockets that are not authenticated, of all hosts and by host and subnet. */
  #unsettled = 0
  readonly #unsettledBy = new Map<string, number>()

  constructor(self: NodeId.NodeId, limits: PeerLimits, preferences: Preferences) {
    this.#self = self
    this.limits = limits
    this.#preferences = preferences
  }

  // ----------------------------------------------------------------------------------------------- admission

  /** A place for a dial, or why there is none. A `promotion` may go to an address that is connected inbound. */
  reserveOutbound(
    address: PeerAddress,
    now: number,
    promotion = false
  ): Entry | DropReason.DropReason {
    const existing = this.find(address)
    if (existing !== undefined && !(promotion && existing.role === "acceptor")) {
      return DropReason.make("AlreadyConnected", address.toString())
    }
    if (this.#pending.initiator >= this.limits.maxOutboundPending) return DropReason.make("OutboundFull")
    return this.#add("initiator", address, now)
  }

  /** A place for an accepted socket, or why there is none. Sockets that are still closing count, as in core. */
  reserveInbound(remote: PeerAddress, now: number): Entry | DropReason.DropReason {
    const { limits } = this
    const extra = this.#preferences.isPossiblyPreferred(remote) ? limits.possiblyPreferredExtra : 0
    if (extra === 0 && !this.#preferences.isExempt(remote)) {
      const [host, subnet24, subnet16] = groupsOf(remote)
      if (this.#count(host) >= limits.maxPendingPerAddress) return DropReason.make("PerAddressLimit", host)
      if (this.#count(subnet24) >= limits.maxPendingPerSubnet24) return DropReason.make("PerSubnetLimit", subnet24)
      if (this.#count(subnet16) >= limits.maxPendingPerSubnet16) return DropReason.make("PerSubnetLimit", subnet16)
    }
    if (this.#unsettled >= limits.maxInboundPending + extra) {
      const dawdler = this.#unsettled < 2 * limits.maxInboundPending ? this.#dawdler(now) : undefined
      if (dawdler === undefined) return DropReason.make("PendingInboundFull")
      this.#end(dawdler, DropReason.make("PendingInboundFull"))
    }
    return this.#add("acceptor", remote, now)
  }

  /** A pending inbound connection that took too long, of the subnet that has most, the oldest first. */
  #dawdler(now: number): Entry | undefined {
    const { evictPendingAfterMillis } = this.limits
    let found: Entry | undefined
    let crowd = 0
    for (const entry of this.#entries) {
      if (entry.role !== "acceptor" || entry.state !== "pending") continue
      const patience = entry.remote === undefined ? evictPendingAfterMillis : 4 * evictPendingAfterMillis
      const neighbours = this.#count(entry.groups[2])
      // Entries come in the order of their age.
      if (now - entry.since <= patience || neighbours <= crowd) continue
      if (this.#preferences.isPossiblyPreferred(entry.address)) continue
      crowd = neighbours
      found = entry
    }
    return found
  }

  /** HELLO came: a reason to drop this connection, or undefined when it may go on. May doom another one. */
  hello(entry: Entry, remote: RemoteFacts): DropReason.DropReason | undefined {
    entry.remote = remote
    for (const other of this.#entries) {
      if (other === entry || other.remote?.id !== remote.id) continue
      const loser = this.#loser(entry, other)
      if (loser === entry) return DropReason.make("AlreadyConnected", NodeId.short(remote.id))
      if (loser === other) this.#end(other, DropReason.make("MutualDialLost", NodeId.short(remote.id)))
    }
    return undefined
  }

  /** Which of two connections with one node goes; undefined when the choice is the other end's. */
  #loser(entry: Entry, other: Entry): Entry | undefined {
    if (other.state === "authenticated" || this.limits.mutualDials === "core") return entry
    if (entry.role === other.role) return entry.role === "acceptor" ? entry : undefined
    if (NodeId.Order(this.#self, entry.remote!.id) < 0) return undefined
    return entry.role === "acceptor" ? entry : other
  }

  /** AUTH came: moves to the authenticated list, or says why not. May evict another peer. */
  authenticate(entry: Entry): DropReason.DropReason | undefined {
    const id = entry.remote!.id
    if (this.get(id) !== undefined) return DropReason.make("AlreadyConnected", NodeId.short(id))
    const { maxInbound, maxOutbound, preferredPeersOnly } = this.limits
    const list = this.#authenticated[entry.role]
    const max = entry.role === "initiator" ? maxOutbound : maxInbound
    const hasRoom = list.size < max
    if (this.isPreferred(entry)) {
      const evicted = hasRoom ? undefined : this.#firstNotPreferred(list)
      if (!hasRoom && evicted === undefined) return DropReason.make("PeerRejected")
      if (evicted !== undefined) this.#end(evicted, DropReason.make("PreferredPeerSelected"))
    } else {
      if (preferredPeersOnly) return DropReason.make("PeerRejected")
      if (!hasRoom) {
        const evicted = entry.role === "acceptor" && max > 0
          ? this.#preferences.dispensable([...list.values()], entry)
          : undefined
        if (evicted === undefined) return DropReason.make("PeerRejected")
        this.#end(evicted, DropReason.make("InboundEvicted"))
      }
    }
    this.#pending[entry.role]--
    this.#unsettle(entry, -1)
    entry.state = "authenticated"
    list.set(id, entry)
    return undefined
  }

  #end(entry: Entry, reason: DropReason.DropReason): void {
    this.close(entry)
    entry.drop(reason)
  }

  /** In NodeID order, as core's map is. */
  #firstNotPreferred(list: ReadonlyMap<NodeId.NodeId, Entry>): Entry | undefined {
    let first: Entry | undefined
    for (const entry of list.values()) {
      if (this.isPreferred(entry)) continue
      if (first === undefined || NodeId.Order(entry.remote!.id, first.remote!.id) < 0) first = entry
    }
    return first
  }

  /** The connection was dropped: gives the slot back, once. The socket may take a while to close. */
  close(entry: Entry): void {
    if (entry.state === "closing" || entry.state === "released") return
    if (entry.state === "pending") this.#pending[entry.role]--
    else {
      this.#authenticated[entry.role].delete(entry.remote!.id)
      this.#unsettle(entry, 1)
    }
    entry.state = "closing"
    this.#entries.delete(entry)
    this.#closing.add(entry)
  }

  /** The socket is closed, or there never was one. */
  release(entry: Entry): void {
    if (entry.state === "released") return
    this.close(entry)
    this.#unsettle(entry, -1)
    entry.state = "released"
    this.#closing.delete(entry)
  }

  #add(role: Role, address: PeerAddress, since: number): Entry {
    const groups = groupsOf(address)
    const entry: Entry = { role, address, groups, since, state: "pending", remote: undefined, drop: () => undefined }
    this.#entries.add(entry)
    this.#pending[role]++
    this.#unsettle(entry, 1)
    return entry
  }

  #count(key: string): number {
    return this.#unsettledBy.get(key) ?? 0
  }

  /** An inbound socket is unauthenticated from now on (1), or no longer (-1). */
  #unsettle({ groups, role }: Entry, by: 1 | -1): void {
    if (role === "initiator") return
    this.#unsettled += by
    for (const key of groups) {
      const count = this.#count(key) + by
      if (count === 0) this.#unsettledBy.delete(key)
      else this.#unsettledBy.set(key, count)
    }
  }

  // -------------------------------------------------------------------------------------------------- queries

  /** Preferred by address, or, once authenticated, by key (protocol.md 9.5). */
  isPreferred(entry: Entry): boolean {
    const { address, remote, role } = entry
    return this.#preferences.isPreferredAddress(remote?.address ?? address)
      || (role === "initiator" && this.#preferences.isPreferredAddress(address))
      || (remote !== undefined && this.#preferences.isPreferredKey(remote.id))
  }

  /** The authenticated connection with a node. */
  get(id: NodeId.NodeId): Entry | undefined {
    return this.#authenticated.initiator.get(id) ?? this.#authenticated.acceptor.get(id)
  }

  /** The connection at an address, dialled or announced; outbound before inbound, pending before authenticated. */
  find(address: PeerAddress): Entry | undefined {
    let found: Entry | undefined
    for (const entry of this.#entries) {
      if (entry.address.key !== address.key && entry.remote?.address.key !== address.key) continue
      if (found === undefined || rank(entry) < rank(found)) found = entry
    }
    return found
  }

  pending(role: Role): Array<Entry> {
    return [...this.#entries].filter((entry) => entry.role === role && entry.state === "pending")
  }

  pendingCount(role: Role): number {
    return this.#pending[role]
  }

  /** In NodeID order. */
  authenticated(role?: Role): Array<Entry> {
    const lists = role === undefined
      ? [...this.#authenticated.initiator.values(), ...this.#authenticated.acceptor.values()]
      : [...this.#authenticated[role].values()]
    return lists.sort((a, b) => NodeId.Order(a.remote!.id, b.remote!.id))
  }

  authenticatedCount(role?: Role): number {
    const { acceptor, initiator } = this.#authenticated
    return role === undefined ? acceptor.size + initiator.size : this.#authenticated[role].size
  }

  /** Authenticated connections that are not preferred (protocol.md 9.3 step 6). */
  nonPreferredCount(role: Role): number {
    let count = 0
    for (const entry of this.#authenticated[role].values()) if (!this.isPreferred(entry)) count++
    return count
  }

  freeOutboundPending(): number {
    return Math.max(0, this.limits.maxOutboundPending - this.#pending.initiator)
  }

  /** Connections of every kind, and those that were dropped and are still closing. */
  get size(): number {
    return this.#entries.size + this.#closing.size
  }

  /** Dropped connections whose sockets are not closed yet. */
  get closingCount(): number {
    return this.#closing.size
  }

  /** Sockets of one direction that exist, those of dropped connections included. */
  liveCount(role: Role): number {
    let count = 0
    for (const entry of this.#entries) if (entry.role === role) count++
    for (const entry of this.#closing) if (entry.role === role) count++
    return count
  }

  /** Every connection with a node, pending ones too. */
  connectionsWith(id: NodeId.NodeId): Array<Entry> {
    return [...this.#entries].filter((entry) => entry.remote?.id === id)
  }

  /** Every connection, for shutdown: inbound first, then outbound, as core tells them. */
  all(): Array<Entry> {
    return [...this.#entries].sort((a, b) => (a.role === b.role ? 0 : a.role === "acceptor" ? -1 : 1))
  }
}

const groupsOf = (address: PeerAddress): Entry["groups"] => [address.host, address.subnet24, address.subnet16]

const rank = (entry: Entry): number => (entry.role === "initiator" ? 0 : 2) + (entry.state === "pending" ? 0 : 1)
