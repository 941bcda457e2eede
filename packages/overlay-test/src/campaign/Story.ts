/**
 * A run as a story: collected while it happens, and told as one page that needs nothing but a browser.
 *
 * The page holds its data; it loads nothing, and works from a file. Whatever came from a network is text in it: data is
 * embedded so that it cannot end the script it is in, and put on the page as text only.
 *
 * @since 0.1.0
 */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { coreName } from "@stellar-overlay/overlay/wire/MessageType"
import { page } from "../internal/storyPage.ts"
import type { SimEvent } from "../SimNetwork.ts"
import type { Options, Outcome } from "./Campaign.ts"
import type { Observation } from "./Observation.ts"
import type { Scenario } from "./Scenario.ts"

/**
 * Messages of one link that a story keeps, from its first on; all are counted.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_MESSAGES_PER_LINK = 300

/**
 * Marks that a story keeps on its time line.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_MARKS = 20_000

/**
 * Something on the time line of a node.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mark {
  readonly at: number
  readonly node: string
  /** What it is: a status, `ledger`, `connected`, `dropped`, `throttled`, `error`, `store`. */
  readonly kind: string
  readonly text: string
}

/**
 * A connection and what went over it.
 *
 * @category models
 * @since 0.1.0
 */
export interface LinkStory {
  readonly id: number
  readonly from: string
  readonly to: string
  readonly openedAt: number
  closedAt: number | undefined
  messages: number
  bytes: number
  /** Messages by type. */
  readonly types: Record<string, number>
  /** The first ones: when, whether from the dialler, type, size, and a detail. */
  readonly first: Array<readonly [at: number, forward: boolean, type: string, size: number, detail: string]>
}

/**
 * A fault that was true for a time.
 *
 * @category models
 * @since 0.1.0
 */
export interface FaultStory {
  readonly kind: string
  /** Its parameters, as JSON. */
  readonly what: string
  readonly startedAt: number
  endedAt: number | undefined
  fired: number
  /** Where it took effect first. */
  readonly where: Array<string>
}

/**
 * Everything that is told of a run. Plain data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Story {
  readonly scenario: Scenario
  readonly outcome: Outcome
  readonly marks: ReadonlyArray<Mark>
  /** Marks beyond `MAX_MARKS`, which were not kept. */
  readonly marksDropped: number
  readonly links: ReadonlyArray<LinkStory>
  readonly faults: ReadonlyArray<FaultStory>
  readonly phases: ReadonlyArray<{ readonly at: number; readonly phase: string }>
}

/** Places where a fault took effect that are named. */
const MAX_PLACES = 12

const detailOf = (message: Extract<Observation, { readonly _tag: "Message" }>): string => {
  const { bytes, hashes, messages, scp } = message
  if (scp !== undefined) {
    const kind = ["PREPARE", "CONFIRM", "EXTERNALIZE", "NOMINATE"][scp.kind] ?? ""
    return `slot ${scp.slot} ${kind} of ${scp.origin.slice(0, 5)}`
  }
  if (hashes.length > 0) return `${hashes.length} hashes`
  return messages > 0 || bytes > 0 ? `${messages} messages, ${bytes} bytes` : ""
}

/**
 * Collects the story of one run: give `options` to `Campaign.run`, and its outcome to `tell`.
 *
 * @category models
 * @since 0.1.0
 */
export class Recorder {
  readonly #scenario: Scenario
  readonly #marks: Array<Mark> = []
  #marksDropped = 0
  readonly #links = new Map<number, LinkStory>()
  readonly #faults: Array<FaultStory> = []
  readonly #active = new Map<unknown, FaultStory>()
  readonly #phases: Array<{ readonly at: number; readonly phase: string }> = []

  constructor(scenario: Scenario) {
    this.#scenario = scenario
  }

  /** What `Campaign.run` is to be given. */
  get options(): Options {
    return {
      onObservation: (observation) => this.#observe(observation),
      onSimEvent: (event) => this.#simulated(event)
    }
  }

