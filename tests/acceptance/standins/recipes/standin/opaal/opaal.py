#!/usr/bin/python3
"""Plays opaal's part between services: opaal login --config FILE

Registers a client with hydra, gives whoever asks /token an access token of it, and passes hydra's keys on at /keys.
People's logins aren't here.
"""

import base64
import json
import sys
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

with open(sys.argv[sys.argv.index("--config") + 1], encoding="utf-8") as file:
    config = yaml.safe_load(file)
wanted = config["authorization"]
endpoints = wanted["endpoints"]
client = {}


def ask(url, data=None, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return answer.read()


def token():
    if not client:
        new = {
            "client_name": "opaal",
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "client_secret_basic",
            "scope": " ".join(wanted["token"]["scope"]),
            "audience": wanted["audience"],
        }
        body = json.dumps(new).encode()
        client.update(json.loads(ask(endpoints["clients"], body, **{"Content-Type": "application/json"})))
    who = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": client["scope"], "audience": " ".join(wanted["audience"])}
    return ask(endpoints["token"], urllib.parse.urlencode(form).encode(), Authorization=f"Basic {who}")


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        try:
            if self.path == "/token":
                body = token()
            elif self.path == "/status":
                body = b'{"code": 200, "message": "OPAAL is healthy"}'
            elif self.path == "/keys":
                body = ask(endpoints["jwks"])
            else:
                self.send_error(404)
                return
        except OSError as error:
            self.send_error(502, str(error))
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer


ThreadingHTTPServer((config["server"]["host"], config["server"]["port"]), Handler).serve_forever()
