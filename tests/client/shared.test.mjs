// Several subscriptions of one token on one connection.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveSet, SERVICE, ask, collection, live, recorder, tap, until } from "./support.mjs";

const token = process.env.SHEAF_ADMIN;
const numbersOf = (set) => [...set.values()].map(({ n }) => n).sort((one, other) => one - other);

function watch(t, url, options) {
  const record = recorder();
  const { close } = live(url, { token, ...record.handlers, ...options });
  t.after(close);
  return { ...record, close };
}

test("several lists have one connection, whatever comes, goes and breaks", async (t) => {
  const [one, two] = [await collection(), await collection()];
  const wire = await tap();
  t.after(wire.close);
  const sets = ["x", "y"].map((room) => new LiveSet(wire.url + one, { token, filter: { room } }));
  sets.push(new LiveSet(wire.url + two, { token }));
  t.after(() => sets.forEach((set) => set.close()));
  await until(() => sets.every((set) => set.isReady));
  await until(() => wire.open() === 1);
  const expected = { x: [], y: [], all: [] };
  for (let n = 0; n < 24; n++) {
    const room = n % 2 ? "x" : "y";
    await ask("POST", one, { room, n });
    await ask("POST", two, { n });
    expected[room].push(n);
    expected.all.push(n);
    if (n % 8 === 3) wire.cut();
    if (n === 10) sets.push(new LiveSet(wire.url + two, { token }));
    if (n === 16) sets.pop().close();
  }
  await until(() => sets[2].size === 24 && sets[0].size === 12 && sets[1].size === 12);
  assert.deepEqual(sets.map(numbersOf), [expected.x, expected.y, expected.all]);
});

test("what is there only once comes once, and a list that is added resets no other", async (t) => {
  const path = await collection();
  await ask("POST", path, { n: 1 });
  const first = watch(t, SERVICE + path);
  await until(() => first.heard("ready").length);
  const second = watch(t, SERVICE + path, { filter: { n: { gte: 0 } } });
  await until(() => second.heard("ready").length);
  await ask("POST", path, { n: 2 });
  for (const { heard } of [first, second]) {
    await until(() => heard("put").length === 2);
    assert.deepEqual([heard("put"), heard("reset")], [[["snapshot", 1], ["create", 2]], []]);
  }
  second.close();
  await ask("POST", path, { n: 3 });
  await until(() => first.heard("put").length === 3);
  assert.equal(second.heard("put").length, 2);
});

test("one that is refused stops, and the others go on", async (t) => {
  const path = await collection();
  const right = watch(t, SERVICE + path);
  const wrong = watch(t, SERVICE + path, { filter: { nothing: 1 } });
  const nowhere = watch(t, `${SERVICE}/api/nowhere`);
  await until(() => [wrong, nowhere].every(({ statuses }) => statuses.at(-1)?.startsWith("stopped ")));
  await until(() => right.heard("ready").length);
  await ask("POST", path, { n: 1 });
  await until(() => right.heard("put").length);
});

test("one that is reset begins anew, and the others go on", async (t) => {
  const [path, other] = [await collection(), await collection()];
  await ask("POST", path, { n: 1 });
  const changed = watch(t, SERVICE + path);
  const same = watch(t, SERVICE + other);
  await until(() => changed.heard("ready").length && same.heard("ready").length);
  await ask("PATCH", `/api/collections/${path.slice(5)}`, { schema: { properties: { n: { minimum: 0 } } } });
  await until(() => changed.heard("reset").length && changed.heard("put").length === 2);
  assert.deepEqual(changed.heard("put"), [["snapshot", 1], ["snapshot", 1]]);
  await ask("POST", other, { n: 2 });
  await until(() => same.heard("put").length);
  assert.deepEqual([same.heard("put"), same.heard("reset")], [[["create", 2]], []]);
});

test("a token that is refused is asked for again, once for all", async (t) => {
  const path = await collection({ read: "user", write: "anyone" });
  const asked = [];
  const renewed = (again) => {
    asked.push(again);
    return again ? token : "old";
  };
  const both = [1, 2].map((least) => watch(t, SERVICE + path, { token: renewed, filter: { n: { gte: least } } }));
  await until(() => both.every(({ heard }) => heard("ready").length));
  assert.deepEqual(asked.slice(0, 2), [false, true]);
  const [none] = [watch(t, SERVICE + path, { token: () => "nonsense" })];
  await until(() => none.statuses.at(-1) === "stopped auth.token_invalid");
});