  tell(outcome: Outcome): Story {
    return {
      scenario: this.#scenario,
      outcome,
      marks: this.#marks,
      marksDropped: this.#marksDropped,
      links: [...this.#links.values()],
      faults: this.#faults,
      phases: this.#phases
    }
  }

  #mark(at: number, node: string, kind: string, text: string): void {
    if (this.#marks.length < MAX_MARKS) this.#marks.push({ at, node, kind, text })
    else this.#marksDropped++
  }

  #observe(observation: Observation): void {
    const { at } = observation
    switch (observation._tag) {
      case "Phase":
        this.#phases.push({ at, phase: observation.phase })
        return
      case "LinkOpened": {
        const { dialer, link, listener } = observation
        this.#links.set(link, {
          id: link,
          from: dialer,
          to: listener,
          openedAt: at,
          closedAt: undefined,
          messages: 0,
          bytes: 0,
          types: {},
          first: []
        })
        return
      }
      case "LinkClosed": {
        const link = this.#links.get(observation.link)
        if (link !== undefined) link.closedAt = at
        return
      }
      case "Message": {
        const link = this.#links.get(observation.link)
        if (link === undefined) return
        const type = coreName(observation.type)
        link.messages++
        link.bytes += observation.size
        link.types[type] = (link.types[type] ?? 0) + 1
        if (link.first.length < MAX_MESSAGES_PER_LINK) {
          link.first.push([at, observation.from === link.from, type, observation.size, detailOf(observation)])
        }
        return
      }
      case "Ledger": {
        const { hash, jumpedFrom, ledgerSeq, node, rounds, transactions } = observation
        const jump = jumpedFrom === undefined ? "" : `, jumped from ${jumpedFrom}`
        const text = `ledger ${ledgerSeq}, ${transactions.length} transactions, ${
          rounds === 1 ? "1 round" : `${rounds} rounds`
        }${jump}, ${hash.slice(0, 8)}`
        return this.#mark(at, node, "ledger", text)
      }
      case "ErrorLogged":
        return this.#mark(at, observation.node, "error", observation.text)
      case "Peer":
        return this.#peer(observation)
    }
  }

  #peer({ at, event, node, other }: Extract<Observation, { readonly _tag: "Peer" }>): void {
    switch (event._tag) {
      case "PeerAuthenticated":
        return this.#mark(
          at,
          node,
          "connected",
          `authenticated ${other}, ${event.remote.role === "initiator" ? "which it called" : "which called it"}`
        )
      case "PeerDropped": {
        const who = event.authenticated ? "" : " (not authenticated)"
        return this.#mark(at, node, "dropped", `dropped ${other}${who}: ${DropReason.text(event.reason)}`)
      }
      case "PeerReadThrottled":
        return this.#mark(at, node, "throttled", `stopped reading ${other}`)
      case "StoreFailed":
        return this.#mark(at, node, "store", `the ${event.store} failed: ${event.reason}`)
    }
  }

  #simulated(event: SimEvent): void {
    switch (event._tag) {
      case "FaultStarted": {
        const { _tag: kind, ...parameters } = event.fault
        const fault: FaultStory = {
          kind,
          what: JSON.stringify(parameters),
          startedAt: event.millis,
          endedAt: undefined,
          fired: 0,
          where: []
        }
        this.#faults.push(fault)
        this.#active.set(event.fault, fault)
        return
      }
      case "FaultEnded": {
        const fault = this.#active.get(event.fault)
        if (fault !== undefined) fault.endedAt = event.millis
        return
      }
      case "FaultFired": {
        const fault = this.#active.get(event.fault)
        if (fault === undefined) return
        fault.fired++
        if (fault.where.length < MAX_PLACES && !fault.where.includes(event.where)) fault.where.push(event.where)
        return
      }
      case "NodeChanged":
        return this.#mark(event.millis, event.node, event.status, event.status)
    }
  }
}

/**
 * A story as an HTML page of its own.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toHtml = (story: Story): string => page(`seed ${story.outcome.seed}`, story)
