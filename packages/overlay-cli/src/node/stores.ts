/** The database of a node: one SQLite file for addresses and bans. */
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import { OverlayDatabase } from "@stellar-overlay/overlay-sql/OverlayDatabase"
import * as SqlBanList from "@stellar-overlay/overlay-sql/SqlBanList"
import * as SqlPeerStore from "@stellar-overlay/overlay-sql/SqlPeerStore"
import type { BanList } from "@stellar-overlay/overlay/BanList"
import type { PeerStore } from "@stellar-overlay/overlay/PeerStore"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { dirname } from "node:path"

export interface Stores {
  readonly store: Layer.Layer<PeerStore>
  readonly bans: Layer.Layer<BanList>
}

/**
 * Stores over a file, which is created with its folder when it is missing. Whatever is the matter with it, the node runs
 * on without it and says so.
 */
export const sqlite = Effect.fnUntraced(function*(
  filename: string
): Effect.fn.Return<Stores, never, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  // a folder that cannot be made is a file that cannot be opened, which the stores report
  yield* Effect.ignore(files.makeDirectory(dirname(filename), { recursive: true }))
  const database = OverlayDatabase.layerLazy(NodeSqlite.layer({ filename }))
  return {
    store: Layer.provide(SqlPeerStore.layerDatabase, database),
    bans: Layer.provide(SqlBanList.layerDatabase(), database)
  }
})
