// Written by `npm run codegen`.

/**
 * Crawls in a database: written in batches while they run, so that one that is killed goes on where the last batch ended;
 * read as a whole; and compared with each other.
 *
 * @since 0.1.0
 */
export * as CrawlDatabase from "./CrawlDatabase.ts"

/**
 * The tables of this package, as numbered steps that run once each.
 *
 * @since 0.1.0
 */
export * as Migrations from "./Migrations.ts"

/**
 * The database of what is known about a network: crawls and surveys, in one file. See `docs/CRAWL.md` for the tables.
 *
 * @since 0.1.0
 */
export * as NetworkDatabase from "./NetworkDatabase.ts"

/**
 * The tables of a network database: crawls, surveys, and what they found. `docs/CRAWL.md` explains every column and has
 * queries to begin with.
 *
 * @since 0.1.0
 */
export * as NetworkMigrations from "./NetworkMigrations.ts"

/**
 * One database for everything the overlay keeps: opened, brought to the present schema, and used by one operation at a
 * time.
 *
 * @since 0.1.0
 */
export * as OverlayDatabase from "./OverlayDatabase.ts"

/**
 * `BanList` whose bans are kept in a SQL database: SQLite, or PostgreSQL with the same statements.
 *
 * @since 0.1.0
 */
export * as SqlBanList from "./SqlBanList.ts"

/**
 * `PeerStore` in a SQL database: SQLite, or PostgreSQL with the same statements.
 *
 * @since 0.1.0
 */
export * as SqlPeerStore from "./SqlPeerStore.ts"

/**
 * Surveys in a database, beside the crawls: what each surveyed node said about itself and its connections, written as
 * answers come, so that a survey that was cut short can go on.
 *
 * @since 0.1.0
 */
export * as SurveyDatabase from "./SurveyDatabase.ts"
