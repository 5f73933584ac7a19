import type { X509Certificate } from "node:crypto";
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../limits.ts";
import type { Metadata } from "./metadata.ts";
import type { MethodRow } from "./methods.ts";
import { certificateOf, peerOf } from "./peer.ts";

/** A request, where its headers and its peer are looked up if anybody asks for them. */
export interface RequestSource {
  header(name: string): string | undefined;
  /** For {@link peerOf} and {@link certificateOf}. */
  readonly socket: object;
  /** Path and query; absent where the path alone says which call it is. */
  readonly url?: string;
}

/**
 * What is known of one RPC while it runs: made when its headers arrive, and told to the policies around it. Nothing is
 * copied from the request before somebody asks for it.
 */
export class CallRecord {
  readonly row: MethodRow;
  readonly requestId: string;
  /** From `performance.now()`, in milliseconds. */
  readonly startedAtMs = performance.now();
  /** What a handler wants to be told beside its messages; it counts until the first of them is sent. */
  metadata: Metadata | undefined = undefined;
  /** Who calls, once a policy has found out. */
  principal: string | undefined = undefined;
  /** How many of the policies have run `begin` to its end. Only the chain of policies changes it, and the next. */
  begun = 0;
  /** Whether the policies were told how the call ended. */
  finished = false;
  readonly #request: RequestSource;
  #entered = false;
  #named: unknown = undefined;

  constructor(row: MethodRow, requestId: string, request: RequestSource) {
    this.row = row;
    this.requestId = requestId;
    this.#request = request;
  }

  /** The caller's address; `undefined` = it is not known. */
  get peer(): string | undefined {
    return peerOf(this.#request.socket);
  }

  /** The caller's certificate, which the server's `client_ca` has signed; `undefined` = none was asked for. */
  get peerCertificate(): X509Certificate | undefined {
    return certificateOf(this.#request.socket);
  }

  /** Path and query of the request; `undefined` where the path alone says which call it is. */
  get url(): string | undefined {
    return this.#request.url;
  }

  /** The value of a request header, by its name in lower case; `undefined` = not sent. */
  header(name: string): string | undefined {
    return this.#request.header(name);
  }

  /** Whether the call got as far as its policies and handler; what fails before that, the protocol layer answers. */
  get entered(): boolean {
    return this.#entered;
  }

  /**
   * The one that the request named; "" until the request was read, and where that is no valid name. Judged here and
   * not in `enter`: most calls end well, and nobody asks.
   */
  get namespace(): string {
    if (this.#named === "") {
      return DEFAULT_NAMESPACE;
    }
    return typeof this.#named === "string" && NAMESPACE_PATTERN.test(this.#named) ? this.#named : "";
  }

  /** The request was read. */
  enter(request: object): void {
    this.#entered = true;
    const { namespaceField } = this.row;
    if (namespaceField !== undefined) {
      this.#named = (request as Readonly<Record<string, unknown>>)[namespaceField];
    }
  }
}
