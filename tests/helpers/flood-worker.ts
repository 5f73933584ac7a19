/**
 * A worker that repeats one request over several HTTP/2 connections, each with many calls at a
 * time. It posts the number of its answers when it is told to stop.
 */
import http2 from "node:http2";
import { parentPort, workerData } from "node:worker_threads";

/** The worker's start data. */
export interface Flood {
  readonly address: string;
  readonly connections: number;
  /** The calls at a time on each connection. */
  readonly calls: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const { address, connections, calls, headers, body } = workerData as Flood;
let answers = 0;
let running = true;

function call(session: http2.ClientHttp2Session): void {
  if (running && !session.destroyed) {
    const stream = session.request({ ...headers });
    stream.on("error", () => {});
    stream.on("close", () => {
      answers++;
      call(session);
    });
    stream.resume().end(body);
  }
}

const sessions = Array.from({ length: connections }, () => http2.connect(`http://${address}`));
for (const session of sessions) {
  session.on("error", () => {});
  for (let i = 0; i < calls; i++) {
    call(session);
  }
}
parentPort?.once("message", () => {
  running = false;
  for (const session of sessions) {
    session.destroy();
  }
  parentPort?.postMessage(answers);
});
