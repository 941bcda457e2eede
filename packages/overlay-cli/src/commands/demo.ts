import * as Command from "effect/cli/Command"
export const demo = Command.make("demo")
