// One JSON object a line on standard output, for whatever collects the container's log.
"use strict";
const config = require("cargo-lib/config");

const LEVELS = ["debug", "info", "warn", "error"];
const least = LEVELS.indexOf(config.log.level);
if (least < 0) throw new Error(`log.level: ${config.log.level} is none of ${LEVELS.join(", ")}`);

for (const [rank, level] of LEVELS.entries()) {
  module.exports[level] = (message, fields) => {
    if (rank < least) return;
    const entry = { time: new Date().toISOString(), level, service: process.env.CARGO_SERVICE, message, ...fields };
    process.stdout.write(`${JSON.stringify(entry)}\n`);
  };
}
