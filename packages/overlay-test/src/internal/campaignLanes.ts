/** State of each direction of each link, made when first asked for and forgotten with the link. */
export class Lanes<A> {
  readonly #lanes = new Map<number, Map<string, A>>()
  readonly #make: () => A

  constructor(make: () => A) {
    this.#make = make
  }

  get(link: number, from: string): A {
    let ends = this.#lanes.get(link)
    if (ends === undefined) {
      ends = new Map()
      this.#lanes.set(link, ends)
    }
    let lane = ends.get(from)
    if (lane === undefined) {
      lane = this.#make()
      ends.set(from, lane)
    }
    return lane
  }

  delete(link: number): void {
    this.#lanes.delete(link)
  }
}
