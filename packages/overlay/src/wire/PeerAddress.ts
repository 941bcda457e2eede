/**
 * Where a node listens: an IP address or a host name, and a port.
 *
 * Implements protocol.md 1.5 (PeerAddress), 8.4 and 9.2 (stellar-core: `PeerBareAddress`). Stricter than core: numbers
 * that only look like an IPv4 address are refused instead of being resolved as names. Wider than core: IPv6.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Order from "effect/Order"
import * as Result from "effect/Result"
import { readUint32, writeUint32 } from "../internal/bytes.ts"
import { WireError } from "./WireError.ts"

/**
 * The port of an address that does not name one.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_PEER_PORT = 11625

/**
 * The longest host name, in characters (RFC 1035).
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_HOST_LENGTH = 253

/**
 * What the host of an address is: a literal of either family, or a name that needs resolving.
 *
 * @category models
 * @since 0.1.0
 */
export type AddressKind = "ipv4" | "ipv6" | "name"

/**
 * The bytes of a dotted quad: four decimal numbers up to 255, without leading zeros, which some resolvers read as octal.
 */
const parseIpv4 = (text: string): Uint8Array | undefined => {
  const parts = text.split(".")
  if (parts.length !== 4) return undefined
  const out = new Uint8Array(4)
  for (let i = 0; i < 4; i++) {
    const part = parts[i]!
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined
    out[i] = Number(part)
  }
  return out
}

/** The 16-bit groups on one side of `::`; the last may be a dotted quad when `quad` allows it. */
const parseGroups = (text: string, quad: boolean): Array<number> | undefined => {
  const groups: Array<number> = []
  if (text === "") return groups
  const parts = text.split(":")
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const ipv4 = quad && i === parts.length - 1 ? parseIpv4(part) : undefined
    if (ipv4 === undefined) return undefined
    groups.push((ipv4[0]! << 8) | ipv4[1]!, (ipv4[2]! << 8) | ipv4[3]!)
  }
  return groups
}

/** The bytes of an IPv6 literal (RFC 4291 section 2.2), without zone. */
const parseIpv6 = (text: string): Uint8Array | undefined => {
  if (text.length > 45) return undefined
  const halves = text.split("::")
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0]!, halves.length === 1)
  const tail = parseGroups(halves[1] ?? "", true)
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  // `::` stands for at least one group.
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  const out = new Uint8Array(16)
  const put = (group: number, i: number): void => {
    out[2 * i] = group >> 8
    out[2 * i + 1] = group
  }
  head.forEach(put)
  tail.forEach((group, i) => put(group, head.length + missing + i))
  return out
}

const formatIpv4 = (ip: Uint8Array, at: number): string => `${ip[at]}.${ip[at + 1]}.${ip[at + 2]}.${ip[at + 3]}`

/** The canonical text of RFC 5952: lower case, no leading zeros, `::` for the first longest run of zero groups. */
const formatIpv6 = (ip: Uint8Array): string => {
  const groups = Array.from({ length: 8 }, (_, i) => (ip[2 * i]! << 8) | ip[2 * i + 1]!)
  let longest = 0
  let length = 1 // a single zero group is not shortened
  for (let i = 0, run = 0; i < 8; i++) {
    run = groups[i] === 0 ? run + 1 : 0
    if (run > length) {
      length = run
      longest = i - run + 1
    }
  }
  const hex = (from: number, to: number): string => groups.slice(from, to).map((group) => group.toString(16)).join(":")
  return length === 1 ? hex(0, 8) : `${hex(0, longest)}::${hex(longest + length, 8)}`
}

/** IPv4 in ::ffff:0:0/96 is IPv4: a dual-stack socket reports its IPv4 peers in that form. */
const isMapped = (ip: Uint8Array): boolean =>
  ip[10] === 0xff && ip[11] === 0xff && ip.subarray(0, 10).every((byte) => byte === 0)

