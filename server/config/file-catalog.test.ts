import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../../tests/helpers/process.ts";
import { canMountSmallDisk, mountSmallDisk, unmountSmallDisk } from "../../tests/helpers/small-disk.ts";
import { waitFor } from "../../tests/helpers/until.ts";
import { describeCatalog, newNamespace } from "../catalog/suite.ts";
import { NO_RULES } from "../namespaces/rules.ts";
import type { Config } from "./config.ts";
import { createFileCatalog } from "./file-catalog.ts";
import { loadConfig, MAX_CONFIG_FILE_BYTES } from "./load.ts";

const YAML = `# Of the shop.
control: {type: file}
backends: {main: {type: memory}, other: {type: memory}}
database: {type: memory}   # for now
namespaces:
  - name: default   # first
`;

/** A catalog in `folder`, and what its gateway has accepted, which `accept` brings up to date. */
function catalogIn(folder: string) {
  const file = join(folder, "prism.yaml");
  const load = (text?: string) => loadConfig({ file, env: {}, flags: {}, cwd: folder, text });
  let accepted: Config = load();
  return {
    file,
    load,
    text: () => readFileSync(file, "utf8"),
    accept: () => {
      accepted = load();
    },
    catalog: createFileCatalog({ file, load, accepted: () => accepted }),
  };
}

async function place(yaml = YAML) {
  const folder = await temporaryFolder();
  writeFileSync(join(folder.path, "prism.yaml"), yaml);
  return { path: folder.path, ...catalogIn(folder.path), [Symbol.asyncDispose]: folder[Symbol.asyncDispose] };
}

describeCatalog({
  name: "the configuration file",
  durable: true,
  shared: false,
  async place() {
    const it = await place();
    return { create: () => catalogIn(it.path).catalog, [Symbol.asyncDispose]: it[Symbol.asyncDispose] };
  },
});

const LIMITED = newNamespace("a", {
  rules: { ...NO_RULES, limits: { ...NO_RULES.limits, maxRps: 5 } },
  backend: "main",
});

