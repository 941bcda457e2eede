// Written by `npm run codegen`.

/**
 * The tables of this package, as numbered steps that run once each.
 *
 * @since 0.1.0
 */
export * as Migrations from "./Migrations.ts"

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
