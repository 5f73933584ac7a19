/**
 * Calls on different keys and with different values. Some stores merge simultaneous calls on one
 * key, and SQLite writes no unchanged page: repeating one call says little about a store that keeps
 * data.
 *
 * Run as a program it makes the calls. It implements only the HTTP/2 that it needs, because a full
 * client would be slower than what it measures.
 */
import { once } from "node:events";
import net from "node:net";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  Flag,
  FRAME_HEAD_BYTES,
  FrameType,
  INITIAL_WINDOW_BYTES,
  MAX_31_BITS,
  PREFACE,
  writeFrameHead,
} from "../../http2/frame.ts";
import { GRPC, type Shape } from "./calls.ts";
import { KeyedBodies, type KeyedMethod, keyedPath } from "./keyed-bodies.ts";
import { type Peer, runLoad } from "./process.ts";

/** The default number of keys. */
export const KEYS = 10_000;
const RUN_SECONDS = 0.5;
const WARM_UP_SECONDS = 1;
/** How long a run goes on before it counts. */
const START_MS = 300;

interface Load extends Shape {
  readonly port: number;
  readonly method: KeyedMethod;
  readonly keys: number;
  /** How long to call random keys; 0 = call each key once, in order. */
  readonly seconds: number;
}

/** Writes every key. */
export async function fillKeys({ port }: Peer, keys: number, shape: Shape): Promise<void> {
  await call({ ...shape, port, method: "Set", keys, seconds: 0 });
}

/** A contender, after warming up the method: the calls a second of a peer that has the keys. */
export async function manyKeysContender(
  { port }: Peer,
  method: KeyedMethod,
  shape: Shape,
  keys = KEYS,
): Promise<() => Promise<number>> {
  const load = { ...shape, port, method, keys };
  await call({ ...load, seconds: WARM_UP_SECONDS });
  return async () => await call({ ...load, seconds: RUN_SECONDS });
}

async function call(load: Load): Promise<number> {
  const program = [fileURLToPath(import.meta.url), JSON.stringify(load)];
  return Number(await runLoad(process.execPath, program));
}

/**
 * A header field that the peer's HPACK table keeps (https://www.rfc-editor.org/rfc/rfc7541), by its
 * number in the static table or by name.
 */
function kept(name: number | string, value: string): Buffer {
  const text = (of: string) => Buffer.concat([Buffer.of(of.length), Buffer.from(of)]);
  const key =
    typeof name === "number" ? Buffer.of(0x40 | name) : Buffer.concat([Buffer.of(0x40), text(name)]);
  return Buffer.concat([key, text(value)]);
}

/** `:method: POST` and `:scheme: http`. */
const POST = Buffer.of(0x83, 0x86);
/** The same, and the four fields that the peer kept last. */
const POST_AS_BEFORE = Buffer.of(0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe);

/** Makes calls on one connection, `streams` at a time, until `endMs`. Rejects if one failed. */
async function callOn(
  socket: net.Socket,
  { port, method, keys, seconds, streams }: Load,
  bodies: KeyedBodies,
  endMs: number,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fields = [
    kept(4, keyedPath(method)),
    kept(1, `127.0.0.1:${port}`),
    kept(31, GRPC),
    kept("te", "trailers"),
  ];
  let head = Buffer.concat([POST, ...fields]);
  let nextStream = 1;
  let underWay = 0;
  /** The streams that have received a message. */
  const answered = new Set<number>();
  const out = Buffer.alloc(65_536);

  function call(at: number): number {
    const body = bodies.next();
    let end = writeFrameHead(out, at, head.length, FrameType.HEADERS, Flag.END_HEADERS, nextStream);
    end += head.copy(out, end);
    end = writeFrameHead(out, end, body.length, FrameType.DATA, Flag.END_STREAM, nextStream);
    end += body.copy(out, end);
    head = POST_AS_BEFORE;
    nextStream += 2;
    underWay++;
    return end;
  }

  /** Handles a frame and writes its reply to `out`. Answers where the reply ends. */
  function take(type: number, flags: number, stream: number, at: number): number {
    switch (type) {
      case FrameType.DATA:
        answered.add(stream);
        break;
      case FrameType.WINDOW_UPDATE:
        break;
      case FrameType.SETTINGS:
        if ((flags & Flag.ACK) === 0) {
          return writeFrameHead(out, at, 0, FrameType.SETTINGS, Flag.ACK, 0);
        }
        break;
      case FrameType.HEADERS:
        if ((flags & Flag.END_STREAM) === 0) {
          break;
        }
        underWay--;
        // A failed call has no message.
        if (!answered.delete(stream)) {
          throw new Error("a call failed");
        }
        if (seconds > 0 ? performance.now() < endMs : bodies.count < keys) {
          return call(at);
        }
        if (underWay === 0) {
          resolve();
        }
        break;
      default:
        throw new Error(`the peer sent a frame of type ${type}`);
    }
    return at;
  }

  let rest: Buffer = Buffer.alloc(0);
  function receive(chunk: Buffer): void {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    let written = 0;
    while (at + FRAME_HEAD_BYTES <= bytes.length) {
      const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) {
        break;
      }
      written = take(bytes.readUInt8(at + 3), bytes.readUInt8(at + 4), bytes.readUInt32BE(at + 5), written);
      at = end;
    }
    rest = bytes.subarray(at);
    if (written > 0) {
      socket.write(Buffer.from(out.subarray(0, written)));
    }
  }

  socket.on("data", (chunk: Buffer) => {
    try {
      receive(chunk);
    } catch (error) {
      reject(error);
    }
  });
  socket.on("close", () => reject(new Error("the peer closed a connection")));
  let end = PREFACE.copy(out);
  end = writeFrameHead(out, end, 0, FrameType.SETTINGS, 0, 0);
  end = writeFrameHead(out, end, 4, FrameType.WINDOW_UPDATE, 0, 0);
  end = out.writeUInt32BE(MAX_31_BITS - INITIAL_WINDOW_BYTES, end);
  for (let i = 0; i < streams; i++) {
    end = call(end);
  }
  socket.write(Buffer.from(out.subarray(0, end)));
  await promise;
}

/** Calls a second. */
async function run(load: Load): Promise<number> {
  const bodies = new KeyedBodies(load.method, { keys: load.keys, inOrder: load.seconds === 0 });
  const sockets = Array.from({ length: load.connections }, () =>
    net.connect({ host: "127.0.0.1", port: load.port, noDelay: true }),
  );
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  const endMs = performance.now() + START_MS + load.seconds * 1000;
  const done = Promise.all(sockets.map((socket) => callOn(socket, load, bodies, endMs)));
  // Before V8 has compiled this program, its speed says nothing about the peer.
  if (load.seconds > 0) {
    await setTimeout(START_MS);
  }
  const from = { calls: bodies.count, ms: performance.now() };
  await done;
  const seconds = (performance.now() - from.ms) / 1000;
  for (const socket of sockets) {
    socket.removeAllListeners("close").destroy();
  }
  return (bodies.count - from.calls) / seconds;
}

if (import.meta.main) {
  console.log(await run(JSON.parse(process.argv[2] ?? "") as Load));
}
