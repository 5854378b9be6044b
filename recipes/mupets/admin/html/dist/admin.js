"use strict";
const element = (id) => document.getElementById(id);

async function call(path, options = {}) {
  const token = element("token").value;
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(path, { ...options, headers });
  const text = await response.text();
  if (!response.ok) throw new Error(JSON.parse(text).error);
  return text;
}

async function show() {
  const day = new Date().toISOString().slice(0, 10);
  element("archive").textContent = await call(`api/archive?day=${day}`).catch((error) => error.message);
}

element("log").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ message: element("message").value });
  try {
    await call("api/log", { method: "POST", body, headers: { "Content-Type": "application/json" } });
    element("state").value = "sent";
  } catch (error) {
    element("state").value = error.message;
  }
  await show();
});
show();
