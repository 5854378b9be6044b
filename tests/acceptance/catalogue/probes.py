"""What proves, system by system, that the overlay is in effect. Each gives the evidence, or raises Failure."""

import base64
import json
import re

from shell import Failure
from stack import Stack, expect, expect_in


def settings(s: Stack, *pairs) -> str:
    """PostgreSQL's, as it runs."""
    return "; ".join(
        expect(name, s.exec(s.service, "psql", "-U", "postgres", "-tAc", f"SHOW {name}"), wanted) for name, wanted in pairs
    )


def login(s: Stack, role: str, word: str, database: str, query: str) -> str:
    """As a client over the network, with the password of the secret."""
    return s.ask("env", f"PGPASSWORD={s.words[word]}", "psql", "-h", "postgres", "-U", role, "-tAc", query, database)


def skillbase_postgres(s: Stack) -> str:
    # Over the socket only the system's own user postgres is let in, without a password.
    show = lambda name: s.exec(s.service, "setpriv", "--reuid=postgres", "psql", "-U", "postgres", "-tAc", f"SHOW {name}") \
        if s.is_dev() else s.exec(s.service, "psql", "-U", "postgres", "-tAc", f"SHOW {name}")
    found = [
        expect("wal_level", show("wal_level"), "logical"),
        expect("fsync", show("fsync"), "off" if s.is_dev() else "on"),
        expect("skills", login(s, "skillbase", "SKILLBASE_DB_PASSWORD", "skillbase", "SELECT count(*) FROM skill"), 3 if s.is_dev() else 0),
        expect("publication", login(s, "debezium", "DEBEZIUM_DB_PASSWORD", "skillbase", "SELECT pubname FROM pg_publication"), "debezium"),
    ]
    return "; ".join(found)


def openchami_postgres(s: Stack) -> str:
    found = [settings(s, ("fsync", "off" if s.is_dev() else "on"), ("password_encryption", "scram-sha-256"))]
    for role, database in ("smd", "hmsds"), ("bss", "bssdb"), ("hydra", "hydradb"):
        who = login(s, f"{role}-user", f"{role.upper()}_DB_PASSWORD", database, "SELECT current_database()")
        found.append(expect(f"{role}-user is in", who, database))
    return "; ".join(found)


def redis(s: Stack) -> str:
    # users.conf of skillbase's prod leaves nothing but PING to those without a password.
    word = s.words.get("REDIS_USERS") or s.words.get("REDIS_PASSWORD")
    user = ["--user", "skillbase"] if "REDIS_USERS" in s.words else []
    password = ["--pass", word, "--no-auth-warning"] if word else []
    cli = lambda *words: s.ask("redis-cli", "-h", s.service, *user, *password, *words)
    found = [
        expect("set", cli("set", "probe", "1"), "OK"),
        expect("get", cli("get", "probe"), "1"),
    ]
    # Not CONFIG GET: skillbase's user may not, in prod.
    info = dict(line.strip().split(":", 1) for line in cli("info").splitlines() if ":" in line)
    found.append(f"maxmemory = {info['maxmemory_human']}, {info['maxmemory_policy']}, aof_enabled = {info['aof_enabled']}")
    if info["maxmemory"] == "0":
        raise Failure("maxmemory isn't set")
    expect("aof_enabled", info["aof_enabled"], int(not s.is_dev() and s.service != "redis-broker"))
    if word:
        refused = s.ask("redis-cli", "-h", s.service, "get", "probe")
        found.append(expect_in("without password", refused, "NO"))
    return "; ".join(found)


def redis_broker(s: Stack) -> str:
    cli = lambda *words: s.ask("redis-cli", "-h", s.service, *words)
    return "; ".join((
        expect("maxmemory", cli("config", "get", "maxmemory").split()[-1], 64 << 20),
        expect("pubsub limit", cli("config", "get", "client-output-buffer-limit").split("pubsub ")[-1], f"{16 << 20} {4 << 20} 60"),
        expect("subscribers", cli("publish", "logs", "x"), 0),
    ))


def nginx(s: Stack) -> str:
    url = "http://nginx:8080"
    page = s.curl(f"{url}/static/")
    headers = s.curl(f"{url}/static/", "-I")
    found = [
        expect_in("/static/", page, "<title>Skillbase"),
        expect_in("header", headers, "X-Content-Type-Options: nosniff"),
        expect_in("header", headers, "Cache-Control: " + ("no-cache" if s.is_dev() else "max-age=3600")),
        # Nobody is behind it here: its own page for that.
        expect("/ without WildFly", s.status(f"{url}/"), 502),
        expect("/auth/admin/", s.status(f"{url}/auth/admin/"), 502 if s.is_dev() else 404),
    ]
    return "; ".join(found)


