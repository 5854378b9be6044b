// The container's health check: exit code 0 when /healthz says 200. The slim image has no curl.
"use strict";
const http = require("node:http");
const { port } = require("cargo-lib/config").http;

const request = http.get({ host: "127.0.0.1", port, path: "/healthz", timeout: 3000 }, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
});
request.on("timeout", () => request.destroy(new Error("timeout")));
request.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
