// Written by `npm run codegen`.

/**
 * Which hashes a peer has advertised: those are not advertised back to it. At most 50,000 per peer, of which one at
 * random makes room for another, and at most 64 times that for a node, of which one of the longest history does. A peer
 * that advertises random hashes therefore pushes out its own, not those of others.
 *
 * @since 0.1.0
 */
export * as AdvertHistory from "./protocol/AdvertHistory.ts"

/**
 * The layout of the only top-level type on the wire: version, sequence number, StellarMessage, MAC.
 *
 * @since 0.1.0
 */
export * as AuthenticatedMessage from "./wire/AuthenticatedMessage.ts"

/**
 * Nodes that may not connect, by their key: for good or until a time, by an operator or by their own conduct.
 *
 * @since 0.1.0
 */
export * as BanList from "./BanList.ts"

/**
 * How fast an announced message must arrive: who announces 16 MiB and then trickles is ended while little is pinned.
 *
 * @since 0.1.0
 */
export * as BodyRate from "./protocol/BodyRate.ts"

/**
 * The flow-control capacity that a batch of received messages holds until it is processed, to be returned exactly once
 * whatever happens to the handler: its end, a failure, an interruption, a closed scope.
 *
 * @since 0.1.0
 */
export * as CapacityReceipt from "./protocol/CapacityReceipt.ts"

/**
 * When a polite sender should wait for a peer.
 *
 * @since 0.1.0
 */
export * as Congestion from "./protocol/Congestion.ts"

/**
 * Which addresses a crawl knows, and which of them to dial next.
 *
 * @since 0.1.0
 */
export * as CrawlFrontier from "./protocol/CrawlFrontier.ts"

/**
 * How far behind the network the nodes of a crawl are, and how wrong their clocks.
 *
 * @since 0.1.0
 */
export * as CrawlLag from "./protocol/CrawlLag.ts"

/**
 * What a crawl says about an address, and how the end of a connection becomes that.
 *
 * @since 0.1.0
 */
export * as CrawlStatus from "./protocol/CrawlStatus.ts"

/**
 * Who is on a network: from a few seeds to everybody they know, everybody those know, and so on.
 *
 * @since 0.1.0
 */
export * as Crawler from "./Crawler.ts"

/**
 * What a crawl finds, as data: records of addresses, attempts and nodes, the events in which they come, and the state
 * from which a crawl goes on later.
 *
 * @since 0.1.0
 */
export * as CrawlerEvents from "./CrawlerEvents.ts"

/**
 * Delays of the last five minutes, in a few dozen samples: lifetime count and sum, and quantiles over the window.
 *
 * @since 0.1.0
 */
export * as DelayWindow from "./protocol/DelayWindow.ts"

/**
 * Which demands of one peer are answered: those for transactions we hold, each at most once a minute.
 *
 * @since 0.1.0
 */
export * as DemandAnswers from "./protocol/DemandAnswers.ts"

/**
 * Whom to ask first for an advertised transaction, so that peers who advertise and do not deliver cannot hold it back.
 *
 * @since 0.1.0
 */
export * as DemandOrder from "./protocol/DemandOrder.ts"

/**
 * How often strangers can make us dial one host.
 *
 * @since 0.1.0
 */
export * as DialLimiter from "./protocol/DialLimiter.ts"

/**
 * Why a connection ended: one closed union shared by metrics, logs, events, bans and the command line.
 *
 * @since 0.1.0
 */
export * as DropReason from "./DropReason.ts"

/**
 * How far this node and others lag behind the first EXTERNALIZE of a slot: the two latencies that a survey reports.
 *
 * @since 0.1.0
 */
export * as ExternalizeTimes from "./protocol/ExternalizeTimes.ts"

/**
 * Messages to everyone, once: SCP in full, transactions by advert and demand.
 *
 * @since 0.1.0
 */
export * as Flood from "./Flood.ts"

