import { resolve } from "node:path";
import { z } from "zod";
import { locateTlsFiles } from "../tls-files.ts";
import { kafkaRoom } from "./kafka/room.ts";
import { memoryRoom } from "./memory/room.ts";
import { postgresRoom } from "./postgres/room.ts";
import { redisRoom } from "./redis/room.ts";
import { remoteRoom } from "./remote/room.ts";
import type { Room, StoreConfig } from "./room.ts";
import { sqliteRoom } from "./sqlite/room.ts";

export { pluginSchema } from "./remote/config.ts";

const rooms = [memoryRoom, sqliteRoom, postgresRoom, redisRoom, kafkaRoom, remoteRoom] as const;

type AnySchema = (typeof rooms)[number]["schema"];

/**
 * Every store that Prism has, and the only list of them. The rooms hold the differences between
 * stores.
 */
export const ROOMS: readonly Room[] = rooms;

/** The options of a store of any `type`. */
export const backendSchema = z.discriminatedUnion(
  "type",
  // `map` loses the type of a non-empty array.
  rooms.map(({ schema }) => schema) as [AnySchema, ...AnySchema[]],
);

/** The checked options of a store. */
export type BackendConfig = z.output<AnySchema>;

const byType = new Map(ROOMS.map((room) => [room.type, room]));

/** The room of a store. Throws TypeError for an unknown type, which checked options never have. */
export function roomOf(type: string): Room {
  const room = byType.get(type);
  if (room === undefined) {
    throw new TypeError(`no store of type ${type}`);
  }
  return room;
}

/** Why a store of this type cannot serve several worker processes. `undefined` = it can. */
export function whyNotShared(type: string): string | undefined {
  const others = ROOMS.filter(({ ofOneProcess }) => ofOneProcess !== true).map((room) => room.type);
  return roomOf(type).ofOneProcess === true
    ? `a ${type} backend is of one process, and server.workers is more than 1: use ${others.join(", ")}, or one worker`
    : undefined;
}

/** Where a store's data is, without user and password. "" = in this process's memory. */
export function placeOf(config: BackendConfig): string {
  return roomOf(config.type).place?.(config) ?? "";
}

/** Makes the file names absolute. Relative ones start at `folder`, which is absolute. */
export function locate<Config extends BackendConfig>(config: Config, folder: string): Config {
  const absolute = (file: string) => resolve(folder, file);
  const located: StoreConfig = roomOf(config.type).locate?.(config, absolute) ?? config;
  const tls = located.tls && locateTlsFiles(located.tls, folder);
  // A room answers options of its own type.
  return { ...located, ...(tls && { tls }) } as Config;
}
