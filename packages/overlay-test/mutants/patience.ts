/**
 * Defects of patience, questions and memory: what a network gets over, for a while. Seeds of `stellar-overlay sim mutants`
 * must notice each, as those of `swarm.ts`.
 */
import { type Mutant, mutant } from "./Mutant.ts"

const session = "packages/overlay/src/protocol/Session.ts"
const flow = "packages/overlay/src/protocol/FlowControl.ts"
const gate = "packages/overlay/src/protocol/Floodgate.ts"
const flood = "packages/overlay/src/Flood.ts"
const table = "packages/overlay/src/protocol/ItemFetcherTable.ts"
const answers = "packages/overlay/src/internal/queryAnswers.ts"
const registry = "packages/overlay/src/protocol/PeerRegistry.ts"
const live = "packages/overlay/src/internal/livePeers.ts"
const runtime = "packages/overlay/src/internal/peerRuntime.ts"
const liveness = "packages/overlay/src/protocol/Liveness.ts"
const overlay = "packages/overlay/src/Overlay.ts"
const scpState = "packages/overlay/src/protocol/ScpState.ts"
const tracker = "packages/overlay/src/protocol/ItemTracker.ts"
const recovery = "packages/overlay/src/internal/scpRecovery.ts"
const rotation = "packages/overlay/src/protocol/OutOfSyncTimer.ts"
const manager = "packages/overlay/src/internal/peerManager.ts"
const inbox = "packages/overlay/src/protocol/Inbox.ts"
const rounds = "packages/overlay/src/protocol/FloodRounds.ts"