/**
 * How many transactions a host advertises per round: the best paying first, for as long as the round's budget lasts,
 * with what is left over carried into the next round.
 *
 * @since 0.1.0
 */
export * as FloodBudget from "./protocol/FloodBudget.ts"

/**
 * A limit on flooded messages per second over all peers together. Off by default: flow control bounds what each peer may
 * have under way, and the ledger what is worth relaying. A message over the limit is to be dropped as if it had not come;
 * its capacity goes back, and nobody is blamed.
 *
 * @since 0.1.0
 */
export * as FloodRateLimit from "./protocol/FloodRateLimit.ts"

/**
 * How much is flooded per message and per round, as it follows from the limits of the ledger: hashes in an advert and
 * in a demand, operations and Soroban transactions advertised per round.
 *
 * @since 0.1.0
 */
export * as FloodRates from "./protocol/FloodRates.ts"

/**
 * When pending transactions are advertised: not at once but in rounds, best fee first, so many operations a round.
 *
 * @since 0.1.0
 */
export * as FloodRounds from "./protocol/FloodRounds.ts"

/**
 * Who has which flooded message: whom we heard it from and whom we told, so that every peer gets a message once.
 *
 * @since 0.1.0
 */
export * as Floodgate from "./protocol/Floodgate.ts"

/**
 * The credit of one connection, in messages and in bytes, on both of its sides.
 *
 * @since 0.1.0
 */
export * as FlowControl from "./protocol/FlowControl.ts"

/**
 * The flow-control part of the `peers` command, with stellar-core's keys.
 *
 * @since 0.1.0
 */
export * as FlowControlJson from "./protocol/FlowControlJson.ts"

/**
 * The numbers flow control runs on: as configured, as derived from the greatest transaction, and what can be wrong with
 * them.
 *
 * @since 0.1.0
 */
export * as FlowControlOptions from "./protocol/FlowControlOptions.ts"

/**
 * A stream that goes on: messages from several peers of a list, without repeats, while peers come, go, fill up, fall
 * silent or ask for another protocol version.
 *
 * @since 0.1.0
 */
export * as Follow from "./Follow.ts"

/**
 * Record marks: cutting a stream of bytes into message bodies, and marking the bodies we send.
 *
 * @since 0.1.0
 */
export * as Frame from "./wire/Frame.ts"

/**
 * The handshake of one connection, both roles, as a transition table.
 *
 * @since 0.1.0
 */
export * as Handshake from "./protocol/Handshake.ts"

/**
 * How many connections or handshakes unknown nodes may cost: token buckets per host and for all, so that a storm of
 * connections or of HELLOs with bad signatures takes a bounded share of the processor (a signature check costs about
 * 60 us), and a host that misbehaves is not heard for a while.
 *
 * @since 0.1.0
 */
export * as HandshakeBudget from "./protocol/HandshakeBudget.ts"

/**
 * A FIFO of 32-byte hashes in one flat ring: a hash costs 32 bytes and no object, where a Uint8Array of its own costs
 * 200.
 *
 * @since 0.1.0
 */
export * as HashQueue from "./protocol/HashQueue.ts"

/**
 * A distribution in buckets: what was observed since creation, in numbers that are incremented and nothing else.
 *
 * @since 0.1.0
 */
export * as Histogram from "./protocol/Histogram.ts"

/**
 * Sequence numbers and MACs of one connection: what proves that each message comes from the peer, whole and in order.
 *
 * @since 0.1.0
 */
export * as Hmac from "./protocol/Hmac.ts"

/**
 * Who of a full inbound list makes room for a newcomer: an idle peer that takes a slot and gives nothing.
 *
 * @since 0.1.0
 */
export * as InboundEviction from "./protocol/InboundEviction.ts"

/**
 * Received messages on their way to the consumer, in two lanes: SCP, fetch replies and everything else that is rare
 * never wait behind transactions, adverts and demands.
 *
 * @since 0.1.0
 */
export * as Inbox from "./protocol/Inbox.ts"

