/**
 * What can be turned about surveys beyond `OverlayConfig`, which has the keys of surveyors.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as SurveyState from "./protocol/SurveyState.ts"

/**
 * Who may survey this node, and have its messages relayed by it:
 *
 * - `quorum`: as stellar-core has it: the configured surveyor keys, or, when there are none, the nodes of the transitive
 *   quorum
 * - `keys`: the configured surveyor keys; nobody when there are none
 * - `deny`: nobody. Survey messages of others are dropped unseen, and nothing is collected. For a validator or a sentry
 *   whose connections are nobody's business; its peers still name it when they are surveyed
 *
 * The node may run surveys itself whatever is chosen.
 *
 * @category models
 * @since 0.1.0
 */
export type SurveyPrivacy = "deny" | "quorum" | "keys"

/**
 * The values.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyConfig {
  readonly survey: SurveyPrivacy
  /** NODE_IS_VALIDATOR, as told in surveys. */
  readonly isValidator: boolean
  /** How long collecting may last. */
  readonly collectingMillis: number
  /** How long reporting lasts. */
  readonly reportingMillis: number
}

/**
 * stellar-core's behaviour, for a node that is no validator.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: SurveyConfig = {
  survey: "quorum",
  isValidator: false,
  collectingMillis: SurveyState.COLLECTING_PHASE_MILLIS,
  reportingMillis: SurveyState.REPORTING_PHASE_MILLIS
}

/**
 * The configuration that `Survey.layer` reads when it is built.
 *
 * @category references
 * @since 0.1.0
 */
export const SurveyConfig = Context.Reference<SurveyConfig>("@stellar-overlay/overlay/SurveyConfig", {
  defaultValue: () => defaults
})
