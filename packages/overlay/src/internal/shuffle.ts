/** A shuffled copy (Fisher-Yates); `draw` gives numbers in [0, 1). */
export const shuffle = <A>(items: Iterable<A>, draw: () => number): Array<A> => {
  const out = [...items]
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1))
    const held = out[i]!
    out[i] = out[j]!
    out[j] = held
  }
  return out
}
