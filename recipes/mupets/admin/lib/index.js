// The operators' page. It sends lines to the log's channel, and shows what the archiver has.
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { pipeline } = require("node:stream/promises");
const { Client } = require("cargo-lib/resp");
const { HttpError, body, json } = require("cargo-lib/http");

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

const digest = (text) => crypto.createHash("sha256").update(text).digest();

/** Throws when there is a file but no token in it: better no service than an open one. */
function readToken(file) {
  if (!file) return null;
  const token = fs.readFileSync(file, "utf8").trim();
  if (token === "") throw new Error(`${file} is empty`);
  return digest(token);
}

module.exports = ({ config, log }) => {
  const token = readToken(config.admin.tokenFile);
  const broker = new Client(config.broker, log);

  function authorize(request) {
    if (!token) return;
    const [scheme, given = ""] = (request.headers.authorization || "").split(" ");
    const equal = crypto.timingSafeEqual(digest(given), token);
    if (scheme !== "Bearer" || !equal) throw new HttpError(401, "Authorization: Bearer TOKEN is needed");
  }

  async function post(request, response) {
    const { message } = (await body(request)) || {};
    if (typeof message !== "string" || message === "") throw new HttpError(400, "message is missing");
    const entry = { time: new Date().toISOString(), service: "admin", message };
    let archivers;
    try {
      archivers = await broker.call("PUBLISH", config.broker.channel, JSON.stringify(entry));
    } catch (error) {
      throw new HttpError(503, error.message);
    }
    // The broker keeps nothing: without a subscriber the line is gone.
    if (archivers === 0) throw new HttpError(503, "nobody archives at the moment");
    json(response, 202, { archivers });
  }

  async function archive(response, url) {
    const from = new URL(`/archive${url.search}`, config.archiver.url);
    const answer = await new Promise((resolve, reject) => {
      const request = http.get(from, { timeout: 5000 }, resolve);
      request.on("timeout", () => request.destroy(new Error("timeout")));
      request.on("error", (error) => reject(new HttpError(502, `log-archiver: ${error.message}`)));
    });
    response.writeHead(answer.statusCode, { "Content-Type": answer.headers["content-type"] });
    await pipeline(answer, response);
  }

  async function page(response, url) {
    // Joined to the root first, so that no .. leads out.
    const name = path.posix.join("/", decodeURIComponent(url.pathname), url.pathname.endsWith("/") ? "index.html" : "");
    const type = TYPES[path.extname(name)];
    let content;
    try {
      if (type && !name.includes("\0")) content = await fs.promises.readFile(path.join(config.admin.html, name));
    } catch (error) {
      if (error.code !== "ENOENT" && error.code !== "ENOTDIR" && error.code !== "EISDIR") throw error;
    }
    if (!content) throw new HttpError(404, "no such page");
    response.writeHead(200, {
      "Content-Type": type,
      "Content-Length": content.length,
      "Cache-Control": config.admin.cacheControl,
      "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
      "X-Content-Type-Options": "nosniff",
    });
    response.end(content);
  }

  async function handle(request, response, url) {
    const route = `${request.method} ${url.pathname}`;
    if (url.pathname.startsWith("/api/")) {
      authorize(request);
      if (route === "POST /api/log") return post(request, response);
      if (route === "GET /api/archive") return archive(response, url);
      throw new HttpError(404, "no such call");
    }
    if (request.method !== "GET" && request.method !== "HEAD") throw new HttpError(405, "only GET");
    return page(response, url);
  }

  return { ready: () => broker.ready, handle, close: () => broker.close() };
};
