import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as TransportContract from "../src/contract/TransportContract.ts"
import * as LoopbackTransport from "../src/LoopbackTransport.ts"
import * as World from "../src/World.ts"

describe("contract, default runtime", () => {
  for (const { run, title } of TransportContract.cases) {
    it.live(title, () => Effect.provide(run, LoopbackTransport.layer))
  }
})
describe("contract, World", () => {
  for (const { run, title } of TransportContract.cases) {
    it.effect(title, () => World.runSeeds(10, () => Effect.provide(run, LoopbackTransport.layer)))
  }
})
