/** The short names of message types on the command line, and how a list of them is read. */
import { coreName, type MessageTag, MessageType } from "@stellar-overlay/overlay/wire/MessageType"

const groups: Readonly<Record<string, ReadonlyArray<MessageTag>>> = {
  scp: ["ScpMessage"],
  tx: ["Transaction"],
  advert: ["FloodAdvert"],
  demand: ["FloodDemand"],
  txset: ["TxSet", "GeneralizedTxSet"],
  qset: ["ScpQuorumSet"],
  peers: ["Peers"],
  survey: [
    "TimeSlicedSurveyRequest",
    "TimeSlicedSurveyResponse",
    "TimeSlicedSurveyStartCollecting",
    "TimeSlicedSurveyStopCollecting"
  ],
  "dont-have": ["DontHave"],
  "get-txset": ["GetTxSet"],
  "get-qset": ["GetScpQuorumSet"],
  "get-scp-state": ["GetScpState"],
  hello: ["Hello"],
  auth: ["Auth"],
  "send-more": ["SendMoreExtended", "SendMore"],
  error: ["ErrorMsg"]
}

const tags = Object.keys(MessageType) as Array<MessageTag> // the keys of a constant

/** What a connection settles by itself and no consumer of messages sees. */
export const controlTags: ReadonlySet<MessageTag> = new Set<MessageTag>([
  "Hello",
  "Auth",
  "SendMore",
  "SendMoreExtended",
  "ErrorMsg"
])

const plain = (name: string): string => name.toLowerCase().replace(/[-_ ]/g, "")

const byName = new Map<string, ReadonlyArray<MessageTag>>([
  ["all", tags],
  ...tags.flatMap((tag): Array<[string, ReadonlyArray<MessageTag>]> => [
    [plain(tag), [tag]],
    [plain(coreName(MessageType[tag])), [tag]]
  ]),
  ...Object.entries(groups).map(([name, members]): [string, ReadonlyArray<MessageTag>] => [plain(name), members])
])

/** The names that are worth mentioning. */
export const typeNames: ReadonlyArray<string> = [...Object.keys(groups), "all"]

/**
 * Reads `scp,tx,...`: short names, class names and stellar-core's names, in any case. The other side is the first name
 * that is none of these.
 */
export const parse = (list: string): ReadonlySet<MessageTag> | { readonly unknown: string } => {
  const result = new Set<MessageTag>()
  for (const name of list.split(",").map((item) => item.trim()).filter((item) => item !== "")) {
    const members = byName.get(plain(name))
    if (members === undefined) return { unknown: name }
    for (const member of members) result.add(member)
  }
  return result.size === 0 ? { unknown: list } : result
}
