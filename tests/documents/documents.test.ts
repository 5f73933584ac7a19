/**
 * Every block of the README and of docs/ is run as it stands there, page by page and in order, so
 * that each page is a story that holds. CONTRIBUTING.md tells how to write one.
 *
 * What differs from a reader's machine: the ports, because others may have them; `make run` and
 * `prism serve` run beside the shell; a gateway is there when a page begins without one; and
 * `prism-client` is the checkout's client.
 */
import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { loadConfig } from "../../server/config/load.ts";
import { folderOnPath } from "../helpers/child.ts";
import { isThere } from "../helpers/is-there.ts";
import { freePorts } from "../helpers/port.ts";
import { canStartRedis, startRedis } from "../helpers/redis.ts";
import { makeCheckout, ROOT } from "./checkout.ts";
import { type Command, isPrinted, readCommands, readProgram } from "./expected.ts";
import { type Block, readBlocks } from "./markdown.ts";
import { type Session, startSession } from "./session.ts";

const run = promisify(execFile);

/** The API reference is made from proto/, and has no commands. */
const PAGES = ["README.md", ...globSync("docs/*.md", { cwd: ROOT }).sort()].filter(
  (page) => page !== "docs/api-reference.md",
);

/** How many blocks of a page are not run. Each says why, in a comment before it. */
const NOT_RUN: Readonly<Record<string, number>> = {
  "docs/architecture.md": 1,
  "docs/backends.md": 5,
  "docs/cli.md": 2,
  "docs/deployment.md": 10,
  "docs/getting-started.md": 2,
  "docs/metrics.md": 1,
  "docs/namespaces.md": 1,
  "docs/operations.md": 1,
  "docs/performance.md": 1,
  "docs/reload.md": 1,
};

/** The ports of the data plane, the admin plane and a plugin, as the pages name them. */
const PORTS = ["8980", "8090", "50051"];

/** Of a Redis that a page asks for. */
const REDIS_PORT = "6379";

/** What configurations and programs on the pages take from the environment. */
const VARIABLES = {
  PGPASSWORD: "secret",
  REDIS_PASSWORD: "secret",
  KAFKA_PASSWORD: "secret",
  TOKEN: "secret",
  PRISM_KEY: "prism_any",
};

const hasGrpcurl = isThere(
  "grpcurl",
  folderOnPath(["grpcurl"]) !== undefined,
  "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3",
);

const read = (page: string) => readFileSync(join(ROOT, page), "utf8");

/** What `make test` tells the programs that it starts, and a reader's own make does not know. */
const OF_MAKE = { ARGS: undefined, MAKEFLAGS: undefined, MFLAGS: undefined, MAKELEVEL: undefined };

/** The blocks of a page that are run. */
function blocksOf(page: string): Block[] {
  return readBlocks(read(page)).filter(({ notRun }) => notRun === undefined);
}

/** A page that is being run: its folder and what was printed last. */
interface Reader {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly session: Session;
  /** Puts the test's ports where a text has those of the pages. */
  readonly place: (text: string) => string;
  printed: string;
}

async function runCommand(reader: Reader, { text, output, code }: Command): Promise<void> {
  if (/^grpcurl\b/.test(text) && !hasGrpcurl) {
    return;
  }
  const { session, place } = reader;
  const ran = await session.run(place(text));
  reader.printed = ran.printed;
  expect(ran, text).toEqual({ ...ran, code });
  if (output !== undefined && !isPrinted(place(output), ran.printed)) {
    expect(ran.printed, text).toBe(place(output));
  }
}

async function needGateway({ session }: Reader): Promise<void> {
  if (!session.serves) {
    expect(await session.run("prism serve")).toEqual({ code: 0, printed: "" });
  }
}

function checkConfiguration({ folder, env }: Reader, text: string): void {
  loadConfig({ file: "prism.yaml", text, env, flags: {}, cwd: folder });
}

/** One value, or one on each line. */
function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch {
    for (const line of text.split("\n")) {
      JSON.parse(line);
    }
  }
}

