// Live lists of a Sheaf service, for browsers and Node: what is there, and what becomes of it.
// No dependencies, no build step. docs/reference/changes.md has the protocol.

/**
 * @typedef {{code: string, title?: string, detail?: string, errors?: object[]}} Problem What a refusal says (RFC 9457).
 * @typedef {"connecting" | "live" | "waiting" | "stopped"} Status
 * @typedef {object} LiveOptions
 * @property {object} [filter] A filter, as in the body of a query: `{room: "hall", n: {gte: 3}}`.
 * @property {string[]} [fields] The fields to be told of; all without it.
 * @property {string | ((again: boolean) => string | null | Promise<string | null>)} [token] The access token or API
 *   key, or what returns it, called whenever a connection is made; `again` if the last one was refused.
 * @property {boolean} [isShared] Whether it shares a connection with others of the same token; true if there is one.
 * @property {RequestCredentials} [credentials] Whether cookies are sent; as for `fetch`.
 * @property {"all" | "none"} [snapshot] `none` leaves out what is there now.
 * @property {string} [since] The cursor to go on from.
 * @property {(document: any, why: "snapshot" | "create" | "enter" | "change", cursor?: string) => void} [onPut]
 * @property {(id: any, why: "delete" | "leave", version?: number, cursor?: string) => void} [onGone]
 * @property {() => void} [onReady] All that was there has been told.
 * @property {(why: string) => void} [onReset] Forget what you have; it is told anew.
 * @property {(status: Status, problem?: Problem) => void} [onStatus] `stopped` has the reason, and is the end.
 */

const QUIET_MS = 45_000; // the service says something every 15 seconds
const SHORTEST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
const TOGETHER_MS = 20; // what is begun and closed within so much goes together
const MAXIMUM_SUBSCRIPTIONS = 100;
const TO_BE_REPEATED = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Tell what is in a list, or in one document, and what becomes of it, until it is closed or refused for good.
 *
 * @param {string | URL} url `/api/messages` or `/api/messages/7`, of the service that serves this module, or in full.
 * @param {LiveOptions} [options]
 * @returns {{close(): void}}
 */
export function live(url, options = {}) {
  const subscription = new Subscription(new URL(url, import.meta.url), options);
  const isShared = options.isShared ?? Boolean(options.token);
  if (isShared && subscription.collection) Connection.to(subscription).add(subscription);
  else persist(subscription, (connecting) => follow(subscription, connecting));
  return { close: () => subscription.close() };
}

/**
 * The documents of a live list by their ids, kept up to date.
 *
 * `onChange` is called once they are all there, and after changes: once for those that come together.
 * @extends {Map<any, any>}
 */
export class LiveSet extends Map {
  #live;
  #isReady = false;
  #isTold = false;

  /**
   * @param {string | URL} url
   * @param {LiveOptions & {onChange?: (set: LiveSet) => void}} [options]
   */
  constructor(url, options = {}) {
    super();
    const changed = () => {
      if (!this.#isReady || this.#isTold) return;
      this.#isTold = true;
      setTimeout(() => {
        this.#isTold = false;
        if (this.#isReady) options.onChange?.(this);
      });
    };
    this.#live = live(url, {
      ...options,
      onPut: (document, ...rest) => {
        if (this.get(document.id)?._version > document._version) return;
        this.set(document.id, document);
        options.onPut?.(document, ...rest);
        changed();
      },
      onGone: (id, why, version, cursor) => {
        if (this.get(id)?._version > version) return;
        this.delete(id);
        options.onGone?.(id, why, version, cursor);
        changed();
      },
      onReady: () => {
        this.#isReady = true;
        options.onReady?.();
        changed();
      },
      onReset: (why) => {
        this.#isReady = false;
        this.clear();
        options.onReset?.(why);
      },
    });
  }

  /** Whether all that was there has been told. */
  get isReady() {
    return this.#isReady;
  }

