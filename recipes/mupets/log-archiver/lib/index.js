// Writes what comes on the broker's channel to a file per day, and gives these files out.
"use strict";
const fs = require("node:fs/promises");
const path = require("node:path");
const { pipeline } = require("node:stream/promises");
const { Client } = require("cargo-lib/resp");
const { HttpError, json } = require("cargo-lib/http");

const DAY = /^\d{4}-\d{2}-\d{2}$/;

module.exports = ({ config, log }) => {
  const { dir } = config.archiver;
  const file = (day) => path.join(dir, `${day}.log`);
  let written = Promise.resolve();
  let failed = false;

  // One append after another, so that lines keep their order.
  function append(line) {
    const day = new Date().toISOString().slice(0, 10);
    const write = () => fs.appendFile(file(day), `${line.replace(/[\r\n]+/g, " ")}\n`);
    written = written.then(write).then(
      () => (failed = false),
      (error) => {
        failed = true;
        log.error("a line was lost", { error: error.message, line });
      },
    );
  }

  const broker = new Client(config.broker, log, config.broker.channel, append);

  async function handle(request, response, url) {
    if (url.pathname !== "/archive") throw new HttpError(404, "no such page");
    if (request.method !== "GET") throw new HttpError(405, "only GET");
    const day = url.searchParams.get("day");
    if (day === null) {
      const names = (await fs.readdir(dir)).map((name) => path.basename(name, ".log"));
      json(response, 200, { days: names.filter((name) => DAY.test(name)).sort() });
      return;
    }
    if (!DAY.test(day)) throw new HttpError(400, "day is YYYY-MM-DD");
    await written;
    let opened;
    try {
      opened = await fs.open(file(day));
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
      throw new HttpError(404, `nothing was archived on ${day}`);
    }
    response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8" });
    await pipeline(opened.createReadStream(), response);
  }

  return {
    ready: () => broker.ready && !failed,
    handle,
    async close() {
      broker.close();
      await written;
    },
  };
};
