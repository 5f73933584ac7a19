import type { NewEvent, Tags } from "../backend/streams.ts";
import { compareUtf8 } from "../backend/utf8.ts";
import { PrismError } from "../errors.ts";
import { MAX_SUM_BINS, MAX_SUM_NAMES_LENGTH, MAX_SUM_ROWS } from "../limits.ts";
import { numberIn, numberInBytes } from "./event-number.ts";
import { NumberBins } from "./number-bins.ts";

/** How events are summed up. */
export interface SumRules {
  /** Where the row of the only bucket begins, in milliseconds since 1970. */
  readonly startMs: number;
  /** The length of a bucket in milliseconds; 0 = there is only one. */
  readonly bucketMs: number;
  /** The tag whose value is the number of an event. "" = its payload is. */
  readonly valueTag: string;
  /** The tags whose values tell groups apart. */
  readonly groupBy: readonly string[];
}

/** What the events of one bucket and group come to. */
export interface SumRow {
  /** Where the bucket begins, in milliseconds since 1970. */
  readonly startMs: number;
  /** The values of `groupBy`, in its order. */
  readonly group: readonly string[];
  /** How many events. */
  readonly count: number;
  /** How many of them have a number. */
  readonly numbers: number;
  /** What the numbers come to. `undefined` = there is none. */
  readonly figures: NumberFigures | undefined;
}

/** What numbers come to. */
export interface NumberFigures {
  /** Infinite: it left the range of a float64. */
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly avg: number;
  /** The quantiles are off by at most 1%, or by 1e-309. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/**
 * Sums up events that come in the order of their times. It keeps the rows and the bins of one
 * bucket, however many events there are.
 */
export class EventSums {
  readonly #rules: SumRules;
  readonly #rows: SumRow[] = [];
  /** Where the bucket of the last event begins. */
  #startMs = Number.NaN;
  /** The groups of that bucket. */
  readonly #groups = new Map<string, GroupSum>();
  /** The bins of these groups. */
  #bins = 0;
  /** The UTF-16 length of names and values of all groups. */
  #namesLength = 0;
  readonly #groupByLength: number;

  constructor(rules: SumRules) {
    this.#rules = rules;
    this.#groupByLength = lengthOf(rules.groupBy);
  }

  /**
   * Adds `count` events that are alike. Throws {@link PrismError} `value_too_large` when a bound is
   * reached.
   */
  add({ timestampMs, payload, tags }: NewEvent, count = 1): void {
    const { startMs, bucketMs, valueTag } = this.#rules;
    const bucket = bucketMs === 0 ? startMs : timestampMs - (timestampMs % bucketMs);
    if (bucket !== this.#startMs) {
      this.#endBucket();
      this.#startMs = bucket;
    }
    const group = this.#groupOf(tags);
    group.count += count;
    const number = valueTag === "" ? numberInBytes(payload) : numberIn(tagOf(tags, valueTag));
    if (number === undefined) {
      return;
    }
    const before = group.bins.size;
    group.add(number, count);
    this.#bins += group.bins.size - before;
    if (this.#bins > MAX_SUM_BINS) {
      throw new PrismError(
        "value_too_large",
        "the numbers of the groups differ too much to tell quantiles: ask for shorter buckets or fewer groups",
      );
    }
  }

  /** Ends the last bucket. Answers all rows in the order of buckets and groups. */
  rows(): readonly SumRow[] {
    this.#endBucket();
    return this.#rows;
  }

