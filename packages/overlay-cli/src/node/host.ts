/** The ledger side of a node, by the name that `--host` gives it. */
import type * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import type * as Layer from "effect/Layer"

export const hostNames = ["watcher", "relay"] as const

export type HostName = (typeof hostNames)[number]

export const layerHost = (name: HostName): Layer.Layer<OverlayHost, never, NodeOverlay.Services> =>
  name === "relay" ? OverlayHost.layerRelay : OverlayHost.layerWatcher