describe("the file", () => {
  test("keeps what people wrote, its mode, its owner and the link that leads to it", async () => {
    await using it = await place();
    const target = join(it.path, "real", "it.yaml");
    mkdirSync(join(it.path, "real"));
    writeFileSync(target, YAML);
    rmSync(it.file);
    symlinkSync("real/it.yaml", it.file);
    chmodSync(target, 0o640);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) {
      chownSync(target, 65534, 65533);
    }
    await it.catalog.open();
    const saved = await it.catalog.save(LIMITED);
    expect(it.text()).toBe(`${YAML}  - name: a
    pattern: keyvalue
    backend: main
    limits:
      max_rps: 5
    made:
      version: ${saved.version}
      at: 2023-11-14T22:13:20.000Z
`);
    const { mode, uid, gid } = statSync(target);
    expect(mode & 0o777).toBe(0o640);
    expect([uid, gid]).toEqual(isRoot ? [65534, 65533] : [process.getuid?.(), process.getgid?.()]);
    expect(readdirSync(it.path)).toEqual(["prism.yaml", "real"]);
    expect(readdirSync(join(it.path, "real"))).toEqual(["it.yaml"]);
    // Nothing of it is the operator's.
    expect(it.load().namespaces.map(({ name }) => name)).toEqual(["default"]);
    await it.catalog.remove("a", saved.version);
    expect(it.text()).toBe(YAML);
  });

  test("puts no variable into what callers say", async () => {
    const DOLLARS = `$${"{HOME}"}$$${"{"}`;
    await using it = await place();
    const access = {
      owners: [],
      consumers: [{ servicePattern: "*", permissions: ["read"], keyPrefix: DOLLARS, methods: undefined }],
    };
    const saved = await it.catalog.save(newNamespace("a", { rules: { ...NO_RULES, access } }));
    expect(await it.catalog.load()).toEqual([saved]);
  });

  test("changed by hand is overwritten by nobody: what differs is said, until it is in force", async () => {
    await using it = await place();
    const saved = await it.catalog.save(LIMITED);
    const changed = `${it.text()}logging: {level: debug}\n`;
    writeFileSync(it.file, changed);
    for (const change of [
      () => it.catalog.save(newNamespace("b")),
      () => it.catalog.save({ ...saved, deleting: true }),
      () => it.catalog.remove("a", saved.version),
    ]) {
      await expect(change()).rejects.toMatchObject({
        reason: "conflict",
        message: expect.stringMatching(/not in force yet:\nlogging\.level: "info" -> "debug"$/),
      });
      expect(it.text()).toBe(changed);
    }
    it.accept();
    const b = await it.catalog.save(newNamespace("b"));
    expect(it.text()).toContain("logging: {level: debug}");

    writeFileSync(it.file, `${it.text()}limits: {max_things: 1}\n`);
    await expect(it.catalog.remove("b", b.version)).rejects.toMatchObject({
      reason: "conflict",
      message: expect.stringContaining("limits.max_things: unknown key"),
    });
    await expect(it.catalog.load()).rejects.toMatchObject({ reason: "conflict" });
    rmSync(it.file);
    await expect(it.catalog.load()).rejects.toMatchObject({ reason: "store_unavailable" });
    await expect(it.catalog.save(newNamespace("c"))).rejects.toMatchObject({ reason: "store_unavailable" });
    expect(readdirSync(it.path)).toEqual([]);
  });

  test("comments and spaces that people change hold up nothing", async () => {
    await using it = await place();
    await it.catalog.save(LIMITED);
    writeFileSync(it.file, `# More words.\n${it.text()}`);
    await it.catalog.save(newNamespace("b"));
    expect(it.text()).toMatch(/^# More words\.\n/);
  });

  test("in which a kept namespace was changed: it has another version, and an old one is refused", async () => {
    await using it = await place();
    const saved = await it.catalog.save(LIMITED);
    let told = 0;
    const stop = it.catalog.watch(() => told++);
    writeFileSync(it.file, it.text().replace("max_rps: 5", "max_rps: 6"));
    await expect(it.catalog.save({ ...saved, deleting: true })).rejects.toMatchObject({
      reason: "conflict",
      message: 'namespace "a" was changed in the configuration file:\nrules.limits.maxRps: 5 -> 6',
    });
    await waitFor(() => expect(told).toBe(1));
    stop();
    const [found] = await it.catalog.load();
    expect(found).toMatchObject({ name: "a", rules: { limits: { maxRps: 6 } } });
    expect(found?.version).toBeGreaterThan(saved.version);
    await expect(it.catalog.remove("a", saved.version)).rejects.toMatchObject({ reason: "conflict" });
    await it.catalog.remove("a", found?.version ?? 0);
    expect(it.text()).toBe(YAML);
  });

  test("takes no name of the operator's, no mistake, and not more than a start would read", async () => {
    await using it = await place();
    const before = it.text();
    for (const [given, reason, message] of [
      [newNamespace("default"), "namespace_exists", "already"],
      [newNamespace("b", { backend: "none" }), "invalid_field", 'no backend "none"'],
      [
        newNamespace("b", { createdAtMs: 0, backend: `${"x".repeat(MAX_CONFIG_FILE_BYTES)}` }),
        "store_full",
        "larger",
      ],
    ] as const) {
      await expect(it.catalog.save(given)).rejects.toMatchObject({
        reason,
        message: expect.stringContaining(message),
      });
      expect(it.text()).toBe(before);
    }
  });

  test("in a folder that is not there ends the start", async () => {
    await using it = await place();
    const other = createFileCatalog({ file: join(it.path, "none", "f"), load: it.load, accepted: it.load });
    await expect(other.open()).rejects.toThrow("the folder of the configuration file, cannot be written");
  });
});

test("marks of a file whose catalog is elsewhere are refused with their places", async () => {
  await using it = await place();
  await it.catalog.save(LIMITED);
  writeFileSync(it.file, it.text().replace("control: {type: file}\n", ""));
  expect(() => it.load()).toThrow(/:11:5: namespaces\[1\]\.made: .*write "control: {type: file}"/);
});

test.runIf(canMountSmallDisk("Nobody tests how the configuration file is saved then."))(
  "a full disk loses nothing",
  async () => {
    const folder = mountSmallDisk("16k");
    try {
      writeFileSync(join(folder, "prism.yaml"), YAML);
      const it = catalogIn(folder);
      const saved = await it.catalog.save(LIMITED);
      const text = it.text();
      expect(() => writeFileSync(join(folder, "ballast"), Buffer.alloc(16 * 1024))).toThrow("ENOSPC");
      for (const change of [
        () => it.catalog.save(newNamespace("b")),
        () => it.catalog.remove("a", saved.version),
      ]) {
        await expect(change()).rejects.toMatchObject({ reason: "store_full" });
        expect(it.text()).toBe(text);
      }
      expect(readdirSync(folder).toSorted()).toEqual(["ballast", "prism.yaml"]);
      rmSync(join(folder, "ballast"));
      await it.catalog.remove("a", saved.version);
      expect(it.text()).toBe(YAML);
    } finally {
      unmountSmallDisk(folder);
    }
  },
);
