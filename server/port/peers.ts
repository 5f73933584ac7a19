import type net from "node:net";

/** Counts the connections of each peer address. */
export class Peers {
  readonly #max: number;
  readonly #connections = new Map<string, number>();

  /** At most `max` for each address; 0 = any number. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Counts a connection until it closes. False = its peer has `max` already. */
  admit(address: string, socket: net.Socket): boolean {
    if (this.#max === 0) {
      return true;
    }
    const others = this.#connections.get(address) ?? 0;
    if (others >= this.#max) {
      return false;
    }
    this.#connections.set(address, others + 1);
    socket.once("close", () => this.#leave(address));
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
