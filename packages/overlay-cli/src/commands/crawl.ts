/** `stellar-overlay crawl [seeds...]`: who is on a network. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { run } from "../crawl/run.ts"
import { flags, settings } from "../crawl/settings.ts"
import { Ended, ExitCode } from "../ExitCode.ts"
import { red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { work } from "../work.ts"

/** `crawl`: visits the nodes of a network, one after the other of those it hears of. */
export const crawl = Command.make("crawl", flags, (parsed) => {
  const chosen = settings(parsed)
  if (!("problem" in chosen)) return work(run(chosen))
  return Effect.flatMap(Screen, (screen) => screen.note([[red("error"), `: ${chosen.problem}`], ["  ", chosen.hint]]))
    .pipe(
      Effect.andThen(new Ended({ code: ExitCode.Usage }))
    )
}).pipe(
  Command.withDescription(
    "Find everybody on a network: start from some nodes, ask each whom it knows, and go on until nobody new is named. Full nodes answer too. Nodes, addresses, attempts and who told of whom go into a SQLite file (docs/CRAWL.md). The rates are polite by default. Ctrl-C leaves a file that --resume goes on with. The exit code is 0 when anybody was found."
  ),
  Command.withShortDescription("Find everybody on a network"),
  Command.withExamples([
    { command: "stellar-overlay crawl --network testnet --db testnet.db", description: "The test network" },
    {
      command: "stellar-overlay crawl --network testnet --db testnet.db --compare",
      description: "Once more, and what is new"
    },
    {
      command: "stellar-overlay crawl 127.0.0.1:11625 --network standalone --db demo.db --listen 2",
      description: "The nodes of a demo"
    }
  ])
)