  /** Keep them up to date no longer. */
  close() {
    this.#live.close();
  }
}

/** What one caller of `live` is told, and how far that is. */
class Subscription {
  #ending = new AbortController();
  #status = "";

  constructor(url, options) {
    this.url = url;
    this.options = options;
    this.cursor = options.since;
  }

  get signal() {
    return this.#ending.signal;
  }

  /** The collection of a list; none for one document. */
  get collection() {
    return /\/api\/([^/]+)$/.exec(this.url.pathname)?.[1];
  }

  /** The address of its stream, from where it is. */
  get address() {
    const { filter, fields, snapshot } = this.options;
    const address = new URL(this.url);
    if (filter) address.searchParams.set("filter", JSON.stringify(filter));
    if (fields) address.searchParams.set("fields", fields.join(","));
    if (this.cursor) address.searchParams.set("since", this.cursor);
    else if (snapshot) address.searchParams.set("snapshot", snapshot);
    return address;
  }

  close() {
    this.#ending.abort();
  }

  /** Tell the caller an entry. What a handler throws is reported, as that of an event listener. */
  tell({ event, why, data, id, _version, cursor }) {
    const { onPut, onGone, onReady, onReset } = this.options;
    if (this.signal.aborted) return;
    if (cursor) this.cursor = cursor;
    if (event === "put") attempt(onPut, data, why, cursor);
    else if (event === "gone") attempt(onGone, id, why, _version, cursor);
    else if (event === "ready") attempt(onReady);
    else if (event === "reset") this.reset(why);
  }

  /** Begin anew. */
  reset(why) {
    this.cursor = undefined;
    attempt(this.options.onReset, why);
  }

  /** Tell the caller how it is. */
  report(status, problem) {
    if (status === this.#status || this.signal.aborted) return;
    this.#status = status;
    attempt(this.options.onStatus, status, problem);
  }

  /** Ask the caller for the token. */
  token(again) {
    const { token } = this.options;
    return typeof token === "function" ? token(again) : token;
  }

  /** Whether a refusal may end when it is asked again, and has been prepared for that. */
  recovers({ status, problem }) {
    if (status !== 400 || !this.cursor || this.cursor === this.options.since) return TO_BE_REPEATED.has(status);
    const isOfCursor = problem.errors?.every(({ code }) => code === "cursor");
    if (isOfCursor) this.reset("history");
    return Boolean(isOfCursor);
  }
}

/** A request that was refused. */
class Refusal extends Error {
  constructor(status, problem, retryMs) {
    super(problem.detail ?? problem.title ?? problem.code);
    this.status = status;
    this.problem = problem;
    this.retryMs = retryMs;
  }

  static async of(response) {
    const problem = await response.json().catch(() => ({ code: `http.${response.status}`, status: response.status }));
    const retryMs = 1000 * Number(response.headers.get("Retry-After")) || undefined;
    return new Refusal(response.status, problem, retryMs);
  }
}

/**
 * Connect again and again, later and later while nothing comes of it.
 *
 * `connect` resolves when a connection has ended, to the milliseconds to wait if it knows them. It is given what to call
 * once it is connected, and what to call once all that was there has been told.
 */
async function persist(client, connect) {
  const { signal } = client;
  let failures = 0;
  let isUnauthorized = false;
  while (!signal.aborted) {
    client.report("connecting");
    const hasBegun = () => {
      failures = 0;
      isUnauthorized = false;
    };
    let pauseMs;
    try {
      pauseMs = await connect({ again: isUnauthorized, hasBegun });
    } catch (error) {
      if (error instanceof Refusal) {
        const isRenewed = error.status === 401 && !isUnauthorized && typeof client.options.token === "function";
        if (!isRenewed && !client.recovers(error)) {
          client.report("stopped", error.problem);
          return client.close();
        }
        isUnauthorized = isRenewed;
        pauseMs = isRenewed ? 0 : error.retryMs;
      }
    }
    if (signal.aborted) return;
    if (pauseMs !== 0) client.report("waiting");
    const longestMs = Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** failures++);
    await pause(pauseMs ?? longestMs * (0.5 + Math.random() / 2), signal);
  }
}

