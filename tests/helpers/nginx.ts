import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folderOnPath, spawnChild } from "./child.ts";
import { isThere } from "./is-there.ts";
import { freePort } from "./port.ts";

/** An nginx in front of a server. Disposing stops it. */
export interface Nginx extends AsyncDisposable {
  /** `127.0.0.1:PORT`, for HTTP/2 without TLS. */
  readonly address: string;
}

/** Debian installs it in a folder that is only on root's path. */
const folder = folderOnPath(["nginx"], ["/usr/sbin"]);

/** Whether tests can start an nginx; reports it if not. */
export const canStartNginx = () => isThere("nginx", folder !== undefined, "Debian: apt-get install nginx");

/**
 * Starts an nginx that passes gRPC calls to the server at `upstream`, `host:port`. It ends a
 * connection after `keepaliveRequests` calls.
 */
export async function startNginx(upstream: string, keepaliveRequests: number): Promise<Nginx> {
  if (folder === undefined) {
    throw new Error("there is no nginx");
  }
  const directory = await mkdtemp(join(tmpdir(), "prism-nginx-"));
  const port = await freePort();
  const file = join(directory, "nginx.conf");
  await writeFile(
    file,
    `daemon off;
master_process off;
pid ${directory}/pid;
error_log stderr notice;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  upstream prism { server ${upstream}; keepalive 16; }
  server {
    listen 127.0.0.1:${port} http2;
    keepalive_requests ${keepaliveRequests};
    location / { grpc_pass grpc://prism; }
  }
}
`,
  );
  const child = spawnChild("nginx/", join(folder, "nginx"), ["-p", directory, "-c", file]);
  const stop = async () => {
    child.process.kill("SIGKILL");
    await child.exited;
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await child.ready;
  } catch (error) {
    await stop();
    throw error;
  }
  return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: stop };
}
