/** Where a survey is kept while it runs and after: the file to go on from, the network database, the outputs. */
import { NetworkDatabase } from "@stellar-overlay/overlay-sql/NetworkDatabase"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import { SurveyDatabase, type SurveyDatabaseShape } from "@stellar-overlay/overlay-sql/SurveyDatabase"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { networkId } from "../net/networkId.ts"
import { green, type Line, yellow } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { bytes } from "../render/units.ts"
import { formatOf, Renderer, writeFile } from "../topology/output.ts"
import * as SurveyJson from "../topology/surveyJson.ts"
import { VERSION } from "../version.ts"
import { recordsOf } from "./records.ts"
import * as State from "./state.ts"
import type { SurveyPlan } from "./SurveyPlan.ts"

/** A survey that runs; the loop moves it on. */
export interface Session {
  readonly plan: SurveyPlan
  url: string
  readonly via: ReadonlyArray<string>
  network: string | undefined
  readonly nonce: number
  phase: State.Phase
  readonly startedAt: number
  readonly collectMillis: number
  stoppedAt: number | undefined
  databaseId: number | undefined
}

export const stateOf = ({ plan, ...session }: Session): State.SurveyState => ({
  ...session,
  surveyor: plan.surveyor,
  nodes: plan.nodes
})

export interface KeepOptions {
  readonly resume: string | undefined
  readonly db: string | undefined
  readonly outputs: ReadonlyArray<string>
}

export interface Keeper {
  /** Notes where the survey stands. Failures are told and do not end it: it would cost all that is not written yet. */
  readonly save: (session: Session) => Effect.Effect<void, never, FileSystem.FileSystem>
  /** At the end of a survey, or of its patience: the outputs too, unless there is no time for pictures. */
  readonly finish: (
    session: Session,
    options: { readonly isHurried: boolean }
  ) => Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem>
}

const UNKNOWN_NETWORK = "0".repeat(64)

const warn = (what: string, error: { readonly message: string }) =>
  Effect.flatMap(Screen, (screen) => screen.note([[yellow("not written"), `: ${what}: ${error.message}`]]))

const headerOf = (session: Session, surveyor: NodeId.NodeId) => ({
  networkId: session.network === undefined ? UNKNOWN_NETWORK : networkId.of(session.network),
  network: session.network === undefined ? undefined : networkId.nameOf(networkId.of(session.network)),
  surveyorId: surveyor,
  nonce: session.nonce,
  via: session.via,
  options: { collectMillis: session.collectMillis, ...session.plan.limits },
  version: `stellar-overlay ${VERSION}`
})

export const make = Effect.fnUntraced(function*(
  options: KeepOptions
): Effect.fn.Return<Keeper, never, Scope.Scope> {
  const database: SurveyDatabaseShape | undefined = options.db === undefined
    ? undefined
    : Context.get(
      yield* Layer.build(
        SurveyDatabase.layer.pipe(
          Layer.provide(NetworkDatabase.layerLazy(NodeSqlite.layer({ filename: options.db })))
        )
      ),
      SurveyDatabase
    )
  /** What of every node is in the database. */
  const written = new Map<string, string>()
  let noted: State.Phase = "collecting"

  const toDatabase = Effect.fnUntraced(function*(session: Session) {
    const surveyor = session.plan.surveyor === undefined ? undefined : NodeId.parse(session.plan.surveyor)
    if (database === undefined || surveyor === undefined || Result.isFailure(surveyor)) return
    const id = session.databaseId ?? (yield* database.begin(headerOf(session, surveyor.success)))
    session.databaseId = id
    if (session.phase === "reporting" && noted !== "reporting") yield* database.setPhase(id, noted = "reporting")
    const news = session.plan.nodes.filter((node) => {
      const mark = `${node.status} ${node.requests} ${node.answeredAt} ${node.isBad}`
      if (written.get(node.id) === mark) return false
      written.set(node.id, mark)
      return true
    })
    if (news.length > 0) yield* database.write(id, recordsOf(news))
  })

  const save: Keeper["save"] = Effect.fnUntraced(function*(session) {
    yield* Effect.catch(toDatabase(session), (error) => warn(options.db!, error))
    const { resume } = options
    if (resume === undefined) return
    yield* Effect.catch(writeFile(resume, State.toText(stateOf(session))), (error) => warn(resume, error))
  })

  const finish: Keeper["finish"] = Effect.fnUntraced(function*(session, { isHurried }) {
    const screen = yield* Screen
    yield* save(session)
    if (database !== undefined && session.databaseId !== undefined) {
      const phase = session.phase === "done" ? "completed" : "interrupted"
      yield* Effect.catch(database.setPhase(session.databaseId, phase), (error) => warn(options.db!, error))
    }
    const { results } = session.plan
    const topology = SurveyJson.toTopology(results, {
      collectedAt: session.startedAt,
      network: session.network === undefined ? undefined : networkId.nameOf(networkId.of(session.network))
    })
    const renderer = new Renderer(topology, {}, results)
    const notes: Array<Line> = []
    const done: Array<string> = []
    for (const path of options.outputs) {
      const format = formatOf(path)!
      if (isHurried && (format === "svg" || format === "html" || format === "dot")) continue
      const text = renderer.render(format)
      const isWritten = yield* writeFile(path, text).pipe(
        Effect.as(true),
        Effect.catch((error) => Effect.as(warn(path, error), false))
      )
      if (!isWritten) continue
      done.push(path)
      notes.push([green("wrote"), ` ${path} (${bytes(Buffer.byteLength(text))})`])
    }
    yield* screen.note(notes)
    return done
  })

  return { save, finish }
})
