/** What the parts of a node have counted and hold, read when somebody asks. */
import type { BanList } from "../BanList.ts"
import type { FloodShape } from "../Flood.ts"
import type { ItemFetcherShape } from "../ItemFetcher.ts"
import type { LedgerView } from "../OverlayHost.ts"
import { messageTypeLabels, type NameOf } from "../OverlayMetricNames.ts"
import type { PeerManager } from "../PeerManager.ts"
import type { DemandAnswers } from "../protocol/DemandAnswers.ts"
import type { PeerRegistry } from "../protocol/PeerRegistry.ts"
import { Priority } from "../protocol/Priority.ts"
import type { Session } from "../protocol/Session.ts"
import { MESSAGE_TYPES } from "../protocol/SessionTimers.ts"
import type { TxAdverts } from "../protocol/TxAdverts.ts"
import type { VerifyBudget } from "../protocol/VerifyBudget.ts"
import type { SurveyStats } from "../Survey.ts"
import { isMessageType } from "../wire/MessageType.ts"
import { placeOf, type Sums } from "./metricsSeries.ts"

type Plain = NameOf<"counter" | "gauge">

/** The place of a series per message type; the types that share a label share a place. */
const byType = (name: Plain): ReadonlyArray<number> =>
  Array.from(
    { length: MESSAGE_TYPES },
    (_, type) => isMessageType(type) ? placeOf(name, [messageTypeLabels[type]]) : -1
  )

const received = byType("stellar_overlay_received_total")
const sent = byType("stellar_overlay_send_total")

const counted = {
  messageRead: placeOf("stellar_overlay_message_read_total"),
  messageWrite: placeOf("stellar_overlay_message_write_total"),
  byteRead: placeOf("stellar_overlay_byte_read_total"),
  byteWrite: placeOf("stellar_overlay_byte_write_total"),
  asyncRead: placeOf("stellar_overlay_async_read_total"),
  asyncWrite: placeOf("stellar_overlay_async_write_total"),
  grantsSent: placeOf("stellar_overlay_grants_sent_total"),
  grantsReceived: placeOf("stellar_overlay_grants_received_total"),
  queriesIgnored: placeOf("stellar_overlay_queries_ignored_total"),
  dropScp: placeOf("stellar_overlay_outbound_queue_drop_scp_total"),
  dropTx: placeOf("stellar_overlay_outbound_queue_drop_tx_total"),
  dropDemand: placeOf("stellar_overlay_outbound_queue_drop_demand_total"),
  dropAdvert: placeOf("stellar_overlay_outbound_queue_drop_advert_total"),
  refusedTxs: placeOf("stellar_overlay_outbound_refused_txs_total")
}

const held = {
  urgent: placeOf("stellar_overlay_inbox_messages", ["urgent"]),
  bulk: placeOf("stellar_overlay_inbox_messages", ["bulk"]),
  creditMessages: placeOf("stellar_overlay_credit_messages"),
  creditBytes: placeOf("stellar_overlay_credit_bytes"),
  usedMessages: placeOf("stellar_overlay_capacity_used_messages"),
  usedBytes: placeOf("stellar_overlay_capacity_used_bytes"),
  withoutCredit: placeOf("stellar_overlay_peers_without_credit"),
  paused: placeOf("stellar_overlay_peers_read_paused"),
  directMessages: placeOf("stellar_overlay_outbound_messages", ["direct"]),
  directBytes: placeOf("stellar_overlay_outbound_bytes", ["direct"])
}

const queues = (["scp", "tx", "demand", "advert"] as const).map((label, i) => ({
  priority: [Priority.Scp, Priority.Transaction, Priority.Demand, Priority.Advert][i]!,
  messages: placeOf("stellar_overlay_outbound_messages", [label]),
  bytes: placeOf("stellar_overlay_outbound_bytes", [label])
}))

export type Source = (sums: Sums) => void

