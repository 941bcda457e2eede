/** What the network says: names, who answers, their versions and clocks, and whether others reach us. */
import * as NodeResolver from "@stellar-overlay/overlay/NodeResolver"
import type { Values } from "@stellar-overlay/overlay/OverlayConfig"
import { Resolver } from "@stellar-overlay/overlay/Resolver"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { ExitCode } from "../ExitCode.ts"
import * as AdminPort from "../net/AdminPort.ts"
import { type Attempt, connect } from "../net/Dial.ts"
import type * as Target from "../net/Target.ts"
import * as Clock from "../render/clock.ts"
import * as Drop from "../render/drop.ts"
import { render } from "../render/Line.ts"
import { plural, quantile, seconds } from "../render/units.ts"
import type { Finding } from "./Finding.ts"

/** Nodes that are called at most: enough for a verdict, few enough to be polite. */
export const MAX_CALLS = 8

/** A clock this far off is worth a warning; certificates live for an hour. */
const SKEW_WARN_SECONDS = 60

const names = Effect.fnUntraced(function*(addresses: ReadonlyArray<PeerAddress>): Effect.fn.Return<Finding> {
  const check = "names"
  const hosts = [...new Set(addresses.flatMap(({ host, kind }) => kind === "name" ? [host] : []))]
  if (hosts.length === 0) return { check, status: "skip", text: "no names among the configured peers" }
  const failed = yield* Effect.gen(function*() {
    const resolver = yield* Resolver
    const results = yield* Effect.forEach(
      hosts,
      (host) => Effect.result(resolver.lookup(host)),
      { concurrency: 8 }
    )
    return results.flatMap((result) => Result.isFailure(result) ? [result.failure] : [])
  }).pipe(Effect.provide(NodeResolver.layer))
  const text = `${hosts.length - failed.length} of ${plural(hosts.length, "name")} resolve`
  const [first] = failed
  if (first === undefined) return { check, status: "ok", text }
  const hint = failed.length === hosts.length ? "Is there a network, and a DNS server?" : undefined
  return {
    check,
    status: hint === undefined ? "warn" : "fail",
    text: `${text}: ${first.message}`,
    hint,
    code: ExitCode.Unreachable
  }
})

const callOf = (address: PeerAddress, options: Target.Options) =>
  Effect.scoped(Effect.map(connect(address, { ...options, peer: { scpStateFrom: "none" } }), ({ last }) => last))

/** What the calls say together. */
export const judgeCalls = (
  calls: ReadonlyArray<{ readonly address: PeerAddress; readonly attempt: Attempt }>,
  values: Values
): ReadonlyArray<Finding> => {
  const failures = calls.flatMap(({ address, attempt: { outcome } }) =>
    Result.isFailure(outcome) ? [{ address, reason: outcome.failure }] : []
  )
  const hellos = calls.flatMap(({ attempt: { facts } }) => facts.hello === undefined ? [] : [facts.hello])
  const reached = calls.length - failures.length
  const [failed] = failures
  const findings: Array<Finding> = [{
    check: "peers",
    status: reached === 0 ? "fail" : "ok",
    text: `${reached} of ${plural(calls.length, "node")} answered and took us${
      failed === undefined
        ? ""
        : `; ${failed.address.key}: ${render(Drop.headline(failed.reason), { colors: false })}`
    }`,
    hint: reached > 0 || failed === undefined ? undefined : render(Drop.hint(failed.reason), { colors: false }).trim(),
    code: ExitCode.Unreachable
  }]
  if (hellos.length === 0) return findings
  const versions = [...new Set(hellos.map(({ overlayVersion }) => overlayVersion))].sort((a, b) => a - b)
  const newer = hellos.filter(({ overlayMinVersion }) => overlayMinVersion > values.overlayVersion).length
  findings.push({
    check: "versions",
    status: newer === 0 ? "ok" : newer === hellos.length ? "fail" : "warn",
    text: `they speak overlay ${versions.join(", ")}; we ${values.overlayMinVersion} to ${values.overlayVersion}`,
    hint: newer === 0 ? undefined : `${plural(newer, "node")} no longer speak with us: a newer version is needed.`
  })
  const skew = quantile(hellos.map(({ certificateSecondsLeft }) => Clock.skewSeconds(certificateSecondsLeft)), 0.5) ?? 0
  findings.push(
    Math.abs(skew) < SKEW_WARN_SECONDS
      ? { check: "clock", status: "ok", text: "no sign that it differs from that of others" }
      : {
        check: "clock",
        status: "fail",
        text: `${seconds(Math.abs(skew))} or more ${skew > 0 ? "behind" : "ahead of"} that of others`,
        hint: "Set the clock (NTP): certificates of others will look expired, or ours to them."
      }
  )
  return findings
}

const PeersAnswer = Schema.Struct({
  authenticated_peers: Schema.Struct({
    inbound: Schema.NullOr(Schema.Array(Schema.Unknown)),
    outbound: Schema.NullOr(Schema.Array(Schema.Unknown))
  })
})

/** What a running node says of its links: whoever called us proves that we can be called. */
const running = Effect.fnUntraced(function*(
  admin: string | undefined,
  listens: boolean
): Effect.fn.Return<ReadonlyArray<Finding>> {
  const check = "inbound"
  if (admin === undefined) return [{ check, status: "skip", text: "say with --admin where a running node answers" }]
  const answer = yield* Effect.result(AdminPort.json(admin, "peers", PeersAnswer))
  if (Result.isFailure(answer)) {
    return [{
      check: "node",
      status: "fail",
      text: `no answer of an operator's port: ${answer.failure.message}`,
      hint: "Is the node running, with --admin-port?",
      code: ExitCode.Unreachable
    }]
  }
  const { inbound, outbound } = answer.success.authenticated_peers
  const called = inbound?.length ?? 0
  return [
    { check: "node", status: "ok", text: `${called} inbound and ${outbound?.length ?? 0} outbound peers` },
    !listens
      ? { check, status: "skip", text: "the node does not listen" }
      : called > 0
      ? { check, status: "ok", text: `reachable: ${plural(called, "node")} called and stayed` }
      : {
        check,
        status: "warn",
        text: "nobody has called yet",
        hint: "Is the port open in the firewall, and forwarded? A new node may have to wait for minutes."
      }
  ]
})

/** All of it. */
export const check = Effect.fnUntraced(function*(
  values: Values,
  target: Target.Options,
  admin: string | undefined
): Effect.fn.Return<ReadonlyArray<Finding>> {
  const addresses = [...new Set([...values.preferredPeers, ...values.knownPeers])].flatMap((text) => {
    const parsed = PeerAddress.parse(text)
    return Result.isSuccess(parsed) ? [parsed.success] : []
  })
  const called = addresses.slice(0, MAX_CALLS)
  const calls = yield* Effect.forEach(
    called,
    (address) => Effect.map(callOf(address, target), (attempt) => ({ address, attempt })),
    { concurrency: "unbounded" }
  )
  const peers: ReadonlyArray<Finding> = calls.length === 0
    ? [{ check: "peers", status: "warn", text: "none are configured", hint: "Give --network or --peer host:port." }]
    : judgeCalls(calls, values)
  return [yield* names(addresses), ...peers, ...(yield* running(admin, values.listen))]
})