def prometheus(s: Stack) -> str:
    url = "http://prometheus:9090/api/v1"
    flags = s.json(f"{url}/status/flags")["data"]

    def rule():
        result = s.json(f"{url}/query", "-G", "--data-urlencode", 'query=job:up:ratio{job="prometheus"}')["data"]["result"]
        if not result:
            raise Failure("job:up:ratio has no value yet")
        return result[0]["value"][1]

    return "; ".join((
        expect("retention", flags["storage.tsdb.retention.time"], "1d" if s.is_dev() else "30d"),
        expect("job:up:ratio", s.soon(rule, 90), 1),
    ))


def etcd(s: Stack) -> str:
    ctl = lambda *words: s.exec("etcd", "etcdctl", *words)
    metrics = s.curl("http://etcd:2381/metrics")
    quota = next(line.split()[1] for line in metrics.splitlines() if line.startswith("etcd_server_quota_backend_bytes"))
    members = json.loads(ctl("member", "list", "-w", "json"))["members"]
    ctl("put", "probe", "1")
    return "; ".join((
        expect("quota", int(float(quota)), 268435456 if s.is_dev() else 4294967296),
        expect("member", members[0]["name"], "etcd"),
        # By its network name, as clients do.
        expect("advertised", members[0]["clientURLs"][0], "http://etcd:2379"),
        expect("get", ctl("get", "--print-value-only", "probe"), 1),
    ))


def zookeeper(s: Stack) -> str:
    word = lambda four: s.exec("zookeeper", "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/2181; printf {four} >&3; timeout 5 cat <&3", check=False).stdout
    found = [s.soon(lambda: expect_in("srvr", word("srvr"), "Mode: standalone"))]
    conf = word("conf")
    if s.is_dev():
        admin = s.json("http://zookeeper:8080/commands/configuration")
        found.append(expect("admin server: data_log_dir", admin["data_log_dir"].split("/version")[0], "/datalog"))
        found.append(expect_in("conf", conf, "maxClientCnxns=60"))
    else:
        found.append(expect_in("conf", conf, "not in the whitelist"))
        found.append(expect("admin server from outside", s.ask("curl", "-s", "--max-time", "5", "http://zookeeper:8080/", check=False).returncode, 7))
    return "; ".join(found)


def cargo_base(s: Stack) -> str:
    """No service: its runner loads its configuration in a container of its own."""
    text = s.once("node", "-p", "JSON.stringify([process.env.CARGO_SERVICE, require('cargo-lib/config')])")
    name, config = json.loads(text)
    return "; ".join((
        expect("service", name, "cargo-base"),
        expect("log level", config["log"]["level"], "debug" if s.is_dev() else "info"),
        expect("broker", config["broker"]["host"], "redis-broker"),
    ))


def log_archiver(s: Stack) -> str:
    s.ask("redis-cli", "-h", "redis-broker", "publish", "logs", '{"message":"from the probe"}')
    day = s.json("http://log-archiver:8080/archive")["days"][-1]
    return expect_in(f"archive of {day}", s.soon(lambda: s.curl(f"http://log-archiver:8080/archive?day={day}")), "from the probe")


def admin(s: Stack) -> str:
    """The page, and a line from end to end: admin, broker, archiver, back to admin."""
    url = "http://admin:8080"
    page = s.curl(f"{url}/", "-i")
    found = [
        expect_in("page", page, "<title>Mupets"),
        expect_in("header", page, "Cache-Control: " + ("no-store" if s.is_dev() else "max-age=300")),
    ]
    token = []
    if not s.is_dev():
        found.append(expect("without token", s.status(f"{url}/api/archive"), 401))
        token = ["-H", f"Authorization: Bearer {s.words['ADMIN_TOKEN']}"]
    sent = s.json(f"{url}/api/log", *token, "-H", "Content-Type: application/json", "-d", '{"message":"end to end"}')
    found.append(expect("archivers", sent["archivers"], 1))
    day = s.json(f"{url}/api/archive", *token)["days"][-1]
    found.append(expect_in("archive", s.soon(lambda: s.curl(f"{url}/api/archive?day={day}", *token)), "end to end"))
    return "; ".join(found)


