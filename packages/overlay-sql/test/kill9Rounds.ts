/** Rows of a round; fewer than the 500 of one transaction, so that a round is there as a whole or not at all. */
export const ROWS = 300

/** The round after the one whose rows are given. */
export const startOf = (failures: ReadonlyArray<number>): number => Math.max(0, ...failures) + 1
