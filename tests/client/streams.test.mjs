// One stream for each subscription: on a service, and on one that says what it is told.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveSet, SERVICE, ask, collection, live, recorder, scripted, tap, until } from "./support.mjs";

/** Follow something until the test ends; return what was told. */
function follow(t, url, options) {
  const record = recorder();
  const { close } = live(url, { ...record.handlers, ...options });
  t.after(close);
  return { ...record, close };
}

test("tells what is there, and what becomes of it", async (t) => {
  const path = await collection();
  const one = await ask("POST", path, { room: "x", n: 1 });
  await ask("POST", path, { room: "y", n: 2 });
  const { told, statuses, close } = follow(t, SERVICE + path, { filter: { room: "x" }, fields: ["n", "_version"] });
  await until(() => told.at(-1)?.[0] === "ready");
  await ask("POST", path, { room: "x", n: 3 });
  await ask("PUT", `${path}/${one.id}`, { room: "y", n: 4 });
  await until(() => told.at(-1)[0] === "gone");
  assert.deepEqual(statuses.slice(0, 2), ["connecting", "live"]);
  assert.deepEqual(told.filter(([name]) => name !== "ready"), [
    ["put", "snapshot", 1],
    ["put", "create", 3],
    ["gone", "leave"],
  ]);
  close();
  const { length } = told;
  await ask("POST", path, { room: "x", n: 5 });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(told.length, length);
});

test("follows one document", async (t) => {
  const path = await collection();
  const { id } = await ask("POST", path, { n: 1 });
  await ask("POST", path, { n: 2 });
  const { heard } = follow(t, `${SERVICE}${path}/${id}`);
  await until(() => heard("ready").length);
  await ask("PUT", `${path}/${id}`, { n: 3 });
  await until(() => heard("put").length === 2);
  await ask("DELETE", `${path}/${id}`);
  await until(() => heard("gone").length);
  assert.deepEqual([heard("put"), heard("gone")], [[["snapshot", 1], ["change", 3]], [["delete"]]]);
});

test("loses nothing and is told nothing twice when connections break", async (t) => {
  const path = await collection();
  const wire = await tap();
  t.after(wire.close);
  const numbers = [];
  const { heard } = follow(t, wire.url + path, { onPut: ({ n }) => numbers.push(n) });
  await until(() => heard("ready").length === 1);
  for (let n = 0; n < 30; n++) {
    if (n % 10 === 3) wire.cut();
    wire.isOpen = n % 10 < 3 || n % 10 > 6;
    await ask("POST", path, { n });
  }
  await until(() => numbers.length >= 30);
  assert.deepEqual(numbers, [...Array(30).keys()]);
  assert.deepEqual(heard("reset"), []);
  assert.ok(wire.connections > 1);
});

