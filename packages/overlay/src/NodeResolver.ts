/**
 * `Resolver` over the resolver of the operating system, hosts file included.
 *
 * @since 0.1.0
 */
import * as NodeDns from "@effect/platform-node/NodeDns"
import * as Layer from "effect/Layer"
import { Resolver } from "./Resolver.ts"

/**
 * Resolves names as every other program on this machine does.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Resolver> = Layer.provide(Resolver.layerDns, NodeDns.layer)
