import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Flood } from "@stellar-overlay/overlay/Flood"
import { FloodAdvert, Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import { randomMessage } from "./messages.ts"
import * as World from "@stellar-overlay/overlay-test/World"
import { Context, Effect } from "effect"
import { addressOf, ipOf, type Quiet, quiet } from "./network.ts"
void createHash
void FloodAdvert
void Transaction
void Flood
void randomMessage
