/** A survey in a file, so that it can go on later: JSON, written in whole. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { toJsonText } from "../render/escape.ts"
import { MAX_NODES } from "../topology/Topology.ts"
import type { PlannedNode } from "./SurveyPlan.ts"

/** - `collecting`: nodes collect
 *  - `reporting`: they were told to stop, and are asked
 *  - `done`: everybody was asked
 */
export type Phase = "collecting" | "reporting" | "done"

const Value = Schema.Union([Schema.String, Schema.Number, Schema.Boolean])
const Facts = Schema.Record(Schema.String, Value)
const Peer = Schema.StructWithRest(Schema.Struct({ nodeId: Schema.String }), [Facts])
const Id = Schema.String.check(Schema.isPattern(/^G[A-Z2-7]{55}$/))

const Node = Schema.Struct({
  id: Id,
  depth: Schema.Int,
  found: Schema.Int,
  tellers: Schema.Int,
  status: Schema.Literals(["queued", "ordered", "answered", "incomplete", "silent"]),
  attempts: Schema.Int,
  pages: Schema.Int,
  requests: Schema.Int,
  sentAt: Schema.optionalKey(Schema.Finite),
  requestedAt: Schema.optionalKey(Schema.Finite),
  answeredAt: Schema.optionalKey(Schema.Finite),
  isBad: Schema.Boolean,
  facts: Schema.optionalKey(Facts),
  inbound: Schema.Array(Peer),
  outbound: Schema.Array(Peer)
})

const State = Schema.Struct({
  format: Schema.Literal("stellar-overlay-survey"),
  /** The node the survey goes through. */
  url: Schema.String,
  via: Schema.Array(Schema.String),
  surveyor: Schema.optionalKey(Id),
  network: Schema.optionalKey(Schema.String),
  nonce: Schema.Int,
  phase: Schema.Literals(["collecting", "reporting", "done"]),
  /** Unix milliseconds. */
  startedAt: Schema.Finite,
  collectMillis: Schema.Finite,
  stoppedAt: Schema.optionalKey(Schema.Finite),
  /** The number in the network database it is also written to. */
  databaseId: Schema.optionalKey(Schema.Int),
  nodes: Schema.Array(Node).check(Schema.isMaxLength(MAX_NODES))
})

const decode = Schema.decodeUnknownOption(State)

export interface SurveyState {
  readonly url: string
  readonly via: ReadonlyArray<string>
  readonly surveyor: string | undefined
  readonly network: string | undefined
  readonly nonce: number
  readonly phase: Phase
  readonly startedAt: number
  readonly collectMillis: number
  readonly stoppedAt: number | undefined
  readonly databaseId: number | undefined
  readonly nodes: ReadonlyArray<PlannedNode>
}

export const toText = (state: SurveyState): string => `${toJsonText({ format: "stellar-overlay-survey", ...state })}\n`

/** Reads the JSON of a state; undefined when it is something else. */
export const fromJson = (value: unknown): SurveyState | undefined => {
  const decoded = Option.getOrUndefined(decode(value))
  if (decoded === undefined) return undefined
  const { format: _format, nodes, ...rest } = decoded
  return {
    surveyor: undefined,
    network: undefined,
    stoppedAt: undefined,
    databaseId: undefined,
    ...rest,
    nodes: nodes.map((node) => ({
      sentAt: undefined,
      requestedAt: undefined,
      answeredAt: undefined,
      facts: undefined,
      ...node
    }))
  }
}
