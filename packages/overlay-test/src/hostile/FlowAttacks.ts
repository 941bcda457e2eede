/**
 * Attacks on flow control: F1 to F8.
 *
 * The numbers are those of protocol.md 4.1 and 4.2: 200 flood messages and 300,000 bytes granted, 201 messages and 1 MiB
 * in process.
 *
 * @since 0.1.0
 */
import { Auth, SendMore, SendMoreExtended, type StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { type Attack, attack, bothRoles, type Case } from "./Attack.ts"
import { advert, endless, note, notes, repeated, sample, silently, staysFor, transaction, txSet } from "./parts.ts"

const MAX_UINT64 = 2n ** 64n - 1n

/**
 * Grants that are none.
 *
 * @category attacks
 * @since 0.1.0
 */
export const f1 = attack<Case & { message: StellarMessage }>({
  id: "F1",
  title: "plain SEND_MORE, or a grant without bytes, ends it",
  roles: bothRoles,
  cases: [
    { name: "SEND_MORE", drop: "UnexpectedSendMore", message: SendMore.make({ numMessages: 1 }) },
    { name: "SEND_MORE of nothing", drop: "UnexpectedSendMore", message: SendMore.make({ numMessages: 0 }) },
    ...[0, 1, 0xffff_ffff].map((numMessages) => ({
      name: `${numMessages} messages, 0 bytes`,
      drop: "InvalidSendMoreExtended" as const,
      message: SendMoreExtended.make({ numMessages, numBytes: 0 })
    })),
    { name: "0 messages, 1 byte is a grant", message: SendMoreExtended.make({ numMessages: 0, numBytes: 1 }) }
  ],
  *run(peer, { drop, message }) {
    yield* peer.handshake()
    yield* peer.say(message)
    if (drop === undefined) yield* peer.expectOpen(1000)
    else yield* peer.expectClosed(silently)
  }
})

/**
 * Grants that add up to more than 2^64 - 1. Nobody lives to see it, so the victim is prepared to hold nearly that much.
 *
 * @category attacks
 * @since 0.1.0
 */
export const f2 = attack<Case & { grant: readonly [numMessages: number, numBytes: number] }>({
  id: "F2",
  title: "credit beyond 2^64 - 1 ends it",
  roles: bothRoles,
  cases: ([
    ["messages by one", [MAX_UINT64 - 1n, 0n], [2, 1], true],
    ["bytes by one", [0n, MAX_UINT64 - 1n], [0, 2], true],
    ["both by the most one grant can", [MAX_UINT64, MAX_UINT64], [0xffff_ffff, 0xffff_ffff], true],
    ["not quite", [MAX_UINT64 - 1n, MAX_UINT64 - 1n], [1, 1], false]
  ] as const).map(([name, held, grant, over]) => ({
    name,
    drop: over ? "CapacityOverflow" as const : undefined,
    grant,
    victim: { prepare: (session) => session.flow.setCredit(held[0], held[1]) }
  })),
  *run(peer, { drop, grant: [numMessages, numBytes] }) {
    yield* peer.handshake()
    yield* peer.say(SendMoreExtended.make({ numMessages, numBytes }))
    if (drop === undefined) yield* peer.expectOpen(1000)
    else yield* peer.expectClosed(silently)
  }
})

const GRANTED_MESSAGES = 200

/** Twelve adverts of 300,000 bytes together: 8 bytes each and 32 for each of 9372 hashes. */
const exactlyAllBytes = (): Array<StellarMessage> =>
  repeated(12, (i) => i < 9 ? advert(1000, 1000 * i) : advert(124, 124 * i))

const never = Number.POSITIVE_INFINITY

/**
 * One unit more than was granted.
 *
 * @category attacks
 * @since 0.1.0
 */
export const f3 = attack<Case & { messages: () => ReadonlyArray<StellarMessage> }>({
  id: "F3",
  title: "the first message or byte beyond the grant ends it",
  roles: bothRoles,
  cases: [
    { name: "200 messages", messages: () => repeated(GRANTED_MESSAGES, (i) => advert(1, i)) },
    { name: "201 messages", drop: "FloodCapacityExceeded", messages: () => repeated(201, (i) => advert(1, i)) },
    { name: "300,000 bytes in 12 messages", messages: exactlyAllBytes },
    {
      name: "300,000 bytes and the smallest message",
      drop: "FloodCapacityExceeded",
      messages: () => [...exactlyAllBytes(), advert(0)]
    },
    { name: "300,000 bytes in one message", messages: () => [transaction(300_000)] },
    { name: "300,004 bytes in one message", drop: "FloodCapacityExceeded", messages: () => [transaction(300_004)] },
    {
      name: "SCP messages count as others do",
      drop: "FloodCapacityExceeded",
      messages: () => repeated(201, (i) => sample("ScpMessage", i + 1, 100))
    },
    {
      name: "what is not flow-controlled costs nothing",
      messages: () => [...repeated(200, (i) => advert(1, i)), note(1)]
    }
  ].map((parameters) => ({
    ...parameters,
    // One message is too much however fast the consumer is.
    victim: parameters.name.endsWith("one message") ? {} : { idleMillis: never }
  })) as ReadonlyArray<Case & { messages: () => ReadonlyArray<StellarMessage> }>,
  *run(peer, { drop, messages }) {
    yield* peer.handshake()
    yield* peer.sayAll(messages())
    if (drop === undefined) yield* peer.expectOpen(1000)
    else yield* peer.expectClosed(silently)
  }
})

/**
 * Uses every grant to the last message, for long: credit is conserved on the way.
 *
 * @category attacks
 * @since 0.1.0
 */
export const f3Conserved = attack<Case & { messages: number }>({
  id: "F3",
  title: "whoever keeps to the grants is never beyond them",
  roles: bothRoles,
  cases: [{ name: "2000 messages", messages: 2000 }],
  *run(peer, { messages }) {
    yield* peer.handshake()
    const granted = () => peer.messages("SendMoreExtended").reduce((sum, { numMessages }) => sum + numMessages, 0)
    let sent = 0
    while (sent < messages) {
      // Credit comes when what was sent is processed, which takes a node a moment.
      while (sent >= granted()) yield* peer.expect("SendMoreExtended")
      const batch = repeated(granted() - sent, (i) => advert(1, sent + i))
      sent += batch.length
      yield* peer.sayAll(batch)
    }
    // All but what is below the batch of 40 comes back.
    while (granted() - sent <= 160) yield* peer.expect("SendMoreExtended")
    yield* peer.expectOpen(1000)
    const back = granted() - sent
    if (back > 200) throw peer.failure("161 to 200 messages of credit", `there are ${back}`)
  }
})

/**
 * Takes, and never gives credit.
 *
 * @category attacks
 * @since 0.1.0
 */
export const f4 = attack<Case & { grants: number }>({
  id: "F4",
  title: "a peer that grants nothing for 60 s is out",
  roles: bothRoles,
  cases: [
    {
      name: "from the start, with nothing to send to it",
      drop: "NoCapacityTimeout",
      grants: 0,
      slow: true,
      // Core counts from the last time that it had something to send and no credit (protocol.md 4.7), which may be now.
      strict: true
    },
    {
      name: "from the start, with much to send to it",
      drop: "NoCapacityTimeout",
      grants: 0,
      slow: true,
      victim: { sends: () => endless(1024) }
    },
    {
      name: "after one grant, with much to send to it",
      drop: "NoCapacityTimeout",
      grants: 1,
      slow: true,
      victim: { sends: () => endless(1024) }
    },
    { name: "after one grant, with nothing to send to it", grants: 1, slow: true, quiet: true }
  ],
  *run(peer, { drop, grants }) {
    const start = peer.now.millis
    yield* peer.handshake()
    if (grants > 0) yield* peer.say(SendMoreExtended.make({ numMessages: 10, numBytes: 100_000 }))
    // The victim has counted for as long as this side took to see that it is connected.
    yield* staysFor(peer, start + 59_990 - peer.now.millis - (peer.options.slackMillis ?? 0))
    if (drop === undefined) return yield* staysFor(peer, 60_000)
    // Looked at every 5 s (protocol.md 8.1).
    yield* peer.expectClosed({ within: start + 65_000 - peer.now.millis, error: "silent" })
    return undefined
  }
})

/**
 * Gives credit in the smallest portions.
 *
 * @category attacks
 * @since 0.1.0
 */
export const f5 = attack<Case & { numBytes: number; perMessage: number }>({
  id: "F5",
  title: "credit that drips is used to the last unit",
  cases: [
    { name: "a message at a time", numBytes: 1024, perMessage: 1 },
    { name: "a quarter of a message at a time", numBytes: 256, perMessage: 4 }
  ].map((parameters) => ({ ...parameters, victim: { sends: () => endless(1024) } })),
  *run(peer, { numBytes, perMessage }) {
    const grants = 2000
    yield* peer.handshake()
    for (let i = 0; i < grants; i++) {
      yield* peer.say(SendMoreExtended.make({ numMessages: i % perMessage === 0 ? 1 : 0, numBytes }))
      if (i % 100 === 0) yield* peer.expectOpen(1)
    }
    yield* peer.expectOpen(1000)
    const heard = peer.messages("Transaction").length
    if (heard !== grants / perMessage) throw peer.failure(`${grants / perMessage} transactions`, `${heard} came`)
  }
})

/**
 * Flood messages before there can be credit.
 *
 * @category attacks
 * @since 0.1.0
 */
export const f6 = attack({
  id: "F6",
  title: "a flood message before the first grant ends it",
  roles: bothRoles,
  cases: [
    { name: "SCP_MESSAGE", drop: "MessageBeforeHandshake" as const, message: sample("ScpMessage") },
    { name: "FLOOD_ADVERT", drop: "MessageBeforeHandshake" as const, message: advert(1) }
  ],
  *run(peer, { message }) {
    yield* peer.handshake("GotHello")
    // In one write with the AUTH that would have opened the way.
    const flood = peer.encode(message)
    const auth = peer.encode(Auth.make())
    yield* peer.sayBytes(Uint8Array.of(...flood, ...auth))
    yield* peer.expectClosed(silently)
  }
})

/**
 * A storm of messages that no credit limits, at a consumer that takes none.
 *
 * @category attacks
 * @since 0.1.0
 */
export const f7 = attack<Case & { messages: () => ReadonlyArray<StellarMessage> }>({
  id: "F7",
  title: "unread messages stop the reading, not the connection",
  roles: bothRoles,
  cases: [
    { name: "1000 small ones", messages: () => notes(1000) },
    { name: "20 of 100 KB", messages: () => repeated(20, (i) => txSet(i, 1)) }
  ].map((parameters) => ({ ...parameters, slow: true, victim: { idleMillis: 20_000 } })),
  *run(peer, { messages }) {
    yield* peer.handshake()
    yield* peer.say(SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 }))
    yield* peer.sayAll(messages())
    yield* staysFor(peer, 60_000)
  }
})

/**
 * Uses its credit and stays friendly, while the victim's application does nothing for ten minutes.
 *
 * @category attacks
 * @since 0.1.0
 */
export const f8 = attack<Case & { messages: () => ReadonlyArray<StellarMessage> }>({
  id: "F8",
  title: "an application that stops for ten minutes loses neither the peer nor a message",
  roles: bothRoles,
  cases: [
    { name: "all the credit used", messages: () => repeated(200, (i) => advert(1, i)) },
    { name: "reading stopped as well", messages: () => [...repeated(200, (i) => advert(1, i)), ...notes(300)] }
  ].map((parameters) => ({ ...parameters, slow: true, victim: { idleMillis: 600_000 } })),
  *run(peer, { messages }) {
    yield* peer.handshake()
    yield* peer.say(SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 }))
    yield* peer.sayAll(messages())
    yield* staysFor(peer, 660_000)
  }
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const flowAttacks: ReadonlyArray<Attack> = [f1, f2, f3, f3Conserved, f4, f5, f6, f7, f8]
