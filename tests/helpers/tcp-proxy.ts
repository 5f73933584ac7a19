import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";

/** A proxy between client and server that imitates a failing network. Disposing cuts everything. */
export interface TcpProxy extends AsyncDisposable {
  /** The client's port, on loopback. It never changes. */
  readonly port: number;
  /** The number of open client connections. */
  readonly connections: number;
  /** The bytes that clients have sent, including held-back ones. */
  readonly bytesFromClients: number;
  /** Resets every connection on both sides. New ones are accepted. */
  cut(): void;
  /** Like {@link cut}, and refuses new ones until {@link restore}. */
  refuse(): void;
  /** Accepts connections again; resolves when it does. */
  restore(): Promise<void>;
  /** Keeps and accepts connections, but passes no byte and no end until {@link thaw}. */
  freeze(): void;
  /** Passes what was held back. */
  thaw(): void;
  /** From now on passes at most about this many bytes a second, each way over each connection. */
  slow(bytesPerSecond: number): void;
  /**
   * Resets each open connection instead of passing its next answer. The server has done the work by
   * then.
   */
  cutAnswers(): void;
}

/** A client's connection and the one that was made for it to the server. */
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
    // A reset on one side is passed to the other.
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
