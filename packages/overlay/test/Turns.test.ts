import { assert, describe, it } from "@effect/vitest"
import { Turns, type Writer } from "../src/internal/turns.ts"

/** Turns that the test runs one by one. */
const setUp = () => {
  const tasks: Array<() => void> = []
  const turns = new Turns({ scheduleTask: (task) => void tasks.push(task), flush: () => {} })
  const wrote: Array<string> = []
  const writer = (name: string, also: () => void = () => {}): Writer => ({
    write: () => {
      wrote.push(name)
      also()
    }
  })
  const run = () => tasks.splice(0).forEach((task) => task())
  return { run, tasks, turns, writer, wrote }
}

describe("Turns", () => {
  it("FLD-08 whoever has something to write writes in one turn, in the order of asking", () => {
    const { run, tasks, turns, writer, wrote } = setUp()
    for (const name of ["a", "b", "c"]) turns.write(writer(name))
    assert.deepStrictEqual([tasks.length, wrote], [1, []])
    run()
    assert.deepStrictEqual(wrote, ["a", "b", "c"])
    turns.write(writer("d"))
    run()
    assert.deepStrictEqual(wrote, ["a", "b", "c", "d"])
  })

  it("who asks while others write has the next turn", () => {
    const { run, tasks, turns, writer, wrote } = setUp()
    turns.write(writer("a", () => turns.write(writer("late"))))
    turns.write(writer("b"))
    run()
    assert.deepStrictEqual([tasks.length, wrote], [1, ["a", "b"]])
    run()
    assert.deepStrictEqual(wrote, ["a", "b", "late"])
  })

  it("what is put off has a turn of its own", () => {
    const { run, tasks, turns } = setUp()
    const done: Array<number> = []
    turns.schedule(() => done.push(1))
    turns.schedule(() => done.push(2))
    assert.deepStrictEqual([tasks.length, done], [2, []])
    run()
    assert.deepStrictEqual(done, [1, 2])
  })
})