def keycloak(s: Stack) -> str:
    """The realm that was imported, and tokens of its clients."""
    url = "http://keycloak:8080/auth"
    realm = s.json(f"{url}/realms/skillbase/.well-known/openid-configuration")
    site = url if s.is_dev() else "https://skillbase.example/auth"
    found = [expect("issuer", realm["issuer"], f"{site}/realms/skillbase")]
    form = lambda *pairs: [word for pair in pairs for word in ("--data-urlencode", pair)]
    ask = f"{url}/realms/skillbase/protocol/openid-connect/token"
    secret = f"client_secret={s.words['SKILLBASE_CLIENT_SECRET']}"
    backend = s.json(ask, *form("grant_type=client_credentials", "client_id=skillbase-backend", secret))
    found.append(expect("minutes of the backend's token", round(backend["expires_in"] / 60), 60 if s.is_dev() else 5))
    user = form("grant_type=password", "client_id=skillbase-web", "username=dev", "password=dev-password")
    if s.is_dev():
        claims = jwt(s.json(ask, *user)["access_token"])
        found.append(expect("dev is curator", "curator" in claims["realm_access"]["roles"], True))
    else:
        found.append(expect("password for token", s.status(ask, *user), 400))
    return "; ".join(found)


def jwt(token: str) -> dict:
    """The claims; whoever gave it vouches for them."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def kafka(s: Stack) -> str:
    """The job's topics, as the overlay wants them; a message in and out."""
    bin = "/opt/kafka/bin"
    server = ["--bootstrap-server", "localhost:9092"]
    topics = ["events", "answers"] if s.stack == "mupets" else ["skillbase.events", "skillbase.public.skill"]
    found = []
    for topic in topics:
        text = s.exec("kafka", f"{bin}/kafka-topics.sh", *server, "--describe", "--topic", topic)
        found.append(f"{topic}: " + expect_in("topic", text, f"PartitionCount: {1 if s.is_dev() else 3}"))
    s.exec("kafka", f"{bin}/kafka-console-producer.sh", *server, "--topic", topics[0], stdin="from the probe\n")
    took = s.exec(
        "kafka", f"{bin}/kafka-console-consumer.sh", *server, "--topic", topics[0], "--from-beginning", "--max-messages", "1",
        "--timeout-ms", "60000",
    )
    found.append(expect("consumed", took, "from the probe"))
    unknown = s.exec("kafka", f"{bin}/kafka-configs.sh", *server, "--describe", "--all", "--entity-type", "brokers", "--entity-name", "1")
    found.append(expect_in("broker", unknown, f"auto.create.topics.enable={'true' if s.is_dev() else 'false'}"))
    return "; ".join(found)


def wildfly(s: Stack) -> str:
    def cli(command: str):
        text = s.exec("wildfly", "/opt/jboss/wildfly/bin/jboss-cli.sh", "--connect", "--output-json", f"--command={command}")
        return json.loads(text[text.index("{"):])["result"]

    sources = cli("/subsystem=datasources:read-children-names(child-type=data-source)")
    return "; ".join((
        expect_in("/", s.soon(lambda: s.curl("http://wildfly:8080/")), "<title>Skillbase</title>"),
        expect("server-state", cli(":read-attribute(name=server-state)"), "running"),
        expect("scan-interval", cli("/subsystem=deployment-scanner/scanner=default:read-attribute(name=scan-interval)"), 2000 if s.is_dev() else 0),
        expect("data sources", ", ".join(sources), "ExampleDS" if s.is_dev() else ""),
    ))


def flowable(s: Stack) -> str:
    """The deployed process, and a task of an instance of it."""
    url = "http://flowable:8080/flowable-rest/service"
    who = ["-u", f"rest-admin:{'test' if s.is_dev() else s.words['FLOWABLE_ADMIN_PASSWORD']}"]
    known = s.json(f"{url}/repository/process-definitions", *who)["data"]
    start = {
        "processDefinitionKey": "skillReview",
        "variables": [{"name": "member", "value": "ada"}, {"name": "skill", "value": "SQL"}],
    }
    s.json(f"{url}/runtime/process-instances", *who, "-H", "Content-Type: application/json", "-d", json.dumps(start))
    task = s.json(f"{url}/runtime/tasks", *who)["data"][0]
    found = [
        expect("definition", known[0]["key"], "skillReview"),
        expect("task", task["name"], "Rate SQL"),
        expect("without login", s.status(f"{url}/runtime/tasks"), 401),
    ]
    if not s.is_dev():
        count = login(s, "flowable", "FLOWABLE_DB_PASSWORD", "flowable", "SELECT count(*) FROM act_ru_task")
        found.append(expect("tasks in PostgreSQL", count, 1))
    return "; ".join(found)


