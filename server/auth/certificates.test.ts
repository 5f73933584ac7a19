import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Certificates, createCertificates } from "../../tests/helpers/certificates.ts";
import { nameOf } from "./certificates.ts";

let certificates: Certificates;
beforeAll(() => {
  certificates = createCertificates();
  certificates.create("ca");
});
afterAll(() => certificates[Symbol.dispose]());

const ID = "spiffe://example.org/ns/prod/sa/user-api";

test.each<[string, string, string | undefined, string | undefined, string | undefined]>([
  // Subject, alternative names, and the name from any, from spiffe, from cn.
  ["/CN=user-api", `URI:${ID}`, ID, ID, "user-api"],
  ["/CN=user-api", "DNS:user-api", "user-api", undefined, "user-api"],
  ["/O=example", "DNS:user-api", undefined, undefined, undefined],
  ["/CN=user-api", `URI:${ID},URI:spiffe://example.org/other`, "user-api", undefined, "user-api"],
  ["/CN=user-api", "URI:https://example.org/a", "user-api", undefined, "user-api"],
  [`/CN=${ID.replaceAll("/", "\\/")}`, "DNS:a", undefined, undefined, undefined],
  ["/CN=one/CN=two", "DNS:a", undefined, undefined, undefined],
  ["/CN=Smith\\, John", "DNS:a", "Smith, John", undefined, "Smith, John"],
  ["/CN=a", `DNS:a,URI:${ID}?x`, "a", undefined, "a"],
])("%s with %s", (subject, altNames, any, spiffe, cn) => {
  certificates.create("client", { ca: "ca", subject, altNames });
  const certificate = new X509Certificate(certificates.pem("client.crt"));
  const from = (nameFrom: "any" | "spiffe" | "cn") => nameOf(certificate, { nameFrom, namePrefix: "" });
  expect([from("any"), from("spiffe"), from("cn")]).toEqual([any, spiffe, cn]);
  const prefixed = nameOf(certificate, { nameFrom: "any", namePrefix: "tls:" });
  expect(prefixed).toBe(any === undefined ? undefined : `tls:${any}`);
});