const isName = (text: string): boolean =>
  text.length <= MAX_HOST_LENGTH && /^[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?$/.test(text)

/** What the C resolver would take for an IPv4 address in one of its other notations: `127.1`, `0x7f.1`, `2130706433`. */
const endsInNumber = (text: string): boolean => /(^|\.)([0-9]+|0[xX][0-9A-Fa-f]*)\.?$/.test(text)

interface Host {
  readonly host: string
  readonly kind: AddressKind
}

const hostOfIp = (ip: Uint8Array): Host =>
  ip.length === 4
    ? { host: formatIpv4(ip, 0), kind: "ipv4" }
    : isMapped(ip)
    ? { host: formatIpv4(ip, 12), kind: "ipv4" }
    : { host: formatIpv6(ip), kind: "ipv6" }

const invalidHost = (message: string): Result.Result<Host, WireError> =>
  Result.fail(new WireError("InvalidHost", message, 0))

const parseHost = (text: string): Result.Result<Host, WireError> => {
  if (text.includes(":")) {
    const ipv6 = parseIpv6(text)
    return ipv6 === undefined
      ? invalidHost("not an IPv6 address, which is written [address]:port with a port")
      : Result.succeed(hostOfIp(ipv6))
  }
  if (endsInNumber(text)) {
    const ipv4 = parseIpv4(text)
    return ipv4 === undefined ? invalidHost("not a dotted IPv4 address") : Result.succeed(hostOfIp(ipv4))
  }
  return isName(text)
    ? Result.succeed({ host: text.toLowerCase(), kind: "name" })
    : invalidHost("a host name is made of letters, digits, dots and hyphens")
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65535

const invalidPort = (offset?: number): Result.Result<never, WireError> =>
  Result.fail(new WireError("InvalidPort", "a port is a number from 1 to 65535", offset))

/** Not reachable across the internet, or not one host; IANA's special-purpose registry. Each row: network, mask. */
const unroutableIpv4: ReadonlyArray<readonly [number, number]> = ([
  ["0.0.0.0", 8], // this network, unspecified
  ["10.0.0.0", 8], // private
  ["100.64.0.0", 10], // carrier-grade NAT
  ["127.0.0.0", 8], // loopback
  ["169.254.0.0", 16], // link-local
  ["172.16.0.0", 12], // private
  ["192.0.0.0", 24], // protocol assignments
  ["192.0.2.0", 24], // documentation
  ["192.168.0.0", 16], // private
  ["198.18.0.0", 15], // benchmarking
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4] // reserved, broadcast
] as const).map(([network, bits]) => [readUint32(parseIpv4(network)!, 0), (-1 << (32 - bits)) >>> 0])

/**
 * Global unicast is 2000::/3, less its special parts. This leaves out loopback, unspecified, unique-local fc00::/7,
 * link-local fe80::/10, multicast ff00::/8, and the embeddings of IPv4 that could reach a private one.
 */
const isRoutableIpv6 = (ip: Uint8Array): boolean => {
  const first = readUint32(ip, 0)
  return first >>> 29 === 1
    && first >>> 9 !== 0x20010000 >>> 9 // 2001::/23: Teredo, ORCHID, benchmarking
    && first !== 0x20010db8 // documentation
    && first >>> 16 !== 0x2002 // 6to4
    && first >>> 12 !== 0x3fff0000 >>> 12 // documentation
}

/**
 * Addresses that were heard of: peers tell the same ones again and again, and in a simulation nodes by the thousand do.
 * An address has one place, where it replaces whoever was there, so that nobody's gossip makes this grow.
 */
const PLACES = 4096
const heardOf: Array<PeerAddress | undefined> = Array.from({ length: PLACES })

/**
 * An immutable address, equal by value (`Equal.equals`) and canonical: one address has one text.
 *
 * Names are in lower case, IPv6 is in the form of RFC 5952, and IPv4-mapped IPv6 is IPv4. `host` is empty for an
 * address that is not known (`isEmpty`), and `port` is 0 while the listening port is not known: `make` allows both,
 * `parse` and everything from the wire neither.
 *
 * @example
 * ```ts
 * import { Result } from "effect"
 * import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
 *
 * String(PeerAddress.make("2001:DB8:0:0::1", 11625)) // "[2001:db8::1]:11625"
 * PeerAddress.parse("10.0.0.1").pipe(Result.map((address) => address.isPrivate)) // Result.succeed(true)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class PeerAddress implements Equal.Equal {
  readonly host: string
  /** 1 to 65535, or 0 when not known. */
  readonly port: number
  /** `"name"` also for the empty host. */
  readonly kind: AddressKind
  /** The text of the address, for use as a map key. */
  readonly key: string
  /** The IP address as a number, for what is asked again and again; -1 for anything else than IPv4. */
  private readonly ipv4: number

  private constructor({ host, kind }: Host, port: number) {
    this.host = host
    this.port = port
    this.kind = kind
    this.key = kind === "ipv6" ? `[${host}]:${port}` : `${host}:${port}`
    this.ipv4 = kind === "ipv4" ? readUint32(parseIpv4(host)!, 0) : -1 // an IPv4 host has been parsed before
  }

  /**
   * Makes an address from a host and a port that are known to be good: literals, or what a socket reports. A zone
   * (`fe80::1%eth0`) is dropped.
   *
   * Throws a `RangeError` for anything else than an IP address, a host name or `""`, or a port out of 0 to 65535: use
   * `parse` for input.
   */
  static make(host: string, port: number): PeerAddress {
    if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) throw new RangeError(`not a port: ${port}`)
    if (host === "") return new PeerAddress({ host, kind: "name" }, port)
    const zone = host.includes(":") ? host.indexOf("%") : -1
    const parsed = parseHost(zone < 0 ? host : host.slice(0, zone))
    if (Result.isFailure(parsed)) throw new RangeError(`not a host: ${JSON.stringify(host)}`)
    return new PeerAddress(parsed.success, port)
  }

  /**
   * Reads `host`, `host:port`, `1.2.3.4`, `1.2.3.4:port`, `[v6]`, `[v6]:port` or a bare `v6`; the port defaults to
   * `defaultPort`, and that to 11625. A text with two or more colons is an IPv6 address without a port.
   *
   * `ipv6: false` refuses IPv6 addresses, as core does; an IPv4-mapped one is an IPv4 address and passes. An all-numeric
   * host that is not a proper dotted quad (`1.2.3`, `010.0.0.1`, `1.2.3.256`) is an error, not a name.
   */
  static parse(
    text: string,
    options?: { readonly ipv6?: boolean | undefined; readonly defaultPort?: number | undefined }
  ): Result.Result<PeerAddress, WireError> {
    if (text === "") return Result.fail(new WireError("EmptyAddress", "an address names a host", 0))
    const bracketed = text.startsWith("[")
    const firstColon = text.indexOf(":")
    const bare = !bracketed && firstColon !== text.lastIndexOf(":")
    const hostEnd = bracketed ? text.indexOf("]") : bare || firstColon < 0 ? text.length : firstColon
    const hostText = text.slice(bracketed ? 1 : 0, Math.max(hostEnd, 0))
    if (bracketed && !hostText.includes(":")) {
      return Result.fail(new WireError("InvalidHost", "brackets hold an IPv6 address", 0))
    }
    const host = parseHost(hostText)
    if (Result.isFailure(host)) return Result.fail(host.failure)
    if (host.success.kind === "ipv6" && options?.ipv6 === false) {
      return Result.fail(new WireError("Ipv6Disabled", "IPv6 addresses are not enabled", 0))
    }
    const portAt = bracketed ? hostEnd + 1 : hostEnd
    if (portAt === text.length) {
      return Result.succeed(new PeerAddress(host.success, options?.defaultPort ?? DEFAULT_PEER_PORT))
    }
    const port = /^:[0-9]{1,5}$/.test(text.slice(portAt)) ? Number(text.slice(portAt + 1)) : 0
    return isPort(port) ? Result.succeed(new PeerAddress(host.success, port)) : invalidPort(portAt)
  }

  /**
   * The address with the given IP, as 4 or 16 bytes, and port; how an entry of PEERS becomes an address.
   */
  static fromIpBytes(ip: Uint8Array, port: number): Result.Result<PeerAddress, WireError> {
    if (ip.length !== 4 && ip.length !== 16) {
      return Result.fail(new WireError("InvalidHost", `an IP address has 4 or 16 bytes, not ${ip.length}`))
    }
    if (!isPort(port)) return invalidPort()
    if (ip.length === 16) return Result.succeed(new PeerAddress(hostOfIp(ip), port))
    const ipv4 = readUint32(ip, 0)
    const place = (Math.imul(ipv4 ^ Math.imul(port, 0x9e37_79b1), 0x85eb_ca6b) >>> 20) % PLACES
    const known = heardOf[place]
    if (known !== undefined && known.ipv4 === ipv4 && known.port === port) return Result.succeed(known)
    return Result.succeed(heardOf[place] = new PeerAddress(hostOfIp(ip), port))
  }

  /** IPv4 before IPv6 before names; IP addresses by their numbers, names by their text; then by port. */
  static readonly Order: Order.Order<PeerAddress> = Order.make((self, that) => {
    if (self.kind !== that.kind) return self.kind < that.kind ? -1 : 1 // the kinds' names happen to sort this way
    const a = self.ipBytes
    const b = that.ipBytes
    if (a !== undefined && b !== undefined) {
      for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1
    } else if (self.host !== that.host) return self.host < that.host ? -1 : 1
    return Order.Number(self.port, that.port)
  })

  /** No host: the address of a socket that has none any more. */
  get isEmpty(): boolean {
    return this.host === ""
  }

  /** The IP address as 4 or 16 bytes, undefined for a name. A fresh array. */
  get ipBytes(): Uint8Array | undefined {
    if (this.ipv4 < 0) return this.kind === "ipv6" ? parseIpv6(this.host) : undefined
    const ip = new Uint8Array(4)
    writeUint32(ip, 0, this.ipv4)
    return ip
  }

  /** Writes what `ipBytes` gives; nothing for a name. */
  writeIp(bytes: Uint8Array, at: number): void {
    if (this.ipv4 >= 0) writeUint32(bytes, at, this.ipv4)
    else bytes.set(this.ipBytes ?? [], at)
  }

  /** Core's private ranges and no others: 10/8, 172.16/12, 192.168/16. Loopback is not private. */
  get isPrivate(): boolean {
    const { ipv4 } = this
    return ipv4 >= 0 && (ipv4 >>> 24 === 10 || ipv4 >>> 20 === 0xac1 || ipv4 >>> 16 === 0xc0a8)
  }

  /** 127/8 or ::1. The name "localhost" is a name like any other. */
  get isLocalhost(): boolean {
    return this.kind === "ipv4" ? this.host.startsWith("127.") : this.host === "::1"
  }

  /**
   * An IP address that a stranger's gossip may make us dial: global unicast. False for names, and for unspecified,
   * private, shared (100.64/10), loopback, link-local, multicast, documentation, benchmarking and reserved ranges, the
   * IPv6 ranges outside 2000::/3 (fc00::/7, fe80::/10, ff00::/8, ::1, ::, NAT64), 6to4 and Teredo.
   *
   * Stricter than core, which refuses the private ranges and 127.0.0.1 only.
   */
  get isRoutable(): boolean {
    const { ipv4 } = this
    if (ipv4 >= 0) return !unroutableIpv4.some(([network, mask]) => ((ipv4 & mask) >>> 0) === network)
    const ip = this.ipBytes
    return ip !== undefined && isRoutableIpv6(ip)
  }

  /** The group that likely has one owner, for diversity rules: IPv4 /16, IPv6 /32; a name is its own group. */
  get subnet16(): string {
    return this.subnet(2)
  }

  /** The group that likely is one site: IPv4 /24, IPv6 /48; a name is its own group. */
  get subnet24(): string {
    return this.subnet(3)
  }

  private subnet(groups: 2 | 3): string {
    const ip = this.ipBytes
    if (ip === undefined) return this.host
    ip.fill(0, ip.length === 4 ? groups : 2 * groups)
    return ip.length === 4 ? `${formatIpv4(ip, 0)}/${8 * groups}` : `${formatIpv6(ip)}/${16 * groups}`
  }

  toString(): string {
    return this.key
  }

  toJSON(): string {
    return this.key
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof PeerAddress && this.key === that.key
  }

  [Hash.symbol](): number {
    return Hash.string(this.key)
  }
}

