/**
 * Which way imports run (docs/architecture.md): main -> app -> planes -> services and wire -> calls -> namespaces ->
 * backend contract.
 * `make check` fails on a cycle or a wrong-way import.
 */
const TEST =
  "\\.test\\.ts$|^(http2|client/transport|server/backend/sqlite)/testing\\.ts$|^tests/|^server/backend/conformance/|^server/catalog/suite\\.ts$";

const never = (name, from, to, comment) => ({ name, severity: "error", comment, from, to });

module.exports = {
  forbidden: [
    never("no-cycle", {}, { circular: true }, "A cycle means that two rooms are one."),
    never(
      "room-imports-contract-only",
      { path: "^server/backend/([^/]+)/", pathNot: `^server/backend/(remote|layers)/|${TEST}` },
      {
        path: "^(server|gen|client)/",
        pathNot:
          "^server/backend/$1/|^server/backend/(contract|operations|commit|decide|decide-item|lists|records|streams|decide-stream|event-chunk|event-merge|clock|values|utf8|key-range|list-range|fading-maximum|migration-files|store-errors|sweeper|url-userinfo|connect-timeout|tag-text|lane|keep-listening|figures|room|diagnosis)\\.ts$|^server/(errors|limits|tls-files)\\.ts$",
      },
      "A room knows its store and the contract; never another room, the wire or the configuration.",
    ),
    never(
      "remote-room-speaks-the-wire",
      { path: "^server/backend/remote/", pathNot: TEST },
      {
        path: "^(server|client)/",
        pathNot:
          "^client/transport/|^server/backend/remote/|^server/backend/(contract|operations|commit|decide|decide-item|lists|records|streams|clock|values|utf8|list-range|room|diagnosis)\\.ts$|^server/(errors|item-metadata|limits|tls-files|reasons)\\.ts$",
      },
      "Its store is the wire: as the other rooms, and messages and a transport besides.",
    ),
    never(
      "rooms-behind-factory",
      {
        path: "^server/",
        pathNot: `^server/backend/([^/]+)/|^server/backend/(factory|rooms)\\.ts$|^server/catalog/|${TEST}`,
      },
      { path: "^server/backend/[^/]+/" },
      "One file lists the rooms, one puts their layers around them; nobody else names a room.",
    ),
    never(
      "backend-looks-up-to-nothing",
      { path: "^server/backend/", pathNot: `^server/backend/remote/|${TEST}` },
      {
        path: "^(gen/|client/|server/(wire|calls|services|namespaces|config|port)/|server/(app|main|cli|log|plane|admin-plane|unrouted)\\.ts$)",
      },
      "A backend never sees a wire message.",
    ),
    never(
      "layers-know-the-contract-only",
      { path: "^server/backend/layers/", pathNot: TEST },
      {
        path: "^(server|gen|client)/",
        pathNot: "^server/backend/layers/|^server/backend/[^/]+\\.ts$|^server/errors\\.ts$",
      },
      "A layer fits around any store.",
    ),
    never(
      "namespaces-know-the-contract-only",
      { path: "^server/namespaces/", pathNot: TEST },
      {
        path: "^(gen|server|client)/",
        pathNot:
          "^server/namespaces/|^server/backend/(contract|operations|narrowed|lane|erase-all|commit|records|streams)\\.ts$|^server/(errors|limits)\\.ts$",
      },
      "",
    ),
    never(
      "catalogs-keep-namespaces",
      { path: "^server/catalog/", pathNot: TEST },
      {
        path: "^(gen|server|client)/",
        pathNot:
          "^server/catalog/|^server/namespaces/(catalog|rules)\\.ts$|^server/backend/(contract|diagnosis|keep-listening|migration-files|rooms)\\.ts$|^server/backend/(sqlite|postgres)/|^server/(errors|limits|tls-files)\\.ts$",
      },
      "A catalog in a database opens it as the room of that database does.",
    ),
    never(
      "catalogs-behind-their-list",
      {
        path: "^server/",
        pathNot: `^server/catalog/|^server/(app|doctor|config/config|config/schema)\\.ts$|${TEST}`,
      },
      { path: "^server/catalog/" },
      "",
    ),
    never(
      "catalogs-use-one-room-each",
      { path: "^server/catalog/(sqlite|postgres|memory|document)", pathNot: TEST },
      { path: "^server/backend/(sqlite|postgres)/", pathNot: "^server/backend/$1/" },
      "",
    ),
    never(
      "drivers-in-their-rooms",
      { path: "^server/", pathNot: `^server/(backend|catalog)/(sqlite|postgres)[./]|${TEST}` },
      { path: "^(node:)?sqlite$|^node_modules/(pg|@types/pg)/" },
      "",
    ),
    never(
      "calls-know-namespaces-and-the-contract",
      { path: "^server/calls/", pathNot: TEST },
      {
        path: "^(server|client|http2)/",
        pathNot:
          "^server/(calls|namespaces)/|^server/backend/(contract|values)\\.ts$|^server/(errors|histogram|limits|reasons)\\.ts$",
      },
      "What is around every handler knows neither bytes nor services.",
    ),
    never(
      "auth-knows-callers-only",
      { path: "^server/auth/", pathNot: TEST },
      {
        path: "^(server|gen|client|http2)/",
        pathNot:
          "^server/auth/|^server/calls/(principal|peer|policies/auth)\\.ts$|^server/(errors|read-file)\\.ts$",
      },
      "It finds out who calls, for any call; only the start of the server and the configuration know it.",
    ),
    never(
      "shared-quotas-know-buckets-only",
      { path: "^server/quota/", pathNot: TEST },
      { path: "^(server|gen|client|http2)/", pathNot: "^server/quota/|^server/calls/policies/bucket\\.ts$" },
      "They are buckets whose room comes from elsewhere.",
    ),
    never(
      "services-stand-beside-the-wire",
      { path: "^server/services/", pathNot: TEST },
      {
        path: "^(server|client|http2)/",
        pathNot:
          "^server/(services|calls|namespaces)/|^server/backend/(contract|operations|commit|decide|figures|lists|records|streams|utf8|values|fading-maximum)\\.ts$|^server/(errors|item-metadata|limits)\\.ts$",
      },
      "A handler knows no protocol.",
    ),
    never(
      "the-wire-stands-beside-services",
      { path: "^server/wire/", pathNot: TEST },
      {
        path: "^(server|client)/",
        pathNot:
          "^server/(wire|calls)/|^server/backend/(contract|values|lane)\\.ts$|^server/(errors|limits|nearest|reasons)\\.ts$",
      },
      "It carries any service's calls.",
    ),
    never(
      "wire-messages-in-few-rooms-only",
      {
        path: "^server/",
        pathNot: `^server/(wire|calls|services|tracing|backend/remote)/|^server/(item-metadata|reasons)\\.ts$|${TEST}`,
      },
      { path: "^gen/" },
      "",
    ),
    never(
      "tracing-looks-at-calls-only",
      { path: "^server/tracing/", pathNot: TEST },
      {
        path: "^(server|client|http2)/",
        pathNot:
          "^server/tracing/|^server/calls/(methods|policies/trace)\\.ts$|^server/backend/contract\\.ts$|^server/wire/(encoder|message-writer)\\.ts$|^server/config/config\\.ts$|^server/reasons\\.ts$",
      },
      "It sends what the policy found out, in the encoding of the wire.",
    ),
    never(
      "transport-knows-no-prism",
      { path: "^client/transport/", pathNot: TEST },
      { path: "^(server|gen)/|^client/(?!transport/)" },
      "It carries any service's calls.",
    ),
    never(
      "client-apart-from-server",
      { path: "^client/", pathNot: TEST },
      { path: "^server/" },
      "Who installs the client runs no server.",
    ),
    never(
      "console-is-a-page",
      { path: "^client/console/", pathNot: `^client/console/vite\\.config\\.ts$|${TEST}` },
      { path: "^(client|http2)/", pathNot: "^client/(console/|(web|fetch|errors)\\.ts$)" },
      "It calls the gateway as any page can.",
    ),
    never(
      "nobody-needs-the-console",
      { path: "^(server|client|http2)/", pathNot: `^client/console/|${TEST}` },
      { path: "^client/console/" },
      "The server knows its built files only.",
    ),
    never(
      "adapters-behind-their-exports",
      { path: "^client/", pathNot: `^client/adapters/|${TEST}` },
      { path: "^client/adapters/" },
      "Who does not use an adapter loads none.",
    ),
    never(
      "adapters-need-no-library",
      { path: "^client/adapters/", pathNot: TEST },
      { path: "^node_modules/(?!@connectrpc/connect/)|^client/(node|web)\\.ts$" },
      "They are objects that a library calls; the application has the library, and makes the client.",
    ),
    never(
      "browser-client-without-engine",
      { path: "^client/", pathNot: `^client/(node\\.ts$|transport/(?!not-run\\.ts$))|${TEST}` },
      { path: "^(http2|client/transport)/", pathNot: "^client/transport/not-run\\.ts$" },
      "But for what both say of a call that was not run.",
    ),
    never(
      "server-apart-from-client",
      { path: "^server/", pathNot: `^server/(backend/remote|command)/|${TEST}` },
      { path: "^client/" },
      "But for the room of plugins, which calls them over the client's transport, and for the command line.",
    ),
    never(
      "commands-are-callers",
      { path: "^server/command/", pathNot: TEST },
      {
        path: "^(server|gen|client|http2)/",
        pathNot:
          "^server/command/|^client/node\\.ts$|^server/(admin-call|cli|limits)\\.ts$|^server/config/(address|settings)\\.ts$",
      },
      "They know what a caller knows, the bounds of calls, and the options of the program.",
    ),
    never(
      "commands-behind-the-program",
      { path: "^server/", pathNot: `^server/(command/|(main|cli|compare)\\.ts$)|${TEST}` },
      { path: "^server/command/" },
      "",
    ),
    never(
      "browser-client-without-node",
      {
        path: "^client/",
        pathNot: `^client/((node|manifest|console/vite\\.config)\\.ts$|transport/(?!not-run\\.ts$))|${TEST}`,
      },
      { dependencyTypes: ["core"] },
      "What the browser loads imports nothing of Node's.",
    ),
    never(
      "examples-are-users",
      { path: "^examples/[^/]+/" },
      { path: "^(server|gen|client|http2|tests)/", pathNot: "^client/(node|web)\\.ts$" },
      "What an example imports, its reader can import.",
    ),
    never(
      "engine-stands-alone",
      { path: "^http2/", pathNot: TEST },
      { path: "^(server|gen|client)/|^node_modules/" },
      "HTTP/2 knows nothing of what it carries.",
    ),
    never(
      "engine-by-its-index",
      { path: "^(server|client)/", pathNot: TEST },
      { path: "^http2/", pathNot: "^http2/index\\.ts$" },
      "",
    ),
    never(
      "bottom-is-the-bottom",
      { path: "^server/(errors|histogram|limits|nearest)\\.ts$" },
      { path: "^(server|gen|client)/", pathNot: "^server/reasons\\.ts$" },
      "",
    ),
    never(
      "reasons-know-their-numbers-only",
      { path: "^server/reasons\\.ts$" },
      { path: "^(server|gen|client)/", pathNot: "^gen/prism/common/errors_pb\\.ts$" },
      "",
    ),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    detectProcessBuiltinModuleCalls: true,
    enhancedResolveOptions: { extensions: [".ts", ".tsx", ".js", ".cjs"] },
  },
};
