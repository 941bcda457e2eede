/**
 * When a node that lost consensus may exchange a random peer for another: every 60 s, and only while its outbound slots
 * are full.
 *
 * Implements protocol.md 9.4 (stellar-core: `OverlayManagerImpl::updateTimerAndMaybeDropRandomPeer`).
 *
 * @since 0.1.0
 */

/**
 * OUT_OF_SYNC_RECONNECT_DELAY.
 *
 * @category constants
 * @since 0.1.0
 */
export const OUT_OF_SYNC_MILLIS = 60_000

/**
 * The timer; asked once a tick.
 *
 * @category models
 * @since 0.1.0
 */
export class OutOfSyncTimer {
  #since: number | undefined

  /** When the clock was started; undefined while the node follows consensus. */
  get since(): number | undefined {
    return this.#since
  }

  /**
   * Whether a random peer should go now. `isFull` says that no outbound slot is free while a dial could be made; the
   * clock starts again when the answer is true, whether or not there is a peer that may go.
   */
  shouldRotate(isTracking: boolean, isFull: boolean, now: number): boolean {
    if (isTracking) {
      this.#since = undefined
      return false
    }
    if (this.#since === undefined) {
      this.#since = now
      return false
    }
    if (now - this.#since <= OUT_OF_SYNC_MILLIS || !isFull) return false
    this.#since = now
    return true
  }
}
