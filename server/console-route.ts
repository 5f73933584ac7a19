import { hash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { hasIt } from "./wire/cached-answer.ts";

/** The page. What it loads is below {@link FILES}. */
const PAGE = "/";
const FILES = "/console";

/** Where people look for the console; not what it loads. */
export const CONSOLE_PATHS: readonly string[] = [PAGE, FILES];

/** The page's own file. */
const INDEX = "index.html";

/** The folder whose file names have a digest of their content, so each stays as it is. */
const HASHED = "assets/";

/** The types that a page loads. A file of another type is not served. */
const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/**
 * What the page may do: load its own files, and call its own origin. Values are shown as pictures
 * from `blob:` and `data:`.
 */
const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** A file in memory. */
interface File {
  readonly type: string;
  readonly cacheControl: string;
  readonly plain: Body;
  /** `undefined` = the build made none. */
  readonly gzipped: Body | undefined;
}

interface Body {
  readonly bytes: Buffer;
  readonly etag: string;
}

/**
 * The folder of the built console: beside `server/` in a checkout, beside it as `console` in the
 * package. `undefined` = it is not built.
 */
export function findConsole(): string | undefined {
  return ["../dist-console/", "../console/"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((folder) => existsSync(join(folder, INDEX)));
}

/**
 * Adds the console: `GET /` is the page, `GET /console/FILE` what it loads. They have no data, so
 * they are open to everybody. The files of `folder` are read at the first request and kept; while
 * there is no folder, `GET /` says how to build it.
 */
export function addConsoleRoutes(app: FastifyInstance, folder: () => string | undefined): void {
  let reading: Promise<ReadonlyMap<string, File>> | undefined;

  /** Nothing is kept before there is a page: it may be built meanwhile. */
  async function files(): Promise<ReadonlyMap<string, File>> {
    const found = folder();
    if (found === undefined) {
      return new Map();
    }
    reading ??= readFiles(found).catch((error: unknown) => {
      reading = undefined;
      throw error;
    });
    return await reading;
  }

  app.get(PAGE, async (request, reply) => {
    const page = (await files()).get(INDEX);
    reply.headers(HEADERS);
    return page === undefined
      ? reply.code(404).type("text/plain; charset=utf-8").send(NOT_BUILT)
      : send(request, reply, page);
  });

  app.get(FILES, async (_request, reply) => reply.redirect(PAGE));

  app.get(`${FILES}/*`, async (request, reply) => {
    const { "*": path = "" } = Object(request.params) as { readonly "*"?: string };
    if (path === "") {
      return reply.redirect(PAGE);
    }
    const file = (await files()).get(path);
    if (file === undefined) {
      return reply.callNotFound();
    }
    reply.headers(HEADERS);
    return send(request, reply, file);
  });
}

const NOT_BUILT = "The console is not built: run `make console` in the checkout, and load this page again.\n";

/** Every file of a folder that a page loads, by its path in URLs. */
async function readFiles(folder: string): Promise<ReadonlyMap<string, File>> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = found.filter((each) => each.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const all = new Set(paths);
  const files = new Map<string, File>();
  for (const path of paths) {
    const type = TYPES[extname(path)];
    if (type !== undefined) {
      const name = relative(folder, path).split(sep).join("/");
      const zipped = `${path}.gz`;
      files.set(name, {
        type,
        cacheControl: name.startsWith(HASHED) ? "public, max-age=31536000, immutable" : "no-cache",
        plain: bodyOf(await readFile(path)),
        gzipped: all.has(zipped) ? bodyOf(await readFile(zipped)) : undefined,
      });
    }
  }
  return files;
}

function bodyOf(bytes: Buffer): Body {
  return { bytes, etag: `"${hash("sha256", bytes, "base64url")}"` };
}

function send(request: FastifyRequest, reply: FastifyReply, file: File): FastifyReply {
  const { "accept-encoding": accepted, "if-none-match": ifNoneMatch } = request.headers;
  const isZipped = file.gzipped !== undefined && acceptsGzip(accepted?.toString() ?? "");
  const { bytes, etag } = (isZipped ? file.gzipped : undefined) ?? file.plain;
  reply.headers({ etag, "cache-control": file.cacheControl, vary: "accept-encoding" });
  if (hasIt(ifNoneMatch, etag)) {
    return reply.code(304).send();
  }
  if (isZipped) {
    reply.header("content-encoding", "gzip");
  }
  return reply.type(file.type).send(bytes);
}

/** Whether `Accept-Encoding` has gzip, and not with the weight 0 (RFC 9110 section 12.5.3). */
function acceptsGzip(accepted: string): boolean {
  return accepted
    .split(",")
    .some((each) => /^\s*(gzip|x-gzip|\*)\s*(;\s*q=(1|0?\.\d*[1-9]).*)?$/i.test(each));
}
