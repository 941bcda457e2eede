/** A node that demands, seen from the demands it sends: its peers are adverts without connections. */
import { toHex } from "../../src/internal/bytes.ts"
import { AdvertHistories } from "../../src/protocol/AdvertHistory.ts"
import type { DemandPeer } from "../../src/protocol/DemandOrder.ts"
import * as FloodRates from "../../src/protocol/FloodRates.ts"
import { TxAdverts } from "../../src/protocol/TxAdverts.ts"
import { defaults, TxDemands, type TxDemandsOptions } from "../../src/protocol/TxDemands.ts"
import type { NodeId } from "../../src/wire/NodeId.ts"
import { advert, generator, nodeId, numberOf } from "./floodFixtures.ts"

export interface TestPeer extends DemandPeer {
  readonly n: number
  readonly id: NodeId
}

export interface Sent {
  readonly at: number
  readonly peer: number
  readonly hashes: ReadonlyArray<number>
}

export class Demander {
  readonly draw: () => number
  readonly demands: TxDemands
  readonly limits: FloodRates.FloodLimits
  readonly peers: Array<TestPeer> = []
  readonly known = new Map<string, "known" | "banned">()
  readonly sent: Array<Sent> = []
  readonly #histories: AdvertHistories
  now = 0

  constructor(options: Partial<TxDemandsOptions> & { readonly seed?: number; readonly maxTxSetSize?: number } = {}) {
    this.draw = generator(options.seed ?? 1)
    this.#histories = new AdvertHistories(this.draw)
    this.demands = new TxDemands(this.draw, { ...defaults, ...options })
    this.limits = FloodRates.make(FloodRates.defaults, {
      ledgerVersion: 23,
      maxTxSetSize: options.maxTxSetSize ?? 1000,
      sorobanMaxTxCount: 0,
      closeTimeMillis: 5000
    })
  }

  addPeers(count: number, facts: Pick<DemandPeer, "outbound" | "group"> = {}): Array<TestPeer> {
    const added = Array.from({ length: count }, (_, i): TestPeer => {
      const n = this.peers.length + i
      return { n, id: nodeId(n), adverts: new TxAdverts(this.limits, this.#histories.open()), ...facts }
    })
    this.peers.push(...added)
    return added
  }

  advertise(peer: TestPeer, hashes: ReadonlyArray<Uint8Array>): void {
    peer.adverts.queueIncomingAdvert(advert(hashes), 1)
  }

  /** Runs once and gives what was sent. */
  run(): Array<Sent> {
    const demands = this.demands.run(
      this.now,
      this.peers,
      this.limits.maxDemandSize,
      (hash) => this.known.get(toHex(hash))
    )
    const sent = demands.map(({ hashes, peer }) => ({ at: this.now, peer: peer.n, hashes: hashes.map(numberOf) }))
    this.sent.push(...sent)
    return sent
  }

  /** Lets time pass with a run every 200 ms. */
  pass(millis: number): void {
    const end = this.now + millis
    for (this.now += 200; this.now <= end; this.now += 200) this.run()
    this.now = end
  }

  /** Demanded hashes by peer. */
  count(peer: TestPeer): number {
    return this.sent.reduce((sum, sent) => sent.peer === peer.n ? sum + sent.hashes.length : sum, 0)
  }
}
