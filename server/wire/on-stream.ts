import type http from "node:http";
import { type BodyBudget, createCompat, type Stream } from "../../http2/index.ts";
import type { DirectPath } from "./direct-path.ts";
import { EngineExchange } from "./engine-exchange.ts";

/**
 * Sends a stream of the engine to the direct path if that takes it. Otherwise it goes to Fastify
 * (`handler`), as a request and a response shaped like node:http2's. Calls from pages of other
 * origins go to Fastify too, because CORS is one of its plugins, and so do those with a host that
 * `checkHost` refuses.
 */
export function createOnStream(
  options: {
    readonly directPath: boolean;
    readonly corsOrigins: "*" | readonly string[];
    readonly checkHost?: ((host: string) => Error | undefined) | undefined;
  },
  direct: DirectPath,
  bodies: BodyBudget,
  requestId: (given: string | undefined) => string,
  handler: http.RequestListener,
): (stream: Stream) => void {
  const { checkHost } = options;
  const hasCors = options.corsOrigins.length > 0;
  // The authority of the last call, which most calls share.
  let goodAuthority = "";

  function isOrdinary(stream: Stream): boolean {
    const { authority } = stream;
    if (authority !== goodAuthority) {
      // RFC 9113 section 8.3.1 lets a client leave it out.
      if (
        authority !== "" &&
        !(URL.canParse(`http://${authority}`) && checkHost?.(authority) === undefined)
      ) {
        return false;
      }
      goodAuthority = authority;
    }
    return !hasCors || stream.header("origin") === undefined;
  }

  return (stream) => {
    if (options.directPath && direct.knows(stream.method, stream.path) && isOrdinary(stream)) {
      const exchange = new EngineExchange(stream, requestId(stream.header("x-request-id")), bodies);
      if (direct.take(exchange, stream.path)) {
        return;
      }
    }
    const { request, response } = createCompat(stream);
    // The objects have the parts of http's requests and responses that Fastify and Connect use.
    handler(
      request as unknown as http.IncomingMessage,
      response as unknown as http.ServerResponse<http.IncomingMessage> & { req: http.IncomingMessage },
    );
  };
}
