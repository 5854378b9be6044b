// A client for Redis that can publish and subscribe, and comes back when the broker does. It speaks RESP 2.
"use strict";
const net = require("node:net");

const RETRY_MS = 1000;
const CALL_MS = 5000;

/** The value that begins at `at`, with where it ends; null when it isn't all there yet. */
function parse(buffer, at) {
  const line = buffer.indexOf("\r\n", at);
  if (line < 0) return null;
  const text = buffer.toString("utf8", at + 1, line);
  const count = Number(text);
  let end = line + 2;
  switch (String.fromCharCode(buffer[at])) {
    case "+":
      return { value: text, end };
    case "-":
      return { value: new Error(text), end };
    case ":":
      return { value: count, end };
    case "$":
      if (count < 0) return { value: null, end };
      if (buffer.length < end + count + 2) return null;
      return { value: buffer.toString("utf8", end, end + count), end: end + count + 2 };
    case "*": {
      const value = [];
      for (let index = 0; index < count; index += 1) {
        const item = parse(buffer, end);
        if (!item) return null;
        value.push(item.value);
        end = item.end;
      }
      return { value, end };
    }
    default:
      throw new Error("the broker doesn't speak RESP");
  }
}

function command(args) {
  const parts = args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`);
  return `*${args.length}\r\n${parts.join("")}`;
}

class Client {
  /** With `channel` and `listener` it subscribes, and can't call then: that is how the protocol is. */
  constructor({ host, port }, log, channel, listener) {
    Object.assign(this, { host, port, log, channel, listener, ready: false, closed: false });
    this.connect();
  }

  connect() {
    let rest = Buffer.alloc(0);
    this.waiting = [];
    this.socket = net.connect({ host: this.host, port: this.port });
    // A broker that vanished without a word is noticed, too.
    this.socket.setKeepAlive(true, 10_000);
    this.socket.on("connect", () => {
      if (this.channel) this.socket.write(command(["SUBSCRIBE", this.channel]));
      else this.ready = true;
    });
    this.socket.on("data", (data) => {
      rest = Buffer.concat([rest, data]);
      try {
        for (let next; (next = parse(rest, 0)); rest = rest.subarray(next.end)) this.take(next.value);
      } catch (error) {
        this.socket.destroy(error);
      }
    });
    this.socket.on("error", (error) => {
      this.log.warn("broker", { host: this.host, port: this.port, error: error.message });
    });
    this.socket.on("close", () => {
      this.ready = false;
      for (const { reject } of this.waiting) reject(new Error("the broker has gone"));
      if (!this.closed) this.timer = setTimeout(() => this.connect(), RETRY_MS);
    });
  }

  take(value) {
    if (!this.channel) {
      const call = this.waiting.shift();
      if (value instanceof Error) call?.reject(value);
      else call?.resolve(value);
    } else if (value instanceof Error) throw value;
    else if (value[0] === "subscribe") this.ready = true;
    else if (value[0] === "message") this.listener(value[2]);
  }

  async call(...args) {
    if (!this.ready) throw new Error("no connection to the broker");
    const socket = this.socket;
    const timer = setTimeout(() => socket.destroy(new Error("the broker doesn't answer")), CALL_MS);
    try {
      return await new Promise((resolve, reject) => {
        this.waiting.push({ resolve, reject });
        socket.write(command(args));
      });
    } finally {
      clearTimeout(timer);
    }
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket.destroy();
  }
}

module.exports = { Client, parse, command };
