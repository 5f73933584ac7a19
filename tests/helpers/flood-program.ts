/**
 * Floods a server: `node flood-program.ts HOST:PORT CONNECTIONS`. Each line of standard input names
 * a flood, which replaces the one before. The name is printed when its connections are there.
 * Connections that are cut off connect again.
 */
import net from "node:net";
import { createInterface } from "node:readline";
import { FLOODS, type Flood, OPENING } from "./floods.ts";

/** The bytes of `each` before `later` follows; then both repeat. */
const ROUND_BYTES = 64 * 1024;
const MAX_ROUND_STREAMS = 1000;
/** Lower ids are for `first`. */
const FIRST_STREAM = 2001;

const [address = "", connections = ""] = process.argv.slice(2);
const [host = "", port = ""] = address.split(":");
const sockets = new Set<net.Socket>();
let current: Flood | undefined;

/**
 * Makes a function that writes a round; call it again when the socket drains. If the socket takes
 * all at once, the next round comes a turn later: a loop would never notice another flood, answers
 * or the end of its connection.
 */
function createSender(socket: net.Socket, { each, later }: Flood): () => void {
  let id = FIRST_STREAM;
  let due: number[] = [];
  const send = () => {
    if (!socket.writable) {
      return;
    }
    const pieces = later === undefined ? [] : due.map(later);
    due = [];
    for (let bytes = 0; bytes < ROUND_BYTES && due.length < MAX_ROUND_STREAMS; id += 2) {
      const piece = each(id);
      pieces.push(piece);
      due.push(id);
      bytes += piece.length;
    }
    if (socket.write(Buffer.concat(pieces))) {
      setImmediate(send);
    }
  };
  return send;
}

function connect(flood: Flood, connected: () => void): void {
  const socket = net.connect(Number(port), host);
  sockets.add(socket);
  const send = createSender(socket, flood);
  socket.on("connect", () => {
    connected();
    socket.write(Buffer.concat([OPENING, ...(flood.first === undefined ? [] : [flood.first])]));
    send();
  });
  // Answers are read and dropped.
  socket.on("drain", send).on("data", () => {});
  socket.on("error", () => {});
  socket.on("end", () => socket.destroy());
  socket.on("close", () => {
    sockets.delete(socket);
    if (current === flood) {
      setImmediate(connect, flood, connected);
    }
  });
}

createInterface(process.stdin)
  .on("line", (name) => {
    const flood = FLOODS.find((each) => each.name === name);
    if (flood === undefined) {
      throw new TypeError(`no such flood: ${name}`);
    }
    current = flood;
    for (const socket of sockets) {
      socket.destroy();
    }
    let missing = Number(connections);
    const connected = () => {
      if (--missing === 0) {
        console.log(name);
      }
    };
    for (let i = 0; i < Number(connections); i++) {
      connect(flood, connected);
    }
  })
  .on("close", () => process.exit());
