import { isThere, type Peer, runLoad } from "./process.ts";

/** Whether a Redis server and its load generator are there; prints how to get them if not. */
export function hasRedis(): boolean {
  return isThere("redis-server", "redis-server") && isThere("redis-benchmark", "redis-tools");
}

/** A contender: calls a second of Redis over its own protocol. */
export async function redisContender(
  { port }: Peer,
  command: "get" | "set",
  connections: number,
  valueBytes: number,
): Promise<() => Promise<number>> {
  const run = async (name: string, calls: number): Promise<number> => {
    const shape = ["-c", String(connections), "-n", String(calls), "-d", String(valueBytes)];
    const said = await runLoad("redis-benchmark", ["-p", String(port), ...shape, "-t", name, "--csv"]);
    const [, rate] = new RegExp(`"${name}","([\\d.]+)"`, "i").exec(said) ?? [];
    if (rate === undefined) {
      throw new Error(`redis-benchmark said: ${said}`);
    }
    return Number(rate);
  };
  await run("set", 20_000);
  return () => run(command, 50_000);
}
