/** Answers that all endpoints share. */
import * as HttpServerResponse from "effect/http/HttpServerResponse"

const headers = { connection: "close", "x-content-type-options": "nosniff", "cache-control": "no-store" }

export const refuse = (status: number, text: string) => HttpServerResponse.text(`${text}\n`, { status, headers })

export const respondText = (body: string, contentType: string, status = 200) =>
  HttpServerResponse.text(body, { status, contentType, headers })

/** JSON of an object that is safe wherever it is shown. */
export const respondJson = (text: string, status = 200) => respondText(`${text}\n`, "application/json", status)
