const scratch = new Float64Array(1)
const words = new Uint32Array(scratch.buffer)

/**
 * A running 64-bit hash, as two lanes of 32 bits, over everything a simulation did. It tells two runs apart; it is no
 * protection against somebody who wants a collision.
 */
export class TraceHash {
  private a = 0x243f6a88
  private b = 0x85a308d3

  addWord(word: number): void {
    this.a = Math.imul(this.a ^ word, 0x9e3779b1)
    this.a ^= this.a >>> 15
    this.b = Math.imul(((this.b << 13) | (this.b >>> 19)) ^ word ^ this.a, 0xc2b2ae3d)
  }

  addNumber(value: number): void {
    scratch[0] = value
    this.addWord(words[0] ?? 0)
    this.addWord(words[1] ?? 0)
  }

  addText(text: string): void {
    this.addWord(text.length)
    for (let i = 0; i < text.length; i++) this.addWord(text.charCodeAt(i))
  }

  addBytes(bytes: Uint8Array): void {
    this.addWord(bytes.length)
    for (const byte of bytes) this.addWord(byte)
  }

  /** The hash so far, as 16 hexadecimal digits. */
  toString(): string {
    const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0")
    return hex(this.a) + hex(this.b ^ (this.b >>> 16))
  }
}
