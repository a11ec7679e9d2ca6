// The script of steps.json, gone through by Convex's own JavaScript client.
//
// Arguments: the cloud's URL, its control API's URL, and which client: `sync` (ConvexClient) or
// `http` (ConvexHttpClient). It prints a line of JSON for each step, and stops at the first that
// fails; other lines are what functions logged. script.py is the same in Python.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";

import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { ConvexError, convexToJson, jsonToConvex } from "convex/values";
import WebSocket from "ws";

const WAIT_MS = 5_000;
const PLACEHOLDER = /\$\{([\w.]+)\}/g;
const WHOLE_PLACEHOLDER = /^\$\{([\w.]+)\}$/;
// Record ids, drawn anew in each run.
const IDS = ["ack", "conversation", "event"];
const KINDS = { "<number>": isNumber, "<string>": isString };

function isNumber(value) {
  return typeof value === "number";
}

function isString(value) {
  return typeof value === "string";
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Whether a value, as JSON, is what a step expects: objects may hold more fields than are named.
function matches(expected, value) {
  if (Object.hasOwn(KINDS, expected)) return KINDS[expected](value);
  if (Array.isArray(expected)) {
    return (
      Array.isArray(value) &&
      value.length === expected.length &&
      expected.every((item, index) => matches(item, value[index]))
    );
  }
  if (isObject(expected)) {
    return (
      isObject(value) &&
      Object.entries(expected).every(([name, item]) => matches(item, value[name]))
    );
  }
  return isDeepStrictEqual(expected, value);
}

// Fail after a while, whatever a client does meanwhile.
function soon(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${WAIT_MS} ms`)), WAIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function reference(name) {
  return makeFunctionReference(name);
}

// ConvexClient, whose subscriptions stay open.
class SyncClient {
  constructor(url) {
    this.client = new ConvexClient(url, { webSocketConstructor: WebSocket });
    this.subscriptions = {};
  }

  call(kind, name, args) {
    return this.client[kind](reference(name), args);
  }

  setToken(token) {
    return new Promise((resolve) => {
      this.refusal = new Promise((refused) => {
        this.client.setAuth(
          async () => token,
          (taken) => {
            resolve(taken);
            if (!taken) refused();
          },
        );
      });
    });
  }

  // Until the token that was set last is refused, be it at once or later.
  expelled() {
    return this.refusal;
  }

  subscribe(as, name, args) {
    const subscription = { changed: () => {} };
    this.client.onUpdate(
      reference(name),
      args,
      (value) => {
        subscription.value = convexToJson(value);
        subscription.changed();
      },
      // While a token is refused; a value follows when one is taken again.
      () => {},
    );
    this.subscriptions[as] = subscription;
  }

  see(as, expected) {
    const subscription = this.subscriptions[as];
    return new Promise((resolve) => {
      subscription.changed = () => {
        if (matches(expected, subscription.value)) resolve(subscription.value);
      };
      subscription.changed();
    });
  }

  async refused(token) {
    if (await this.setToken(token)) throw new Error("the token was taken");
  }

  close() {
    return this.client.close();
  }
}

// ConvexHttpClient, which sees what is new when it asks again.
class HttpClient {
  constructor(url) {
    this.client = new ConvexHttpClient(url);
    this.subscriptions = {};
  }

  call(kind, name, args) {
    return this.client[kind](reference(name), args);
  }

  async setToken(token) {
    this.client.setAuth(token);
    return true;
  }

  subscribe(as, name, args) {
    this.subscriptions[as] = () => this.call("query", name, args);
  }

  async see(as, expected) {
    const value = convexToJson(await this.subscriptions[as]());
    if (matches(expected, value)) return value;
    throw new Error(`got ${JSON.stringify(value)}`);
  }

  async refused(token) {
    this.client.setAuth(token);
    await this.expelled();
  }

  async expelled() {
    const asking = this.call("query", "toys:getConfiguration", {});
    const error = await asking.then(
      () => new Error("the token was taken"),
      (reason) => reason,
    );
    if (!error.message.includes("InvalidAuthHeader")) throw error;
  }

  async close() {}
}

class Script {
  constructor(url, controlUrl, client) {
    this.url = url;
    this.controlUrl = controlUrl;
    this.client = client;
    this.kept = { ids: Object.fromEntries(IDS.map((name) => [name, randomUUID()])) };
  }

  // Put what earlier steps kept where a step says `${name.field}`.
  fill(template) {
    if (Array.isArray(template)) return template.map((item) => this.fill(item));
    if (isObject(template)) {
      return Object.fromEntries(
        Object.entries(template).map(([name, item]) => [name, this.fill(item)]),
      );
    }
    if (!isString(template)) return template;
    const whole = WHOLE_PLACEHOLDER.exec(template);
    if (whole) return this.find(whole[1]);
    return template.replaceAll(PLACEHOLDER, (_, path) => String(this.find(path)));
  }

  find(path) {
    return path.split(".").reduce((value, name) => value[name], this.kept);
  }

  async take(step) {
    const got = await this[step.do](step);
    if (step.keep) this.kept[step.keep] = got;
    if (step.expect !== undefined && !matches(step.expect, got)) {
      throw new Error(`got ${JSON.stringify(got)}`);
    }
  }

  async call({ kind, function: name, arguments: args, error, over }) {
    const client = over === "http" ? new HttpClient(this.url) : this.client;
    try {
      const value = await client.call(kind, name, jsonToConvex(args));
      if (error !== undefined) throw new Error(`returned ${JSON.stringify(convexToJson(value))}`);
      return convexToJson(value);
    } catch (raised) {
      if (error === undefined || !(raised instanceof ConvexError)) throw raised;
      const data = convexToJson(raised.data);
      if (!matches(error, data)) throw raised;
      return data;
    }
  }

  // A failure that is no ConvexError, with a part of its text.
  async fail({ kind, function: name, arguments: args, says }) {
    const raised = await this.client.call(kind, name, jsonToConvex(args)).then(
      () => new Error("returned"),
      (reason) => reason,
    );
    if (raised instanceof ConvexError || !raised.message.includes(says)) throw raised;
  }

  async setToken({ token }) {
    if (!(await this.client.setToken(token))) throw new Error("the token was refused");
  }

  expelled() {
    return this.client.expelled();
  }

  refuse({ token }) {
    return this.client.refused(token);
  }

  subscribe({ as, function: name, arguments: args }) {
    this.client.subscribe(as, name, args);
  }

  see({ subscription, value }) {
    return this.client.see(subscription, value);
  }

  async control({ method, path, body }) {
    const answer = await fetch(`${this.controlUrl}/${path}`, {
      method,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }

  async upload({ url, text }) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "audio/opus", "User-Agent": "PommaiDevice/dev-sim-1" },
      body: text,
    });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }

  async download({ path }) {
    return (await fetch(`${this.controlUrl}/${path}`)).text();
  }
}

async function main(url, controlUrl, kind) {
  const steps = JSON.parse(await readFile(new URL("steps.json", import.meta.url), "utf8"));
  const client = { sync: SyncClient, http: HttpClient }[kind];
  const script = new Script(url, controlUrl, new client(url));
  for (const step of steps) {
    const line = { step: step.step, passed: true };
    try {
      await soon(script.take(script.fill(step)), step.step);
    } catch (error) {
      line.passed = false;
      line.why = String(error);
    }
    console.log(JSON.stringify(line));
    if (!line.passed) break;
  }
  await soon(script.client.close(), "close");
}

await main(...process.argv.slice(2));
