/** One of the servers in a URL. */
export interface PostgresHost {
  /** `host:port`, for messages. */
  readonly name: string;
  /** The driver's URL for this server alone. */
  readonly url: string;
}

/** The content of a URL that {@link urlProblem} accepts. */
export interface PostgresUrl {
  /** In the order in which they are tried; at least one. */
  readonly hosts: readonly PostgresHost[];
  /** True: only a server that takes writes will do (`target_session_attrs=read-write`). */
  readonly needsWrites: boolean;
  /** `host:port,host:port/database`, without user and password. */
  readonly place: string;
}

/** Scheme with user and password; hosts; path and parameters. */
const SHAPE = /^(postgres(?:ql)?:\/\/(?:[^/?#]*@)?)([^/?#@]*)((?:[/?#].*)?)$/s;

/**
 * The values allowed for parameters that decide about security or the choice of server. The driver
 * would ignore other values silently.
 */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  sslmode: ["disable", "require", "verify-ca", "verify-full", "no-verify"],
  ssl: ["true", "1", "0", "no-verify"],
  sslnegotiation: ["postgres", "direct"],
  target_session_attrs: ["any", "read-write"],
};

/** Parameters that name TLS files; any value is allowed. */
const TLS_FILES = ["sslcert", "sslkey", "sslrootcert"];

/** Modes that the driver treats as `verify-full`, with a warning on standard error for each. */
const VERIFYING = ["require", "verify-ca"];

/** What is wrong with a URL, without quoting any of it. `undefined` = nothing. */
export function urlProblem(text: string): string | undefined {
  const urls = split(text);
  if (urls === undefined || !urls.every((url) => URL.canParse(url))) {
    return 'expected a URL such as "postgres://user@host:5432/database", or "postgres://user@host-1:5432,host-2:5432/database"';
  }
  const parameters = new URL(urls[0] ?? "").searchParams;
  for (const [name, value] of parameters) {
    const allowed = VALUES[name];
    if (allowed !== undefined && !allowed.includes(value)) {
      return `${name}: expected one of: ${allowed.join(", ")}`;
    }
    if (name.startsWith("ssl") && allowed === undefined && !TLS_FILES.includes(name)) {
      const known = [...Object.keys(VALUES).filter((each) => each.startsWith("ssl")), ...TLS_FILES];
      return `a parameter that begins with "ssl" and is not known; expected one of: ${known.join(", ")}`;
    }
  }
  if (["host", "port"].some((name) => parameters.get(name)?.includes(","))) {
    return 'several hosts stand before the path: "postgres://user@host-1:5432,host-2:5432/database"';
  }
  return undefined;
}

/** Reads a URL without problems. `withTls` false drops its TLS parameters. */
export function readUrl(text: string, withTls: boolean): PostgresUrl {
  const urls = (split(text) ?? []).map((url) => new URL(url));
  const [first] = urls;
  if (first === undefined) {
    throw new TypeError("not a URL of PostgreSQL");
  }
  return {
    hosts: urls.map((url) => ({ name: url.host, url: driverUrl(url, withTls) })),
    needsWrites: first.searchParams.get("target_session_attrs") === "read-write",
    place: `${urls.map(({ host }) => host).join(",")}${first.pathname}`,
  };
}

/** One URL for each host. `undefined` = the text has another shape. */
function split(text: string): string[] | undefined {
  const [, before, hosts, after] = SHAPE.exec(text) ?? [];
  if (before === undefined || hosts === undefined || after === undefined) {
    return undefined;
  }
  const names = hosts.split(",");
  if (names.length > 1 && names.includes("")) {
    return undefined;
  }
  return names.map((name) => `${before}${name}${after}`);
}

function driverUrl(from: URL, withTls: boolean): string {
  const url = new URL(from);
  const parameters = url.searchParams;
  parameters.delete("target_session_attrs");
  const mode = parameters.get("sslmode") ?? "";
  if (!withTls) {
    for (const name of [...parameters.keys()]) {
      if (name.startsWith("ssl") || name === "uselibpqcompat") {
        parameters.delete(name);
      }
    }
  } else if (VERIFYING.includes(mode) && parameters.get("uselibpqcompat") !== "true") {
    parameters.set("sslmode", "verify-full");
  }
  return url.href;
}