/** Read one subscription's own stream to its end; return the milliseconds until the next, if they are known. */
async function follow(subscription, { again, hasBegun }) {
  let isReady = false;
  for await (const entry of open(subscription, subscription.address, {}, again)) {
    subscription.tell(entry);
    if (entry.event === "bye") return entry.retry_ms;
    if (entry.event === "reset") return isReady ? 0 : undefined;
    if (entry.event === "ready") {
      isReady = true;
      hasBegun();
    }
  }
}

/** One stream of several subscriptions, which are continued by one cursor. It is opened anew when they change. */
class Connection {
  static #all = [];
  #subscriptions = new Map();
  #ending = new AbortController();
  #stream;
  #changing;
  #count = 0;
  #cursor;
  #covered = new Set(); // by the cursor
  #told = new Set();

  /** Return the connection that a subscription shares with others. */
  static to({ url, options }) {
    const isSame = (each) =>
      each.url.origin === url.origin &&
      each.options.token === options.token &&
      each.options.credentials === options.credentials &&
      each.#subscriptions.size < MAXIMUM_SUBSCRIPTIONS;
    let found = Connection.#all.find(isSame);
    if (!found) Connection.#all.push((found = new Connection(url, options)));
    return found;
  }

  constructor(url, options) {
    this.url = new URL("/api/streams", url);
    this.options = options;
  }

  get signal() {
    return this.#ending.signal;
  }

