import { assert, describe, it } from "@effect/vitest"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as DropReason from "../../src/DropReason.ts"
import { encodeMark, FrameError, FrameParser, MAX_BODY, MAX_UNAUTHENTICATED_BODY } from "../../src/wire/Frame.ts"

const random = (seed: number) => (bound: number): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor((seed / 0x100000000) * bound)
}

const bodyOf = (length: number, salt: number): Uint8Array => {
  const body = new Uint8Array(length)
  for (let i = 0; i < length; i++) body[i] = i * 31 + salt * 7 + (i >> 8)
  return body
}

/** Marks written by hand, so that the parser is not tested against `encodeMark`. */
const mark = (length: number, lastFragment = true): Uint8Array => {
  const out = Buffer.alloc(4)
  out.writeUInt32BE((lastFragment ? 0x80000000 : 0) + length)
  return new Uint8Array(out)
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

const streamOf = (bodies: ReadonlyArray<Uint8Array>): Uint8Array =>
  concat(bodies.flatMap((body) => [mark(body.length), body]))

const drain = (parser: FrameParser, limit = MAX_BODY): Array<Uint8Array> => {
  const bodies: Array<Uint8Array> = []
  for (let frame = parser.next(limit); frame !== undefined; frame = parser.next(limit)) {
    assert.instanceOf(frame, Uint8Array)
    bodies.push(frame)
  }
  return bodies
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const assertSame = (actual: ReadonlyArray<Uint8Array>, expected: ReadonlyArray<Uint8Array>): void => {
  assert.strictEqual(actual.length, expected.length)
  for (let i = 0; i < expected.length; i++) assert.isTrue(same(actual[i]!, expected[i]!), `body ${i}`)
}

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

/** What is really held after `make`, in bytes: heap and buffers, garbage excluded. */
const heldBy = (make: () => unknown): number => {
  const measure = (): number => {
    // A collection frees buffers in the background; the next one waits for that.
    for (let i = 0; i < 3; i++) collectGarbage()
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    return arrayBuffers + heapUsed
  }
  make() // compiled code is not what is measured
  const before = measure()
  const kept = make()
  const held = measure() - before
  assert.isDefined(kept)
  return held
}

const cut = (bytes: Uint8Array, sizes: () => number): Array<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + sizes())
    chunks.push(bytes.slice(at, end))
    at = end
  }
  return chunks
}

