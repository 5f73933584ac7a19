import { randomBytes } from "node:crypto";
import type { NamespaceService } from "../../gen/prism/control/v1/namespace_pb.ts";
import type { Handlers } from "../calls/implement.ts";
import { readPageToken, writePageToken } from "../calls/page-token.ts";
import { PrismError } from "../errors.ts";
import { DEFAULT_NAMESPACE } from "../limits.ts";
import type { NamespaceController } from "../namespaces/controller.ts";
import type { ListedNamespace } from "../namespaces/directory.ts";
import { checkCount, invalid } from "./check.ts";
import { checkName, readChange, readNewNamespace, toMessage } from "./namespace-messages.ts";

/** What a page of a list has, if its caller does not say. */
const DEFAULT_PAGE_SIZE = 100;

const MAX_PAGE_SIZE = 1000;

/** The most messages of a watch that are made at a time. */
const WATCH_BATCH = 256;

/** prism.control.v1.NamespaceService: check, ask the controller, reply. */
export function createNamespaces(control: NamespaceController): Handlers<typeof NamespaceService> {
  const { directory } = control;
  // A token of another process names changes that this one does not know.
  const process = randomBytes(8).toString("hex");

  return {
    async createNamespace({ namespace }, call) {
      return { namespace: toMessage(await control.create(readNewNamespace(namespace), call)) };
    },

    async getNamespace({ namespace }) {
      const name = checkName("namespace", namespace || DEFAULT_NAMESPACE);
      const found = directory.get(name);
      if (found === undefined) {
        throw new PrismError("namespace_not_found", `no namespace "${name}"`);
      }
      return { namespace: toMessage(found) };
    },

    async listNamespaces({ $typeName, pageSize, pageToken }) {
      checkCount("page_size", pageSize, 0, MAX_PAGE_SIZE);
      const scope = [$typeName];
      const after =
        pageToken.length === 0 ? "" : Buffer.from(readPageToken(scope, pageToken, "page_token")).toString();
      const size = pageSize || DEFAULT_PAGE_SIZE;
      // One more tells whether there is a next page.
      const found = directory.page(after, size + 1);
      const last = found.length > size ? found[size - 1] : undefined;
      return {
        namespaces: found.slice(0, size).map(toMessage),
        ...(last && { nextPageToken: writePageToken(scope, Buffer.from(last.name)) }),
      };
    },

    async updateNamespace({ namespace }, call) {
      const { name, version, change } = readChange(namespace);
      return { namespace: toMessage(await control.update(name, change, version, call)) };
    },

    async deleteNamespace({ namespace, confirmNamespace, version }, call) {
      const name = checkName("namespace", namespace);
      if (confirmNamespace !== name) {
        throw invalid("confirm_namespace", "confirm_namespace must be the name of the namespace again");
      }
      if (version < 0n || version > Number.MAX_SAFE_INTEGER) {
        throw invalid("version", "version must be 0 (any) or the one that was read");
      }
      return { namespace: toMessage(await control.delete(name, Number(version), call)) };
    },

    async *watchNamespaces({ $typeName, resumeToken }, call) {
      const scope = [$typeName];
      const tokenAt = (at: number) => writePageToken(scope, Buffer.from(`${process}/${at}`));
      let revision = resumeToken.length === 0 ? undefined : revisionOf(scope, resumeToken, process);
      for (let isSynced = false; ; ) {
        const changes = revision === undefined ? undefined : directory.changesBehind(revision, WATCH_BATCH);
        if (revision === undefined || changes === undefined) {
          isSynced = false;
          // What changes while the reader takes all of them is told behind them.
          revision = directory.revision;
          yield [{ reset: true }];
          let page: readonly ListedNamespace[] = directory.page("", WATCH_BATCH);
          while (page.length > 0) {
            yield page.map((namespace) => ({ namespace: toMessage(namespace) }));
            page = directory.page(page.at(-1)?.name ?? "", WATCH_BATCH);
          }
        } else if (changes.length > 0) {
          revision += changes.length;
          const resume = { resumeToken: tokenAt(revision) };
          yield changes.map((namespace, i) => ({
            namespace: toMessage(namespace),
            ...(i === changes.length - 1 && resume),
          }));
        } else if (isSynced) {
          await directory.changed(call);
        } else {
          isSynced = true;
          yield [{ synced: true, resumeToken: tokenAt(revision) }];
        }
      }
    },
  };
}

/** Where a watch goes on; `undefined` = the token is of another process. */
function revisionOf(scope: readonly string[], token: Uint8Array, process: string): number | undefined {
  const position = Buffer.from(readPageToken(scope, token, "resume_token")).toString();
  const [of, revision] = position.split("/");
  return of === process ? Number(revision) : undefined;
}