def debezium(s: Stack) -> str:
    """A row that is inserted arrives in Kafka."""
    login(s, "skillbase", "SKILLBASE_DB_PASSWORD", "skillbase", "INSERT INTO skill (name) VALUES ('Probing')")

    def change():
        text = s.exec(
            "kafka", "/opt/kafka/bin/kafka-console-consumer.sh", "--bootstrap-server", "localhost:9092",
            "--topic", "skillbase.public.skill", "--from-beginning", "--timeout-ms", "8000", check=False,
        ).stdout
        for line in text.splitlines():
            if '"Probing"' in line:
                return json.loads(line)
        raise Failure(f"no change among {len(text.splitlines())} messages")

    event = s.soon(change, 120)
    # What the rules of prometheus stand on.
    rules = (s.site.catalogue.workspace / "recipes/skillbase/prometheus/rules/skillbase.yml").read_text(encoding="utf-8")
    metric = re.search(r"debezium_\w+", rules)[0]
    return "; ".join((
        expect("operation", event["op"], "c"),
        expect("table", f"{event['source']['name']}.{event['source']['schema']}.{event['source']['table']}", "skillbase.public.skill"),
        expect("after.name", event["after"]["name"], "Probing"),
        expect_in("metrics", s.curl("http://debezium:9404/metrics"), f'\n{metric}{{context="streaming"'),
    ))


def flagd(s: Stack) -> str:
    def flag(name: str, **context):
        body = json.dumps({"context": {"targetingKey": "probe"} | context})
        return s.json(f"http://flagd:8016/ofrep/v1/evaluate/flags/{name}", "-H", "Content-Type: application/json", "-d", body)

    # "probe" is among the 80 of a hundred that don't have it, unless the rule knows of dev.
    return "; ".join((
        expect("skill-search for everybody", flag("skill-search")["value"], s.is_dev()),
        expect("for our own", flag("skill-search", email="ada@skillbase.example")["value"], True),
        expect("page-size", flag("page-size")["value"], 20),
        expect("of a curator", flag("page-size", roles=["curator"])["value"], 100),
    ))


def fluentd(s: Stack) -> str:
    """A record by HTTP comes out with its origin: printed in dev, in a compressed file in prod."""
    s.curl("http://fluentd:9880/probe.test", "-H", "Content-Type: application/json", "-d", '{"message":"from the probe"}')

    def record():
        if s.is_dev():
            text = s.logs("fluentd")
        else:
            text = s.exec("fluentd", "sh", "-c", "cat /fluentd/log/archive/*.gz | gunzip")
        line = next((line for line in text.splitlines() if "from the probe" in line), None)
        if not line:
            raise Failure("the record hasn't come out")
        return line

    line = s.soon(record)
    found = json.loads(line[line.index("{"):])
    return "; ".join((
        expect("stack", found["stack"], "skillbase"),
        expect("environment", found["environment"], s.variant),
        expect_in("line", line, "probe.test"),
        expect("settings shown by the monitor", "config" in s.json("http://fluentd:24220/api/plugins.json")["plugins"][0], False),
    ))


def orientdb(s: Stack) -> str:
    url = "http://orientdb:2480"
    root = ["-u", f"root:{'dev' if s.is_dev() else s.words['ORIENTDB_ROOT_PASSWORD']}"]
    header = s.curl(f"{url}/listDatabases", "-i")
    s.curl(f"{url}/database/probe/memory", *root, "-X", "POST")
    s.curl(f"{url}/command/probe/sql", *root, "-d", "CREATE CLASS Sheet EXTENDS V")
    s.curl(f"{url}/command/probe/sql", *root, "-d", "INSERT INTO Sheet SET name = 'probe'")
    rows = s.json(f"{url}/command/probe/sql", *root, "-d", "SELECT name FROM Sheet")["result"]
    return "; ".join((
        expect_in("header", header, "Content-Security-Policy: frame-ancestors 'none'"),
        expect("root by its password", s.status(f"{url}/server", *root), 200),
        expect("by another", s.status(f"{url}/server", "-u", "root:wrong"), 401),
        expect("row", rows[0]["name"], "probe"),
        expect("configuration", "/etc/orientdb" in s.exec("orientdb", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), True),
    ))


