// Runs the service in ./lib: a function of { config, log } that gives { ready, handle, close }.
// With --check it only loads what would run.
"use strict";
const http = require("node:http");
const path = require("node:path");
const config = require("cargo-lib/config");
const log = require("cargo-lib/log");
const { json } = require("cargo-lib/http");

const start = require(path.resolve("lib"));
if (process.argv.includes("--check")) {
  log.info("the configuration and the service can be loaded");
} else {
  process.on("uncaughtException", (error) => {
    log.error("crash", { error: error.stack });
    process.exit(1);
  });
  run();
}

function run() {
  const service = start({ config, log });
  let stopping = false;

  async function answer(request, response) {
    const url = new URL(request.url, "http://localhost");
    if (url.pathname === "/healthz") {
      const ready = !stopping && service.ready();
      json(response, ready ? 200 : 503, { ready });
      return;
    }
    response.on("finish", () => {
      log.debug("request", { method: request.method, path: url.pathname, status: response.statusCode });
    });
    await service.handle(request, response, url);
  }

  const server = http.createServer((request, response) => {
    answer(request, response).catch((error) => {
      const invalid = error.code === "ERR_INVALID_URL" || error instanceof URIError;
      const status = error.status || (invalid ? 400 : 500);
      if (status === 500) log.error("request", { path: request.url, error: error.stack });
      if (response.headersSent) response.destroy();
      else json(response, status, { error: status === 500 ? "internal error" : error.message });
    });
  });
  server.listen(config.http.port, config.http.host, () => {
    log.info("listening", { port: server.address().port, node: process.version });
  });

  async function stop(signal) {
    if (stopping) return;
    stopping = true;
    log.info("stopping", { signal });
    setTimeout(() => {
      log.warn("requests were cut off");
      process.exit(1);
    }, config.http.graceMs).unref();
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    await closed;
    await service.close();
    log.info("stopped");
    process.exit(0);
  }
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => stop(signal));
}
