import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { UnsentBudget } from "../../http2/index.ts";
import { Http1Connection } from "./http1-connection.ts";

/** A socket whose peer takes nothing. */
function stuckSocket(): Duplex {
  return new Duplex({ read() {}, write() {}, highWaterMark: 1 });
}

test("above the budget no more connections are ended than have to be", () => {
  const ended: [count: number, bytes: number][] = [];
  const budget = new UnsentBudget(1000, { onEnded: (count, bytes) => ended.push([count, bytes]) });
  const sockets = [300, 600, 200].map((bytes) => {
    const socket = stuckSocket();
    const connection = new Http1Connection(socket, () => {}, budget);
    socket.write(Buffer.alloc(bytes));
    connection.count();
    return socket;
  });
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true, false]);
  expect(ended).toEqual([[1, 600]]);
});
