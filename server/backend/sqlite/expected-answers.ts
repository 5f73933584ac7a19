import { FadingMaximum } from "../fading-maximum.ts";
import { type AnyItemsRow, WRITE_NAMES, WRITES } from "../operations.ts";
import type { Operation, Outcome } from "./operation.ts";

/**
 * What the answer of a call is expected to hold before any was seen, if it can hold a value: it
 * bounds what the first group reads.
 */
const FIRST_ANSWER_BYTES = 64 * 1024;

/** What the answers of one type of operation hold, for each call. */
interface TypeOfAnswers {
  readonly answerBytesOf: (answer: unknown) => number;
  readonly largest: FadingMaximum;
  /** The largest mean of a group: one large answer does not count for each of many. */
  readonly mean: FadingMaximum;
  /** Of the group that is learned from. */
  sum: number;
  count: number;
}

/** How large the answers of each type of operation are, by those seen of late. */
export interface ExpectedAnswers {
  /** The bytes of the largest answer to such an operation. It bounds a group. */
  largestOf(operation: Operation): number;
  /** The bytes of a usual one; 0 before any was seen. It bounds what waits. */
  meanOf(operation: Operation): number;
  /** Learns from the outcomes of a group. */
  learn(calls: readonly { readonly operation: Operation }[], outcomes: readonly Outcome[]): void;
}

/** Makes {@link ExpectedAnswers} that has seen none. */
export function createExpectedAnswers(): ExpectedAnswers {
  const types = new Map<string, TypeOfAnswers>();
  for (const type of WRITE_NAMES) {
    const row: AnyItemsRow = WRITES[type].row;
    const { answerBytesOf } = row;
    if (answerBytesOf !== undefined) {
      const largest = new FadingMaximum(FIRST_ANSWER_BYTES);
      types.set(type, { answerBytesOf, largest, mean: new FadingMaximum(0), sum: 0, count: 0 });
    }
  }
  return {
    largestOf: ({ type }) => types.get(type)?.largest.value ?? 0,
    meanOf: ({ type }) => types.get(type)?.mean.value ?? 0,
    learn(calls, outcomes) {
      for (const expected of types.values()) {
        expected.largest.fade();
        expected.mean.fade();
        expected.sum = 0;
        expected.count = 0;
      }
      calls.forEach(({ operation: { type } }, i) => {
        const outcome = outcomes[i];
        const expected = types.get(type);
        if (expected !== undefined && Array.isArray(outcome)) {
          const bytes = outcome.reduce<number>((sum, answer) => sum + expected.answerBytesOf(answer), 0);
          expected.largest.see(bytes);
          expected.sum += bytes;
          expected.count++;
        }
      });
      for (const { mean, sum, count } of types.values()) {
        mean.see(count === 0 ? 0 : sum / count);
      }
    },
  };
}