  /** Add a subscription, until it is closed. */
  add(subscription) {
    const isFirst = !this.#subscriptions.size;
    this.#name(subscription);
    subscription.signal.addEventListener("abort", () => {
      for (const [key, each] of this.#subscriptions) if (each === subscription) this.#subscriptions.delete(key);
      if (this.#subscriptions.size) this.#change();
      else this.close();
    });
    if (isFirst) setTimeout(() => persist(this, (connecting) => this.#follow(connecting)), TOGETHER_MS);
    else this.#change();
  }

  /** Give a subscription a name that none has had: the cursor says of those that it knows that they go on. */
  #name(subscription) {
    this.#subscriptions.set(String(this.#count++), subscription);
  }

  /** End the stream, so that it is opened for those that there are. */
  #change() {
    const stream = this.#stream; // if there is none yet, it will be for all
    clearTimeout(this.#changing);
    this.#changing = setTimeout(() => stream?.abort(), TOGETHER_MS);
  }

  close() {
    Connection.#all = Connection.#all.filter((each) => each !== this);
    this.#ending.abort();
    this.#stream?.abort();
    for (const subscription of this.#subscriptions.values()) subscription.close();
  }

  report(status, problem) {
    for (const subscription of this.#subscriptions.values()) subscription.report(status, problem);
  }

  token(again) {
    const { token } = this.options;
    return typeof token === "function" ? token(again) : token;
  }

  /** Whether the others may go on after a refusal; those that it names are stopped. */
  recovers({ status, problem }) {
    if (TO_BE_REPEATED.has(status)) return true;
    const errors = problem.errors ?? [];
    if (this.#cursor && errors.length && errors.every(({ code }) => code === "cursor")) {
      this.#cursor = undefined;
      for (const [key, subscription] of [...this.#subscriptions]) this.#reset(key, subscription, "history");
      return true;
    }
    const keys = errors.map(({ pointer }) => pointer?.split("/")[2]).filter((key) => this.#subscriptions.has(key));
    for (const key of new Set(keys)) this.#refuse(key, problem);
    return keys.length > 0;
  }

  #refuse(key, problem) {
    const subscription = this.#subscriptions.get(key);
    subscription?.report("stopped", problem);
    subscription?.close();
  }

  #reset(key, subscription, why) {
    this.#subscriptions.delete(key);
    this.#told.delete(key);
    this.#name(subscription);
    subscription.reset(why);
  }

  /** Read the stream to its end; return the milliseconds until the next, if they are known. */
  async #follow({ again, hasBegun }) {
    const stream = (this.#stream = new AbortController());
    for (const [key, subscription] of [...this.#subscriptions]) {
      if (this.#told.has(key) && !this.#covered.has(key)) this.#reset(key, subscription, "history"); // begun in vain
    }
    const waiting = new Set(this.#subscriptions.keys());
    const asked = [...this.#subscriptions].map(([key, { collection, cursor, options }]) => {
      const { filter, fields, snapshot } = options;
      return [key, { collection, filter, fields, snapshot, since: cursor }];
    });
    const body = JSON.stringify({ since: this.#cursor, subscriptions: Object.fromEntries(asked) });
    const request = { method: "POST", body, headers: { "Content-Type": "application/json" }, signal: stream.signal };
    try {
      for await (const { key, cursor, ...entry } of open(this, this.url, request, again)) {
        if (cursor) {
          this.#cursor = cursor;
          this.#covered = new Set(asked.map(([name]) => name));
        }
        if (entry.event === "bye") return entry.retry_ms;
        this.#told.add(key);
        const subscription = this.#subscriptions.get(key);
        if (entry.event === "refused") this.#refuse(key, entry.problem);
        else if (entry.event === "reset" && subscription) {
          this.#reset(key, subscription, entry.why);
          this.#change();
        } else subscription?.tell(entry);
        if (entry.event === "ready" && waiting.delete(key) && !waiting.size) hasBegun();
      }
    } catch (error) {
      if (stream.signal.aborted) return 0;
      throw error;
    }
  }
}

/** Open a stream, and yield its entries until it ends, is ended, or has been silent for too long. */
async function* open(client, address, request, again) {
  const connection = new AbortController();
  const end = () => connection.abort();
  const signals = [client.signal, request.signal].filter(Boolean);
  for (const signal of signals) signal.addEventListener("abort", end);
  let quiet = setTimeout(end, QUIET_MS);
  try {
    const headers = { Accept: "text/event-stream", ...request.headers };
    const token = await client.token(again);
    if (token) headers.Authorization = `Bearer ${token}`;
    const { credentials = "same-origin" } = client.options;
    const { signal } = connection;
    const response = await fetch(address, { ...request, headers, signal, credentials, cache: "no-store" });
    if (!response.ok) throw await Refusal.of(response);
    client.report("live");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      clearTimeout(quiet);
      quiet = setTimeout(end, QUIET_MS);
      yield* parser.parse(read.value);
    }
  } finally {
    clearTimeout(quiet);
    for (const signal of signals) signal.removeEventListener("abort", end);
    end();
  }
}

/** Server-sent events out of text that comes in pieces, as entries. */
class EventParser {
  #rest = "";
  #event = "";
  #data = "";
  #cursor;

  *parse(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const line of lines) {
      const [, name, value] = /^([^:\r]*):? ?(.*?)\r?$/.exec(line);
      if (name === "event") this.#event = value;
      else if (name === "id") this.#cursor = value;
      else if (name === "data") this.#data += value;
      else if (!line.trim() && (this.#data || this.#cursor)) {
        yield { ...JSON.parse(this.#data || "{}"), event: this.#event, cursor: this.#cursor };
        this.#event = this.#data = "";
        this.#cursor = undefined;
      }
    }
  }
}

/** Wait, at most until the device is online again, or `signal` says that nobody waits any more. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      globalThis.removeEventListener?.("online", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    globalThis.addEventListener?.("online", end);
  });
}

/** Call a handler, if there is one; what it throws is nobody's here. */
function attempt(handler, ...told) {
  try {
    handler?.(...told);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