export const patienceMutants: ReadonlyArray<Mutant> = [
  mutant("queues-stay-open-after-a-drop", session, "    this.queues.close()\n", ""),
  mutant(
    "items-are-not-asked-for",
    table,
    "requests: peer === undefined ? [] : [this.#request(peer, tracker)], dropped",
    "requests: [], dropped"
  ),
  mutant(
    "one-peer-is-asked-for-ever",
    tracker,
    "    this.#asked.set(peer, isKnowing)\n    this.#lastAsked = peer\n    this.#nextTryAt = now + FETCH_REPLY_WAIT_MILLIS",
    "    this.#asked.set(peer, isKnowing)\n    this.#lastAsked = peer\n    this.#nextTryAt = undefined"
  ),
  mutant(
    "both-of-two-dials-lose",
    registry,
    "if (loser === other) this.#end(other,",
    "if (loser === other || loser === undefined) this.#end(other,"
  ),
  mutant(
    "the-end-is-not-told-to-handlers",
    live,
    "this.#tellAll(peer, (handler) => handler.disconnected?.(peer, reason))",
    "Effect.void"
  ),
  mutant(
    "the-watch-sleeps",
    "packages/overlay/src/internal/deadlines.ts",
    "Effect.sleep(wait)",
    "Effect.sleep(1000 * wait)"
  ),
  mutant(
    "goodbyes-are-not-flushed",
    runtime,
    "if (ended || (this.delivering ? session.hasDirectOutput : session.hasOutput)) this.startWriting()",
    "if (!ended && (this.delivering ? session.hasDirectOutput : session.hasOutput)) this.startWriting()"
  ),
  mutant(
    "a-read-that-fails-is-not-told",
    runtime,
    "this.drop(session.readFailure(input.kind === \"Eof\", input.detail))",
    ""
  ),
  mutant(
    "stragglers-are-everybody",
    liveness,
    "now - this.#enqueuedAt >= options.stragglerTimeoutMillis",
    "now - this.#createdAt >= options.stragglerTimeoutMillis"
  ),
  mutant("idle-peers-are-kept", liveness, "return DropReason.make(\"IdleTimeout\", idle)", "return undefined"),
  mutant(
    "debts-are-borne",
    liveness,
    "return DropReason.make(\"NoCapacityTimeout\", options.noCapacityTimeoutMillis)",
    "return undefined"
  ),
  mutant(
    "pings-are-not-sent",
    liveness,
    "return this.#pingDue && !this.#stopped",
    "return this.#pingDue && this.#stopped"
  ),
  mutant(
    "handshakes-without-end",
    liveness,
    "this.#authenticated ? options.idleTimeoutMillis : options.handshakeTimeoutMillis",
    "this.#authenticated ? options.idleTimeoutMillis : 100 * options.handshakeTimeoutMillis"
  ),
  mutant(
    "nothing-is-said-of-what-is-not-there",
    answers,
    "peer.offer(quorumSet ?? DontHave.make({ itemType: MessageType.ScpQuorumSet, hash }))",
    "if (quorumSet !== undefined) peer.offer(quorumSet)"
  ),
  mutant(
    "dont-have-is-not-heard",
    table,
    "if (tracker === undefined || tracker.isEmpty || tracker.lastAskedPeer !== peer) return undefined",
    "if (tracker?.lastAskedPeer !== undefined || tracker?.isEmpty !== false) return undefined"
  ),
  mutant(
    "searches-outlive-their-slots",
    table,
    "      if (tracker.clearEnvelopesOutsideRange(min, max, keep, removed)) continue\n",
    "      if (min > 0 || tracker.clearEnvelopesOutsideRange(min, max, keep, removed)) continue\n"
  ),
  mutant("records-outlive-their-ledgers", flood, "      gate.clearBelow(ledgerSeq)\n", ""),
  mutant(
    "told-peers-are-told-again",
    gate,
    "      this.#peers.add(slot, column)\n      told.push(candidate)",
    "      told.push(candidate)"
  ),
  mutant(
    "records-have-the-peers-of-others",
    gate,
    "    this.#table.remove(slot)\n    this.#peers.clearRow(slot)",
    "    this.#table.remove(slot)"
  ),
  mutant(
    "records-are-of-no-ledger",
    gate,
    "    this.#ledgerSeqs[slot] = ledgerSeq\n",
    "    this.#ledgerSeqs[slot] = 0\n"
  ),
  mutant("lost-nodes-ask-nobody", recovery, "    requestScpState(peers, host.scpStateFrom(), PEERS_TO_ASK)\n", ""),
  mutant(
    "peers-are-changed-for-no-reason",
    rotation,
    "    if (isTracking) {\n      this.#since = undefined\n      return false\n    }",
    "    if (isTracking) {\n      this.#since = now\n      return isFull && now > 30_000\n    }"
  ),
  mutant(
    "failures-are-not-minded",
    "packages/overlay/src/protocol/PeerBackoff.ts",
    "return { numFailures: numFailures + 1, nextAttemptMillis: nowMillis + backoffMillis(numFailures + 1, unit) }",
    "return { numFailures: numFailures + 1, nextAttemptMillis: nowMillis }"
  ),
  mutant(
    "nobody-is-told-of-others",
    manager,
    "    for (const source of sendSources) out.push(...source.getRandomPeers(size - out.length, accept))\n",
    ""
  ),
  mutant(
    "what-others-tell-is-not-kept",
    overlay,
    "            manager.receivePeers(message.addresses, peer.address)\n",
    ""
  ),
  mutant(
    "reading-never-stops",
    flow,
    "return this.#messages < this.#options.readingCapacity && this.#bytes < this.#options.totalReadingCapacityBytes",
    "return this.#messages < 1e9 && this.#bytes < this.#options.totalReadingCapacityBytes"
  ),
  mutant(
    "half-of-what-waits-is-lost",
    inbox,
    "      : this.#bulk.splice(0, MAX_BULK_BATCH)\n    if (!isNonEmpty(messages)) return undefined",
    "      : this.#bulk.splice(0, MAX_BULK_BATCH)\n    if (messages.length > 1) messages.pop()\n    if (!isNonEmpty(messages)) return undefined"
  ),
  mutant(
    "pending-transactions-are-told-once",
    rounds,
    "else if (answer === \"again\" && entry.heap === undefined) this.#wait(entry, now)",
    ""
  ),
  mutant(
    "rounds-end-after-the-first",
    rounds,
    "queue.deadline = queue.isEmpty ? undefined : now + periodMillis",
    "queue.deadline = undefined"
  ),
  mutant(
    "state-is-of-one-slot",
    scpState,
    "this.slots.filter((known) => known >= slot).slice(0, MAX_SLOTS_PER_ANSWER)",
    "this.slots.filter((known) => known >= slot).slice(0, 1)"
  ),
  mutant(
    "two-connections-with-one-node-are-listed",
    live,
    "if (other.peer.id === peer.id) former.push(other)",
    "if (other.peer.id !== peer.id) former.push(other)"
  ),
  mutant(
    "what-was-under-way-stays-so",
    "packages/overlay/src/protocol/ScheduledMessages.ts",
    "    if (slot !== NONE) this.#table.remove(slot)\n",
    ""
  ),
  mutant(
    "rounds-have-no-budget",
    "packages/overlay/src/protocol/FloodBudget.ts",
    "this.carryOver += perRound",
    "this.carryOver = Math.min(0, perRound)"
  ),
  mutant(
    "addresses-are-left-alone-for-ever",
    "packages/overlay/src/protocol/PeerBackoff.ts",
    "1000 * (1 + Math.floor(unit * (maxBackoffMillis(numFailures) / 1000)))",
    "1_000_000 * (1 + Math.floor(unit * (maxBackoffMillis(numFailures) / 1000)))"
  )
]
