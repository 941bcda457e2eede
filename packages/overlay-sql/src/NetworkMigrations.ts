/**
 * The tables of a network database: crawls, surveys, and what they found. `docs/CRAWL.md` explains every column and has
 * queries to begin with.
 *
 * They have steps of their own beside those of `Migrations`, so that a network database has no tables of a node, and one
 * file may still hold both. All times are Unix milliseconds, all durations milliseconds. What a peer said about itself is
 * stored as it came: escape it before it is shown.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/**
 * Where the steps that have run are recorded.
 *
 * @category constants
 * @since 0.1.0
 */
export const TABLE = "network_migrations"

const statements = (...texts: ReadonlyArray<string>) =>
  SqlClient.SqlClient.use((sql) => Effect.forEach(texts, (text) => sql.unsafe(text), { discard: true }))

const status = `check (status in ('pending', 'open', 'full', 'rejected', 'wrong-network', 'closed', 'unresponsive',
  'timeout', 'refused', 'unreachable', 'violation', 'skipped'))`

/**
 * The steps by number and name. Only what SQLite and PostgreSQL share.
 *
 * `crawl` is one run over a network, with its limits as JSON in `options`. `address` is every place that was heard of
 * and passed the filters; `attempt` every dial; `node` every identity that proved itself by its certificate (the status
 * is the best of its addresses); `edge` that a node told an address in PEERS, which is knowledge of it and no
 * connection. `survey` is one time-sliced survey (protocol.md 12), `survey_node` what a surveyed node said about itself
 * (12.3), `survey_edge` one entry of its inbound or outbound peers.
 *
 * @category constants
 * @since 0.1.0
 */
export const migrations: Readonly<Record<string, Effect.Effect<unknown, SqlError, SqlClient.SqlClient>>> = {
  "0001_crawl": statements(
    `create table crawl (
      id integer not null primary key,
      network_id char(64) not null,
      network varchar(32),
      started_at bigint not null,
      updated_at bigint not null,
      ended_at bigint,
      outcome varchar(16) not null default 'running'
        check (outcome in ('running', 'completed', 'time-limit', 'interrupted')),
      active_millis bigint not null default 0,
      seeds text not null,
      options text not null,
      version varchar(100) not null
    )`,
    `create table node (
      crawl_id integer not null references crawl (id),
      node_id char(56) not null,
      status varchar(16) not null ${status},
      version varchar(100) not null,
      overlay_version bigint not null,
      overlay_min_version bigint not null,
      ledger_version bigint not null,
      listening_port integer not null,
      clock_skew_seconds integer,
      first_seen_at bigint not null,
      last_seen_at bigint not null,
      connect_millis double precision,
      handshake_millis double precision,
      ping_millis double precision,
      slot bigint,
      slot_at bigint,
      lag integer,
      validating integer not null default 0 check (validating in (0, 1)),
      validated_slot bigint,
      peers_told integer,
      peers_refused integer not null default 0,
      primary key (crawl_id, node_id)
    )`,
    `create table address (
      crawl_id integer not null references crawl (id),
      host varchar(255) not null,
      port integer not null check (port between 1 and 65535),
      status varchar(16) not null default 'pending' ${status},
      node_id char(56),
      seed integer not null default 0 check (seed in (0, 1)),
      depth integer not null,
      source char(56),
      found_at bigint not null,
      attempts integer not null default 0,
      last_attempt_at bigint,
      next_attempt_at bigint,
      done integer not null default 0 check (done in (0, 1)),
      primary key (crawl_id, host, port)
    )`,
    `create index address_node on address (crawl_id, node_id)`,
    `create table attempt (
      crawl_id integer not null references crawl (id),
      host varchar(255) not null,
      port integer not null,
      number integer not null,
      started_at bigint not null,
      ended_at bigint not null,
      status varchar(16) not null ${status},
      reason varchar(64),
      detail text,
      node_id char(56),
      network_id char(64),
      connect_millis double precision,
      handshake_millis double precision,
      ping_millis double precision,
      primary key (crawl_id, host, port, number)
    )`,
    `create index attempt_node on attempt (crawl_id, node_id)`,
    `create table edge (
      crawl_id integer not null references crawl (id),
      node_id char(56) not null,
      host varchar(255) not null,
      port integer not null,
      seen_at bigint not null,
      primary key (crawl_id, node_id, host, port)
    )`,
    `create index edge_target on edge (crawl_id, host, port)`
  ),
  "0002_survey": statements(
    `create table survey (
      id integer not null primary key,
      network_id char(64) not null,
      network varchar(32),
      surveyor_id char(56) not null,
      nonce bigint not null,
      via text not null,
      started_at bigint not null,
      stopped_at bigint,
      updated_at bigint not null,
      ended_at bigint,
      phase varchar(16) not null default 'collecting'
        check (phase in ('collecting', 'reporting', 'completed', 'interrupted')),
      options text not null,
      version varchar(100) not null
    )`,
    `create table survey_node (
      survey_id integer not null references survey (id),
      node_id char(56) not null,
      status varchar(16) not null check (status in ('backlog', 'requested', 'answered', 'bad-response', 'silent')),
      requested_at bigint,
      answered_at bigint,
      requests integer not null default 0,
      added_authenticated_peers bigint,
      dropped_authenticated_peers bigint,
      total_inbound_peer_count bigint,
      total_outbound_peer_count bigint,
      p75_scp_first_to_self_latency_ms bigint,
      p75_scp_self_to_other_latency_ms bigint,
      lost_sync_count bigint,
      is_validator integer check (is_validator in (0, 1)),
      max_inbound_peer_count bigint,
      max_outbound_peer_count bigint,
      primary key (survey_id, node_id)
    )`,
    `create table survey_edge (
      survey_id integer not null references survey (id),
      node_id char(56) not null,
      direction varchar(8) not null check (direction in ('inbound', 'outbound')),
      peer_id char(56) not null,
      version varchar(100) not null,
      messages_read bigint not null,
      messages_written bigint not null,
      bytes_read bigint not null,
      bytes_written bigint not null,
      seconds_connected bigint not null,
      unique_flood_bytes_recv bigint not null,
      duplicate_flood_bytes_recv bigint not null,
      unique_fetch_bytes_recv bigint not null,
      duplicate_fetch_bytes_recv bigint not null,
      unique_flood_message_recv bigint not null,
      duplicate_flood_message_recv bigint not null,
      unique_fetch_message_recv bigint not null,
      duplicate_fetch_message_recv bigint not null,
      average_latency_ms bigint not null,
      primary key (survey_id, node_id, direction, peer_id)
    )`,
    `create index survey_edge_peer on survey_edge (survey_id, peer_id)`
  )
}

/**
 * Runs the steps that have not run yet, in one transaction, and returns their numbers and names.
 *
 * @category migrations
 * @since 0.1.0
 */
export const run: Effect.Effect<
  ReadonlyArray<readonly [id: number, name: string]>,
  Migrator.MigrationError | SqlError,
  SqlClient.SqlClient
> = Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: TABLE })
