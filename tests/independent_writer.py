#!/usr/bin/env python3
"""An independent writer of encoding 1, from book/src/encoding-1.md alone.

stdin: JSON {"cases": [CASE, ...]}; a CASE is
  {"base": null | {"manifest": TEXT, "config": TEXT}, "platform": {...}, "patch": {...section 6...},
   "layers": [{"name": null | TEXT, "compression": "none" | "gzip", "digest": ..., "size": ...,
               "entries": [[path, type, mode, uid, gid, mtime, data, {xattr: value}], ...]}]}
Paths, data (a file's bytes or a link's target), attribute names and values are hexadecimal.
stdout: JSON list of {"diff_ids": [...], "config": TEXT, "manifest": TEXT} in the cases' order.
"""
import datetime, hashlib, json, re, sys

OCI = "application/vnd.oci.image."
KEY = "org.opencontainers.image."

Number = type("Number", (str,), {})  # as it was written

def parse(text):
    return json.loads(text, parse_int=Number, parse_float=Number)

def canonical(value):
    if isinstance(value, dict):
        keys = sorted(value, key=str.encode)
        return "{" + ",".join(canonical(k) + ":" + canonical(value[k]) for k in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)

def sha(data):
    return hashlib.sha256(data).hexdigest()

# tar
def padded(data):
    return data + bytes(-len(data) % 512)

def block(name, kind, mode, uid, gid, size, mtime, link=b""):
    numbers = b"".join(b"%0*o\0" % (w, n) for w, n in
                       [(7, mode), (7, uid), (7, gid), (11, size), (11, mtime)])
    front = name[:100].ljust(100, b"\0") + numbers
    back = kind + link[:100].ljust(100, b"\0") + b"ustar\x0000" + bytes(247)
    return front + b"%07o\0" % (sum(front) + sum(back) + 8 * 32) + back

def member(name, kind, mode, uid, gid, mtime, data=b"", link=b"", xattrs={}):
    pax = {b"SCHILY.xattr." + k: v for k, v in xattrs.items()
           if k != b"security.selinux" and b".overlay." not in k}
    pax.update({k: v for k, v in [(b"path", name), (b"linkpath", link)] if len(v) > 100})
    if uid > 0o7777777:
        pax[b"uid"], uid = b"%d" % uid, 0
    if gid > 0o7777777:
        pax[b"gid"], gid = b"%d" % gid, 0
    records = b""
    for key, value in sorted(pax.items()):
        body = b" " + key + b"=" + value + b"\n"
        total = next(n for n in range(len(body), len(body) + 20) if len(str(n)) + len(body) == n)
        records += b"%d" % total + body
    alias = b"PaxHeaders.0/" + sha(name)[:12].encode()
    extra = block(alias, b"x", 0o644, 0, 0, len(records), 0) + padded(records) if records else b""
    return extra + block(name, kind, mode, uid, gid, len(data), mtime, link) + padded(data)

def tar(entries):
    rows, names, files = {}, {}, {}
    for path, kind, *rest in entries:
        data, xattrs = bytes.fromhex(rest[4]), {bytes.fromhex(k): bytes.fromhex(v) for k, v in rest[5].items()}
        path, numbers = bytes.fromhex(path), tuple(map(int, rest[:4]))
        if kind in ("file", "hardlink"):
            names.setdefault(data if kind == "hardlink" else path, []).append(path)
            if kind == "file":
                files[path] = (numbers, data, xattrs)
        elif kind == "symlink":
            rows[path] = member(path, b"2", *numbers, link=data, xattrs=xattrs)
        elif kind == "whiteout":
            parent, slash, last = path.rpartition(b"/")
            hidden = parent + slash + b".wh." + last
            rows[hidden] = member(hidden, b"0", 0o644, 0, 0, numbers[3])
        else:
            rows[path + b"/"] = member(path + b"/", b"5", *numbers, xattrs=xattrs)
            if kind == "opaque":
                hidden = path + b"/.wh..wh..opq"
                rows[hidden] = member(hidden, b"0", 0o644, 0, 0, numbers[3])
    for path, group in names.items():
        numbers, data, xattrs = files[path]
        first, *others = sorted(group)
        rows[first] = member(first, b"0", *numbers, data=data, xattrs=xattrs)
        for other in others:
            rows[other] = member(other, b"1", *numbers, link=first, xattrs=xattrs)
    return b"".join(rows[name] for name in sorted(rows)) + bytes(1024)

# documents
CYCLE = 146097  # days in 400 years, all alike; datetime knows the years 1 to 9999 only