test("goes on after the streams' lives have ended, which the service lets happen every second", async (t) => {
  const path = await collection();
  const { heard, statuses } = follow(t, SERVICE + path);
  await until(() => heard("ready").length);
  let n = 0;
  while (heard("ready").length < 3) {
    await ask("POST", path, { n: n++ });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await until(() => heard("put").length >= n);
  assert.deepEqual(heard("put").map(([, number]) => number), [...Array(n).keys()]);
  assert.ok(statuses.includes("waiting"));
});

test("begins anew when the definition has changed", async (t) => {
  const path = await collection();
  await ask("POST", path, { n: 1 });
  const { heard } = follow(t, SERVICE + path);
  await until(() => heard("ready").length === 1);
  await ask("PATCH", `/api/collections/${path.slice(5)}`, { schema: { properties: { n: { minimum: 0 } } } });
  await until(() => heard("reset").length === 1);
  assert.deepEqual(heard("reset"), [["definition"]]);
  const ready = heard("ready").length;
  await until(() => heard("ready").length > ready || heard("put").at(-1)[0] === "snapshot");
  assert.deepEqual(heard("put").at(-1), ["snapshot", 1]);
});

test("asks for the token again when it has been revoked", async (t) => {
  const path = await collection({ read: "user", write: "anyone" });
  const person = { email: `${path.slice(5)}@example.com`, password: "correct horse battery" };
  await ask("POST", "/api/auth/register", person, null);
  const signIn = async () => (await ask("POST", "/api/auth/login", person, null)).access_token;
  let token = await signIn();
  const asked = [];
  const { heard } = follow(t, SERVICE + path, {
    token: async (again) => {
      asked.push(again);
      return again ? (token = await signIn()) : token;
    },
  });
  await until(() => heard("ready").length === 1);
  await ask("POST", "/api/auth/logout", undefined, token);
  await until(() => asked.includes(true));
  await ask("POST", path, { n: 7 });
  await until(() => heard("put").length === 1);
  assert.deepEqual(heard("put"), [["create", 7]]);
});

test("stops with the problem when it may not read, or asks for what is not there", async (t) => {
  const path = await collection({ read: "user", write: "anyone" });
  for (const [url, options, code] of [
    [path, {}, "auth.required"],
    [path, { token: "nonsense" }, "auth.token_invalid"],
    [path, { token: () => "nonsense" }, "auth.token_invalid"],
    [path, { token: process.env.SHEAF_ADMIN, filter: { nothing: 1 } }, "parameter.invalid"],
    ["/api/nowhere", {}, "collection.not_found"],
  ]) {
    const { statuses } = follow(t, SERVICE + url, options);
    await until(() => statuses.at(-1)?.startsWith("stopped"));
    assert.equal(statuses.at(-1), `stopped ${code}`);
  }
});

test("keeps a map of the documents", async (t) => {
  const path = await collection();
  const one = await ask("POST", path, { n: 1 });
  let changes = 0;
  const set = new LiveSet(SERVICE + path, { onChange: () => changes++ });
  t.after(() => set.close());
  await until(() => changes === 1);
  assert.ok(set.isReady);
  assert.deepEqual([...set.values()].map(({ n }) => n), [1]);
  const two = await ask("POST", path, { n: 2 });
  await ask("DELETE", `${path}/${one.id}`);
  await until(() => set.size === 1 && set.has(two.id));
  await ask("PATCH", `/api/collections/${path.slice(5)}`, { schema: { properties: { n: { minimum: 0 } } } });
  await until(() => !set.isReady);
  assert.equal(set.size, 0);
  await until(() => set.size === 1);
});

const READY = "event: ready\nid: c1\ndata: {}\n\n";
const PUT = (version, n) => `event: put\nid: p${version}\ndata: {"why":"change","data":{"id":1,"_version":${version},"n":${n}}}\n\n`;

test("goes on from the last cursor, which may come alone, when and after what a goodbye says", async (t) => {
  const service = await scripted(
    { body: `id: c0\n\n${READY}id: c2\n: ping\n\nevent: bye\ndata: {"why":"draining","retry_ms":150}\n\n` },
    { body: READY, stays: true },
  );
  t.after(service.close);
  const begun = Date.now();
  const { heard } = follow(t, `${service.url}/api/x`, { snapshot: "none" });
  await until(() => heard("ready").length === 2);
  assert.ok(Date.now() - begun >= 150);
  assert.deepEqual(
    service.requests.map(({ url }) => url.search),
    ["?snapshot=none", "?since=c2"],
  );
});

test("begins anew without a cursor after a reset, and when the cursor is refused", async (t) => {
  const problem = { code: "parameter.invalid", errors: [{ code: "cursor", parameter: "since" }] };
  const service = await scripted(
    { body: `${READY}event: reset\nid: \ndata: {"why":"overflow"}\n\n` },
    { body: READY },
    { status: 400, headers: { "Content-Type": "application/problem+json" }, body: JSON.stringify(problem) },
    { body: READY, stays: true },
  );
  t.after(service.close);
  const { heard } = follow(t, `${service.url}/api/x`);
  await until(() => heard("ready").length === 3);
  assert.deepEqual(heard("reset"), [["overflow"], ["history"]]);
  assert.deepEqual(
    service.requests.map(({ url }) => url.search),
    ["", "", "?since=c1", ""],
  );
});

test("comes back when a busy service says, later and later when it says nothing", async (t) => {
  const service = await scripted(
    { status: 503, headers: { "Retry-After": "1" } },
    { status: 502, body: "<html>" },
    { status: 500 },
    { body: READY, stays: true },
  );
  t.after(service.close);
  const begun = Date.now();
  const { heard, statuses } = follow(t, `${service.url}/api/x`);
  await until(() => heard("ready").length === 1);
  assert.ok(Date.now() - begun >= 1000 + 500 + 1000);
  assert.deepEqual(statuses, [...Array(3).fill(["connecting", "waiting"]).flat(), "connecting", "live"]);
});

test("reads entries whatever the pieces that they come in, and older ones change nothing in a map", async (t) => {
  const text = `${READY}${PUT(2, "20")}${PUT(1, "10")}event: put\r\nid: ü\r\ndata: {"why":"create","data":{"id":2,"text":"päßt ✓"}}\r\n\r\n`;
  const bytes = new TextEncoder().encode(text);
  t.mock.method(globalThis, "fetch", async (_, { signal }) => {
    const body = new ReadableStream({
      start: (controller) => {
        bytes.forEach((byte) => controller.enqueue(Uint8Array.of(byte)));
        signal.addEventListener("abort", () => controller.error(signal.reason));
      },
    });
    return new Response(body);
  });
  const set = new LiveSet("http://sheaf.test/api/x");
  t.after(() => set.close());
  await until(() => set.size === 2);
  assert.deepEqual([...set.values()], [{ id: 1, _version: 2, n: 20 }, { id: 2, text: "päßt ✓" }]);
});

test("a handler that throws loses nothing", async (t) => {
  const thrown = [];
  const note = (error) => thrown.push(error.message);
  process.setUncaughtExceptionCaptureCallback(note);
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const service = await scripted({ body: READY + PUT(1, 1) + PUT(2, 2), stays: true });
  t.after(service.close);
  const numbers = [];
  follow(t, `${service.url}/api/x`, {
    onPut: ({ n }) => {
      numbers.push(n);
      throw new Error(`no ${n}`);
    },
  });
  await until(() => thrown.length === 2);
  assert.deepEqual([numbers, thrown], [[1, 2], ["no 1", "no 2"]]);
});