/**
 * One entry of a PEERS message as it stands on the wire; nothing about it is checked but its shape. `end` is the offset
 * of the next entry.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerAddressEntry {
  /** 4 or 16 bytes, a view into the message. */
  readonly ip: Uint8Array
  /** A uint32: 0 and values above 65535 occur. */
  readonly port: number
  /** What the sender says about the address, which is not to be trusted; core ignores it. */
  readonly numFailures: number
  readonly end: number
}

/**
 * Reads the entry at `at`: type (0 IPv4, 1 IPv6), raw IP, port, failure count; 16 or 28 bytes. Undefined when the bytes
 * end early or the type is unknown, which a validated message rules out.
 *
 * @category encoding
 * @since 0.1.0
 */
export const readEntry = (bytes: Uint8Array, at: number): PeerAddressEntry | undefined => {
  if (at + 4 > bytes.length) return undefined
  const type = readUint32(bytes, at)
  const portAt = at + (type === 0 ? 8 : 20)
  const end = portAt + 8
  if (type > 1 || end > bytes.length) return undefined
  return {
    ip: bytes.subarray(at + 4, portAt),
    port: readUint32(bytes, portAt),
    numFailures: readUint32(bytes, portAt + 4),
    end
  }
}

/**
 * The bytes of an address as an entry of PEERS, 16 for IPv4 and 28 for IPv6; undefined for a name, which has no wire
 * form. Core always sends a failure count of 0.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeEntry = (address: PeerAddress, numFailures = 0): Uint8Array | undefined => {
  const length = entryLength(address)
  if (length === undefined) return undefined
  const out = new Uint8Array(length)
  writeEntry(out, 0, address, numFailures)
  return out
}

/**
 * The bytes that an address takes as an entry of PEERS; undefined for a name, which has no wire form.
 *
 * @category encoding
 * @since 0.1.0
 */
export const entryLength = ({ kind }: PeerAddress): number | undefined =>
  kind === "ipv4" ? 16 : kind === "ipv6" ? 28 : undefined

/**
 * Writes the entry of an IP address into zeroed bytes that have room for it, and gives the offset after it.
 *
 * @category encoding
 * @since 0.1.0
 */
export const writeEntry = (bytes: Uint8Array, at: number, address: PeerAddress, numFailures = 0): number => {
  const isIpv4 = address.kind === "ipv4"
  const portAt = at + (isIpv4 ? 8 : 20)
  writeUint32(bytes, at, isIpv4 ? 0 : 1)
  address.writeIp(bytes, at + 4)
  writeUint32(bytes, portAt, address.port)
  writeUint32(bytes, portAt + 4, numFailures)
  return portAt + 8
}
