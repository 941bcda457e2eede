/** What `ping` and `watch` are pointed at, and the options they share. */
import { type NetworkName, passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { parseUrl } from "./AdminPort.ts"

/** A network: its passphrase, and its name when it is a well-known one. */
export interface Network {
  readonly name: NetworkName | undefined
  readonly passphrase: string
}

const named = (name: NetworkName): Network => ({ name, passphrase: passphrases[name] })

/** The well-known networks in the order in which they are worth trying at an address. */
export const candidates = (address: PeerAddress): ReadonlyArray<Network> => {
  const order: ReadonlyArray<NetworkName> = address.isLocalhost || address.isPrivate || address.host === "localhost"
    ? ["standalone", "testnet", "pubnet"]
    : ["pubnet", "testnet", "standalone"]
  return order.map(named)
}

/** Reads `host`, `host:port`, `[v6]:port`; the port is 11625 when left out. */
const parseAddress = (text: string): PeerAddress | string => {
  const parsed = PeerAddress.parse(text)
  return Result.isSuccess(parsed) ? parsed.success : parsed.failure.message
}

const toAddress = (text: string): Option.Option<PeerAddress> => {
  const parsed = parseAddress(text)
  return typeof parsed === "string" ? Option.none() : Option.some(parsed)
}

const expected = (text: string): string =>
  `an address such as core.example:11625, 10.0.0.1 or [2001:db8::1]:11625 (${parseAddress(text)})`

export const address = (name: string): Argument.Argument<PeerAddress> =>
  Argument.String(name).pipe(Argument.withMetavar("host:port"), Argument.filterMap(toAddress, expected))

/** The same as an option. */
export const addressFlag = (name: string): Flag.Flag<PeerAddress> =>
  Flag.String(name).pipe(Flag.withMetavar("host:port"), Flag.filterMap(toAddress, expected))

/** The operator's port of a node: its URL. */
export const adminFlag: Flag.Flag<string> = Flag.String("admin").pipe(
  Flag.withMetavar("host:port"),
  Flag.filterMap(
    (text) => Option.fromUndefinedOr(parseUrl(text)),
    () => "the admin port of a node, such as 127.0.0.1:11626 or http://127.0.0.1:11626"
  )
)

const networkFlag = Flag.Literals("network", ["auto", "pubnet", "testnet", "standalone"]).pipe(
  Flag.withDescription("The network to speak (default: auto, which tries the well-known ones)"),
  Flag.withDefault("auto")
)

const passphraseFlag = Flag.String("passphrase").pipe(
  Flag.withDescription("The passphrase of a private network, instead of --network"),
  Flag.filter((text) => text.length > 0, () => "a passphrase that is not empty"),
  Flag.optional
)

const timeoutFlag = Flag.Finite("timeout").pipe(
  Flag.withMetavar("seconds"),
  Flag.withDescription("Give up connecting, and again the handshake, after so many seconds (default: 5 and 2)"),
  Flag.filter((seconds) => seconds > 0 && seconds <= 3600, () => "seconds, above 0 and at most 3600"),
  Flag.optional
)

export const flags = { network: networkFlag, passphrase: passphraseFlag, timeout: timeoutFlag }

/** What the flags say. */
export interface Options {
  /** The networks to try at an address, in order. */
  readonly networks: (address: PeerAddress) => ReadonlyArray<Network>
  readonly connectTimeoutMillis: number
  readonly handshakeTimeoutSeconds: number
}

export const options = (parsed: {
  readonly network: "auto" | NetworkName
  readonly passphrase: Option.Option<string>
  readonly timeout: Option.Option<number>
}): Options => {
  const { network } = parsed
  const one = Option.isSome(parsed.passphrase)
    ? networkOf(parsed.passphrase.value)
    : network === "auto"
    ? undefined
    : named(network)
  const seconds = Option.getOrUndefined(parsed.timeout)
  return {
    networks: one === undefined ? candidates : () => [one],
    connectTimeoutMillis: seconds === undefined ? 5000 : Math.ceil(seconds * 1000),
    handshakeTimeoutSeconds: seconds === undefined ? 2 : Math.ceil(seconds)
  }
}

const names = Object.keys(passphrases) as Array<NetworkName> // the keys of a constant

const networkOf = (passphrase: string): Network => ({
  name: names.find((name) => passphrases[name] === passphrase),
  passphrase
})
