import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AWKWARD_KEYS } from "../conformance/harness.ts";
import { MAX_TOPIC_LENGTH, refuseLongName, streamOf, topicOf, topicPrefixOf } from "./names.ts";

/** The characters that could be taken for a part of the code come often. */
const name = fc.oneof(
  fc.string({ unit: fc.constantFrom("_", ".", "-", "a", "5", "f", "A"), minLength: 1, maxLength: 8 }),
  fc.string({ unit: "binary", minLength: 1, maxLength: 8 }),
);
const prefix = fc.constantFrom("prism.", "a_b", "p__", "-");
/** Kafka refuses a topic whose name differs only so from another's. */
const likeKafka = (topic: string | undefined) => topic?.replaceAll(".", "_");

const SHORT_KEYS = AWKWARD_KEYS.filter((key) => Buffer.byteLength(key) < 70);

describe("topics", () => {
  test.each([
    ["orders", "eu-west", "prism.orders__eu-west"],
    ["a_b", "a.b", "prism.a_5fb__a_2eb"],
    ["n", "é/_", "prism.n___c3_a9_2f_5f"],
  ])("of %s, %s", (namespace, stream, topic) => {
    expect(topicOf("prism.", namespace, stream)).toBe(topic);
    expect(streamOf(topicPrefixOf("prism.", namespace), topic)).toBe(stream);
  });

  test("lead back to their streams, and have only characters that Kafka takes", () => {
    for (const namespace of SHORT_KEYS.filter((key) => key.length < 9)) {
      for (const stream of SHORT_KEYS) {
        const topic = topicOf("prism.", namespace, stream) ?? "";
        expect(topic).toMatch(/^[A-Za-z0-9._-]{1,249}$/);
        expect(streamOf(topicPrefixOf("prism.", namespace), topic)).toBe(stream);
      }
    }
    fc.assert(
      fc.property(prefix, name, name, (start, namespace, stream) => {
        const topic = topicOf(start, namespace, stream) ?? "";
        expect(topic).toMatch(/^[A-Za-z0-9._-]{1,249}$/);
        expect(streamOf(topicPrefixOf(start, namespace), topic)).toBe(stream);
      }),
    );
  });

  test("of two streams differ also to one who takes dots for underscores", () => {
    const topics = AWKWARD_KEYS.map((key) => likeKafka(topicOf("prism.", "n", key))).filter(Boolean);
    expect(new Set(topics).size).toBe(topics.length);
    fc.assert(
      fc.property(prefix, name, name, name, name, (start, namespace, stream, other, another) => {
        fc.pre(namespace !== other || stream !== another);
        expect(likeKafka(topicOf(start, namespace, stream))).not.toBe(
          likeKafka(topicOf(start, other, another)),
        );
      }),
    );
  });

  test("of one namespace never begin as those of another", () => {
    fc.assert(
      fc.property(name, name, name, (namespace, other, stream) => {
        fc.pre(namespace !== other);
        const topic = topicOf("prism.", other, stream) ?? "";
        expect(topic.startsWith(topicPrefixOf("prism.", namespace))).toBe(false);
      }),
    );
  });

  test("that somebody else made are no streams, or have one name", () => {
    const none = [
      "",
      "a.b",
      "_zz",
      "a_",
      "_2",
      "_C3_A9",
      "_61",
      "_2d",
      "_ff",
      "_c3",
      "_ed_a0_80",
      "a b",
      "é",
    ];
    expect(none.map((text) => streamOf("prism.n__", `prism.n__${text}`))).toEqual(none.map(() => undefined));
    expect(streamOf("prism.n__", "prism.m__a")).toBeUndefined();
    const text = fc.string({
      unit: fc.constantFrom("_", "6", "1", "c", "3", "a", "9", "z", "."),
      maxLength: 9,
    });
    fc.assert(
      fc.property(text, (rest) => {
        const stream = streamOf("p.n__", `p.n__${rest}`);
        if (stream !== undefined) {
          expect(topicOf("p.", "n", stream)).toBe(`p.n__${rest}`);
        }
      }),
    );
  });

  test("have at most 249 characters", () => {
    const room = MAX_TOPIC_LENGTH - "prism.n__".length;
    expect(topicOf("prism.", "n", "x".repeat(room))).toHaveLength(MAX_TOPIC_LENGTH);
    expect(topicOf("prism.", "n", "x".repeat(room + 1))).toBeUndefined();
    expect(topicOf("prism.", "n", "_".repeat(room / 3))).toHaveLength(MAX_TOPIC_LENGTH);
    expect(topicOf("prism.", "n", "_".repeat(room / 3 + 1))).toBeUndefined();
    expect(refuseLongName()).toMatchObject({ reason: "invalid_field", field: "stream" });
  });
});