def step_ca(s: Stack) -> str:
    """A certificate with our lifetime, and none that lives too long."""
    longer = {"dev": (720, "2161h"), "prod": (24, "169h")}[s.variant]
    step = lambda *words, check=True: s.exec("step-ca", "step", *words, check=check)
    ca = ["--ca-url", "https://localhost:9000", "--root", "/home/step/certs/root_ca.crt"]
    admin = ["--provisioner", "admin", "--provisioner-password-file", "/run/secrets/step-ca-password", "--force"]
    place = ["node.example", "/tmp/node.crt", "/tmp/node.key"]
    step("ca", "certificate", *place, *ca, *admin)
    text = json.loads(step("certificate", "inspect", "/tmp/node.crt", "--format", "json"))
    life = text["validity"]["length"] // 3600
    kinds = sorted(entry["type"] for entry in json.loads(step("ca", "provisioner", "list", *ca)))
    refused = step("ca", "certificate", *place, *ca, *admin, "--not-after", longer[1], check=False)
    return "; ".join((
        expect("certificate of", text["subject_dn"], "CN=node.example"),
        expect("issuer has the name", ("OpenCHAMI dev" if s.is_dev() else "OpenCHAMI") in text["issuer_dn"], True),
        expect("hours", life, longer[0]),
        expect("provisioners", ", ".join(kinds), "ACME, JWK"),
        expect(f"{longer[1]} refused", refused.returncode != 0, True),
        expect("password in the log", s.exec("step-ca", "cat", "/run/secrets/step-ca-password").strip() in s.logs("step-ca"), False),
    ))


def issuer(s: Stack) -> str:
    return "http://localhost:4444" if s.is_dev() else "https://demo.openchami.cluster"


def token(s: Stack) -> str:
    """Of a client of our own at hydra."""
    made = json.loads(s.exec(
        "hydra", "hydra", "create", "oauth2-client", "--endpoint", "http://127.0.0.1:4445", "--grant-type", "client_credentials",
        "--scope", "smd.read", "--format", "json",
    ))
    # Hydra makes its keys at the first token, and on a slow machine ends the connection before it has them.
    return s.soon(lambda: s.json(
        "http://hydra:4444/oauth2/token", "-u", f"{made['client_id']}:{made['client_secret']}",
        "-d", "grant_type=client_credentials", "-d", "scope=smd.read",
    )["access_token"])


def bearer(s: Stack) -> list[str]:
    """For services that take everybody in dev, and in prod who has a token."""
    return [] if s.is_dev() else ["-H", f"Authorization: Bearer {token(s)}"]


def hydra(s: Stack) -> str:
    claims = jwt(token(s))
    return "; ".join((
        expect("issuer", claims["iss"], issuer(s)),
        # iat may be a second behind.
        expect("hours", round((claims["exp"] - claims["iat"]) / 3600, 2), 24.0 if s.is_dev() else 1.0),
        expect("scope", " ".join(claims["scp"]), "smd.read"),
        expect("clients in PostgreSQL", login(s, "hydra-user", "HYDRA_DB_PASSWORD", "hydradb", "SELECT count(*) FROM hydra_client"), 1),
    ))


def opaal(s: Stack) -> str:
    claims = jwt(s.soon(lambda: s.json("http://opaal:3333/token"))["access_token"])
    keys = s.json("http://opaal:3333/keys")["keys"]
    return "; ".join((
        expect("issuer", claims["iss"], issuer(s)),
        expect("scope", " ".join(claims["scp"]), "smd.read"),
        expect("audience", claims["aud"][0], f"{issuer(s)}/oauth2/token"),
        expect("keys", keys[0]["kty"], "RSA"),
    ))


NODE = "x1000c0s0b0n0"
MAC = "02:00:00:00:00:01"