/** One connection. */
export const session = (self: Session): Source => ({ values }) => {
  const { flow, queues: outbound, stats } = self
  for (let type = 0; type < MESSAGE_TYPES; type++) {
    if (stats.received[type]! > 0) values[received[type]!]! += stats.received[type]!
    if (stats.sent[type]! > 0) values[sent[type]!]! += stats.sent[type]!
  }
  values[counted.messageRead]! += stats.messagesRead
  values[counted.messageWrite]! += stats.messagesWritten
  values[counted.byteRead]! += stats.bytesRead
  values[counted.byteWrite]! += stats.bytesWritten
  values[counted.asyncRead]! += stats.asyncReads
  values[counted.asyncWrite]! += stats.asyncWrites
  values[counted.grantsSent]! += stats.grantsSent
  values[counted.grantsReceived]! += stats.grantsReceived
  values[counted.queriesIgnored]! += stats.queriesIgnored
  values[counted.dropScp]! += outbound.droppedScp
  values[counted.dropTx]! += outbound.droppedTransactions
  values[counted.dropDemand]! += outbound.droppedDemandHashes
  values[counted.dropAdvert]! += outbound.droppedAdvertHashes
  values[counted.refusedTxs]! += outbound.refusedTransactions

  values[held.urgent]! += self.waiting("urgent")
  values[held.bulk]! += self.waiting("bulk")
  values[held.directMessages]! += outbound.directLength
  values[held.directBytes]! += outbound.directBytes
  let isWaiting = false
  for (const { bytes, messages, priority } of queues) {
    const length = outbound.lengthOf(priority)
    values[messages]! += length
    values[bytes]! += outbound.bytesOf(priority)
    isWaiting ||= length > outbound.inFlightOf(priority)
  }
  if (self.dropReason !== undefined) return
  values[held.usedMessages]! += flow.usedFloodMessages
  values[held.usedBytes]! += flow.usedFloodBytes
  if (!self.isAuthenticated) return
  values[held.creditMessages]! += Number(flow.messageCredit)
  values[held.creditBytes]! += Number(flow.byteCredit)
  if (flow.starvedSince !== undefined && isWaiting) values[held.withoutCredit]!++
  if (flow.isPaused) values[held.paused]!++
}

/** The slots of a node, and who has them. */
export const registry = (self: PeerRegistry): Source => (sums) => {
  for (const [direction, role] of [["inbound", "acceptor"], ["outbound", "initiator"]] as const) {
    sums.add("stellar_overlay_peers", self.pendingCount(role), direction, "pending")
    sums.add("stellar_overlay_peers", self.authenticatedCount(role), direction, "authenticated")
    sums.add("stellar_overlay_connection_pending", self.pendingCount(role))
    sums.add("stellar_overlay_connection_authenticated", self.authenticatedCount(role))
  }
  sums.add("stellar_overlay_inbound_live", self.liveCount("acceptor"))
  sums.add("stellar_overlay_peer_slots", self.limits.maxInbound, "inbound")
  sums.add("stellar_overlay_peer_slots", self.limits.maxOutbound, "outbound")
}

/** What is known beside the connections: bans, addresses and the ledger. */
export const node = (
  bans: BanList["Service"],
  manager: PeerManager["Service"],
  ledger: () => LedgerView
): Source =>
(sums) => {
  sums.add("stellar_overlay_bans", bans.list().length)
  sums.add("stellar_overlay_known_addresses", manager.size())
  const { failing, failures } = manager.status()
  sums.add("stellar_overlay_storage_failures_total", failures)
  sums.add("stellar_overlay_storage_failing", failing === undefined ? 0 : 1)
  const { isSynced, isTracking, trackingIndex } = ledger()
  sums.add("stellar_overlay_ledger_sequence", trackingIndex)
  sums.add("stellar_overlay_ledger_tracking", isTracking ? 1 : 0)
  sums.add("stellar_overlay_ledger_synced", isSynced ? 1 : 0)
}

