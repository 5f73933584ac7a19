/** A process that appends to the SQLite file of its first argument until it is killed. */
import { appendForever } from "./append-load.ts";

await appendForever(process.argv[2] ?? "");
