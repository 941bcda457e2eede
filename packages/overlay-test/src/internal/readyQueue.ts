import type { SeededRandom } from "./seededRandom.ts"

/** What the scheduler runs: a fiber's next turn. */
export type Task = () => void

/**
 * Whom a task belongs to: a fiber, as far as the scheduler knows. Only exploration by priorities tells lanes apart.
 */
export interface Lane {
  /** The higher one runs first. */
  level: number
}

/**
 * How the next task is chosen among those of one priority.
 */
export interface Picker {
  readonly size: number
  add(task: Task, lane: Lane | undefined): void
  /** Takes one; undefined when there is none. */
  take(queue: ReadyQueue): Task | undefined
}

/** Every task has the same chance; O(1). */
class RandomPicker implements Picker {
  private readonly tasks: Array<Task> = []
  private readonly random: SeededRandom

  constructor(random: SeededRandom) {
    this.random = random
  }

  get size(): number {
    return this.tasks.length
  }

  add(task: Task): void {
    this.tasks.push(task)
  }

  take(queue: ReadyQueue): Task | undefined {
    const { tasks } = this
    const count = tasks.length
    const last = tasks.pop()
    if (last === undefined) return undefined
    const index = count === 1 ? 0 : this.random.nextBelowUnsafe(count)
    queue.lastPick = index
    if (index === count - 1) return last
    const picked = tasks[index]
    tasks[index] = last
    return picked
  }
}

/** First in, first out, as Effect's own scheduler. */
class FifoPicker implements Picker {
  private tasks: Array<Task> = []
  private first = 0

  get size(): number {
    return this.tasks.length - this.first
  }

  add(task: Task): void {
    this.tasks.push(task)
  }

  take(queue: ReadyQueue): Task | undefined {
    const task = this.tasks[this.first]
    if (task === undefined) return undefined
    this.first++
    if (this.first === this.tasks.length) {
      this.tasks = []
      this.first = 0
    } else if (this.first >= 1024 && 2 * this.first >= this.tasks.length) {
      this.tasks.splice(0, this.first)
      this.first = 0
    }
    queue.lastPick = 0
    return task
  }
}

/** Picks between two points at which the running lane falls behind all others, on average. */
const CHANGE_EVERY = 400

/** Turns in a row after which a lane falls behind: one that waits for another by yielding must not wait for ever. */
const MOST_IN_A_ROW = 64

/**
 * Every lane has a random level, the highest that is runnable goes, and at random points the running one falls behind all
 * others: bugs that need a fiber to be late for long, or a few switches at the right places, show up far more often than
 * with even chances (Burckhardt and others, "A randomized scheduler with probabilistic guarantees of finding bugs").
 */
class PriorityPicker implements Picker {
  private readonly tasks: Array<Task> = []
  private readonly lanes: Array<Lane> = []
  private readonly state: PriorityState

  constructor(state: PriorityState) {
    this.state = state
  }

  get size(): number {
    return this.tasks.length
  }

  add(task: Task, lane: Lane | undefined): void {
    this.tasks.push(task)
    this.lanes.push(lane ?? this.state.nobody)
  }

  take(queue: ReadyQueue): Task | undefined {
    const { lanes, tasks } = this
    const count = tasks.length
    if (count === 0) return undefined
    let index = 0
    // the first of equals: the tasks of one lane keep their order
    for (let i = 1; i < count; i++) if (lanes[i]!.level > lanes[index]!.level) index = i
    const [task] = tasks.splice(index, 1)
    const [lane] = lanes.splice(index, 1)
    if (lane !== undefined) this.state.ran(lane)
    queue.lastPick = index
    return task
  }
}

/** What the pickers of one world share when they explore by priorities. */
class PriorityState {
  readonly nobody: Lane
  private readonly random: SeededRandom
  private untilChange: number
  private lowest = 0
  private last: Lane | undefined
  private inARow = 0

  constructor(random: SeededRandom) {
    this.random = random
    this.nobody = this.lane()
    this.untilChange = this.interval()
  }

  lane(): Lane {
    return { level: 1 + this.random.nextDoubleUnsafe() }
  }

  ran(lane: Lane): void {
    this.inARow = lane === this.last ? this.inARow + 1 : 1
    this.last = lane
    this.untilChange--
    if (this.untilChange > 0 && this.inARow < MOST_IN_A_ROW) return
    lane.level = --this.lowest
    this.untilChange = this.interval()
    this.inARow = 0
  }

  private interval(): number {
    return 1 + this.random.nextBelowUnsafe(2 * CHANGE_EVERY)
  }
}

/**
 * How interleavings are explored.
 */
export type Exploration = "random" | "fifo" | "priorities"

interface Bucket {
  readonly priority: number
  readonly tasks: Picker
}

/**
 * The runnable tasks, by priority (lower first). Among equals the strategy picks, so that a seed stands for one
 * interleaving.
 */
export class ReadyQueue {
  size = 0
  /** Which of how many was picked last: what tells two interleavings apart. */
  lastPick = 0
  private readonly normal: Bucket
  /** Sorted by priority, always with the normal one, the others only while they hold tasks. */
  private readonly buckets: Array<Bucket>
  private readonly random: SeededRandom
  private readonly exploration: Exploration
  private readonly priorities: PriorityState | undefined

  constructor(random: SeededRandom, exploration: Exploration = "random") {
    this.random = random
    this.exploration = exploration
    this.priorities = exploration === "priorities" ? new PriorityState(random) : undefined
    this.normal = { priority: 0, tasks: this.picker() }
    this.buckets = [this.normal]
  }

  /** A lane for a new fiber, where lanes matter. */
  lane(): Lane | undefined {
    return this.priorities?.lane()
  }

  add(task: Task, priority: number, lane?: Lane): void {
    this.size++
    if (priority === 0) {
      this.normal.tasks.add(task, lane)
      return
    }
    let index = 0
    for (; index < this.buckets.length; index++) {
      const bucket = this.buckets[index]
      if (bucket === undefined || bucket.priority > priority) break
      if (bucket.priority === priority) {
        bucket.tasks.add(task, lane)
        return
      }
    }
    const tasks = this.picker()
    tasks.add(task, lane)
    this.buckets.splice(index, 0, { priority, tasks })
  }

  take(): Task | undefined {
    for (let index = 0; index < this.buckets.length; index++) {
      const bucket = this.buckets[index]
      if (bucket === undefined || bucket.tasks.size === 0) continue
      const task = bucket.tasks.take(this)
      this.size--
      if (bucket.tasks.size === 0 && bucket !== this.normal) this.buckets.splice(index, 1)
      return task
    }
    return undefined
  }

  private picker(): Picker {
    if (this.priorities !== undefined) return new PriorityPicker(this.priorities)
    return this.exploration === "fifo" ? new FifoPicker() : new RandomPicker(this.random)
  }
}