/**
 * Transaction sets or quorum sets by their hash, for as long as SCP messages of remembered slots refer to them.
 *
 * @since 0.1.0
 */
export * as ItemCache from "./protocol/ItemCache.ts"

/**
 * Finding what SCP messages refer to: transaction sets and quorum sets, asked of one peer after another until one has it.
 *
 * @since 0.1.0
 */
export * as ItemFetcher from "./ItemFetcher.ts"

/**
 * The items of one kind that are being looked for, each with the SCP envelopes that cannot be processed without it.
 * There are two such tables: transaction sets and quorum sets.
 *
 * @since 0.1.0
 */
export * as ItemFetcherTable from "./protocol/ItemFetcherTable.ts"

/**
 * The search for one item, a transaction set or a quorum set: who waits for it, who was asked, who is asked next.
 *
 * @since 0.1.0
 */
export * as ItemTracker from "./protocol/ItemTracker.ts"

/**
 * The few numbers about the ledger that shedding in the outbound queues depends on, and how they follow from the
 * ledger consensus is at.
 *
 * @since 0.1.0
 */
export * as LedgerContext from "./protocol/LedgerContext.ts"

/**
 * Which ledger the network is at, for a node that takes part in nothing: learnt from the EXTERNALIZE messages it hears.
 *
 * @since 0.1.0
 */
export * as LedgerTracker from "./protocol/LedgerTracker.ts"

/**
 * How many lines a log may take: at most so many in any second, whoever causes them, with exact counts of what was left
 * out.
 *
 * @since 0.1.0
 */
export * as LineBudget from "./protocol/LineBudget.ts"

/**
 * What ends a connection by time, and the ping that keeps it alive and measures it.
 *
 * @since 0.1.0
 */
export * as Liveness from "./protocol/Liveness.ts"

/**
 * This node as its peers see it: what it announces, the certificate authority of its connections, and the derived
 * numbers of its configuration. One per process and network; every connection shares it.
 *
 * @since 0.1.0
 */
export * as LocalNode from "./LocalNode.ts"

/**
 * Loggers that peers cannot flood: at most 100 lines in any second, the last twenty kept for warnings and errors, and a
 * line that says exactly how many were suppressed.
 *
 * @since 0.1.0
 */
export * as LogLimiter from "./LogLimiter.ts"

/**
 * Messages from all peers to any number of subscribers, each with its own way of being slow.
 *
 * @since 0.1.0
 */
export * as MessageHub from "./MessageHub.ts"

/**
 * From bytes to the bodies of whole messages that are valid XDR: the front of a connection's input, before MACs.
 *
 * @since 0.1.0
 */
export * as MessageReader from "./protocol/MessageReader.ts"

/**
 * How much of what is received had been received before, for flooded and for fetched messages.
 *
 * @since 0.1.0
 */
export * as MessageRecords from "./protocol/MessageRecords.ts"

/**
 * The discriminants of StellarMessage and what the overlay says about each: its stellar-core name, whether it is
 * flow-controlled, and the scheduling lane its kind travels in.
 *
 * @since 0.1.0
 */
export * as MessageType from "./wire/MessageType.ts"

/**
 * The identity of a node: its Ed25519 public key in strkey form (`G…`).
 *
 * @since 0.1.0
 */
export * as NodeId from "./wire/NodeId.ts"

/**
 * Who this node is: its Ed25519 key, which signs certificates and messages and never leaves this module.
 *
 * @since 0.1.0
 */
export * as NodeIdentity from "./NodeIdentity.ts"

/**
 * What an operator may type for a node: its key, `$name`, or `@prefix`.
 *
 * @since 0.1.0
 */
export * as NodeIds from "./NodeIds.ts"

/**
 * When a node that lost consensus may exchange a random peer for another: every 60 s, and only while its outbound slots
 * are full.
 *
 * @since 0.1.0
 */
export * as OutOfSyncTimer from "./protocol/OutOfSyncTimer.ts"

