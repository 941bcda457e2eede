/**
 * The forms of answers to an operator.
 */
import type { AdminResponse } from "../OverlayAdmin.ts"

/** Peers name themselves: in ASCII nothing of it can colour, move or reorder what an operator's terminal shows. */
const toAscii = (text: string): string =>
  text.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)

export const json = (value: unknown): AdminResponse => ({
  status: 200,
  contentType: "application/json",
  body: `${toAscii(JSON.stringify(value, null, 2))}\n`
})

export const text = (body: string): AdminResponse => ({ status: 200, contentType: "text/plain", body: `${body}\n` })

/** What core answers when a handler of its throws. */
export const exception = (message: string): AdminResponse => json({ exception: message })

/** Core prints no empty lists. */
export const noneIfEmpty = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> | null => items.length === 0 ? null : items
