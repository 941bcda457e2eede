/**
 * One slot of the toy ledger: who said what, and what a validator may say next.
 *
 * A slot goes through rounds, each with a leader. The leader's PREPARE of round r, with ballot counter r + 1, is the
 * proposal; each validator votes once a round, by a PREPARE of the same ballot. Who sees a majority of votes for a ballot
 * locks on it, and says so by `prepared`; who sees a majority of locks on one ballot knows that the value is decided, and
 * says CONFIRM; a majority of those makes EXTERNALIZE. Who is locked votes for another value only after a majority did
 * in a later round. So as long as validators may fail but do not lie, no two values are decided: of any two majorities
 * somebody is in both.
 *
 * A node's statements only go up in the order of SCP (`ScpSupersedes`), so queues may drop earlier ones, and only the
 * last one of each node is looked at: it stands for those before.
 */
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import { hex } from "./hex.ts"
import type { Ballot, Pledge } from "./toyXdr.ts"

export interface Candidate {
  readonly counter: number
  /** The value in hex. */
  readonly value: string
}

interface Said {
  readonly kind: "PREPARE" | "CONFIRM" | "EXTERNALIZE"
  readonly ballot: Candidate
  readonly prepared: Candidate | undefined
}

const same = (a: Candidate | undefined, b: Candidate): boolean =>
  a !== undefined && a.counter === b.counter && a.value === b.value

const equals = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export class ToySlot {
  readonly #said = new Map<NodeId, Said>()
  readonly #values = new Map<string, Uint8Array>()

  /** When the round may begin, and when the next does; monotonic milliseconds. */
  startsAt: number
  endsAt: number
  round = 0
  /** What this node said last; undefined before. */
  own: Pledge | undefined
  /** The value this node proposes when it leads. */
  proposal: Uint8Array | undefined
  #lock: Candidate | undefined
  /** The latest ballot that a majority voted for. */
  #valid: Candidate | undefined

  constructor(startsAt: number, endsAt: number) {
    this.startsAt = startsAt
    this.endsAt = endsAt
  }

  /** Whether the node has settled on a value, so that there is nothing to vote on any more. */
  get isDecided(): boolean {
    return this.own !== undefined && (this.own.kind === "CONFIRM" || this.own.kind === "EXTERNALIZE")
  }

  /** The lock as a ballot. */
  get lock(): Ballot | undefined {
    return this.#lock === undefined ? undefined : this.ballotOf(this.#lock)
  }

  /** What a leader has to propose again, because it may be decided. */
  get valid(): Uint8Array | undefined {
    return this.#valid === undefined ? undefined : this.#values.get(this.#valid.value)
  }

  ballotOf({ counter, value }: Candidate): Ballot {
    return { counter, value: this.#values.get(value)! } // every candidate comes from a statement that `hear` kept
  }

  /** Takes a statement that is newer than those of its node before. Nominations only announce. */
  hear(id: NodeId, pledge: Pledge): void {
    if (pledge.kind === "NOMINATE") return
    const prepared = pledge.kind === "PREPARE" ? pledge.prepared : undefined
    this.#said.set(id, {
      kind: pledge.kind,
      ballot: this.#candidate(pledge.ballot),
      prepared: prepared && this.#candidate(prepared)
    })
    if (this.#values.size > 1) this.#forgetUnused()
  }

  #forgetUnused(): void {
    const used = new Set<string>()
    for (const { ballot, prepared } of this.#said.values()) used.add(ballot.value).add(prepared?.value ?? ballot.value)
    for (const kept of [this.#lock, this.#valid]) if (kept !== undefined) used.add(kept.value)
    for (const value of this.#values.keys()) if (!used.has(value)) this.#values.delete(value)
  }

  /** Takes up what this node said before it lost its memory. */
  remember(id: NodeId, pledge: Pledge): void {
    this.hear(id, pledge)
    if (pledge.kind !== "NOMINATE") this.own = pledge
    const said = this.#said.get(id)
    if (said?.prepared === undefined) return
    if (this.#lock === undefined || said.prepared.counter > this.#lock.counter) this.#lock = said.prepared
    if (this.#valid === undefined || said.prepared.counter > this.#valid.counter) this.#valid = said.prepared
  }

  /** The value that a majority externalized. */
  externalized(majority: number): Candidate | undefined {
    return this.#find(majority, (said, { value }) => said.kind === "EXTERNALIZE" && said.ballot.value === value)
  }

  /** The value that a majority confirmed, or went beyond that. */
  confirmed(majority: number): Candidate | undefined {
    return this.#find(majority, (said, { value }) => said.kind !== "PREPARE" && said.ballot.value === value)
  }

  /** The ballot that a majority is locked on. */
  locked(majority: number): Candidate | undefined {
    return this.#find(
      majority,
      (said, candidate) =>
        said.kind === "PREPARE" ? same(said.prepared, candidate) : said.ballot.value === candidate.value
    )
  }

  /** Takes note of a majority of votes; the ballot when this node may lock on it, which it then has. */
  lockOn(majority: number): Candidate | undefined {
    const voted = this.#find(majority, (said, candidate) =>
      said.kind === "PREPARE"
        ? same(said.ballot, candidate) || same(said.prepared, candidate)
        : said.ballot.value === candidate.value)
    if (voted === undefined || (this.#valid !== undefined && voted.counter <= this.#valid.counter)) return undefined
    this.#valid = voted
    // Who has voted in a later round already may not lock in this one: that vote may have been for something else.
    const last = this.own?.kind === "PREPARE" ? this.own.ballot.counter : 0
    if (last > voted.counter || this.isDecided) return undefined
    this.#lock = voted
    return voted
  }

  /** Whether this node may vote for a ballot. */
  mayVote({ counter, value }: Candidate): boolean {
    if (this.isDecided || (this.own?.kind === "PREPARE" && counter <= this.own.ballot.counter)) return false
    if (this.#lock === undefined || this.#lock.value === value) return true
    return this.#valid !== undefined && this.#valid.value === value && this.#valid.counter > this.#lock.counter
  }

  /** The proposals of this round and later ones: a leader's ballot for the round it leads. Earliest round first. */
  proposals(leaderOf: (round: number) => NodeId): Array<Candidate> {
    const found: Array<Candidate> = []
    for (const [id, { ballot, kind }] of this.#said) {
      const round = ballot.counter - 1
      if (kind === "PREPARE" && round >= this.round && leaderOf(round) === id) found.push(ballot)
    }
    return found.sort((a, b) => a.counter - b.counter)
  }

  #candidate({ counter, value }: Ballot): Candidate {
    // Nearly always there is one, and comparing bytes costs a tenth of making their name.
    for (const [name, known] of this.#values) if (equals(known, value)) return { counter, value: name }
    const name = hex(value)
    this.#values.set(name, new Uint8Array(value))
    return { counter, value: name }
  }

  /** The ballot with the highest counter, of those anybody mentions, that enough statements are for. */
  #find(majority: number, isFor: (said: Said, candidate: Candidate) => boolean): Candidate | undefined {
    let best: Candidate | undefined
    for (const { ballot, prepared } of this.#said.values()) {
      for (const candidate of [ballot, prepared]) {
        if (candidate === undefined || (best !== undefined && candidate.counter <= best.counter)) continue
        let count = 0
        for (const said of this.#said.values()) if (isFor(said, candidate)) count++
        if (count >= majority) best = candidate
      }
    }
    return best
  }
}
