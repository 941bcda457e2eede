/** Network ids and the names of those that are well known. */
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import { createHash } from "node:crypto"

/** The id of a network: SHA-256 of its passphrase, in hex. */
const of = (passphrase: string): string => createHash("sha256").update(passphrase).digest("hex")

const names = new Map(Object.entries(passphrases).map(([name, passphrase]) => [of(passphrase), name]))

export const networkId = {
  of,
  /** `pubnet`, `testnet` or `standalone`; undefined for any other id. */
  nameOf: (id: string): string | undefined => names.get(id)
}
