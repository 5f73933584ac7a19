import { getOption, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type AdminService,
  Atomicity,
  type BackendSchema,
  BackendState,
} from "../../gen/prism/admin/v1/admin_pb.ts";
import { version } from "../../gen/prism/options_pb.ts";
import type { Backend, Call, Atomicity as StoreAtomicity } from "../backend/contract.ts";
import type { Figures } from "../backend/figures.ts";
import { INTERFACES, type Interface } from "../backend/operations.ts";
import type { Handlers } from "../calls/implement.ts";
import { principalOf } from "../calls/record.ts";
import { PrismError } from "../errors.ts";
import { MAX_DRAIN_WAIT_MS, NAMESPACE_PATTERN } from "../limits.ts";
import type { Namespace } from "../namespaces/live-namespace.ts";
import type { NamespaceRegistry } from "../namespaces/registry.ts";
import type { StoreHealth, StoreMonitor, StoreState } from "../namespaces/store-monitor.ts";
import { describeCaller } from "./caller.ts";
import { SERVICE_INTERFACES } from "./service-interfaces.ts";
import { type TrafficSource, tellTraffic } from "./traffic.ts";

/** A store that is configured. */
export interface ConfiguredBackend {
  readonly type: string;
  /** Where its data is, without user and password. "" = in this process. */
  readonly place: string;
}

/** How busy processes are. */
export interface Load {
  /** Calls that are running. */
  readonly callsUnderWay: number;
  /** The figures of each open store, by the operator's name. */
  readonly stores: Readonly<Record<string, Figures>>;
}

/** The gateway, as its operator sees and ends it. */
export interface Gateway {
  readonly version: string;
  readonly startedAtMs: number;
  /** How long it has run. */
  readonly uptimeMs: number;
  /** Whether it takes calls on the data port. */
  readonly serving: boolean;
  /** Where its ports listen, as host:port. */
  readonly addresses: { readonly data: string; readonly admin: string };
  /** The limits in force. */
  readonly limits: Readonly<Record<string, number>>;
  /** Every configured store by its name. */
  readonly backends: ReadonlyMap<string, ConfiguredBackend>;
  /** How busy it is now, all its processes together. */
  load(): Promise<Load>;
  /**
   * Refuses new calls from now on, and waits for those under way, at most `maxMs` or until the call
   * ends.
   */
  drain(maxMs: number, call: Call): Promise<void>;
}

/** What AdminService tells of. */
export interface AdminSources {
  readonly gateway: Gateway;
  readonly registry: NamespaceRegistry;
  readonly monitor: StoreMonitor;
  /** `undefined` = calls are not counted. */
  readonly traffic: TrafficSource | undefined;
}

/** The most names of namespaces that an answer has for each store. */
const MAX_NAMES = 1000;

/** prism.admin.v1.AdminService. */
export function createAdmin(sources: AdminSources): Handlers<typeof AdminService> {
  const { gateway, registry, monitor, traffic } = sources;
  return {
    async listBackends() {
      const namespaces = Map.groupBy(registry.namespaces, ({ backendName }) => backendName);
      const names = [...gateway.backends.keys()].sort();
      const load = await gateway.load();
      const backends = names.map((name) =>
        describe(name, namespaces.get(name) ?? [], load, async (store) => monitor.last(store)),
      );
      return { backends: await Promise.all(backends) };
    },

    async getBackend({ name }) {
      const mine = registry.namespaces.filter(({ backendName }) => backendName === name);
      const load = await gateway.load();
      return { backend: await describe(name, mine, load, (store) => monitor.check(store)) };
    },

    async getCapabilities({ namespace: name }) {
      const namespace = registry.existing(name);
      const has = interfacesOf(namespace.backend);
      return {
        namespace: namespace.name,
        backend: namespace.backendName,
        type: namespace.backend.type,
        atomicity: ATOMICITIES[namespace.backend.atomic],
        services: SERVICE_INTERFACES.map(([service, needs]) => ({
          service: service.typeName,
          version: getOption(service, version),
          supported: has.includes(needs),
          methods: service.methods.map((method) => method.name),
        })),
      };
    },

    async getServer() {
      return {
        version: gateway.version,
        nodeVersion: process.version,
        startedAtMillis: BigInt(gateway.startedAtMs),
        uptimeMillis: BigInt(Math.round(gateway.uptimeMs)),
        serving: gateway.serving,
        dataAddress: gateway.addresses.data,
        adminAddress: gateway.addresses.admin,
        namespaceCount: registry.namespaces.length,
        callsUnderWay: (await gateway.load()).callsUnderWay,
        limits: numbers(gateway.limits),
      };
    },

    async getCaller(_request, call) {
      return describeCaller(principalOf(call), registry.namespaces);
    },

    async getTraffic({ namespaces }) {
      return await tellTraffic(traffic, namespaces, gateway.startedAtMs);
    },

    async drain({ maxWaitMillis }, call) {
      if (maxWaitMillis < 0n || maxWaitMillis > MAX_DRAIN_WAIT_MS) {
        throw new PrismError("invalid_field", `max_wait_millis must be 0 to ${MAX_DRAIN_WAIT_MS}`, {
          field: "max_wait_millis",
        });
      }
      await gateway.drain(Number(maxWaitMillis), call);
      return { callsLeft: (await gateway.load()).callsUnderWay };
    },
  };

  async function describe(
    name: string,
    namespaces: readonly Namespace[],
    load: Load,
    stateOf: (store: Backend) => Promise<StoreState | undefined>,
  ): Promise<MessageInitShape<typeof BackendSchema>> {
    const configured = gateway.backends.get(name);
    if (configured === undefined) {
      const which = NAMESPACE_PATTERN.test(name) ? `backend "${name}"` : "such backend";
      throw new PrismError("backend_not_found", `there is no ${which}`, { field: "name" });
    }
    const { type, place } = configured;
    const store = namespaces.at(-1)?.backend;
    if (store === undefined) {
      return { name, type, where: place, state: BackendState.UNUSED };
    }
    const { health, sinceMs, checkedAtMs, problem } = (await stateOf(store)) ?? (await monitor.check(store));
    return {
      name,
      type,
      where: place,
      state: STATES[health],
      stateSinceMillis: BigInt(sinceMs),
      checkedAtMillis: BigInt(checkedAtMs),
      problem,
      interfaces: [...interfacesOf(store)],
      atomicity: ATOMICITIES[store.atomic],
      canErase: store.erase !== undefined,
      namespaceCount: namespaces.length,
      namespaces: namespaces
        .map((each) => each.name)
        .sort()
        .slice(0, MAX_NAMES),
      figures: numbers(load.stores[name] ?? {}),
    };
  }
}

const STATES: Readonly<Record<StoreHealth, BackendState>> = {
  serving: BackendState.SERVING,
  read_only: BackendState.READ_ONLY,
  not_serving: BackendState.NOT_SERVING,
};

const ATOMICITIES: Readonly<Record<StoreAtomicity, Atomicity>> = {
  namespace: Atomicity.NAMESPACE,
  shard: Atomicity.SHARD,
  key: Atomicity.KEY,
};

/** Numbers with the names that they have on the wire: `maxValueBytes` becomes `max_value_bytes`. */
function numbers(named: Readonly<Record<string, number>>): Record<string, bigint> {
  return Object.fromEntries(
    Object.entries(named).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      BigInt(value),
    ]),
  );
}

/** The interfaces whose calls a store answers. */
function interfacesOf(store: Backend): readonly Interface[] {
  const lacks = store.lacks?.();
  return INTERFACES.filter((each) => store[each] !== undefined && lacks?.has(each) !== true);
}
