/**
 * The operator's commands about surveys, with stellar-core's names, parameters, texts and JSON.
 *
 * Two answers are stricter than those of core's releases and as its test builds have them: an order for a node that is
 * queued already, or is the surveyor, is an exception and changes nothing; and so is an order while the node's own phase
 * is not reporting, which in core says "Adding node." and resets the survey.
 *
 * One command is ours: `resumesurvey` with a `nonce` lets a node that was started again report the survey it had begun
 * under that number, as `Survey.resume` does.
 *
 * Implements protocol.md section 14 (stellar-core: `CommandHandler.cpp`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { exception, json, text } from "./internal/adminResponse.ts"
import type { AdminResponse } from "./OverlayAdmin.ts"
import type { BacklogRefusal } from "./protocol/Surveyor.ts"
import { Survey } from "./Survey.ts"
import * as NodeId from "./wire/NodeId.ts"

/**
 * The commands that `handle` knows.
 *
 * @category constants
 * @since 0.1.0
 */
export const commands = [
  "startsurveycollecting",
  "stopsurveycollecting",
  "surveytopologytimesliced",
  "stopsurvey",
  "getsurveyresult",
  "resumesurvey"
] as const

const refusals: { readonly [reason in BacklogRefusal]: string } = {
  NotReporting: "addNodeToRunningSurveyBacklog failed: the survey is not in its reporting phase.",
  AlreadyQueued: "addPeerToBacklog failed: Peer is already in the backlog, or peer is self.",
  Self: "addPeerToBacklog failed: Peer is already in the backlog, or peer is self.",
  TooManyNodes: "addPeerToBacklog failed: too many nodes."
}

/** A required parameter that is a number of 32 bits, or what core says of it. */
const uint32 = (params: URLSearchParams, name: string): Result.Result<number, string> => {
  const given = params.get(name)
  if (given === null) return Result.fail(`'${name}' argument is required!`)
  const value = Number(given)
  return /^\d{1,10}$/.test(given) && value <= 0xffffffff
    ? Result.succeed(value)
    : Result.fail(`Failed to parse '${name}' argument`)
}

const nodeId = (params: URLSearchParams): Result.Result<NodeId.NodeId, string> => {
  const given = params.get("node")
  if (given === null) return Result.fail("'node' argument is required!")
  return Result.mapError(NodeId.parse(given), () => "bad public key")
}

/**
 * Carries out a command, given by its path without slashes and its parameters; undefined when it is none of `commands`.
 *
 * @category commands
 * @since 0.1.0
 */
export const handle = Effect.fnUntraced(function*(
  path: string,
  params: URLSearchParams
): Effect.fn.Return<AdminResponse | undefined, never, Survey> {
  const survey = yield* Survey
  switch (path) {
    case "startsurveycollecting":
      return Result.match(uint32(params, "nonce"), {
        onFailure: exception,
        onSuccess: (nonce) =>
          text(
            survey.startCollecting(nonce)
              ? "Requested network to start survey collecting."
              : "Failed to start survey collecting. Another survey is active on the network."
          )
      })
    case "stopsurveycollecting":
      return text(
        survey.stopCollecting()
          ? "Requested network to stop survey collecting."
          : "Failed to stop survey collecting. No survey is active on the network."
      )
    case "surveytopologytimesliced": {
      const [node, inbound, outbound] = [
        nodeId(params),
        uint32(params, "inboundpeerindex"),
        uint32(params, "outboundpeerindex")
      ]
      if (Result.isFailure(node)) return exception(node.failure)
      if (Result.isFailure(inbound)) return exception(inbound.failure)
      if (Result.isFailure(outbound)) return exception(outbound.failure)
      const order = survey.surveyNode(node.success, inbound.success, outbound.success)
      if (order._tag === "Refused") return exception(refusals[order.reason])
      return text(`Adding node.${order.started ? "Survey started " : "Survey already running!"}`)
    }
    case "stopsurvey":
      survey.stopReporting()
      return text("survey stopped")
    case "getsurveyresult":
      return json(survey.results())
    case "resumesurvey":
      return Result.match(uint32(params, "nonce"), {
        onFailure: exception,
        onSuccess: (nonce) =>
          text(survey.resume(nonce) ? "Resumed the survey." : "Failed to resume the survey. Another survey is active.")
      })
    default:
      return undefined
  }
})