describe("Frame", () => {
  describe("marks", () => {
    it.each([1, 52, 0x118, 4096, 0x1000000])("COD-01 HSK-13 the mark of %i bytes has bit 31 set", (length) => {
      const slab = new Uint8Array(10).fill(0xee)
      encodeMark(slab, 3, length)
      assert.deepStrictEqual(slab.slice(3, 7), mark(length))
      assert.strictEqual(slab[3]! >> 7, 1)
      assert.deepStrictEqual([slab[2], slab[7]], [0xee, 0xee])
    })

    it("T7 HSK-13 bit 31 of a mark is ignored: records are messages, not fragments", () => {
      const parser = new FrameParser()
      const bodies = [bodyOf(8, 1), bodyOf(12, 2), bodyOf(8, 3)]
      parser.push(concat([mark(8, false), bodies[0]!, mark(12, true), bodies[1]!, mark(8, false), bodies[2]!]))
      assertSame(drain(parser), bodies)
    })

    it("COD-02 the limits are core's", () => {
      assert.strictEqual(MAX_UNAUTHENTICATED_BODY, 4096)
      assert.strictEqual(MAX_BODY, 16 * 1024 * 1024)
    })
  })

  describe("refusals", () => {
    const refused = (bytes: Uint8Array, limit: number): readonly [FrameParser, FrameError] => {
      const parser = new FrameParser()
      parser.push(bytes)
      const error = parser.next(limit)
      assert.instanceOf(error, FrameError)
      return [parser, error]
    }

    it("T4 COD-02 4,097 bytes before authentication are refused at the mark, with nothing buffered", () => {
      const parser = new FrameParser()
      for (const byte of mark(4097).subarray(0, 3)) {
        parser.push(Uint8Array.of(byte))
        assert.strictEqual(parser.next(MAX_UNAUTHENTICATED_BODY), undefined)
      }
      parser.push(mark(4097).slice(3))
      const error = parser.next(MAX_UNAUTHENTICATED_BODY)
      assert.instanceOf(error, FrameError)
      assert.deepStrictEqual([error._tag, error.length, error.limit], ["FrameTooLarge", 4097, 4096])
      assert.strictEqual(parser.bufferedBytes, 0)

      // 4,096 pass.
      const lenient = new FrameParser()
      lenient.push(streamOf([bodyOf(4096, 1)]))
      assertSame(drain(lenient, MAX_UNAUTHENTICATED_BODY), [bodyOf(4096, 1)])
    })

    it("T4 body bytes that came along with a refused mark are let go", () => {
      const [parser] = refused(concat([mark(4097), new Uint8Array(60_000)]), MAX_UNAUTHENTICATED_BODY)
      assert.strictEqual(parser.bufferedBytes, 0)
      assert.strictEqual(parser.pinnedBytes, 0)
    })

    it("T5 COD-02 16 MiB + 1 after authentication are refused at the mark, 16 MiB are not", () => {
      const [parser, error] = refused(mark(MAX_BODY + 1), MAX_BODY)
      assert.deepStrictEqual([error._tag, error.length], ["FrameTooLarge", 16_777_217])
      assert.strictEqual(parser.pinnedBytes, 0)
      assert.strictEqual(refused(mark(0x7fffffff), MAX_BODY)[1].length, 0x7fffffff)
      assert.strictEqual(refused(mark(0x7fffffff, false), MAX_BODY)[1].length, 0x7fffffff)

      const lenient = new FrameParser()
      lenient.push(mark(MAX_BODY))
      assert.strictEqual(lenient.next(MAX_BODY), undefined)
      assert.strictEqual(lenient.announcedBytes, MAX_BODY)
      assert.strictEqual(lenient.remainingBytes, MAX_BODY)
    })

    it("T5 T8 marks allocate nothing, whatever they claim", () => {
      const parsers = Array.from({ length: 100 }, () => new FrameParser())
      const before = process.memoryUsage().arrayBuffers
      for (const parser of parsers) {
        parser.push(concat([mark(MAX_BODY), Uint8Array.of(1, 2, 3)]))
        assert.strictEqual(parser.next(MAX_BODY), undefined)
      }
      assert.isBelow(process.memoryUsage().arrayBuffers - before, MAX_BODY) // 1.6 GiB are claimed
    })

    it("T6 COD-02 a frame of no bytes is refused, with either bit 31", () => {
      for (const lastFragment of [true, false]) {
        const [parser, error] = refused(concat([mark(0, lastFragment), mark(4), bodyOf(4, 1)]), MAX_BODY)
        assert.deepStrictEqual([error._tag, error.length], ["FrameEmpty", 0])
        assert.strictEqual(parser.bufferedBytes, 0)
      }
    })

    it("T4 T5 T6 an error is for ever, and names a drop reason", () => {
      for (const [bytes, text] of [[mark(0), "no bytes"], [mark(4097), "4097 bytes"]] as const) {
        const [parser, error] = refused(bytes, MAX_UNAUTHENTICATED_BODY)
        parser.push(streamOf([bodyOf(52, 1)]))
        assert.strictEqual(parser.next(MAX_BODY), error)
        assert.strictEqual(parser.next(MAX_UNAUTHENTICATED_BODY), error)
        assert.strictEqual(parser.bufferedBytes, 0)
        const reason = DropReason.make(error._tag, error.length)
        assert.strictEqual(DropReason.text(reason), "error during read")
        assert.strictEqual(DropReason.errorCode(reason), undefined)
        assert.include(DropReason.hint(reason), text)
      }
    })

    it("COD-02 frames before the bad mark are delivered", () => {
      const parser = new FrameParser()
      parser.push(concat([streamOf([bodyOf(52, 1), bodyOf(56, 2)]), mark(0)]))
      assert.isTrue(same(parser.next(MAX_BODY) as Uint8Array, bodyOf(52, 1)))
      assert.isTrue(same(parser.next(MAX_BODY) as Uint8Array, bodyOf(56, 2)))
      assert.instanceOf(parser.next(MAX_BODY), FrameError)
    })

    it("COD-02 the limit is the one in force when the mark is read", () => {
      // Both frames lie in one chunk: the second is allowed because the first raised the limit.
      const parser = new FrameParser()
      parser.push(streamOf([bodyOf(52, 1), bodyOf(5000, 2)]))
      assert.isTrue(same(parser.next(MAX_UNAUTHENTICATED_BODY) as Uint8Array, bodyOf(52, 1)))
      assert.isTrue(same(parser.next(MAX_BODY) as Uint8Array, bodyOf(5000, 2)))

      // A mark that passed is not judged again.
      const begun = new FrameParser()
      begun.push(concat([mark(5000), bodyOf(5000, 1).subarray(0, 10)]))
      assert.strictEqual(begun.next(MAX_BODY), undefined)
      begun.push(bodyOf(5000, 1).slice(10))
      assert.isTrue(same(begun.next(MAX_UNAUTHENTICATED_BODY) as Uint8Array, bodyOf(5000, 1)))
    })

    it("COD-02 a length that is no multiple of four is not the frame's business", () => {
      const bodies = [1, 2, 3, 5, 53].map((length) => bodyOf(length, length))
      const parser = new FrameParser()
      parser.push(streamOf(bodies))
      assertSame(drain(parser), bodies)
    })
  })

  describe("any split", () => {
    it("T10 COD-01 all 32,768 ways to cut a stream of three frames give the same bodies", () => {
      const bodies = [bodyOf(1, 1), bodyOf(2, 2), bodyOf(1, 3)]
      const stream = streamOf(bodies)
      assert.strictEqual(stream.length, 16)
      for (let cuts = 0; cuts < 2 ** 15; cuts++) {
        const parser = new FrameParser()
        const received: Array<Uint8Array> = []
        let from = 0
        for (let at = 1; at <= 16; at++) {
          if (at !== 16 && (cuts & (1 << (at - 1))) === 0) continue
          parser.push(stream.slice(from, at))
          received.push(...drain(parser))
          from = at
        }
        if (Buffer.concat(received).toString("hex") !== Buffer.concat(bodies).toString("hex")) {
          assert.fail(`cuts ${cuts}`)
        }
        if (received.length !== 3 || parser.bufferedBytes !== 0) assert.fail(`cuts ${cuts}`)
      }
    })

    it("T10 COD-01 random frames in random chunks, read at random times", () => {
      for (let seed = 1; seed <= 120; seed++) {
        const below = random(seed)
        const longest = [20, 600, 9000, 60_000][seed % 4]!
        const bodies = Array.from({ length: 1 + below(12) }, (_, i) => bodyOf(1 + below(longest), i + seed))
        const stream = streamOf(bodies)
        const chunkSize = [7, 100, 5000, 70_000][below(4)]!
        const chunks = cut(stream, () => 1 + below(chunkSize))
        const parser = new FrameParser()
        const received: Array<Uint8Array> = []
        let pushed = 0
        for (const chunk of chunks) {
          parser.push(chunk)
          pushed += chunk.length
          if (below(3) === 0) continue // the reader is late
          if (below(4) === 0) parser.compact()
          received.push(...drain(parser))
          const complete = received.reduce((sum, body) => sum + 4 + body.length, 0)
          // What is buffered is what no returned body accounts for (the mark of a begun body is spent).
          const begun = parser.announcedBytes === 0 ? 0 : 4
          assert.strictEqual(parser.bufferedBytes, pushed - complete - begun)
          assert.isAtMost(parser.pinnedBytes, Math.max(2 * parser.bufferedBytes, 4096))
        }
        received.push(...drain(parser))
        assertSame(received, bodies)
        assert.strictEqual(parser.bufferedBytes, 0)
        assert.strictEqual(parser.pinnedBytes, 0)
      }
    })

    it("T10 COD-01 a byte at a time", () => {
      const bodies = [bodyOf(52, 1), bodyOf(1, 2), bodyOf(4096, 3), bodyOf(4097, 4), bodyOf(20_000, 5)]
      const parser = new FrameParser()
      const received: Array<Uint8Array> = []
      for (const byte of streamOf(bodies)) {
        parser.push(Uint8Array.of(byte))
        received.push(...drain(parser))
      }
      assertSame(received, bodies)
    })

    it("COD-01 empty chunks change nothing", () => {
      const parser = new FrameParser()
      const bodies = [bodyOf(52, 1)]
      for (const chunk of cut(streamOf(bodies), () => 9)) {
        parser.push(new Uint8Array(0))
        parser.push(chunk)
      }
      parser.push(new Uint8Array(0))
      assertSame(drain(parser), bodies)
    })

    it("COD-01 10,000 tiny frames in one chunk, without a copy", () => {
      const bodies = Array.from({ length: 10_000 }, (_, i) => bodyOf(1 + (i & 3), i))
      const stream = streamOf(bodies)
      const parser = new FrameParser()
      parser.push(stream)
      const received = drain(parser)
      assertSame(received, bodies)
      for (const body of received) assert.strictEqual(body.buffer, stream.buffer)
      assert.strictEqual(parser.pinnedBytes, 0)
    })

    it("COD-01 a body that begins a chunk is not copied either", () => {
      for (const rest of [0, 10]) {
        const parser = new FrameParser()
        parser.push(mark(5000))
        assert.strictEqual(parser.next(MAX_BODY), undefined)
        const chunk = concat([bodyOf(5000, 1), bodyOf(rest, 2)])
        parser.push(chunk)
        const body = parser.next(MAX_BODY) as Uint8Array
        assert.isTrue(same(body, bodyOf(5000, 1)))
        assert.strictEqual(body.buffer, chunk.buffer)
      }
    })

    it("COD-01 many chunks wait without being read, and are read in order", () => {
      const bodies = Array.from({ length: 5000 }, (_, i) => bodyOf(1 + (i % 40), i))
      const parser = new FrameParser()
      for (const chunk of cut(streamOf(bodies), () => 11)) parser.push(chunk)
      assertSame(drain(parser), bodies)
    })
  })

  describe("memory", () => {
    it("COD-01 a body that spans chunks owns exactly its bytes", () => {
      for (const length of [52, 4096, 5000, 300_000]) {
        const parser = new FrameParser()
        const stream = streamOf([bodyOf(length, 1), bodyOf(8, 2)])
        parser.push(stream.slice(0, 30))
        assert.strictEqual(parser.next(MAX_BODY), undefined)
        parser.push(stream.slice(30))
        const body = parser.next(MAX_BODY) as Uint8Array
        assert.isTrue(same(body, bodyOf(length, 1)))
        assert.strictEqual(body.buffer.byteLength, length)
        assert.isTrue(same(parser.next(MAX_BODY) as Uint8Array, bodyOf(8, 2)))
      }
    })

    it("T8 a mark of 16 MiB and a trickle hold at most twice what came", () => {
      const parser = new FrameParser()
      parser.push(mark(MAX_BODY))
      const before = process.memoryUsage().arrayBuffers
      let received = 0
      for (let i = 0; i < 2000; i++) {
        const size = 1 + (i % 90)
        parser.push(new Uint8Array(size))
        received += size
        assert.strictEqual(parser.next(MAX_BODY), undefined)
        assert.strictEqual(parser.bufferedBytes, received)
        assert.strictEqual(parser.remainingBytes, MAX_BODY - received)
        assert.isAtMost(parser.pinnedBytes, 2 * received)
      }
      assert.isBelow(process.memoryUsage().arrayBuffers - before, MAX_BODY / 2)
    })

    it("T8 16 MiB in 7-byte chunks are gathered as they come, and arrive intact", () => {
      const body = new Uint8Array(MAX_BODY)
      for (let i = 0; i < MAX_BODY; i += 4) body[i] = i >> 12
      const parser = new FrameParser()
      parser.push(mark(MAX_BODY))
      assert.strictEqual(parser.next(MAX_BODY), undefined)
      for (let at = 0; at < MAX_BODY; at += 7) {
        parser.push(body.subarray(at, at + 7)) // nobody reads: the chunks must not pile up
        // Each chunk that piled up would count with the 16 MiB behind it.
        if (at % 700_000 === 0) assert.isAtMost(parser.pinnedBytes, 2 * parser.bufferedBytes)
      }
      assert.isTrue(same(parser.next(MAX_BODY) as Uint8Array, body))
      assert.strictEqual(parser.pinnedBytes, 0)
    })

    it("T8 hostile mixtures of chunk sizes never hold more than twice what came", () => {
      for (let seed = 1; seed <= 60; seed++) {
        const below = random(seed)
        const body = bodyOf(200_000 + below(200_000), seed)
        const parser = new FrameParser()
        parser.push(mark(body.length))
        for (let at = 0; at < body.length;) {
          assert.strictEqual(parser.next(MAX_BODY), undefined)
          const size = Math.min([1, 100, 4095, 4096, 4097, 20_000, 70_000][below(7)]!, body.length - at)
          // The chunk is a part of a buffer up to twice or twenty times its size.
          const backing = new Uint8Array(size * [1, 2, 3, 20][below(4)]!)
          backing.set(body.subarray(at, at + size))
          parser.push(backing.subarray(0, size))
          at += size
          if (parser.remainingBytes !== 0 && parser.next(MAX_BODY) === undefined) {
            assert.isAtMost(parser.pinnedBytes, Math.max(2 * at, 4096))
          }
        }
        assert.isTrue(same(parser.next(MAX_BODY) as Uint8Array, body))
      }
    })

    it("T8 a byte at a time costs bytes, not objects", () => {
      const held = heldBy(() => {
        const parser = new FrameParser()
        parser.push(mark(MAX_BODY))
        for (let i = 0; i < 200_000; i++) {
          parser.push(Uint8Array.of(i))
          parser.next(MAX_BODY)
        }
        return parser
      })
      assert.isBelow(held, 2_000_000) // 200,000 arrays of one byte take over 20 MB
    })

    it("T8 what was read is let go, while what follows it waits", () => {
      const body = bodyOf(65_532, 1)
      const held = heldBy(() => {
        const parser = new FrameParser()
        for (let i = 0; i < 40; i++) parser.push(streamOf([body]))
        for (let i = 0; i < 39; i++) parser.next(MAX_BODY)
        return parser
      })
      assert.isBelow(held, 400_000) // one chunk of 40 that had 64 KiB each
    })

    it("T8 a hundred small remainders do not keep a hundred large chunks", () => {
      const held = heldBy(() =>
        Array.from({ length: 100 }, () => {
          const parser = new FrameParser()
          parser.push(concat([streamOf([bodyOf(60_000, 1)]), mark(50_000), bodyOf(100, 2)]))
          drain(parser)
          return parser
        })
      )
      assert.isBelow(held, 1_000_000) // the chunks have 6 MB
    })

    it("T8 a small remainder does not keep its large chunk", () => {
      const chunk = concat([streamOf([bodyOf(60_000, 1)]), mark(50_000), bodyOf(50_000, 2).subarray(0, 100)])
      const parser = new FrameParser()
      parser.push(chunk)
      assertSame(drain(parser), [bodyOf(60_000, 1)])
      assert.isAtMost(parser.pinnedBytes, 200)
      chunk.fill(0) // if the chunk were kept, the body below would show it
      parser.push(bodyOf(50_000, 2).slice(100))
      assert.isTrue(same(parser.next(MAX_BODY) as Uint8Array, bodyOf(50_000, 2)))
    })

    it("T8 compact lets go of a chunk of which little is unread", () => {
      const bodies = [bodyOf(60_000, 1), bodyOf(40, 2)]
      const chunk = streamOf(bodies)
      const parser = new FrameParser()
      parser.push(chunk)
      assert.isTrue(same(parser.next(MAX_BODY) as Uint8Array, bodies[0]!))
      assert.strictEqual(parser.pinnedBytes, chunk.length)
      parser.compact()
      assert.strictEqual(parser.bufferedBytes, 44)
      assert.strictEqual(parser.pinnedBytes, 44)
      chunk.fill(0)
      parser.push(streamOf([bodyOf(9, 3)]))
      assertSame(drain(parser), [bodies[1]!, bodyOf(9, 3)])
    })

    it("T8 a reader that lags a little behind does not keep what it read", () => {
      const parser = new FrameParser()
      const body = bodyOf(100, 1)
      parser.push(streamOf([body]))
      for (let i = 0; i < 10_000; i++) {
        parser.push(streamOf([body])) // one chunk always waits
        assert.isTrue(same(parser.next(MAX_BODY) as Uint8Array, body))
        assert.strictEqual(parser.pinnedBytes, 104)
      }
      const held = heldBy(() => {
        const late = new FrameParser()
        const chunk = streamOf([body])
        late.push(chunk)
        for (let i = 0; i < 500_000; i++) {
          late.push(chunk)
          late.next(MAX_BODY)
        }
        return late
      })
      assert.isBelow(held, 1_000_000) // a list of 500,000 entries takes 2 MB or more
    })
  })
})
