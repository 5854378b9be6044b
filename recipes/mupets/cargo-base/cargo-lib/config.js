// Settings: default.json, the file of NODE_ENV, local.json, and CARGO_CONFIG (JSON). Later ones win, key by key.
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const DIR = path.join(__dirname, "..", "config");

function read(name) {
  const file = path.join(DIR, `${name}.json`);
  let text;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT" && name !== "default") return {};
    throw error;
  }
  return parse(text, file);
}

function parse(text, where) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${where}: ${error.message}`);
  }
}

const isTable = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function merge(below, above) {
  const sum = { ...below };
  for (const [key, value] of Object.entries(above)) {
    sum[key] = isTable(value) && isTable(sum[key]) ? merge(sum[key], value) : value;
  }
  return sum;
}

const env = process.env.NODE_ENV || "development";
const layers = [read("default"), read(env), read("local"), parse(process.env.CARGO_CONFIG || "{}", "CARGO_CONFIG")];
module.exports = layers.reduce(merge);
