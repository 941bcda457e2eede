import { actor } from "./actors/swarm.ts"
console.log(actor.network(Number(process.argv[2]), 60, 1))