def add_node(s: Stack, url: str, who: list[str]) -> None:
    """As discovery tells smd of a node and its interface."""
    value = {
        "SchemaVersion": 1, "ID": NODE.removesuffix("n0"), "FQDN": "bmc.example", "Type": "NodeBMC", "Enabled": True,
        "Systems": [{
            "uuid": "0e0c1ad8-7f5b-4a3c-9d51-6d0d3b3c1f10", "uri": "/redfish/v1/Systems/1", "system_type": "Physical",
            "power_state": "On", "ethernet_interfaces": [{"mac": MAC, "uri": "/redfish/v1/Systems/1/EthernetInterfaces/1"}],
        }],
    }
    s.curl(f"{url}/hsm/v2/Inventory/RedfishEndpoints", *who, "-H", "Content-Type: application/json", "-d", json.dumps(value))


def smd(s: Stack) -> str:
    who = bearer(s)
    url = "http://smd:27779"
    found = []
    if not s.is_dev():
        found.append(expect("without token", s.status(f"{url}/hsm/v2/State/Components/{NODE}"), 401))
    add_node(s, url, who)
    node = s.json(f"{url}/hsm/v2/State/Components/{NODE}", *who)
    roles = s.json(f"{url}/hsm/v2/service/values/role", *who)["Role"]
    found += [
        expect("node", f"{node['ID']} {node['State']}", f"{NODE} On"),
        expect("our role is known", "Visualization" in roles, True),
        expect("in PostgreSQL", login(s, "smd-user", "SMD_DB_PASSWORD", "hmsds", "SELECT id FROM components WHERE type = 'Node'"), NODE),
    ]
    return "; ".join(found)


def set_boot(s: Stack, url: str, who: list[str]) -> None:
    value = {"hosts": [NODE], "kernel": "http://boot.example/vmlinuz", "initrd": "http://boot.example/initrd", "params": "probe=1"}
    s.curl(f"{url}/boot/v1/bootparameters", *who, "-X", "PUT", "-H", "Content-Type: application/json", "-d", json.dumps(value))


def bss(s: Stack) -> str:
    who = bearer(s)
    url = "http://bss:27778"
    gateway = "http://localhost:8080" if s.is_dev() else "https://demo.openchami.cluster"
    add_node(s, "http://smd:27779", who)
    found = []
    if not s.is_dev():
        found.append(expect("without token", s.status(f"{url}/boot/v1/bootparameters"), 401))
    set_boot(s, url, who)
    script = s.soon(lambda: with_part(s.curl(f"{url}/boot/v1/bootscript?name={NODE}"), "boot.example/vmlinuz"))
    found += [
        expect_in("boot script", script, "http://boot.example/vmlinuz"),
        expect_in("boot script", script, "probe=1"),
        expect_in("boot script", script, f"ds=nocloud-net;s={gateway}/cloud-init/"),
        expect_in("boot script", script, f"chain {gateway}/"),
    ]
    return "; ".join(found)


def with_part(text: str, part: str) -> str:
    expect_in("answer", text, part)
    return text


def cloud_init(s: Stack) -> str:
    who = bearer(s)
    url = "http://cloud-init:27777/cloud-init"
    found = []
    if not s.is_dev():
        found.append(expect("without token", s.status(f"{url}/admin/cluster-defaults"), 401))
    defaults = s.json(f"{url}/admin/cluster-defaults", *who)
    base = "http://localhost:8080/cloud-init" if s.is_dev() else "https://demo.openchami.cluster/cloud-init"
    found += [
        expect("cluster", defaults["cluster-name"], "dev" if s.is_dev() else "demo"),
        expect("base", defaults["base-url"], base),
    ]
    return "; ".join(found)


def krakend(s: Stack) -> str:
    """Everything through the gateway, from end to end."""
    who = bearer(s)
    url = "http://krakend:8080"
    found = [
        expect("health", s.json(f"{url}/__health")["status"], "ok"),
        expect("smd is ready", s.status(f"{url}/hsm/v2/service/ready"), 200),
    ]
    if not s.is_dev():
        found.append(expect("without token", s.status(f"{url}/hsm/v2/State/Components"), 401))
        found.append(expect("with a wrong one", s.status(f"{url}/hsm/v2/State/Components", "-H", "Authorization: Bearer a.b.c"), 401))
    add_node(s, url, who)
    set_boot(s, url, who)
    both = s.json(f"{url}/v1/nodes/{NODE}", *who)
    found += [
        expect("node of smd", both["component"]["ID"], NODE),
        expect("and of bss", both["boot"][0]["kernel"], "http://boot.example/vmlinuz"),
        expect("no endpoint", s.status(f"{url}/admin/clients", *who), 404),
    ]
    return "; ".join(found)
