import { once } from "node:events";
import net from "node:net";
import {
  type ClientConnection,
  createClientConnection,
  encodeHeaders,
  type Stream,
} from "../../http2/index.ts";
import { type Peer, pinThisProcess } from "./process.ts";

const CONNECTIONS = 8;
/** A peer that owes this many answers cannot keep up; its latency is meaningless. */
const MAX_OWED = 20_000;

/** The call to make. */
export interface OpenLoopCall {
  readonly path: string;
  readonly contentType: string;
  /** Makes the body of the next call; nobody changes it. */
  readonly nextBody: () => Uint8Array;
  /**
   * True: sleeps a millisecond at a time until the next call is due, because others need the core.
   * Otherwise keeps the core busy.
   */
  readonly sleeps?: boolean;
}

/** Latencies in milliseconds, ascending; `undefined` = the peer did not keep up. */
export type Latencies = Float64Array | undefined;

/**
 * Makes calls at a fixed rate, whatever became of the earlier ones. Times each from the moment at
 * which it was due: a stall of the peer (or of this process) counts for all calls that wait
 * meanwhile.
 */
export async function openLoop(
  peer: Peer,
  call: OpenLoopCall,
  callsPerSecond: number,
  seconds: number,
): Promise<Latencies> {
  pinThisProcess();
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect(peer.port)));
  const head = encodeHeaders([
    ...[":method", "POST", ":scheme", "http", ":path", call.path, ":authority", `127.0.0.1:${peer.port}`],
    ...["content-type", call.contentType, "te", "trailers"],
  ]);
  const total = Math.round(callsPerSecond * seconds);
  const latencies = new Float64Array(total);
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  let answered = 0;
  let failed = 0;
  const onClose = (stream: Stream) => {
    const dueMs = stream.context as number;
    latencies[answered++] = performance.now() - dueMs;
    failed += stream.trailers?.get("grpc-status") === "0" ? 0 : 1;
    if (answered === total) {
      resolve(true);
    }
  };
  const drop = () => {};

  // Opened first, so that the first calls do not pay for connections and tables.
  const startMs = performance.now() + 50;
  let sent = 0;
  const pump = () => {
    const now = performance.now();
    for (; sent < total; sent++) {
      const dueMs = startMs + (sent / callsPerSecond) * 1000;
      if (dueMs > now) {
        break;
      }
      const stream = (connections[sent % CONNECTIONS] as ClientConnection).request(head);
      stream.setContext(dueMs);
      stream.whenClosed(onClose);
      stream.read(drop);
      stream.endWith(call.nextBody());
    }
    if (sent - answered > MAX_OWED) {
      resolve(false);
    } else if (sent < total) {
      if (call.sleeps === true) {
        setTimeout(pump, 1);
      } else {
        setImmediate(pump);
      }
    }
  };
  for (const connection of connections) {
    connection.onClose = (error) => reject(error ?? new Error("the peer closed a connection"));
  }
  pump();
  const keptUp = await promise;
  // Unanswered calls end with their connections.
  for (const connection of connections) {
    connection.onClose = undefined;
    connection.destroy();
  }
  if (!keptUp) {
    return undefined;
  }
  if (failed > 0) {
    throw new Error(`${failed} calls failed`);
  }
  return latencies.sort();
}

async function connect(port: number): Promise<ClientConnection> {
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  return createClientConnection(socket, {});
}

/** The latency that `part` of the calls stay below, in milliseconds. */
export function quantile(latencies: Float64Array, part: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))] ?? Number.NaN;
}
