/**
 * The discriminants of StellarMessage and what the overlay says about each: its stellar-core name, whether it is
 * flow-controlled, and the scheduling lane its kind travels in.
 *
 * Implements protocol.md section 1.4 (stellar-core: `Peer.cpp`, `OverlayManagerImpl::isFloodMessage`).
 *
 * @since 0.1.0
 */

/**
 * The 21 message types that may appear on the wire, by the name of the class that represents them.
 *
 * Discriminants 1, 4, 14 and 15 belonged to removed messages; a frame that carries one is corrupt XDR.
 *
 * @category models
 * @since 0.1.0
 */
export const MessageType = {
  ErrorMsg: 0,
  Auth: 2,
  DontHave: 3,
  Peers: 5,
  GetTxSet: 6,
  TxSet: 7,
  Transaction: 8,
  GetScpQuorumSet: 9,
  ScpQuorumSet: 10,
  ScpMessage: 11,
  GetScpState: 12,
  Hello: 13,
  SendMore: 16,
  GeneralizedTxSet: 17,
  FloodAdvert: 18,
  FloodDemand: 19,
  SendMoreExtended: 20,
  TimeSlicedSurveyRequest: 21,
  TimeSlicedSurveyResponse: 22,
  TimeSlicedSurveyStartCollecting: 23,
  TimeSlicedSurveyStopCollecting: 24
} as const

/**
 * The tag of a message class, for example `"ScpMessage"`.
 *
 * @category models
 * @since 0.1.0
 */
export type MessageTag = keyof typeof MessageType

/**
 * A known StellarMessage discriminant.
 *
 * @category models
 * @since 0.1.0
 */
export type MessageType = (typeof MessageType)[MessageTag]

const coreNames: Readonly<Record<MessageType, string>> = {
  0: "ERROR_MSG",
  2: "AUTH",
  3: "DONT_HAVE",
  5: "PEERS",
  6: "GET_TX_SET",
  7: "TX_SET",
  8: "TRANSACTION",
  9: "GET_SCP_QUORUMSET",
  10: "SCP_QUORUMSET",
  11: "SCP_MESSAGE",
  12: "GET_SCP_STATE",
  13: "HELLO",
  16: "SEND_MORE",
  17: "GENERALIZED_TX_SET",
  18: "FLOOD_ADVERT",
  19: "FLOOD_DEMAND",
  20: "SEND_MORE_EXTENDED",
  21: "TIME_SLICED_SURVEY_REQUEST",
  22: "TIME_SLICED_SURVEY_RESPONSE",
  23: "TIME_SLICED_SURVEY_START_COLLECTING",
  24: "TIME_SLICED_SURVEY_STOP_COLLECTING"
}

/**
 * Tells whether a number is the discriminant of a message that exists today.
 *
 * @category guards
 * @since 0.1.0
 */
export const isMessageType = (value: number): value is MessageType => Object.hasOwn(coreNames, value)

/**
 * The name stellar-core prints for a message type, as in "received PEERS before completed handshake".
 *
 * @category getters
 * @since 0.1.0
 */
export const coreName = (type: MessageType): string => coreNames[type]

/**
 * Tells whether a message type is flow-controlled: TRANSACTION, SCP_MESSAGE, FLOOD_ADVERT and FLOOD_DEMAND, nothing
 * else. Survey messages are broadcast too, but cost no credit.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFlood = (type: MessageType): boolean =>
  type === MessageType.ScpMessage || type === MessageType.Transaction || type === MessageType.FloodAdvert
  || type === MessageType.FloodDemand

/**
 * Tells whether only the machinery of a connection may send a message type: HELLO, AUTH, grants and ERROR_MSG. A grant
 * that flow control did not make would break its accounts, and the peer that relied on it would be dropped.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSessionOnly = (type: MessageType): boolean =>
  type === MessageType.SendMoreExtended || type === MessageType.SendMore || type === MessageType.Hello
  || type === MessageType.Auth || type === MessageType.ErrorMsg
