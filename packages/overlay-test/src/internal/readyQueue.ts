import type { SeededRandom } from "./seededRandom.ts"

/** What the scheduler runs: a fiber's next turn. */
type Task = () => void

interface Bucket {
  readonly priority: number
  readonly tasks: Array<Task>
}

/**
 * The runnable tasks, by priority (lower first). Among equals the generator picks, so that a seed stands for one
 * interleaving; a pick is O(1).
 */
export class ReadyQueue {
  size = 0
  /** Which of how many was picked last: what tells two interleavings apart. */
  lastPick = 0
  private readonly normal: Bucket = { priority: 0, tasks: [] }
  /** Sorted by priority, always with the normal one, the others only while they hold tasks. */
  private readonly buckets: Array<Bucket> = [this.normal]
  private readonly random: SeededRandom

  constructor(random: SeededRandom) {
    this.random = random
  }

  add(task: Task, priority: number): void {
    this.size++
    if (priority === 0) {
      this.normal.tasks.push(task)
      return
    }
    let index = 0
    for (; index < this.buckets.length; index++) {
      const bucket = this.buckets[index]
      if (bucket === undefined || bucket.priority > priority) break
      if (bucket.priority === priority) {
        bucket.tasks.push(task)
        return
      }
    }
    this.buckets.splice(index, 0, { priority, tasks: [task] })
  }

  take(): Task | undefined {
    for (let index = 0; index < this.buckets.length; index++) {
      const bucket = this.buckets[index]
      if (bucket === undefined || bucket.tasks.length === 0) continue
      const task = this.pick(bucket.tasks)
      if (bucket.tasks.length === 0 && bucket !== this.normal) this.buckets.splice(index, 1)
      return task
    }
    return undefined
  }

  private pick(tasks: Array<Task>): Task | undefined {
    const count = tasks.length
    const last = tasks.pop()
    this.size--
    const index = count === 1 ? 0 : this.random.nextBelowUnsafe(count)
    this.lastPick = index
    if (index === count - 1 || last === undefined) return last
    const picked = tasks[index]
    tasks[index] = last
    return picked
  }
}
