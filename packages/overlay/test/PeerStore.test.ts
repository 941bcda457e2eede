import { describe, it } from "@effect/vitest"
import * as PeerStoreContract from "@stellar-overlay/overlay-test/contract/PeerStoreContract"
import { makeMemory, PeerStore } from "@stellar-overlay/overlay/PeerStore"
import { Layer } from "effect"

describe("PeerStore in memory", () => {
  for (const { run, title } of PeerStoreContract.cases) {
    const rows = new Map()
    it.effect(title, () => run(Layer.sync(PeerStore, () => makeMemory(rows))))
  }
})