/**
 * The messages of one write, in wire order, filled by `OutboundQueues.nextBatch` and handed back by `wrote`.
 *
 * @since 0.1.0
 */
export * as OutboundBatch from "./protocol/OutboundBatch.ts"

/**
 * Everything one connection has to send: four flow-controlled queues by priority and one lane for all other messages.
 *
 * @since 0.1.0
 */
export * as OutboundQueues from "./protocol/OutboundQueues.ts"

/**
 * The overlay of one node: it listens, finds peers and keeps them, remembers who was good and who is banned, and tells
 * everybody before it goes.
 *
 * @since 0.1.0
 */
export * as Overlay from "./Overlay.ts"

/**
 * The operator's commands with stellar-core's names, parameters, texts and JSON, as plain requests and responses: whoever
 * runs an HTTP server passes them through, and whoever writes a test needs none.
 *
 * @since 0.1.0
 */
export * as OverlayAdmin from "./OverlayAdmin.ts"

/**
 * Every number an operator may turn, with stellar-core's defaults, checked before anything starts.
 *
 * @since 0.1.0
 */
export * as OverlayConfig from "./OverlayConfig.ts"

/**
 * Cryptography as a service: hashes, MACs, key agreement and signatures, synchronous and in batches.
 *
 * @since 0.1.0
 */
export * as OverlayCrypto from "./OverlayCrypto.ts"

/**
 * The error a user of a peer can meet.
 *
 * @since 0.1.0
 */
export * as OverlayError from "./OverlayError.ts"

/**
 * Events as JSON, for programs, logs and pages.
 *
 * @since 0.1.0
 */
export * as OverlayEventJson from "./OverlayEventJson.ts"

/**
 * What happens to peers, addresses, bans, surveys, fetches and the node itself, as a low-rate stream of typed events.
 *
 * @since 0.1.0
 */
export * as OverlayEvents from "./OverlayEvents.ts"

/**
 * Whether a node is well: a few facts in, the reasons why not out.
 *
 * @since 0.1.0
 */
export * as OverlayHealth from "./OverlayHealth.ts"

/**
 * Collects the facts about a running node that `OverlayHealth` judges.
 *
 * @since 0.1.0
 */
export * as OverlayHealthMonitor from "./OverlayHealthMonitor.ts"

/**
 * What the embedding node supplies: its ledger, its transactions, its SCP state, and its judgement of what arrives.
 *
 * @since 0.1.0
 */
export * as OverlayHost from "./OverlayHost.ts"

/**
 * A host for a sentry: it relays what is worth relaying, and answers questions, without a ledger.
 *
 * @since 0.1.0
 */
export * as OverlayHostRelay from "./OverlayHostRelay.ts"

/**
 * A host that only looks on: it takes SCP messages, relays nothing, has nothing, and wants no transactions.
 *
 * @since 0.1.0
 */
export * as OverlayHostWatcher from "./OverlayHostWatcher.ts"

/**
 * Every metric of a node: its name, what it counts, its unit, the closed set of its labels, and stellar-core's name for it.
 *
 * @since 0.1.0
 */
export * as OverlayMetricNames from "./OverlayMetricNames.ts"

/**
 * What a node counts, measures and holds, for whoever watches it.
 *
 * @since 0.1.0
 */
export * as OverlayMetrics from "./OverlayMetrics.ts"

/**
 * Metrics as stellar-core's `metrics` command prints them, under its names.
 *
 * @since 0.1.0
 */
export * as OverlayMetricsJson from "./OverlayMetricsJson.ts"

/**
 * Metrics over OTLP, to an OpenTelemetry collector or whoever understands it.
 *
 * @since 0.1.0
 */
export * as OverlayMetricsOtlp from "./OverlayMetricsOtlp.ts"

/**
 * Metrics in the text format that Prometheus reads, version 0.0.4.
 *
 * @since 0.1.0
 */
