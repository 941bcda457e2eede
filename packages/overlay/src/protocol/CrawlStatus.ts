/**
 * What a crawl says about an address, and how the end of a connection becomes that.
 *
 * @since 0.1.0
 */
import * as DropReason from "../DropReason.ts"

/**
 * Every status, the most telling of a node first, so that of several the first one describes it:
 *
 * - `open`: took us in, with credit to talk
 * - `full`: answered with ERR_LOAD; alive, without room now
 * - `rejected`: proved itself or said why, and one side refused the other: versions, a ban, a duplicate
 * - `violation`: what came was not this protocol
 * - `wrong-network`: a node of another network
 * - `unresponsive`: the connection opened, and the handshake did not end in time
 * - `closed`: closed the connection without a word, as nodes of another network do, and nodes that ban us
 * - `refused`: nothing listens there
 * - `timeout`: nothing answers there
 * - `unreachable`: no route, no such name, or another failure of the network
 * - `skipped`: known, and not dialled because a limit said so
 * - `pending`: not dialled yet
 *
 * @category models
 * @since 0.1.0
 */
export const statuses = [
  "open",
  "full",
  "rejected",
  "violation",
  "wrong-network",
  "unresponsive",
  "closed",
  "refused",
  "timeout",
  "unreachable",
  "skipped",
  "pending"
] as const

/**
 * One of `statuses`.
 *
 * @category models
 * @since 0.1.0
 */
export type CrawlStatus = (typeof statuses)[number]

const ranks = new Map<string, number>(statuses.map((status, rank) => [status, rank]))

/**
 * Whether a text is a status.
 *
 * @category guards
 * @since 0.1.0
 */
export const isCrawlStatus = (text: string): text is CrawlStatus => ranks.has(text)

/**
 * The more telling of two statuses; `pending` is the less telling of any two.
 *
 * @category combinators
 * @since 0.1.0
 */
export const best = (self: CrawlStatus, that: CrawlStatus): CrawlStatus =>
  ranks.get(that)! < ranks.get(self)! ? that : self

/**
 * Whether somebody of this network is at the other end. A node that proved itself by its certificate is alive whatever
 * the status; see `CrawledNode`.
 *
 * @category getters
 * @since 0.1.0
 */
export const isAlive = (status: CrawlStatus): boolean => status === "open" || status === "full" || status === "rejected"

/**
 * Whether another attempt soon may come to another result. A full node is not asked again: it told whom it knows.
 *
 * @category getters
 * @since 0.1.0
 */
export const isRetryable = (status: CrawlStatus): boolean =>
  status === "timeout" || status === "refused" || status === "unreachable" || status === "unresponsive"
  || status === "closed" || status === "pending"

/**
 * The status for a connection that ended, or never came to be, before the peer gave us credit. `sameNetwork` is false
 * when a HELLO named another network, undefined when none came.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofDrop = (reason: DropReason.DropReason, sameNetwork: boolean | undefined): CrawlStatus => {
  if (sameNetwork === false) return "wrong-network"
  switch (reason._tag) {
    case "ConnectionRefused":
      return "refused"
    case "ConnectTimeout":
      return "timeout"
    case "WrongNetwork":
      return "wrong-network"
    case "LoadErrorReceived":
      return "full"
    case "RemoteClosed":
    case "ReadError":
    case "ShortRead":
    case "WriteError":
    case "ShutdownReceived":
      return "closed"
    case "CertificateInvalid":
      return "violation"
  }
  switch (DropReason.kind(reason)) {
    case "unreachable":
      return "unreachable"
    case "rejected":
    case "local":
      return "rejected"
    case "timeout":
      return "unresponsive"
    case "violation":
    case "load":
      return "violation"
    case "bug":
      return "unreachable"
  }
}