def seconds(text):
    shape = r"(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.\d+)?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))"
    found = re.fullmatch(shape, text, re.ASCII) if isinstance(text, str) else None
    if not found:
        return None
    year, month, day, h, m, s, oh, om = (int(found[i] or 0) for i in (1, 2, 3, 4, 5, 6, 8, 9))
    try:
        days = datetime.date(year % 400 + 400, month, day).toordinal() + (year // 400 - 1) * CYCLE - 719163
    except ValueError:
        return None
    time = days * 86400 + h * 3600 + m * 60 + s - (oh * 3600 + om * 60) * (-1 if found[7] == "-" else 1)
    return time if -62167219200 <= time <= 253402300799 else None

def timestamp(time):
    days, rest = divmod(time, 86400)
    cycles, day = divmod(days + 719163 - 1, CYCLE)
    date = datetime.date.fromordinal(day + 1)
    return f"{date.year + cycles * 400:04}-{date:%m-%d}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"

def canonical_platform(p):
    implied = {("arm64", ""): "v8", ("arm", ""): "v7", ("amd64", "v1"): ""}
    variant = p.get("variant") or ""
    variant = implied.get((p["architecture"], variant), variant)
    return {"os": p["os"], "architecture": p["architecture"], **({"variant": variant} if variant else {})}

def descriptions(patch, names):
    return {KEY + name: patch[name.replace(".", "_")] for name in names if name.replace(".", "_") in patch}

def mapping(settings, name, change):
    before = settings.get(name) or {}
    after = change(dict(before))
    if before and not after:
        del settings[name]
    elif after != before:
        settings[name] = after

def change_settings(c, patch):
    gone = patch.get("remove", {})
    c.pop("Image", None), c.pop("OnBuild", None)
    if "entrypoint" in patch and "cmd" not in patch:
        c.pop("Cmd", None)
    renamed = "entrypoint Entrypoint cmd Cmd user User workdir WorkingDir stop_signal StopSignal".split()
    for ours, theirs in zip(renamed[::2], renamed[1::2]):
        if ours in patch and (ours, patch[ours]) != ("cmd", "inherit"):
            c[theirs] = patch[ours]
            if patch[ours] == []: del c[theirs]
    if "healthcheck" in patch:
        h = patch["healthcheck"]
        c["Healthcheck"] = {"Test": ["CMD", *h["test"]] if h["test"] else ["NONE"]}
        names = {"interval_ns": "Interval", "timeout_ns": "Timeout", "start_period_ns": "StartPeriod", "retries": "Retries"}
        c["Healthcheck"].update({names[k]: v for k, v in h.items() if k in names and h["test"] and v != "0"})
    if "env" in patch or "env" in gone:
        new, result = dict(patch.get("env", {})), {}
        for index, pair in enumerate(c.pop("Env", None) or []):
            name = pair.partition("=")[0]
            if name in new and name not in gone.get("env", []):
                result.setdefault("=" + name, name + "=" + new[name])
            elif name not in gone.get("env", []):
                result[index] = pair  # may stand there twice
        for name in sorted(new, key=str.encode):
            result.setdefault("=" + name, name + "=" + new[name])
        if result:
            c["Env"] = list(result.values())
    for ours, theirs in [("expose", "ExposedPorts"), ("volumes", "Volumes")]:
        mapping(c, theirs, lambda m: {**{k: {} for k in patch.get(ours, [])},
                                      **{k: v for k, v in m.items() if k not in gone.get(ours, [])}})
    stale = re.compile(re.escape(KEY) + r"(base\..*|created|revision|version|ref\.name|title|source|url)", re.S)
    mapping(c, "Labels", lambda m: {
        **{k: v for k, v in m.items() if not stale.fullmatch(k) and k not in gone.get("labels", [])},
        **patch.get("labels", {}), **descriptions(patch, ["title", "version", "source"])})

def image(case):
    patch, layers, base = case["patch"], case["layers"], case["base"]
    below = []
    config = {**canonical_platform(case["platform"]), "rootfs": {"type": "layers"}}
    if base:
        below, config = parse(base["manifest"])["layers"], parse(base["config"])
    config = {k: v for k, v in config.items() if not k.startswith("moby.buildkit.") and
              k not in ("container", "container_config", "docker_version", "id", "parent")}
    config["config"] = config.get("config") or {}
    change_settings(config["config"], patch)
    old, epoch = seconds(config.get("created")), int(patch["epoch"])
    config["created"] = timestamp(epoch if old is None else max(old, epoch))
    history = config.get("history") or []
    sound = all(isinstance(h, dict) for h in history)
    if not sound or sum(h.get("empty_layer") is not True for h in history) != len(below):
        made = {} if old is None else {"created": timestamp(old)}
        history = [{**made, "created_by": "base"} for _ in below]
    config["history"] = history + [
        {"created": config["created"], "created_by": "cooper", **({"comment": x["name"]} if x["name"] is not None else {})}
        for x in layers]
    diff_ids = ["sha256:" + sha(tar(layer["entries"])) for layer in layers]
    config["rootfs"]["diff_ids"] = (config["rootfs"].get("diff_ids") or []) + diff_ids
    text = canonical(config)
    for layer in below:
        layer["mediaType"] = layer["mediaType"].replace(
            "application/vnd.docker.image.rootfs.diff.tar", OCI + "layer.v1.tar").replace(".tar.", ".tar+")
        if not layer.get("annotations"):
            layer.pop("annotations", None)
    ours = [{"mediaType": OCI + "layer.v1.tar" + ("+gzip" if x["compression"] == "gzip" else ""),
             "digest": x["digest"], "size": x["size"]} for x in layers]
    manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "layers": below + ours,
                "config": {"mediaType": OCI + "config.v1+json", "digest": "sha256:" + sha(text.encode()),
                           "size": len(text.encode())}}
    notes = descriptions(patch, ["title", "version", "source", "base.name", "base.digest"])
    if notes:
        manifest["annotations"] = notes
    return {"diff_ids": diff_ids, "config": text, "manifest": canonical(manifest)}

json.dump([image(case) for case in parse(sys.stdin.buffer.read().decode())["cases"]], sys.stdout)
