// Written by `npm run codegen`.

/**
 * The tables of this package, as numbered steps that run once each.
 *
 * @since 0.1.0
 */
export * as Migrations from "./Migrations.ts"
export * as OverlayDatabase from "./OverlayDatabase.ts"
export * as SqlBanList from "./SqlBanList.ts"
export * as SqlPeerStore from "./SqlPeerStore.ts"
