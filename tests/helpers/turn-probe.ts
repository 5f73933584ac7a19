/**
 * For `node --import`. On SIGUSR2 it prints the processor time of the main thread in a turn of its
 * event loop since the last SIGUSR2, as `{"median_turn_ms":1.2,"longest_turn_ms":3.4}`. Only turns
 * with work count. Unlike a client's measurement this hardly changes on a busy machine.
 */
const MIN_TURN_MS = 0.5;
let turnsMs: number[] = [];
let before = process.threadCpuUsage();

function turn(): void {
  const { user, system } = process.threadCpuUsage(before);
  const usedMs = (user + system) / 1000;
  if (usedMs >= MIN_TURN_MS) {
    turnsMs.push(usedMs);
  }
  before = process.threadCpuUsage();
  setImmediate(turn).unref();
}

setImmediate(turn).unref();
process.on("SIGUSR2", () => {
  turnsMs.sort((a, b) => a - b);
  const median = turnsMs[Math.floor(turnsMs.length / 2)] ?? 0;
  process.stdout.write(
    `${JSON.stringify({ median_turn_ms: median, longest_turn_ms: turnsMs.at(-1) ?? 0 })}\n`,
  );
  turnsMs = [];
});