  #groupOf(tags: Tags): GroupSum {
    const { groupBy } = this.#rules;
    const [only] = groupBy;
    const key =
      groupBy.length <= 1
        ? tagOf(tags, only)
        : groupBy.map((name) => lengthPrefixed(tagOf(tags, name))).join("");
    const known = this.#groups.get(key);
    if (known !== undefined) {
      return known;
    }
    if (this.#rows.length + this.#groups.size === MAX_SUM_ROWS) {
      throw tooManyRows(`${MAX_SUM_ROWS} rows`);
    }
    const values = groupBy.map((name) => tagOf(tags, name));
    this.#namesLength += this.#groupByLength + lengthOf(values);
    if (this.#namesLength > MAX_SUM_NAMES_LENGTH) {
      throw tooManyRows(`${MAX_SUM_NAMES_LENGTH} characters of names and values of tags`);
    }
    const group = new GroupSum(values);
    this.#groups.set(key, group);
    return group;
  }

  #endBucket(): void {
    const groups = [...this.#groups.values()].sort((a, b) => compareTexts(a.values, b.values));
    for (const group of groups) {
      this.#rows.push(group.row(this.#startMs));
    }
    this.#groups.clear();
    this.#bins = 0;
  }
}

/** The sums of one group in one bucket. */
class GroupSum {
  readonly values: readonly string[];
  readonly bins = new NumberBins();
  count = 0;
  #numbers = 0;
  #sum = 0;
  /** What `#sum` has lost by rounding, after A. Neumaier, ZAMM 54 (1974), pages 39 to 51. */
  #lost = 0;
  #min = Infinity;
  #max = -Infinity;

  constructor(values: readonly string[]) {
    this.values = values;
  }

  /** Adds `count` numbers that are equal. */
  add(number: number, count: number): void {
    this.#numbers += count;
    this.#min = Math.min(this.#min, number);
    this.#max = Math.max(this.#max, number);
    this.bins.add(number, count);
    if (!Number.isFinite(number * count)) {
      // One by one: infinite numbers with two signs would have no sum.
      for (let i = 0; i < count; i++) {
        this.#addToSum(number);
      }
      return;
    }
    // A power of two times the number is exact; another product would lose what rounding cuts off.
    for (let left = count, part = number; left > 0; left = Math.floor(left / 2), part *= 2) {
      if (left % 2 === 1) {
        this.#addToSum(part);
      }
    }
  }

  #addToSum(number: number): void {
    const before = this.#sum;
    const sum = before + number;
    this.#lost += Math.abs(before) >= Math.abs(number) ? before - sum + number : number - sum + before;
    this.#sum = sum;
  }

  row(startMs: number): SumRow {
    const { values: group, count } = this;
    return { startMs, group, count, numbers: this.#numbers, figures: this.#figures() };
  }

  #figures(): NumberFigures | undefined {
    if (this.#numbers === 0) {
      return undefined;
    }
    const min = this.#min;
    const max = this.#max;
    // An infinite sum has lost more than a number can tell.
    const sum = Number.isFinite(this.#sum) ? this.#sum + this.#lost : this.#sum;
    // No quantile lies outside of the numbers, though the middle of its bin may.
    const [p50 = max, p95 = max, p99 = max] = this.bins
      .quantiles([50, 95, 99])
      .map((middle) => Math.min(max, Math.max(min, middle)));
    return { sum, min, max, avg: sum / this.#numbers, p50, p95, p99 };
  }
}

/** The value of a tag; "" = there is no such tag, or its value is empty. */
function tagOf(tags: Tags, name: string | undefined): string {
  return name !== undefined && Object.hasOwn(tags, name) ? (tags[name] ?? "") : "";
}

/** So that no two lists of texts become one when they are joined. */
function lengthPrefixed(text: string): string {
  return `${text.length}:${text}`;
}

function lengthOf(texts: readonly string[]): number {
  return texts.reduce((length, text) => length + text.length, 0);
}

/** Orders lists of equally many texts by their first difference. */
function compareTexts(a: readonly string[], b: readonly string[]): number {
  for (const [i, text] of a.entries()) {
    const difference = compareUtf8(text, b[i] ?? "");
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}

function tooManyRows(bound: string): PrismError {
  return new PrismError(
    "value_too_large",
    `the answer would have more than ${bound}: ask for larger buckets, a shorter span or fewer groups`,
  );
}
