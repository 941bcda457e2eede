/**
 * For each row (a flood record) the set of nodes that have it, one bit per node.
 *
 * Nodes get a column when they first appear. When columns run out those that no row uses are taken back, then the
 * matrix gets wider up to its limit, and at the limit the quarter of the nodes that were not looked up for longest is
 * forgotten in one sweep. With 72 peers a row is 16 bytes, where a Set of as many ids is 2.6 KB.
 */
import type { NodeId } from "../wire/NodeId.ts"
import { grown } from "./hashTable.ts"

const FEWEST_COLUMNS = 128

export class PeerBits {
  readonly #maxColumns: number
  readonly #columns = new Map<NodeId, number>()
  readonly #ids: Array<NodeId | undefined> = []
  readonly #free: Array<number> = []
  /** When each column was last looked up, in look-ups. */
  #usedAt = new Float64Array(FEWEST_COLUMNS)
  #lookUps = 0
  #bits = new Uint32Array(0)
  #stride = FEWEST_COLUMNS / 32
  #rows = 0

  /** `maxColumns` is rounded up to a power of two, 128 or more. */
  constructor(maxColumns: number) {
    let columns = FEWEST_COLUMNS
    while (columns < maxColumns) columns *= 2
    this.#maxColumns = columns
  }

  /** Nodes with a column. */
  get size(): number {
    return this.#columns.size
  }

  /** The column of a node, or undefined when no row can have it. */
  column(id: NodeId): number | undefined {
    const column = this.#columns.get(id)
    if (column !== undefined) this.#usedAt[column] = ++this.#lookUps
    return column
  }

  /** The column of a node, new if need be. Other columns may become invalid: look up, use, forget. */
  intern(id: NodeId): number {
    const known = this.column(id)
    if (known !== undefined) return known
    if (this.#free.length === 0 && this.#ids.length === 32 * this.#stride) this.#makeRoom()
    const column = this.#free.pop() ?? this.#ids.length
    this.#ids[column] = id
    this.#columns.set(id, column)
    this.#usedAt[column] = ++this.#lookUps
    return column
  }

  has(row: number, column: number): boolean {
    return (this.#bits[row * this.#stride + (column >>> 5)]! & (1 << (column & 31))) !== 0
  }

  add(row: number, column: number): void {
    const at = row * this.#stride + (column >>> 5)
    this.#bits[at] = this.#bits[at]! | (1 << (column & 31))
  }

  /** Makes room for rows, those from the old number on empty. */
  resize(rows: number): void {
    if (rows <= this.#rows) return
    this.#bits = grown(this.#bits, rows * this.#stride)
    this.#rows = rows
  }

  clearRow(row: number): void {
    this.#bits.fill(0, row * this.#stride, (row + 1) * this.#stride)
  }

  clear(): void {
    this.#columns.clear()
    this.#ids.length = 0
    this.#free.length = 0
    this.#usedAt = new Float64Array(FEWEST_COLUMNS)
    this.#bits = new Uint32Array(0)
    this.#stride = FEWEST_COLUMNS / 32
    this.#rows = 0
  }

  #makeRoom(): void {
    const columns = 32 * this.#stride
    const used = this.#unionOfRows()
    const unused = (column: number) => (used[column >>> 5]! & (1 << (column & 31))) === 0
    // A node that no row mentions loses nothing with its column.
    for (let column = 0; column < columns; column++) if (unused(column)) this.#forget(column)
    if (this.#free.length >= columns / 4) return
    if (columns < this.#maxColumns) {
      this.#widen()
      return
    }
    const oldest = [...this.#columns.values()].sort((a, b) => this.#usedAt[a]! - this.#usedAt[b]!)
    const mask = new Uint32Array(this.#stride).fill(0xffff_ffff)
    for (const column of oldest.slice(0, columns / 4)) {
      mask[column >>> 5] = mask[column >>> 5]! & ~(1 << (column & 31))
      this.#forget(column)
    }
    for (let at = 0; at < this.#bits.length; at++) this.#bits[at] = this.#bits[at]! & mask[at % this.#stride]!
  }

  #forget(column: number): void {
    const id = this.#ids[column]
    if (id === undefined) return
    this.#columns.delete(id)
    this.#ids[column] = undefined
    this.#free.push(column)
  }

  #unionOfRows(): Uint32Array {
    const union = new Uint32Array(this.#stride)
    for (let at = 0; at < this.#bits.length; at++) {
      const word = at % this.#stride
      union[word] = union[word]! | this.#bits[at]!
    }
    return union
  }

  #widen(): void {
    const stride = 2 * this.#stride
    const bits = new Uint32Array(this.#rows * stride)
    for (let row = 0; row < this.#rows; row++) {
      for (let word = 0; word < this.#stride; word++) bits[row * stride + word] = this.#bits[row * this.#stride + word]!
    }
    this.#bits = bits
    this.#stride = stride
    this.#usedAt = grown(this.#usedAt, 32 * stride)
  }
}
