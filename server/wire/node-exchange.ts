import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type BodyBudget, BodyCollector } from "../../http2/index.ts";
import type { FieldPairs } from "../calls/metadata.ts";
import type { Answer, AnswerHead, Exchange, ExchangeListener } from "./exchange.ts";
import { TurnQueue } from "./turn-queue.ts";

/**
 * A body up to this size is passed as text with one character for each byte: node:http then writes
 * it together with the headers. Two writes would cost twice as much as all else in a call.
 */
const MAX_TEXT_BYTES = 16 * 1024;

const NOTHING = Buffer.alloc(0);

/** Headers as node:http takes them. */
type HeaderFields = Record<string, string | string[] | number | undefined>;

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A request that came through Fastify: HTTP/1.1, or one shaped like node:http's requests. */
export class NodeExchange implements Exchange {
  readonly requestId: string;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #reply: FastifyReply;
  readonly #bodies: BodyBudget;
  #listener: ExchangeListener | undefined = undefined;
  #answer: Answer | undefined = undefined;

  constructor(request: FastifyRequest, reply: FastifyReply, bodies: BodyBudget) {
    this.requestId = request.id;
    this.#request = request.raw;
    this.#response = reply.raw;
    this.#reply = reply;
    this.#bodies = bodies;
  }

  get socket(): object {
    return this.#request.socket;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return typeof value === "string" ? value : value?.join(", ");
  }

  collect(maxBytes: number, listener: ExchangeListener): void {
    // From here on this answers, not Fastify.
    this.#reply.hijack();
    this.#listener = listener;
    const request = this.#request;
    const collector = new BodyCollector<IncomingMessage>(maxBytes, this.#bodies, (_, body) => {
      request.off("data", onData).off("end", onEnd);
      listener.onBody(body);
    });
    // A Content-Length tells the last chunk, so a body of one chunk is not copied.
    let left = Number(request.headers["content-length"]);
    const onData = (chunk: Buffer) => {
      left -= chunk.length;
      collector.add(request, chunk, left === 0);
    };
    const onEnd = () => collector.add(request, NOTHING, true);
    request.on("data", onData).on("end", onEnd);
    this.#response.once("close", () => {
      collector.abandon();
      listener.onClose();
    });
  }

  reply(answer: Answer): void {
    this.#answer = answer;
    answers.push(this);
  }

  /** Sends the waiting answer. */
  send(): void {
    const answer = this.#answer;
    if (answer !== undefined && !this.#response.destroyed) {
      const { head, body, trailer } = answer;
      this.#writeHead(head, head.sized ? (body?.byteLength ?? 0) : undefined);
      this.#end(body, trailer);
    }
  }

  begin(head: AnswerHead): void {
    if (!this.#response.destroyed) {
      this.#writeHead(head, undefined);
      this.#response.on("drain", () => this.#listener?.onDrain());
    }
  }

  write(bytes: Uint8Array): boolean {
    return this.#response.destroyed || this.#response.write(bytes);
  }

  end(trailer: FieldPairs | undefined): void {
    if (!this.#response.destroyed) {
      this.#end(undefined, trailer);
    }
  }

  abort(): void {
    this.#response.destroy();
  }

  #writeHead(head: AnswerHead, length: number | undefined): void {
    const headers: HeaderFields = this.#reply.getHeaders();
    addFields(headers, head.fields);
    if (length !== undefined) {
      headers["content-length"] = length;
    }
    this.#response.writeHead(head.status, headers);
  }

  #end(body: Uint8Array | undefined, trailer: FieldPairs | undefined): void {
    if (trailer !== undefined) {
      const trailers: HeaderFields = {};
      addFields(trailers, trailer);
      this.#response.addTrailers(trailers);
    }
    if (body !== undefined && body.byteLength <= MAX_TEXT_BYTES) {
      this.#response.end(asBuffer(body).toString("latin1"), "latin1");
    } else {
      this.#response.end(body);
    }
  }
}

/** Adds fields. A name that is already there gets another value. */
function addFields(headers: HeaderFields, fields: FieldPairs): void {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat().map(String);
  }
}

/**
 * Sends the answers of a turn together at its end. Sent one by one, each would wake a sleeping
 * peer, which costs more than all else in a call: only half as many calls would be answered.
 */
const answers = new TurnQueue<NodeExchange>((exchange) => exchange.send());
