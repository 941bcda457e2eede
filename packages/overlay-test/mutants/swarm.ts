/**
 * Defects that networks of honest nodes suffer from: the seeds of `stellar-overlay sim mutants` must notice each. The
 * canary is one that nobody can miss, the control is none at all.
 * What is not among them, and why, is a table in docs/SIMULATION.md.
 */
import { type Mutant, mutant } from "./Mutant.ts"

const session = "packages/overlay/src/protocol/Session.ts"
const flow = "packages/overlay/src/protocol/FlowControl.ts"
const queues = "packages/overlay/src/protocol/OutboundQueues.ts"
const lane = "packages/overlay/src/internal/outboundLane.ts"
const gate = "packages/overlay/src/protocol/Floodgate.ts"
const flood = "packages/overlay/src/Flood.ts"
const floodScp = "packages/overlay/src/internal/floodScp.ts"
const demands = "packages/overlay/src/protocol/TxDemands.ts"
const adverts = "packages/overlay/src/protocol/TxAdverts.ts"
const table = "packages/overlay/src/protocol/ItemFetcherTable.ts"
const fetcher = "packages/overlay/src/ItemFetcher.ts"
const answers = "packages/overlay/src/internal/queryAnswers.ts"
const registry = "packages/overlay/src/protocol/PeerRegistry.ts"
const peers = "packages/overlay/src/Peers.ts"
const live = "packages/overlay/src/internal/livePeers.ts"
const delivery = "packages/overlay/src/internal/delivery.ts"
const runtime = "packages/overlay/src/internal/peerRuntime.ts"
const handshake = "packages/overlay/src/protocol/Handshake.ts"
const liveness = "packages/overlay/src/protocol/Liveness.ts"
const hmac = "packages/overlay/src/protocol/Hmac.ts"
const tick = "packages/overlay/src/internal/overlayTick.ts"
const overlay = "packages/overlay/src/Overlay.ts"
const receipt = "packages/overlay/src/protocol/CapacityReceipt.ts"
const scpState = "packages/overlay/src/protocol/ScpState.ts"
const batch = "packages/overlay/src/protocol/OutboundBatch.ts"

