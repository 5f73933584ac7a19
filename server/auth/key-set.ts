import { type CryptoKey, createLocalJWKSet, errors, type JWSHeaderParameters } from "jose";
import { type KeySetRead, MAX_KEY_SET_BYTES, parseKeySet, readKeyFile } from "./key-file.ts";
import { type IssuerSettings, KEY_REFRESH_MS } from "./settings.ts";

/** How often at most because a token names an unknown key: anybody can make up names. */
const MIN_REFRESH_MS = 10_000;

/** How long an identity provider may take to answer. */
const FETCH_TIMEOUT_MS = 5_000;

/** What a key set tells. */
export interface KeySetListener {
  /** The keys are others than before. */
  onChanged(): void;
  /** It can be read no longer, or again (`undefined`). The keys that are known stay. */
  onFailing(error: string | undefined): void;
}

/** The public keys of an issuer, read again in the background. */
export class KeySet {
  readonly #source: IssuerSettings["keys"];
  readonly #listener: KeySetListener;
  readonly #now: () => number;
  #keyOf: ReturnType<typeof createLocalJWKSet> | undefined;
  /** The keys as text, to see whether they have changed. */
  #text = "";
  #failing: string | undefined;
  #refreshing: Promise<void> | undefined;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  readonly #closing = new AbortController();

  /** `now` is a clock in milliseconds that never goes back. */
  constructor(source: IssuerSettings["keys"], listener: KeySetListener, now: () => number) {
    this.#source = source;
    this.#listener = listener;
    this.#now = now;
  }

  /** Reads the keys, now and again and again. Never fails: what cannot be read may come. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#refresh(), KEY_REFRESH_MS).unref();
    await this.#refresh();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#closing.abort();
  }

  /**
   * The key that a token names. `undefined` = it is not known. An unknown one is asked for once,
   * and then by nobody for a while.
   */
  async find(header: JWSHeaderParameters): Promise<CryptoKey | undefined> {
    const known = await this.#find(header);
    if (known !== undefined || this.#closing.signal.aborted) {
      return known;
    }
    if (this.#refreshing === undefined && this.#now() - this.#refreshedAtMs < MIN_REFRESH_MS) {
      return undefined;
    }
    await this.#refresh();
    return this.#find(header);
  }

  async #find(header: JWSHeaderParameters): Promise<CryptoKey | undefined> {
    try {
      return await this.#keyOf?.(header);
    } catch (error) {
      // None or several match, or the one that does is of another kind.
      if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException) {
        return undefined;
      }
      throw error;
    }
  }

  /** Reads the keys. Those who come meanwhile wait for the same answer. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
      this.#refreshedAtMs = this.#now();
    });
    return this.#refreshing;
  }

  async #read(): Promise<void> {
    const source = this.#source;
    const read = "url" in source ? await this.#fetch(source.url) : readKeyFile(source.file);
    if (this.#closing.signal.aborted) {
      return;
    }
    if ("error" in read) {
      this.#tell(read.error);
      return;
    }
    this.#tell(undefined);
    const text = JSON.stringify(read.keys);
    if (text !== this.#text) {
      this.#text = text;
      this.#keyOf = createLocalJWKSet({ keys: JSON.parse(text) });
      this.#listener.onChanged();
    }
  }

  #tell(error: string | undefined): void {
    if (error !== this.#failing) {
      this.#failing = error;
      this.#listener.onFailing(error);
    }
  }

  async #fetch(url: string): Promise<KeySetRead> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]);
    try {
      // Another place than the configured one could have anybody's keys.
      const response = await fetch(url, {
        signal,
        redirect: "error",
        headers: { accept: "application/json" },
      });
      if (!response.ok) {
        await response.body?.cancel();
        return { error: `HTTP status ${response.status}` };
      }
      return await readKeySet(response);
    } catch (error) {
      const { cause, message } = error instanceof Error ? error : new Error(String(error));
      return { error: cause instanceof Error && cause.message !== "" ? cause.message : message };
    }
  }
}

async function readKeySet({ body }: Response): Promise<KeySetRead> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_KEY_SET_BYTES) {
      return { error: `larger than ${MAX_KEY_SET_BYTES} bytes` };
    }
    chunks.push(chunk);
  }
  return parseKeySet(Buffer.concat(chunks).toString("utf8"));
}