async function runBlock(reader: Reader, { language, text, file, line }: Block): Promise<void> {
  const { folder, place } = reader;
  if (file !== undefined) {
    await writeFile(join(folder, file), place(text));
  }
  switch (language) {
    case "sh":
      for (const command of readCommands(text)) {
        if (!/^(make|prism serve|npm run)\b/.test(command.text)) {
          await needGateway(reader);
        }
        await runCommand(reader, command);
      }
      return;
    case "ts":
      if (file === undefined) {
        await needGateway(reader);
        const program = `line-${line}.ts`;
        await writeFile(join(folder, program), place(text));
        await runCommand(reader, readProgram(text, `node ${program}`));
      }
      return;
    case "yaml":
      checkConfiguration(reader, text);
      return;
    case "json":
      checkJson(text);
      return;
    case "text":
      if (!isPrinted(place(text), reader.printed)) {
        expect(reader.printed).toBe(place(text));
      }
      return;
    default:
      language satisfies never;
  }
}

async function runPage(page: string): Promise<void> {
  const blocks = blocksOf(page);
  if (blocks.length === 0) {
    return;
  }
  await using checkout = await makeCheckout();
  await using redis = read(page).includes(`127.0.0.1:${REDIS_PORT}`) ? await startRedis() : undefined;
  const ports = await freePorts(PORTS.length);
  const [data, admin, plugin] = ports;
  const places = new Map(PORTS.map((port, at) => [port, String(ports[at])]));
  places.set(REDIS_PORT, String(redis?.port ?? REDIS_PORT));
  const port = new RegExp(`\\b(?:${[...places.keys()].join("|")})\\b`, "g");
  const env = {
    ...process.env,
    ...OF_MAKE,
    ...VARIABLES,
    PATH: `${checkout.bin}:${process.env.PATH}`,
    PRISM_LISTEN: `127.0.0.1:${data}`,
    PRISM_ADMIN_LISTEN: `127.0.0.1:${admin}`,
    PRISM_ADDRESS: `127.0.0.1:${data}`,
    PRISM_ADMIN: `127.0.0.1:${admin}`,
    PRISM_PLUGIN: `127.0.0.1:${plugin}`,
  };
  await using session = startSession(checkout.path, env);
  const reader: Reader = {
    folder: checkout.path,
    env,
    session,
    place: (text) => text.replace(port, (found) => places.get(found) ?? found),
    printed: "",
  };
  for (const block of blocks) {
    try {
      await runBlock(reader, block);
    } catch (error) {
      throw new Error(`${page}:${block.line}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  }
}

describe("the documents", () => {
  test.each(PAGES)(
    "%s",
    async (page) => {
      if (!read(page).includes(`127.0.0.1:${REDIS_PORT}`) || canStartRedis()) {
        await runPage(page);
      }
    },
    600_000,
  );

  test("have few blocks that are not run", () => {
    const counts = PAGES.map(
      (page) => [page, readBlocks(read(page)).length - blocksOf(page).length] as const,
    );
    expect(Object.fromEntries(counts.filter(([, count]) => count > 0))).toEqual(NOT_RUN);
  });

  test("have programs with types, and YAML that is YAML", async () => {
    await using checkout = await makeCheckout();
    await mkdir(join(checkout.path, "snippets"));
    for (const page of PAGES) {
      for (const { language, text, line, notRun } of readBlocks(read(page))) {
        if (language === "ts" && notRun === undefined) {
          const name = `${page.replaceAll("/", "-").replace(".md", "")}-${line}.ts`;
          await writeFile(join(checkout.path, "snippets", name), text);
        } else if (language === "yaml") {
          expect(parseAllDocuments(text).flatMap(({ errors }) => errors)).toEqual([]);
        }
      }
    }
    const project = {
      extends: join(ROOT, "tsconfig.json"),
      // A reader looks at what a snippet answers; the snippet itself need not.
      compilerOptions: { noUnusedLocals: false, typeRoots: [join(ROOT, "node_modules/@types")] },
      include: ["*.ts"],
      exclude: [],
    };
    await writeFile(join(checkout.path, "snippets", "tsconfig.json"), JSON.stringify(project));
    const tsc = run("node", [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "snippets"], {
      cwd: checkout.path,
    });
    expect(await tsc.catch(({ stdout }) => ({ stdout }))).toMatchObject({ stdout: "" });
  }, 600_000);
});