export * as OverlayMetricsPrometheus from "./OverlayMetricsPrometheus.ts"

/**
 * What the metrics of a node are at one moment: plain data that renderers, tests and programs read.
 *
 * @since 0.1.0
 */
export * as OverlayMetricsSnapshot from "./OverlayMetricsSnapshot.ts"

/**
 * A peer as a scoped Effect: connect or accept, consume typed messages as a stream, leave the scope to say goodbye.
 *
 * @since 0.1.0
 */
export * as Peer from "./Peer.ts"

/**
 * Where a node listens: an IP address or a host name, and a port.
 *
 * @since 0.1.0
 */
export * as PeerAddress from "./wire/PeerAddress.ts"

/**
 * Who a node is to its peers: certificates for an ephemeral Curve25519 key, key agreement, and the MAC keys of each
 * connection.
 *
 * @since 0.1.0
 */
export * as PeerAuth from "./protocol/PeerAuth.ts"

/**
 * When an address may be dialled again, and what the table calls it: the two small tables of the peer database.
 *
 * @since 0.1.0
 */
export * as PeerBackoff from "./protocol/PeerBackoff.ts"

/**
 * A peer as stellar-core's `peers` command shows it.
 *
 * @since 0.1.0
 */
export * as PeerJson from "./PeerJson.ts"

/**
 * Which addresses this node knows, which of them to dial next and which to pass on.
 *
 * @since 0.1.0
 */
export * as PeerManager from "./PeerManager.ts"

/**
 * What can be turned about the table of known addresses.
 *
 * @since 0.1.0
 */
export * as PeerManagerConfig from "./PeerManagerConfig.ts"

/**
 * Every connection of a node, from the first byte to the last, and the one place where it is decided who may stay.
 *
 * @since 0.1.0
 */
export * as PeerRegistry from "./protocol/PeerRegistry.ts"

/**
 * The configured peers as addresses, kept up to date in the background.
 *
 * @since 0.1.0
 */
export * as PeerResolution from "./PeerResolution.ts"

/**
 * Which rows of the table answer a query, and in which random order.
 *
 * @since 0.1.0
 */
export * as PeerSelection from "./protocol/PeerSelection.ts"

/**
 * Where known addresses outlive the process: the seam between `PeerManager` and a database.
 *
 * @since 0.1.0
 */
export * as PeerStore from "./PeerStore.ts"

/**
 * The table of known addresses in memory: who is in it, who has to leave, and which rows the database has not seen yet.
 *
 * @since 0.1.0
 */
export * as PeerTable from "./protocol/PeerTable.ts"

/**
 * All peers of a node: the one admission path for dialled and accepted connections, and the loop that hands their
 * messages to whoever registered for them.
 *
 * @since 0.1.0
 */
export * as Peers from "./Peers.ts"

/**
 * What can be turned about admission beyond `OverlayConfig`.
 *
 * @since 0.1.0
 */
export * as PeersConfig from "./PeersConfig.ts"

/**
 * What becomes of an SCP message at a node that relays without taking part: discarded, held until what it refers to has
 * come, or relayed and remembered.
 *
 * @since 0.1.0
 */
export * as PendingEnvelopes from "./protocol/PendingEnvelopes.ts"

/**
 * The cryptographic operations the protocol needs, as synchronous functions on bytes.
 *
 * @since 0.1.0
 */
export * as Primitives from "./protocol/Primitives.ts"

/**
 * The urgency of flow-controlled messages.
 *
 * @since 0.1.0
 */
export * as Priority from "./protocol/Priority.ts"

/**
 * How many requests of one peer are answered in a window of time. What goes beyond is ignored in silence, as
 * stellar-core does: the peer asks another node, and nobody is dropped.
 *
 * @since 0.1.0
 */
export * as QueryLimiter from "./protocol/QueryLimiter.ts"

/**
 * Whose SCP messages matter: everybody's, those of listed nodes, or those of the transitive quorum.
 *
 * @since 0.1.0
 */
