/**
 * Owns what a server's connection tells the budget that answers of all connections share while they
 * wait.
 */
import type { Connection } from "./connection.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import type { Unsent, UnsentBudget, UnsentHolder } from "./unsent-budget.ts";

/** Counts the answers of a connection that its peer has not taken, until the socket closes. */
export function shareUnsent(connection: Connection, budget: UnsentBudget): void {
  const answers = new UnsentAnswers(connection, budget);
  budget.join(answers);
  connection.sender.onUnsent = () => {
    if (answers.unsentBytes !== answers.countedBytes) {
      budget.update(answers);
    }
  };
  connection.socket.once("close", () => budget.leave(answers));
}

class UnsentAnswers implements UnsentHolder {
  countedBytes = 0;
  readonly #connection: Connection;
  readonly #budget: UnsentBudget;

  constructor(connection: Connection, budget: UnsentBudget) {
    this.#connection = connection;
    this.#budget = budget;
  }

  get unsentBytes(): number {
    return this.#connection.sender.bufferedBytes + this.#connection.socket.writableLength;
  }

  unsent(): Unsent[] {
    const { output, streams, ending } = this.#connection;
    if (output.blocked) {
      const end = () => {
        ending.cut(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read"));
        // Its streams are closed in later turns.
        this.#budget.leave(this);
      };
      return [{ bytes: this.unsentBytes, since: output.blockedAt, end }];
    }
    return streams.all().flatMap((stream) => {
      const end = () => streams.reset(stream, ErrorCode.ENHANCE_YOUR_CALM);
      const { queuedBytes: bytes, movedAt: since } = stream.sending;
      return bytes === 0 ? [] : [{ bytes, since, end }];
    });
  }
}
