import { type Config, withSettings } from "./config/config.ts";
import { type Change, diff, untilRestart } from "./config/diff.ts";

/**
 * A part of the server that takes a changed configuration. It is called with the configuration that
 * is to come in force: it checks and makes ready what it needs, and throws to refuse all of it.
 * What it answers puts it in force and cannot fail. A part is called at each reload, also where no
 * setting has changed: a file that a setting names may have.
 */
export type LivePart = (next: Config, agreed: Agreement) => PutInForce | Promise<PutInForce>;

/**
 * Asks the other processes whether a configuration comes in force, when all is ready for it here.
 * Throws what they refuse it for.
 */
export type Agreement = () => Promise<void>;

/** Puts what was made ready in force, at once or when it resolves. */
type PutInForce = () => void | Promise<void>;

/** The configuration in force, and the parts that take another one. */
export class LiveConfig {
  readonly #parts: readonly LivePart[];
  #config: Config;
  #accepted: Config;

  /**
   * `parts` take a new configuration in their order. Only the last one may change anything before
   * it answers, once all have agreed, and then all or nothing, because nothing can refuse the
   * configuration after it.
   */
  constructor(config: Config, parts: readonly LivePart[]) {
    this.#config = config;
    this.#accepted = config;
    this.#parts = parts;
  }

  /** What holds now. A setting that needs a restart is as it was at the start. */
  get inForce(): Config {
    return this.#config;
  }

  /** The last one that was put in force, with what needs a restart. */
  get accepted(): Config {
    return this.#accepted;
  }

  /**
   * Puts `next` in force, but for what needs a restart, or changes nothing and throws what a part
   * refuses it for. Answers what differs. One at a time.
   */
  async apply(next: Config, agreed: Agreement = async () => {}): Promise<readonly Change[]> {
    const { settings } = this.#config;
    const changes = diff(settings, next.settings);
    const config = changes.some(({ needsRestart }) => needsRestart)
      ? withSettings(next, untilRestart(settings, next.settings, changes))
      : next;
    const steps: PutInForce[] = [];
    for (const part of this.#parts) {
      steps.push(await part(config, agreed));
    }
    for (const putInForce of steps) {
      await putInForce();
    }
    this.#config = config;
    this.#accepted = next;
    return changes;
  }
}