/** What is flooded. */
export const flood =
  ({ demands, gate, records, stats }: Pick<FloodShape, "demands" | "gate" | "records" | "stats">): Source => (sums) => {
    sums.add("stellar_overlay_message_broadcast_total", stats.broadcasts)
    sums.add("stellar_overlay_flood_broadcast_total", stats.sent)
    sums.add("stellar_overlay_flood_suppressed_total", stats.alreadyScheduled)
    sums.add("stellar_overlay_scp_discarded_total", stats.scpDiscarded)
    sums.add("stellar_overlay_memory_flood_known", gate.size)
    sums.add("stellar_overlay_flood_demanded_total", demands.demanded)
    sums.add("stellar_overlay_demand_timeout_total", demands.timeouts)
    sums.add("stellar_overlay_flood_abandoned_demands_total", demands.abandoned)
    sums.add("stellar_overlay_flood_relevant_txs_total", demands.relevant)
    sums.add("stellar_overlay_flood_irrelevant_txs_total", demands.irrelevant)
    sums.add("stellar_overlay_flood_demands_open", demands.size)
    sums.add("stellar_overlay_flood_unique_recv_total", records.uniqueFloodBytes)
    sums.add("stellar_overlay_flood_duplicate_recv_total", records.duplicateFloodBytes)
    sums.add("stellar_overlay_fetch_unique_recv_total", records.uniqueFetchBytes)
    sums.add("stellar_overlay_fetch_duplicate_recv_total", records.duplicateFetchBytes)
    sums.add("stellar_overlay_flood_messages_total", records.uniqueFloodMessages, "flood", "unique")
    sums.add("stellar_overlay_flood_messages_total", records.duplicateFloodMessages, "flood", "duplicate")
    sums.add("stellar_overlay_flood_messages_total", records.uniqueFetchMessages, "fetch", "unique")
    sums.add("stellar_overlay_flood_messages_total", records.duplicateFetchMessages, "fetch", "duplicate")
  }

/** Adverts to one peer, and answers to its demands. */
export const floodPeer = (adverts: TxAdverts, answers: DemandAnswers): Source => (sums) => {
  sums.add("stellar_overlay_flood_advertised_total", adverts.advertised)
  sums.add("stellar_overlay_flood_advert_suppressed_total", adverts.suppressed)
  sums.add("stellar_overlay_flood_fulfilled_total", answers.fulfilled)
  sums.add("stellar_overlay_flood_unfulfilled_banned_total", answers.unfulfilledBanned)
  sums.add("stellar_overlay_flood_unfulfilled_unknown_total", answers.unfulfilledUnknown)
  sums.add("stellar_overlay_flood_demands_repeated_total", answers.repeated)
}

/** What is fetched. */
export const fetcher = ({ quorumSets, txSets }: Pick<ItemFetcherShape, "txSets" | "quorumSets">): Source => (sums) => {
  for (const [item, table] of [["txset", txSets], ["qset", quorumSets]] as const) {
    sums.add("stellar_overlay_item_fetcher_next_peer_total", table.nextPeer)
    sums.add("stellar_overlay_fetch_requests_total", table.requests, item)
    sums.add("stellar_overlay_fetch_waiting", table.waiting, item)
    sums.add("stellar_overlay_fetch_failed_total", table.gaveUp + table.evicted, item)
  }
}

/** Surveys of others. */
export const survey = (stats: SurveyStats): Source => (sums) => {
  sums.add("stellar_overlay_survey_messages_total", stats.accepted, "accepted")
  sums.add("stellar_overlay_survey_messages_total", stats.ignored, "ignored")
  sums.add("stellar_overlay_survey_messages_total", stats.invalidSignatures, "invalid-signature")
  sums.add("stellar_overlay_survey_answered_total", stats.answered)
}

/** The budget for signatures. */
export const verifyBudget = (budget: VerifyBudget): Source => (sums) => {
  sums.add("stellar_overlay_verify_budget_waits_total", budget.refused)
}