export const swarmMutants: ReadonlyArray<Mutant> = [
  mutant(
    "canary-no-message-is-handled",
    session,
    "if (delivered) this.#inbox.push(message, now.millis)",
    "if (false as boolean) return"
  ),
  mutant("control", session, "this.stats.asyncWrites++", "this.stats.asyncWrites += 1"),

  // the session
  mutant(
    "the-first-grant-is-not-sent",
    session,
    "this.flow.initialGrant()\n      this.#sendGrant(millis)",
    "this.flow.initialGrant()"
  ),
  mutant(
    "settling-grants-nothing",
    session,
    "this.dropReason !== undefined) return\n    this.#grant(now.millis)",
    "this.dropReason !== undefined) return"
  ),
  mutant("own-business-returns-no-capacity", session, "      this.flow.end(size, flood)\n", ""),
  mutant(
    "dropped-more-than-once",
    session,
    "    if (this.dropReason !== undefined) return\n    this.dropReason = reason",
    "    this.dropReason = reason"
  ),
  mutant(
    "scp-is-shed-out-of-sync",
    session,
    "      default:\n        return true\n    }\n  }\n\n  #receiveGrant",
    "      default:\n        return !this.shedTransactions\n    }\n  }\n\n  #receiveGrant"
  ),
  mutant(
    "queries-are-ignored",
    session,
    "if (!this.#queries.allow(message.type, now.millis)) {",
    "if (this.#queries.allow(message.type, now.millis)) {"
  ),
  mutant(
    "queries-are-declined",
    session,
    `if (this.options.answers === "deliver") return true`,
    `if (this.options.answers !== "deliver") return true`
  ),
  mutant("peers-twice-is-fine-and-once-is-not", session, "if (this.#peersReceived) {", "if (!this.#peersReceived) {"),
  mutant("authenticated-is-not-told", session, `this.events.push({ _tag: "Authenticated", remote })`, ""),
  mutant("the-end-is-not-told", session, `this.events.push({ _tag: "Dropped", reason, authenticated })`, ""),
  mutant(
    "grants-are-not-taken-in",
    session,
    "const failure = this.flow.receiveGrant(extended, numMessages, numBytes, now.millis)",
    "const failure = undefined as undefined | \"UnexpectedSendMore\""
  ),

  // flow control
  mutant(
    "credit-is-granted-again-and-again",
    flow,
    "    this.#processedMessages = 0\n    this.#processedBytes = 0\n    return true",
    "    return true"
  ),
  mutant("byte-credit-is-forgotten", flow, "this.#processedBytes += floodBytes", ""),
  mutant(
    "message-credit-is-forgotten",
    flow,
    "this.#processedMessages += floodMessages",
    "this.#processedMessages += floodMessages > 1 ? floodMessages - 1 : floodMessages"
  ),
  mutant("messages-cost-nothing", flow, "this.#messageCredit.subtract(1)", ""),
  mutant("bytes-cost-nothing", flow, "this.#byteCredit.subtract(size)", ""),
  mutant(
    "capacity-comes-back-short",
    flow,
    "    this.#messages -= messages\n",
    "    this.#messages -= messages > 1 ? messages - 1 : messages\n"
  ),
  mutant("flood-capacity-never-comes-back", flow, "    this.#floodMessages -= floodMessages\n", ""),
  mutant("flood-bytes-never-come-back", flow, "    this.#floodBytes -= floodBytes\n", ""),
  mutant(
    "the-first-grant-is-too-much",
    flow,
    "    this.grantMessages = this.#options.floodReadingCapacity\n",
    "    this.grantMessages = 4 * this.#options.floodReadingCapacity\n"
  ),
  mutant(
    "received-credit-is-halved",
    flow,
    "this.#messageCredit.add(numMessages)",
    "this.#messageCredit.add(numMessages >> 1)"
  ),

  // receipts and the inbox
  mutant(
    "receipts-forget-what-is-flood",
    receipt,
    "    if (isFlood) {\n      this.#floodMessages++",
    "    if (!isFlood) {\n      this.#floodMessages++"
  ),

  // the queues
  mutant(
    "newer-statements-give-way",
    queues,
    "if (!isNewerNominationOrBallot(lane.messageAt(i), message)) continue",
    "if (isNewerNominationOrBallot(lane.messageAt(i), message)) return \"shed\""
  ),
  mutant(
    "adverts-are-dropped",
    queues,
    `if (this.#holdsHashes(this.#adverts)) return "queued"`,
    `if (!this.#holdsHashes(this.#adverts)) return "queued"`
  ),
  mutant(
    "demands-are-dropped",
    queues,
    `if (this.#holdsHashes(this.#demands)) return "queued"`,
    `if (!this.#holdsHashes(this.#demands)) return "queued"`
  ),
  mutant(
    "transactions-are-dropped",
    queues,
    `if (lane.length <= this.#ledger.maxTxSetSize && lane.bytes <= this.#options.txQueueByteLimit) return "queued"`,
    `if (lane.length > this.#ledger.maxTxSetSize) return "queued"`
  ),
  mutant(
    "yesterday-is-too-old",
    queues,
    "return slot < this.#ledger.minRememberedSlot && slot",
    "return slot < this.#ledger.minRememberedSlot + 12 && slot"
  ),
  mutant("credit-is-not-looked-at", queues, "if (!flow.hasCredit(size)) {", "if (false as boolean) {"),
  mutant("only-the-first-queue-is-served", queues, "    if (roomLeft) {\n", "    if (!roomLeft) {\n"),
  mutant("written-messages-stay", queues, "this.#lanes[priority]!.written(batch.taken[priority]!)", ""),
  mutant(
    "the-direct-lane-waits",
    queues,
    "    while (lane.length > 0) {\n      const length",
    "    while (lane.length > 1) {\n      const length"
  ),
  mutant(
    "lanes-lose-what-is-behind",
    lane,
    "    this.#head = (this.#head + 1) & (this.#messages.length - 1)\n    this.length--",
    "    this.#head = (this.#head + 1) & (this.#messages.length - 1)\n    this.length = 0"
  ),
  mutant("shedding-sheds-the-rest", lane, "if (!keep(message)) {", "if (keep(message)) {"),
  mutant(
    "batches-forget-what-follows-the-third",
    batch,
    "    this.messages.push(message)\n",
    "    if (this.messages.length < 3) this.messages.push(message)\n"
  ),

  // flooding
  mutant(
    "who-sent-it-is-told-again",
    gate,
    "    this.#peers.add(known === NONE ? this.#create(key, ledgerSeq, now) : known, this.#peers.intern(peer))\n",
    "    if (known === NONE) this.#create(key, ledgerSeq, now)\n"
  ),
  mutant(
    "everybody-counts-as-told",
    gate,
    "      if (this.#peers.has(slot, column)) continue\n",
    "      if (!this.#peers.has(slot, column) && slot % 4 === 0) continue\n"
  ),
  mutant(
    "held-messages-are-not-fetched-for",
    floodScp,
    "if (verdict.txSets.length + verdict.quorumSets.length > 0) fetcher",
    "if (verdict.txSets.length + verdict.quorumSets.length < 0) fetcher"
  ),
  mutant(
    "relay-stops-here",
    floodScp,
    "        tell(message, key, candidates, now)\n        if (verdict.txSets",
    "        if (verdict.txSets"
  ),
  mutant(
    "new-transactions-are-kept-quiet",
    flood,
    `else if (verdict === "pending") enqueue(message, hashes[i]!, keys[i]!)`,
    ""
  ),
  mutant(
    "transactions-only-out-of-sync",
    flood,
    "if (isBulk(message.type) && !(host.ledger().isSynced &&",
    "if (isBulk(message.type) && (host.ledger().isSynced &&"
  ),
  mutant("adverts-are-never-flushed", flood, "sendAdvert(peer, adverts.tick(now))", "adverts.tick(now)"),
  mutant("demands-are-not-answered", flood, "if (transaction !== undefined) peer.offer(transaction)", ""),
  mutant("demands-are-not-sent", flood, "      peer.offer(FloodDemand.make({ hashes }))\n", ""),
  mutant(
    "adverts-are-not-taken-in",
    flood,
    "state.adverts.queueIncomingAdvert(message, host.ledger().trackingIndex)",
    ""
  ),
  mutant("adverts-go-back", adverts, "if (this.seenAdvert(hash)) {", "if (!this.seenAdvert(hash)) {"),
  mutant(
    "adverts-lose-the-last-hash",
    adverts,
    "    const hashes = this.#outgoing\n",
    "    const hashes = this.#outgoing.slice(1)\n"
  ),
  mutant(
    "only-the-first-hash-is-read",
    adverts,
    "for (let i = skipped; i < count; i++) this.#incoming.push",
    "for (let i = skipped; i < 0; i++) this.#incoming.push"
  ),
  mutant(
    "everybody-is-asked-at-once",
    demands,
    `return now - demanded.lastAt >= this.#retryDelay(demanded) ? "demand" : "retryLater"`,
    `return "demand"`
  ),
  mutant(
    "nothing-is-demanded",
    demands,
    `if (demanded === undefined) return "demand"`,
    `if (demanded === undefined) return "discard"`
  ),

  // items
  mutant(
    "fetched-items-are-kept-quiet",
    fetcher,
    "isAccepted && envelopes.length > 0 ? deliver(envelopes)",
    "isAccepted && envelopes.length > 3 ? deliver(envelopes)"
  ),
  mutant(
    "only-one-waiter-is-told",
    table,
    "while (!tracker.isEmpty) envelopes.push(tracker.pop()!)",
    "envelopes.push(tracker.pop()!)"
  ),
  mutant(
    "what-came-is-not-wanted",
    table,
    "if (tracker === undefined || tracker.isEmpty) {\n      this.unsolicited++",
    "if (tracker === undefined || !tracker.isEmpty) {\n      this.unsolicited++"
  ),
  mutant(
    "state-is-not-sent",
    answers,
    "  for (const message of messages.slice(firstWithRoom(peer, messages))) peer.offer(message)",
    "  void messages"
  ),
  mutant(
    "old-statements-are-new",
    scpState,
    `if (equals(held.bytes, message.bytes)) return "same"`,
    `if (equals(held.bytes, message.bytes)) return "new"`
  ),

  // connections
  mutant("slots-do-not-come-back", registry, "this.#authenticated[entry.role].delete(entry.remote!.id)", ""),
  mutant(
    "pending-slots-do-not-come-back",
    registry,
    `if (entry.state === "pending") this.#pending[entry.role]--`,
    `if (entry.state === "pending") this.#pending[entry.role] += 0`
  ),
  mutant("slots-without-limit", registry, "const hasRoom = list.size < max", "const hasRoom = list.size < max + 100"),
  mutant(
    "duplicates-are-let-in",
    registry,
    `if (this.get(id) !== undefined) return DropReason.make("AlreadyConnected", NodeId.short(id))`,
    ""
  ),
  mutant("closed-sockets-count-for-ever", registry, "    this.#closing.delete(entry)\n", ""),
  mutant(
    "hosts-are-never-forgiven",
    registry,
    "    this.#unsettle(entry, -1)\n    entry.state = \"released\"",
    "    entry.state = \"released\""
  ),
  mutant(
    "goodbye-is-not-said",
    peers,
    "for (const entry of registry.all()) entry.drop(DropReason.make(\"Shutdown\"))",
    ""
  ),
  mutant(
    "slots-are-held-until-the-socket-closes",
    peers,
    "        wasDropped = true\n        registry.close(entry)",
    "        wasDropped = true"
  ),
  mutant("sockets-are-not-released", peers, "      registry.release(entry)\n      metrics", "      metrics"),
  mutant("bulk-is-not-consumed", delivery, `    this.pumpLane("bulk")\n`, ""),
  mutant(
    "nobody-hears-of-a-new-peer",
    live,
    "Effect.andThen(this.#tellAll(peer, (handler) => handler.connected?.(peer)))",
    "Effect.andThen(Effect.void)"
  ),
  mutant("writers-do-not-go-on", runtime, "    this.session.wrote(now)\n", ""),
  mutant(
    "readers-stay-stopped",
    runtime,
    "if (this.isThrottled && (ended || session.canRead))",
    "if (this.isThrottled && ended)"
  ),
  mutant(
    "auth-is-not-answered",
    handshake,
    "      this.out.push(Auth.make({ flags: AUTH_FLAGS }))\n      const addresses",
    "      const addresses"
  ),
  mutant(
    "callers-send-peers",
    handshake,
    "const addresses = admission.peersFor(remote)",
    "this.out.push(Peers.make({ addresses: admission.peersFor(remote) }))\n      const addresses = admission.peersFor(remote)"
  ),
  mutant(
    "sequences-skip-one",
    hmac,
    "      sequence.advance(1)\n",
    "      sequence.advance(sequence.low === 300 ? 2 : 1)\n"
  ),
  mutant(
    "patience-of-a-tenth",
    liveness,
    "now - Math.max(this.#lastRead, since) >= idle && now - this.#lastWrite >= idle",
    "now - Math.max(this.#lastRead, since) >= idle / 10"
  ),
  mutant("nobody-is-dialled", tick, "if (pending > 0 && free() > 0) {", "if (pending < 0) {"),
  mutant("sync-is-not-followed", overlay, "    peers.authenticated().forEach(shed)\n", "")
]
