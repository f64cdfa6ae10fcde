// A client of the generated types: every kind of field goes to a live service and comes back.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./contract.js";

type Create = components["schemas"]["KindsCreate"];
type Kinds = components["schemas"]["KindsDocument"];

const [url, token] = process.argv.slice(2);
assert(url && token, "usage: node round_trip.js URL TOKEN");

const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

const sent: Create = {
  text: "hello",
  number: 1.5,
  whole: 7,
  flag: true,
  perhaps: null,
  choice: "small",
  at: "2026-11-22T12:30:00.123Z",
  day: "2026-11-22",
  reference: "0123456789abcdef01234567",
  key: "12345678-1234-4678-9234-567812345678",
  big: "9007199254740993",
  amount: "12.50",
  bytes: "aGVsbG8=",
  either: 5,
  one: true,
  labels: ["a", "b"],
  days: ["2026-01-01", "2026-12-31"],
  nested: { a: 1, deeper: { b: "x" } },
};

/** Compare what was sent with what came back, field by field. */
function same(document: components["schemas"]["KindsPart"], fields: Create): void {
  for (const name of Object.keys(fields) as (keyof Create & keyof Kinds)[]) {
    assert.deepEqual(document[name], fields[name], name);
  }
}

const { data: created, response } = await client.POST("/api/kinds", { body: { ...sent, secret: "x" } });
assert.equal(response.status, 201);
assert(created && !Array.isArray(created.data));
const document: Kinds = created.data;
same(document, sent);
assert.equal(document.score, 0);
assert(!("secret" in document));

const path = { params: { path: { id: document.id } } };
const read = await client.GET("/api/kinds/{id}", path);
assert(read.data);
same(read.data.data, sent);

const changed = await client.PATCH("/api/kinds/{id}", {
  params: { ...path.params, header: { "If-Match": `"${document._version}"` } },
  body: { whole: null, nested: { a: 2 }, either: "2026-11-22T12:30:00.000Z" },
});
assert(changed.data);
const { whole: _, ...rest } = sent;
same(changed.data.data, { ...rest, nested: { a: 2, deeper: { b: "x" } }, either: "2026-11-22T12:30:00.000Z" });
assert.equal(changed.data.data.whole, undefined);

const replaced = await client.PUT("/api/kinds/{id}", { ...path, body: { ...changed.data.data, text: "bye" } });
assert(replaced.data);
assert.equal(replaced.data.data.text, "bye");
assert.equal(replaced.data.data._version, 3);

const filter: components["schemas"]["KindsFilter"] = { text: "bye", "nested.a": { gte: 2 }, or: [{ flag: true }] };
const listed = await client.GET("/api/kinds", { params: { query: { filter: JSON.stringify(filter), sort: "-at", limit: 5 } } });
assert(listed.data);
assert(listed.data.data.some((each) => each.id === document.id));

const queried = await client.POST("/api/kinds/query", { body: { filter, fields: ["text"], count: "exact" } });
assert(queried.data);
assert.equal(queried.data.total, listed.data.data.length);

const stale = await client.DELETE("/api/kinds/{id}", {
  params: { ...path.params, header: { "If-Match": '"1"' } },
});
assert.equal(stale.error?.code, "document.stale");

const deleted = await client.DELETE("/api/kinds/{id}", path);
assert.equal(deleted.response.status, 204);

const missing = await client.GET("/api/kinds/{id}", path);
assert.equal(missing.error?.code, "document.not_found");

// What the contract refuses does not compile.
// @ts-expect-error: a number is not a text
const wrong: Create = { text: 1 };
// @ts-expect-error: `text` is missing
const lacking: Create = { number: 1 };
// @ts-expect-error: it is the service's own
const own: Create = { text: "a", score: 1 };
assert(wrong && lacking && own);

console.log("round trip done");
