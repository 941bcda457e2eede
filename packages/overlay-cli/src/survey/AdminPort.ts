/** The commands of the operator's port that a survey needs, of our nodes and of stellar-core's (protocol.md 14). */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AdminError, type AdminErrorReason, get, parseJson } from "../net/AdminPort.ts"
import { parse as parseResults } from "../topology/surveyJson.ts"
import type { Observation } from "./SurveyPlan.ts"

const Exception = Schema.Union([Schema.Struct({ exception: Schema.String }), Schema.Struct({ error: Schema.String })])
const decodeException = Schema.decodeUnknownOption(Exception)

/** What an answer of JSON complains about; core says so with status 200. */
const complaint = (value: unknown): string | undefined =>
  Option.match(decodeException(value), {
    onNone: () => undefined,
    onSome: (found) => "exception" in found ? found.exception : found.error
  })

const Info = Schema.Struct({
  info: Schema.Struct({
    build: Schema.optionalKey(Schema.String),
    network: Schema.optionalKey(Schema.String),
    node: Schema.optionalKey(Schema.String)
  })
})
const PeerList = Schema.NullOr(Schema.Array(Schema.Struct({ id: Schema.String })))
const Peers = Schema.Struct({
  authenticated_peers: Schema.Struct({ inbound: PeerList, outbound: PeerList })
})
const Scp = Schema.Struct({ you: Schema.String })
const Lists = Schema.Struct({
  surveyInProgress: Schema.Boolean,
  backlog: Schema.NullOr(Schema.Array(Schema.String)),
  badResponseNodes: Schema.NullOr(Schema.Array(Schema.String))
})

const decodeInfo = Schema.decodeUnknownOption(Info)
const decodePeers = Schema.decodeUnknownOption(Peers)
const decodeScp = Schema.decodeUnknownOption(Scp)
const decodeLists = Schema.decodeUnknownOption(Lists)

const isKey = (id: string): boolean => /^G[A-Z2-7]{55}$/.test(id)

/** Who is behind the port. */
export interface Identity {
  /** Undefined where the node does not say. */
  readonly id: string | undefined
  readonly build: string | undefined
  /** The passphrase. */
  readonly network: string | undefined
  readonly inbound: ReadonlyArray<string>
  readonly outbound: ReadonlyArray<string>
}

export interface AdminPort {
  readonly url: string
  readonly identify: Effect.Effect<Identity, AdminError>
  readonly startCollecting: (nonce: number) => Effect.Effect<void, AdminError>
  readonly stopCollecting: Effect.Effect<void, AdminError>
  /** False when the node is queued already, or is the surveyor itself. */
  readonly surveyNode: (id: string, inbound: number, outbound: number) => Effect.Effect<boolean, AdminError>
  readonly stopSurvey: Effect.Effect<void, AdminError>
  readonly results: Effect.Effect<Observation, AdminError>
  /** Goes on to report a survey after the node was started again; only our nodes can. */
  readonly resumeSurvey: (nonce: number) => Effect.Effect<void, AdminError>
  /** Whether it is still there. */
  readonly ping: Effect.Effect<void, AdminError>
}

/** A port by its address, as `parseUrl` gave it. */
export const make = (url: string): AdminPort => {
  const fail = (reason: AdminErrorReason, detail: string) => new AdminError({ url, reason, detail })
  const notANode = (what: string) => fail("NotANode", `${what} has not the form of a node's`)

  const json = Effect.fnUntraced(function*(path: string, params: Record<string, string> = {}) {
    const value = parseJson(yield* get(url, path, params))
    const problem = complaint(value)
    if (problem !== undefined) return yield* fail("Refused", problem)
    return value
  })

  /** A command that answers one sentence: the one that is wanted, or why not. */
  const command = Effect.fnUntraced(function*(path: string, params: Record<string, string>, wanted: string) {
    const text = (yield* get(url, path, params)).trim()
    if (text.startsWith(wanted)) return
    return yield* fail("Refused", complaint(parseJson(text)) ?? (text === "" ? "an empty answer" : text.slice(0, 300)))
  })

  const identify = Effect.gen(function*() {
    const info = decodeInfo(yield* json("info"))
    if (Option.isNone(info)) return yield* notANode("/info")
    const peers = decodePeers(yield* json("peers", { fullkeys: "true" }))
    if (Option.isNone(peers)) return yield* notANode("/peers")
    const { build, network, node } = info.value.info
    // Core names itself in /scp only; who does not know it is found in the results.
    const scp = node === undefined
      ? yield* Effect.option(json("scp", { fullkeys: "true", limit: "0" }))
      : Option.none<unknown>()
    const you = node ?? Option.getOrUndefined(Option.flatMap(scp, decodeScp))?.you
    const { inbound, outbound } = peers.value.authenticated_peers
    const ids = (list: ReadonlyArray<{ readonly id: string }> | null) => (list ?? []).map(({ id }) => id).filter(isKey)
    return {
      id: you !== undefined && isKey(you) ? you : undefined,
      build,
      network,
      inbound: ids(inbound),
      outbound: ids(outbound)
    }
  })

  return {
    url,
    identify,
    ping: Effect.asVoid(json("info")),
    startCollecting: (nonce) =>
      command("startsurveycollecting", { nonce: String(nonce) }, "Requested network to start survey collecting."),
    stopCollecting: command("stopsurveycollecting", {}, "Requested network to stop survey collecting."),
    resumeSurvey: (nonce) => command("resumesurvey", { nonce: String(nonce) }, "Resumed the survey."),
    stopSurvey: command("stopsurvey", {}, "survey stopped"),
    surveyNode: (node, inbound, outbound) => {
      const params = { node, inboundpeerindex: String(inbound), outboundpeerindex: String(outbound) }
      return command("surveytopologytimesliced", params, "Adding node.").pipe(
        Effect.as(true),
        Effect.catchIf(
          ({ detail, reason }) => reason === "Refused" && detail.includes("already in the backlog"),
          () => Effect.succeed(false)
        )
      )
    },
    results: Effect.gen(function*() {
      const value = yield* json("getsurveyresult")
      const lists = decodeLists(value)
      const topology = parseResults(value)
      if (Option.isNone(lists) || topology === undefined) return yield* notANode("/getsurveyresult")
      const { backlog, badResponseNodes, surveyInProgress } = lists.value
      return { surveyInProgress, backlog: backlog ?? [], badResponseNodes: badResponseNodes ?? [], topology }
    })
  }
}