export * as QuorumFilter from "./protocol/QuorumFilter.ts"

/**
 * Whether a quorum set makes sense. One that does not is not used, and the envelopes that name it are discarded.
 *
 * @since 0.1.0
 */
export * as QuorumSetSanity from "./protocol/QuorumSetSanity.ts"

/**
 * What a quorum set means: whom it names, and whether some nodes are enough for it.
 *
 * @since 0.1.0
 */
export * as QuorumSlices from "./protocol/QuorumSlices.ts"

/**
 * Random addresses in small portions from one query, without asking the table each time.
 *
 * @since 0.1.0
 */
export * as RandomPeerSource from "./RandomPeerSource.ts"

/**
 * A per-peer policy on messages and bytes received per second. Off by default: flow control already bounds what a peer
 * may have under way, and no honest rate is known in advance. When on, a peer over the rate is dropped with ERR_LOAD,
 * never slowed down or cut in silence.
 *
 * @since 0.1.0
 */
export * as RateLimiter from "./protocol/RateLimiter.ts"

/**
 * Host names to IP addresses, as a seam: `layerStatic` answers from a table, `NodeResolver.layer` asks the operating
 * system.
 *
 * @since 0.1.0
 */
export * as Resolver from "./Resolver.ts"

/**
 * The SCP messages and transactions that are waiting or being processed, so that a copy which arrives meanwhile is
 * discarded at once, before it is decoded. Its sender gets no entry in the floodgate, and its capacity goes back.
 *
 * @since 0.1.0
 */
export * as ScheduledMessages from "./protocol/ScheduledMessages.ts"

/**
 * Signatures of SCP statements: Ed25519 over the network id, ENVELOPE_TYPE_SCP and the statement, not hashed before.
 *
 * @since 0.1.0
 */
export * as ScpSignature from "./protocol/ScpSignature.ts"

/**
 * The latest SCP messages of every validator for the slots worth remembering: what a node answers GET_SCP_STATE with.
 *
 * @since 0.1.0
 */
export * as ScpState from "./protocol/ScpState.ts"

/**
 * Whether one SCP statement makes an earlier one of the same node and slot pointless to send.
 *
 * @since 0.1.0
 */
export * as ScpSupersedes from "./protocol/ScpSupersedes.ts"

/**
 * Everything one connection needs between its bytes and its messages: framing, validation, MACs, the handshake, flow
 * control, outbound queues, liveness and query limits, as one synchronous machine.
 *
 * @since 0.1.0
 */
export * as Session from "./protocol/Session.ts"

/**
 * What a `Session` is made of, and what it reports.
 *
 * @since 0.1.0
 */
export * as SessionOptions from "./protocol/SessionOptions.ts"

/**
 * The counters of one connection.
 *
 * @since 0.1.0
 */
export * as SessionStats from "./protocol/SessionStats.ts"

/**
 * Where the connections of a node record times: histograms they share, so that nothing is summed up when one is asked for
 * and nothing is lost when a connection ends.
 *
 * @since 0.1.0
 */
export * as SessionTimers from "./protocol/SessionTimers.ts"

/**
 * The messages of one write as one slab of bytes: frames, sequence numbers and MACs.
 *
 * @since 0.1.0
 */
export * as SlabWriter from "./protocol/SlabWriter.ts"

/**
 * StellarMessage, the union of everything nodes say to each other: one tagged class per message type.
 *
 * @since 0.1.0
 */
export * as StellarMessage from "./wire/StellarMessage.ts"

/**
 * What validators agree on: a transaction set, a close time, upgrades, and who proposed them.
 *
 * @since 0.1.0
 */
export * as StellarValue from "./protocol/StellarValue.ts"

/**
 * What can go wrong with the database under `PeerStore` and `BanList`, and how the operator hears of it.
 *
 * @since 0.1.0
 */
export * as StorageError from "./StorageError.ts"

