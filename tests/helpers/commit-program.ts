/** A process that commits to the SQLite file of its first argument until it is killed. */
import { commitForever } from "./commit-load.ts";

await commitForever(process.argv[2] ?? "");
