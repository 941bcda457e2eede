/**
 * One pending wake-up. `index` is its place in the heap, or -1 once it left.
 */
export interface Timer {
  readonly at: number
  readonly order: number
  readonly fire: () => void
  index: number
}

const earlier = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/**
 * A binary heap of timers: add, take the earliest and remove any are O(log n). Timers for the same instant leave in the
 * order in which they were added.
 */
export class TimerHeap {
  private readonly heap: Array<Timer> = []
  private added = 0

  get size(): number {
    return this.heap.length
  }

  add(at: number, fire: () => void): Timer {
    const timer: Timer = { at, order: this.added++, fire, index: this.heap.length }
    this.heap.push(timer)
    this.up(timer)
    return timer
  }

  /** The earliest timer, still in the heap. */
  first(): Timer | undefined {
    return this.heap[0]
  }

  /** Takes a timer out; one that already left is ignored. */
  remove(timer: Timer): void {
    const index = timer.index
    if (index < 0) return
    timer.index = -1
    const last = this.heap.pop()
    if (last === undefined || last === timer) return
    this.heap[index] = last
    last.index = index
    this.up(last)
    this.down(last)
  }

  private up(timer: Timer): void {
    const heap = this.heap
    let index = timer.index
    while (index > 0) {
      const parentIndex = (index - 1) >>> 1
      const parent = heap[parentIndex]
      if (parent === undefined || !earlier(timer, parent)) break
      heap[index] = parent
      parent.index = index
      index = parentIndex
    }
    heap[index] = timer
    timer.index = index
  }

  private down(timer: Timer): void {
    const heap = this.heap
    let index = timer.index
    while (true) {
      const left = heap[2 * index + 1]
      if (left === undefined) break
      const right = heap[2 * index + 2]
      const child = right !== undefined && earlier(right, left) ? right : left
      if (!earlier(child, timer)) break
      const childIndex = child.index
      heap[index] = child
      child.index = index
      index = childIndex
    }
    heap[index] = timer
    timer.index = index
  }
}
