import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";

/** What stands between a client and a server, and can be the network that fails. Disposing cuts everything. */
export interface TcpProxy extends AsyncDisposable {
  /** Of loopback, for the client. The same all the while. */
  readonly port: number;
  /** Connections of clients that are there now. */
  readonly connections: number;
  /** What clients have sent so far, including what is held back. */
  readonly bytesFromClients: number;
  /** Ends every connection with a reset, on both sides. New ones are taken. */
  cut(): void;
  /** {@link cut}, and refuses new ones until {@link restore}. */
  refuse(): void;
  /** Takes connections again; resolves when it does. */
  restore(): Promise<void>;
  /** Connections stay and new ones are taken, but no byte goes either way, nor an end, until {@link thaw}. */
  freeze(): void;
  /** What was held back goes on. */
  thaw(): void;
  /** From now on no more than about so many bytes a second go either way over each connection. */
  slow(bytesPerSecond: number): void;
  /** Resets each connection that is there now in place of the next answer on it, which the server has done the work for by then. */
  cutAnswers(): void;
}

/** A connection of a client, and the one that was made for it. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  cutsAnswer: boolean;
}

/** Starts a proxy on a free port, in front of a port of loopback. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let frozen = false;
  let bytesPerSecond = Infinity;
  const clients: Socket[] = [];
  const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, accept);

  function accept(client: Socket): void {
    const server = net.connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const pair: Pair = { client, server, cutsAnswer: false };
    pairs.add(pair);
    clients.push(client);
    forward(pair, client, server);
    forward(pair, server, client);
  }

  function forward(pair: Pair, from: Socket, to: Socket): void {
    if (frozen) {
      from.pause();
    }
    from.on("data", (bytes: Buffer) => {
      if (pair.cutsAnswer && from === pair.server) {
        reset(pair);
      } else if (!to.write(bytes)) {
        from.pause();
      } else if (bytesPerSecond < Infinity) {
        from.pause();
        setTimeout(() => frozen || from.resume(), (1000 * bytes.length) / bytesPerSecond);
      }
    });
    to.on("drain", () => {
      if (!frozen) {
        from.resume();
      }
    });
    from.on("end", () => to.end());
    // A reset of one side is one of the other.
    from.on("error", () => {});
    from.on("close", (hadError) => {
      if (hadError && !frozen) {
        reset(pair);
      }
      if (to.closed) {
        pairs.delete(pair);
      }
    });
  }

  function reset(pair: Pair): void {
    pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  }

  function cut(): void {
    for (const pair of pairs) {
      reset(pair);
    }
  }

  async function listen(port: number): Promise<void> {
    listener.listen(port, "127.0.0.1");
    await once(listener, "listening");
  }

  await listen(0);
  const { port } = listener.address() as AddressInfo;
  return {
    port,
    get connections() {
      return pairs.size;
    },
    get bytesFromClients() {
      return clients.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
    },
    cut,
    refuse() {
      listener.close();
      cut();
    },
    restore: () => listen(port),
    freeze() {
      frozen = true;
      for (const { client, server } of pairs) {
        client.pause();
        server.pause();
      }
    },
    thaw() {
      frozen = false;
      for (const pair of pairs) {
        if (pair.client.destroyed || pair.server.destroyed) {
          reset(pair);
        }
        pair.client.resume();
        pair.server.resume();
      }
    },
    slow(bytes) {
      bytesPerSecond = bytes;
    },
    cutAnswers() {
      for (const pair of pairs) {
        pair.cutsAnswer = true;
      }
    },
    async [Symbol.asyncDispose]() {
      cut();
      if (listener.listening) {
        await new Promise((resolve) => listener.close(resolve));
      }
    },
  };
}
