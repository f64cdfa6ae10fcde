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
  persist(subscription, (told) => stream(subscription, told));
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

/** Read one subscription's own stream to its end. */
async function stream(subscription, { again, hasBegun }) {
  const { signal, options } = subscription;
  const connection = new AbortController();
  const end = () => connection.abort();
  let quiet = setTimeout(end, QUIET_MS);
  signal.addEventListener("abort", end);
  try {
    const headers = { Accept: "text/event-stream" };
    const token = await subscription.token(again);
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetch(subscription.address, {
      headers,
      signal: connection.signal,
      cache: "no-store",
      credentials: options.credentials ?? "same-origin",
    });
    if (!response.ok) throw await Refusal.of(response);
    subscription.report("live");
    let isReady = false;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      clearTimeout(quiet);
      quiet = setTimeout(end, QUIET_MS);
      for (const entry of parser.parse(read.value)) {
        if (entry.event === "bye") return entry.retry_ms;
        subscription.tell(entry);
        if (entry.event === "ready") {
          isReady = true;
          hasBegun();
        } else if (entry.event === "reset") {
          return isReady ? 0 : undefined;
        }
      }
    }
  } finally {
    clearTimeout(quiet);
    signal.removeEventListener("abort", end);
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
