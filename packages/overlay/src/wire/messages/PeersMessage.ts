/**
 * PEERS: the addresses an acceptor offers the node that called it.
 *
 * Layout of protocol.md section 1.5, less 12: `bytes` begins at the discriminant.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { readUint32, toHex, writeUint32 } from "../../internal/bytes.ts"
import * as F from "../../internal/xdrFields.ts"
import { MessageType } from "../MessageType.ts"
import { entryLength, PeerAddress, type PeerAddressEntry, readEntry, writeEntry } from "../PeerAddress.ts"
import { Base, type Json } from "./Base.ts"

/**
 * Most addresses in one PEERS message. stellar-core sends 50 at most.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_PEERS = 100

/**
 * PEERS: addresses of other nodes.
 *
 * @category models
 * @since 0.1.0
 */
export class Peers extends Base {
  override readonly _tag = "Peers"
  override readonly type = MessageType.Peers

  /**
   * Builds the message; each address carries a failure count of 0, as stellar-core's do.
   *
   * Throws `RangeError` for more than 100 addresses or one that is a host name.
   */
  static make(options: { readonly addresses: ReadonlyArray<PeerAddress> }): Peers {
    const count = options.addresses.length
    if (count > MAX_PEERS) throw new RangeError(`at most ${MAX_PEERS} addresses, not ${count}`)
    let length = 4
    for (const address of options.addresses) {
      const entry = entryLength(address)
      if (entry === undefined) throw new RangeError(`a host name has no place in PEERS: ${address}`)
      length += entry
    }
    const bytes = F.start(MessageType.Peers, length)
    writeUint32(bytes, 4, count)
    let at = 8
    for (const address of options.addresses) at = writeEntry(bytes, at, address)
    return new Peers(bytes)
  }

  /** The number of entries. */
  get count(): number {
    return readUint32(this.bytes, 4)
  }

  /** The entries as sent; their ports and failure counts are unchecked. */
  get entries(): Array<PeerAddressEntry> {
    const entries: Array<PeerAddressEntry> = []
    let at = 8
    for (let i = this.count; i > 0; i--) {
      const entry = readEntry(this.bytes, at)
      if (entry === undefined) break
      entries.push(entry)
      at = entry.end
    }
    return entries
  }

  /** The addresses with a port one could call, 1 to 65535; the other entries are left out. */
  get addresses(): Array<PeerAddress> {
    const addresses: Array<PeerAddress> = []
    for (const entry of this.entries) {
      const address = PeerAddress.fromIpBytes(entry.ip, entry.port)
      if (Result.isSuccess(address)) addresses.push(address.success)
    }
    return addresses
  }

  protected override fields(): { readonly [field: string]: Json } {
    return {
      count: this.count,
      peers: this.entries.map((entry) => {
        const address = PeerAddress.fromIpBytes(entry.ip, entry.port)
        return {
          address: Result.isSuccess(address) ? address.success.key : null,
          ip: toHex(entry.ip),
          port: entry.port,
          numFailures: entry.numFailures
        }
      })
    }
  }
}
