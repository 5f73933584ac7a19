import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { folderOnPath } from "../../tests/helpers/child.ts";
import { SLOW } from "../../tests/helpers/commands.ts";
import { isThere } from "../../tests/helpers/is-there.ts";
import { prism, temporaryFolder } from "../../tests/helpers/process.ts";
import { completionScript } from "./completion.ts";
import { COMMANDS, WORDS } from "./table.ts";

const run = promisify(execFile);

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder.path, "a folder"));
  await writeFile(join(folder.path, "a file.yaml"), "");
  for (const shell of ["bash", "zsh", "fish"]) {
    await writeFile(join(folder.path, `script.${shell}`), await completionScript(shell));
  }
});

afterAll(() => folder[Symbol.asyncDispose]());

/** What bash completes the last of these words to, as readline splits them. */
async function inBash(...words: string[]): Promise<string[]> {
  const command = `source "$0"; COMP_WORDS=(prism "$@") COMP_CWORD=$#; _prism; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await run("bash", ["-c", command, "./script.bash", ...words], {
    cwd: folder.path,
  });
  expect(stderr).toBe("");
  return stdout.split("\n").filter(Boolean).toSorted();
}

const hasBash = isThere("bash", folderOnPath(["bash"]) !== undefined, "Debian: apt-get install bash");
const hasZsh = isThere("zsh", folderOnPath(["zsh"]) !== undefined, "Debian: apt-get install zsh");
const hasFish = isThere("fish", folderOnPath(["fish"]) !== undefined, "Debian: apt-get install fish");

test.runIf(hasBash)("bash completes commands, options and their values", SLOW, async () => {
  expect(await inBash("")).toEqual(WORDS.toSorted());
  expect(await inBash("e")).toEqual(WORDS.filter((word) => word.startsWith("e")).toSorted());
  expect(await inBash("ns", "")).toEqual(["create", "delete", "get", "list"]);
  expect(await inBash("set", "k", "--t")).toEqual(["--token-file", "--ttl"].toSorted());
  expect(await inBash("ns", "delete", "--c")).toEqual(["--confirm"]);
  expect(await inBash("config", "check", "a")).toEqual(["a file.yaml", "a folder"]);
  expect(await inBash("serve", "--data-dir", "a")).toEqual(["a folder"]);
  expect(await inBash("set", "k", "--file", "a f")).toEqual(["a file.yaml", "a folder"]);
  expect(await inBash("set", "k", "--file", "=", "a f")).toEqual(["a file.yaml", "a folder"]);
  expect(await inBash("set", "k", "--file", "=")).toContain("a folder");
  expect(await inBash("completion", "z")).toEqual(["zsh"]);
  expect(await inBash("help", "conf")).toEqual(["config"]);
  // What only its caller can know.
  expect(await inBash("get", "a")).toEqual([]);
  expect(await inBash("get", "--namespace", "a")).toEqual([]);
  expect(await inBash("unknown", "a")).toEqual([]);
});

test.runIf(hasBash)("bash completes the first word of every command and its help", SLOW, async () => {
  for (const { name } of COMMANDS) {
    expect(await inBash(...name.split(" "), "--he")).toEqual(["--help"]);
  }
});

test.runIf(hasFish)("fish completes the same", SLOW, async () => {
  const inFish = async (line: string) => {
    const home = { HOME: folder.path, XDG_CONFIG_HOME: folder.path };
    const { stdout, stderr } = await run(
      "fish",
      ["--no-config", "-c", 'source script.fish; complete -C "$argv"', line],
      { cwd: folder.path, env: { ...process.env, ...home } },
    );
    expect(stderr).toBe("");
    return stdout
      .split("\n")
      .map((each) => each.split("\t")[0] ?? "")
      .filter(Boolean)
      .toSorted();
  };
  expect(await inFish("prism ")).toEqual(WORDS.toSorted());
  expect(await inFish("prism ns ")).toEqual(["create", "delete", "get", "list"]);
  expect(await inFish("prism set k --t")).toEqual(["--token-file", "--ttl"].toSorted());
  expect(await inFish("prism ns delete --c")).toEqual(["--confirm"]);
  expect(await inFish("prism config check a")).toEqual(["a file.yaml", "a folder/"]);
  expect(await inFish("prism set k --file a")).toEqual(["a file.yaml", "a folder/"]);
  expect(await inFish("prism completion z")).toEqual(["zsh"]);
  expect(await inFish("prism get a")).toEqual([]);
});

test.runIf(hasZsh)("zsh takes the script, sourced and as a function of its own", SLOW, async () => {
  const command =
    'autoload -U compinit; compinit -D -u; source ./script.zsh; print -r -- "$_comps[prism] $functions[_prism]"';
  const { stdout, stderr } = await run("zsh", ["-f", "-c", command], { cwd: folder.path });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^_prism /);
  for (const { summary } of COMMANDS) {
    expect(stdout.replaceAll("'\\''", "'")).toContain(summary);
  }
});

test("the program prints them, and names the shells that it knows", SLOW, async () => {
  expect(await prism(["completion", "fish"])).toEqual({
    code: 0,
    stdout: await completionScript("fish"),
    stderr: "",
  });
  expect(await prism(["completion", "csh"])).toEqual({
    code: 2,
    stdout: "",
    stderr: 'prism: no completion for "csh"; expected one of: bash, zsh, fish\n',
  });
});
