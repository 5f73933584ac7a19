import type net from "node:net";

/** How many connections each peer address has. */
export class Peers {
  readonly #max: number;
  readonly #connections = new Map<string, number>();

  /** At most `max` for each; 0 = as many as it likes. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Counts a connection until it closes. False = its peer has as many as it may, or is gone already. */
  admit(socket: net.Socket): boolean {
    const { remoteAddress } = socket;
    if (this.#max === 0) {
      return true;
    }
    if (remoteAddress === undefined) {
      return false;
    }
    const others = this.#connections.get(remoteAddress) ?? 0;
    if (others >= this.#max) {
      return false;
    }
    this.#connections.set(remoteAddress, others + 1);
    socket.once("close", () => this.#leave(remoteAddress));
    return true;
  }

  #leave(address: string): void {
    const others = (this.#connections.get(address) ?? 1) - 1;
    if (others === 0) {
      this.#connections.delete(address);
    } else {
      this.#connections.set(address, others);
    }
  }
}
