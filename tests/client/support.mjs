// What the tests of sheaf.js share: the service that they were told of, a tap on its wire, and a service that says what it is told.
import { createServer as createHttpServer } from "node:http";
import { connect, createServer } from "node:net";
import { once } from "node:events";

export const SERVICE = process.env.SHEAF_URL;
export const { live, LiveSet } = await import(process.env.SHEAF_MODULE);

/** Ask the service, as the administrator unless it is said otherwise. */
export async function ask(method, path, body, token = process.env.SHEAF_ADMIN) {
  const answer = await fetch(SERVICE + path, {
    method,
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text).data;
}

let collections = 0;

/** Make a collection of a new name; return its path. */
export async function collection(rules = { read: "anyone", write: "anyone" }) {
  const name = `${process.env.SHEAF_COLLECTIONS}${collections++}`;
  await ask("POST", "/api/collections", {
    name,
    schema: { type: "object", properties: { room: { type: "string" }, n: { type: "integer" } } },
    rules,
  });
  return `/api/${name}`;
}

/** Wait until something is so. */
export async function until(isSo, what = String(isSo), withinMs = 20_000) {
  for (const end = Date.now() + withinMs; !isSo(); ) {
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Note what a subscription is told, but for what comes twice: what was stored a moment before may do so. */
export function recorder() {
  const told = [];
  const versions = new Map();
  const statuses = [];
  const handlers = {
    onPut: ({ id, _version, n }, why) => {
      if (_version === undefined || versions.get(id) !== _version) told.push(["put", why, n]);
      versions.set(id, _version);
    },
    onGone: (id, why) => told.push(["gone", why]),
    onReady: () => told.push(["ready"]),
    onReset: (why) => {
      versions.clear();
      told.push(["reset", why]);
    },
    onStatus: (status, problem) => statuses.push(problem ? `${status} ${problem.code}` : status),
  };
  const heard = (name) => told.filter(([each]) => each === name).map(([, ...rest]) => rest);
  return { told, statuses, handlers, heard };
}

/** Stand between clients and the service; `open` counts connections, `cut` breaks all, `isOpen = false` refuses new ones. */
export async function tap() {
  const target = new URL(SERVICE);
  const sockets = new Set();
  const made = { isOpen: true, connections: 0 };
  const server = createServer((client) => {
    if (!made.isOpen) return client.destroy();
    made.connections++;
    const service = connect(Number(target.port), target.hostname);
    for (const [one, other] of [[client, service], [service, client]]) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => sockets.delete(one) && other.destroy());
      one.pipe(other);
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  made.url = `http://127.0.0.1:${server.address().port}`;
  made.open = () => sockets.size / 2;
  made.cut = () => sockets.forEach((socket) => socket.destroy());
  made.close = () => {
    made.cut();
    server.close();
  };
  return made;
}

/** Answer one request after another with what `answers` says: `{status, headers, body}`; the last stays open. */
export async function scripted(...answers) {
  const made = { requests: [] };
  const server = createHttpServer((request, response) => {
    made.requests.push({ url: new URL(request.url, "http://x"), headers: request.headers });
    const { status = 200, headers = {}, body = "", stays } = answers[made.requests.length - 1] ?? { stays: true };
    response.writeHead(status, { "Content-Type": "text/event-stream", ...headers });
    response.write(body);
    if (!stays) response.end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  made.url = `http://127.0.0.1:${server.address().port}`;
  made.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return made;
}
