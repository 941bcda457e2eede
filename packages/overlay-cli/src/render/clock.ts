/**
 * What a certificate says about the remote clock.
 *
 * A node issues certificates for an hour and replaces them at half life (protocol.md 2.2). One that is in use therefore
 * expires 30 to 60 minutes from the remote's now, and anything else is a difference of clocks of at least what is
 * missing.
 */
import { CERTIFICATE_LIFETIME_SECONDS } from "@stellar-overlay/overlay/protocol/PeerAuth"
import { seconds } from "./units.ts"

/** Seconds by which the remote clock is ahead of ours (negative: behind), at least; 0 when there is no sign of it. */
export const skewSeconds = (certificateSecondsLeft: number): number => {
  if (certificateSecondsLeft > CERTIFICATE_LIFETIME_SECONDS) {
    return certificateSecondsLeft - CERTIFICATE_LIFETIME_SECONDS
  }
  const half = CERTIFICATE_LIFETIME_SECONDS / 2
  return certificateSecondsLeft < half ? certificateSecondsLeft - half : 0
}

/** Network delay and rounding to seconds make a difference this small mean nothing. */
const TOLERANCE_SECONDS = 2

/** In words. */
export const describe = (certificateSecondsLeft: number): string => {
  const skew = skewSeconds(certificateSecondsLeft)
  if (Math.abs(skew) <= TOLERANCE_SECONDS) return "no sign of a difference"
  const certificate = certificateSecondsLeft < 0
    ? `its certificate expired ${seconds(-certificateSecondsLeft)} ago by our clock`
    : `its certificate, which lives an hour and is renewed after half of it, expires in ${
      seconds(certificateSecondsLeft)
    } by our clock`
  return `about ${seconds(Math.abs(skew))} or more ${skew > 0 ? "ahead of" : "behind"} ours: ${certificate}`
}
