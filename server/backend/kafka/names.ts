/*
 * Topics and the streams that they keep. The topic of a stream is named
 * `{prefix}{namespace}__{stream}`. Of namespace and stream, letters, digits and hyphens are written
 * as they are, and every other byte of their UTF-8 as `_hh`. So "__" stands only between the two,
 * and there is no "." in them, which Kafka's metrics take for a "_".
 */

import { Refusal } from "../contract.ts";

/** The longest name that Kafka gives a topic, in characters. */
export const MAX_TOPIC_LENGTH = 249;

/** Between namespace and stream. */
const BETWEEN = "__";

const PLAIN = /^[A-Za-z0-9-]*$/;
const CODED = /^(?:[A-Za-z0-9-]|_[0-9a-f]{2})+$/;

/** What the topics of a namespace begin with, and those of no other one. */
export function topicPrefixOf(prefix: string, namespace: string): string {
  return `${prefix}${encoded(namespace)}${BETWEEN}`;
}

/** The group whose committed offsets keep the time indexes. */
export function indexGroupOf(prefix: string): string {
  return `${prefix}index`;
}

/** The topic of a stream. `undefined` = its name would be longer than Kafka takes. */
export function topicOf(prefix: string, namespace: string, stream: string): string | undefined {
  const topic = topicPrefixOf(prefix, namespace) + encoded(stream);
  return topic.length <= MAX_TOPIC_LENGTH ? topic : undefined;
}

/**
 * The stream of a topic that begins with `namespacePrefix`. `undefined` = the topic keeps none of
 * its streams.
 */
export function streamOf(namespacePrefix: string, topic: string): string | undefined {
  return topic.startsWith(namespacePrefix) ? decoded(topic.slice(namespacePrefix.length)) : undefined;
}

/** The refusal of a stream that has no topic. */
export function refuseLongName(): Refusal {
  const message = `stream and namespace are too long together: Kafka takes ${MAX_TOPIC_LENGTH} characters, and each that is no letter, digit or hyphen counts as three or more`;
  return new Refusal("invalid_field", message, { field: "stream" });
}

function encoded(name: string): string {
  if (PLAIN.test(name)) {
    return name;
  }
  let text = "";
  for (const byte of Buffer.from(name)) {
    const character = String.fromCharCode(byte);
    text += PLAIN.test(character) ? character : `_${byte.toString(16).padStart(2, "0")}`;
  }
  return text;
}

/** `undefined` = no name is written like this. */
function decoded(text: string): string | undefined {
  if (!CODED.test(text)) {
    return undefined;
  }
  const bytes = text.replaceAll(/_(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const name = Buffer.from(bytes, "latin1").toString();
  // Bytes that are no UTF-8, or that need no code, would be a second name of one stream.
  return encoded(name) === text ? name : undefined;
}
