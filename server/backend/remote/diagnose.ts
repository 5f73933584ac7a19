import { ConnectError } from "@connectrpc/connect";
import { createGrpcTransport } from "../../../client/transport/transport.ts";
import { DEFAULT_NAMESPACE } from "../../limits.ts";
import { readTlsFiles } from "../../tls-files.ts";
import { type Diagnosis, fine, isLoopback, problem, warning } from "../diagnosis.ts";
import { askHealth } from "./backend.ts";
import { baseUrlOf, type RemoteConfig } from "./config.ts";
import { findLacking, INTERFACE_OF } from "./interfaces.ts";

/** Asks a plugin for its health and its interfaces. */
export async function* diagnose(config: RemoteConfig, timeoutMs: number): AsyncGenerator<Diagnosis, void> {
  const baseUrl = baseUrlOf(config);
  const { protocol, hostname } = new URL(baseUrl);
  let transport: ReturnType<typeof createGrpcTransport> | undefined;
  try {
    transport = createGrpcTransport({
      baseUrl,
      tls: config.tls && readTlsFiles(config.tls),
      channel: { connectTimeoutMs: timeoutMs, failFast: true },
    });
    await askHealth(transport);
    yield fine("reachable", `${config.endpoint} says that it serves`);
    yield diagnoseWay(protocol, hostname);
    const lacking = await findLacking(transport, config.namespace ?? DEFAULT_NAMESPACE);
    const has = [...INTERFACE_OF.keys()].filter((name) => !lacking.has(name)).map(shortName);
    yield has.length === 0
      ? problem("interfaces", "it has none of Prism's: check that this is the plugin's address")
      : fine("interfaces", has.join(", "));
  } catch (error) {
    const { cause = error } = Object(error);
    yield problem("reachable", `plugin at ${config.endpoint}: ${ConnectError.from(cause).rawMessage}`);
  } finally {
    transport?.close();
  }
}

/** The transport takes no certificate that it cannot verify. */
function diagnoseWay(protocol: string, host: string): Diagnosis {
  if (protocol === "https:") {
    return fine("TLS", "the plugin's certificate was verified");
  }
  return isLoopback(host)
    ? fine("TLS", "none is needed: the plugin is on this machine")
    : warning("TLS", "none, so data can be read on its way: give the plugin tls");
}

/** `KeyValueBasicInterface` of its full name. */
function shortName(service: string): string {
  return service.split(".").at(-1) ?? service;
}