/**
 * The time-sliced survey, in both roles: what this node collects and tells when it is surveyed, what it relays for
 * others, and surveys of its own.
 *
 * @since 0.1.0
 */
export * as Survey from "./Survey.ts"

/**
 * The operator's commands about surveys, with stellar-core's names, parameters, texts and JSON.
 *
 * @since 0.1.0
 */
export * as SurveyAdmin from "./SurveyAdmin.ts"

/**
 * What a surveyed node tells: about itself, and about up to 25 peers of each direction. As XDR, and as the JSON of
 * stellar-core's `getsurveyresult`.
 *
 * @since 0.1.0
 */
export * as SurveyBody from "./protocol/SurveyBody.ts"

/**
 * What can be turned about surveys beyond `OverlayConfig`, which has the keys of surveyors.
 *
 * @since 0.1.0
 */
export * as SurveyConfig from "./SurveyConfig.ts"

/**
 * Signatures and secrecy of the survey.
 *
 * @since 0.1.0
 */
export * as SurveyCrypto from "./protocol/SurveyCrypto.ts"

/**
 * How many survey messages a node takes part in: so many surveyors in a ledger, so many surveyed nodes of each, every
 * pair once, and no response that nobody asked for.
 *
 * @since 0.1.0
 */
export * as SurveyLimiter from "./protocol/SurveyLimiter.ts"

/**
 * The distribution of a few hundred numbers out of any number of them: what a survey says about latencies.
 *
 * @since 0.1.0
 */
export * as SurveySamples from "./protocol/SurveySamples.ts"

/**
 * A surveyed node's part of a survey: its phases, and what it collects about itself and its peers.
 *
 * @since 0.1.0
 */
export * as SurveyState from "./protocol/SurveyState.ts"

/**
 * The surveyor's part of a survey: whom it still wants to ask, with what key, and what was answered.
 *
 * @since 0.1.0
 */
export * as Surveyor from "./protocol/Surveyor.ts"

/**
 * What a transaction bids for its place in a flood round, read from its envelope without decoding it: the fee it pays for
 * inclusion, the operations it pays for, and which limits of the ledger it competes for.
 *
 * @since 0.1.0
 */
export * as TransactionBid from "./protocol/TransactionBid.ts"

/**
 * Transactions by the SHA-256 of their envelope, for a node without a ledger: it cannot tell whether they are valid or
 * applied, so it keeps them for a while, passes them on, and then wants to hear no more of them for a while.
 *
 * @since 0.1.0
 */
export * as TransactionPool from "./protocol/TransactionPool.ts"

/**
 * Byte connections: dialling, listening, and nothing about Stellar.
 *
 * @since 0.1.0
 */
export * as Transport from "./Transport.ts"

/**
 * The adverts of one connection: hashes we are about to advertise to the peer, and hashes it advertised to us that we
 * have not decided about yet.
 *
 * @since 0.1.0
 */
export * as TxAdverts from "./protocol/TxAdverts.ts"

/**
 * Which advertised transactions to ask of whom, and what came of it. One instance per node.
 *
 * @since 0.1.0
 */
export * as TxDemands from "./protocol/TxDemands.ts"

/**
 * How many signatures may be checked, in all and for one peer: token buckets, so that a storm of SCP messages takes a
 * bounded share of the processor and slows down who sends it.
 *
 * @since 0.1.0
 */
export * as VerifyBudget from "./protocol/VerifyBudget.ts"

/**
 * The failure of a parser in `wire`: what was wrong, and where.
 *
 * @since 0.1.0
 */
export * as WireError from "./wire/WireError.ts"

/**
 * The shape of an XDR type as plain data, read from the type definitions that stellar-base itself decodes with.
 *
 * @since 0.1.0
 */
export * as XdrShape from "./wire/XdrShape.ts"

/**
 * Decides whether bytes are one structurally valid XDR value, without decoding them.
 *
 * @since 0.1.0
 */
export * as XdrValidator from "./wire/XdrValidator.ts"
