/**
 * Ends with a defect when our own bookkeeping is wrong. Never used for what a peer does: that is a `DropReason`.
 */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`overlay invariant broken: ${what}`)
}
