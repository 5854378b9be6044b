#!/bin/bash
# The main job on real input, by hand or in a CI that has the bases; .ci/run doesn't call it.
#
#   tests/acceptance/real-bases.sh DIR [DEBIAN.tar]
#
# DIR holds the OCI layouts `busybox` and `alpine` (tags 3.19.4 and 3.20.3), each for linux/amd64 and linux/arm64.
# DEBIAN.tar is a root made earlier by this script (it says where it keeps it); otherwise mmdebstrap makes one, which
# takes a minute and Debian's archive.
#
# Run as root, with docker.io, skopeo, umoci, mmdebstrap and python3 installed. $COOPER is the binary (otherwise
# `cargo build --profile dist`), $DOCKER_HOST a running daemon (otherwise one is started, and ended). One line of evidence
# per check; the first failure ends it with exit code 1.
set -euo pipefail
shopt -s inherit_errexit

[ $# -ge 1 ] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2; }
bases=$(realpath "$1")
debian=${2:+$(realpath "$2")}
here=$(cd "$(dirname "$0")/../.." && pwd)
for program in docker skopeo umoci python3; do
    command -v $program >/dev/null || { echo "$program is not installed" >&2; exit 2; }
done
if [ -z "${COOPER:-}" ]; then
    cargo build --profile dist --locked --manifest-path "$here/Cargo.toml"
    COOPER=$here/target/dist/cooper
fi
COOPER=$(realpath "$COOPER")

work=$(mktemp -d)
daemon=
finish() {
    local code=$?
    [ -z "$daemon" ] || { kill "$daemon"; wait "$daemon" || :; }
    [ $code = 0 ] || echo "FAILED; see $work" >&2
    [ $code != 0 ] || rm -rf "$work"
}
trap finish EXIT
export HOME=$work/home COOPER_STORE=$work/store
mkdir -p "$HOME" "$work/engine" "$work/ws/bases"
if [ -z "${DOCKER_HOST:-}" ]; then
    export DOCKER_HOST=unix://$work/engine/sock
    dockerd --host "$DOCKER_HOST" --data-root "$work/engine/data" --exec-root "$work/engine/exec" \
        --pidfile "$work/engine/pid" --bridge=none --iptables=false --ip-masq=false >"$work/engine/log" 2>&1 &
    daemon=$!
    for _ in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.2; done
fi
docker version --format 'docker {{.Server.Version}}'

ok() { printf 'ok  %s\n' "$*"; }
fail() { printf 'NO  %s\n' "$*" >&2; exit 1; }
# is WHAT FOUND EXPECTED
is() { [ "$2" = "$3" ] && ok "$1: ${2//$'\n'/, }" || fail "$1: found \"$2\", expected \"$3\""; }
now() { date +%s%N; }
# timed WHAT COMMAND…: its time is the evidence
timed() {
    local what=$1 begun
    shift
    begun=$(now)
    "$@" >"$work/said" 2>&1 || { cat "$work/said" >&2; fail "$what"; }
    ok "$what: $((($(now) - begun) / 1000000)) ms"
}
cooper() { "$COOPER" -C "$work/ws" "$@"; }
recipe() { mkdir -p "$work/ws/recipes/$1" && cat >"$work/ws/recipes/$1/recipe.toml"; }
inside() { docker run --rm --network none "$@"; }
docker_load() { docker load --quiet --input "$1" | sed -n 's/^Loaded image: //p'; }

cat >"$work/oci.py" <<'PY'
"""layers LAYOUT ARCHITECTURE: digests, lowest first; drop LAYOUT: delete its layers; layout TAR LAYOUT: make one."""
import gzip, hashlib, json, os, sys

def blob(layout, descriptor):
    return os.path.join(layout, "blobs/sha256", descriptor["digest"].split(":")[1])

def read(layout, descriptor):
    with open(blob(layout, descriptor)) as file:
        return json.load(file)

def manifests(layout):
    todo = json.load(open(os.path.join(layout, "index.json")))["manifests"]
    while todo:
        document = read(layout, todo.pop())
        todo += document.get("manifests", [])
        if "layers" in document:
            yield document

def put(layout, kind, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(layout, "blobs/sha256", digest), "wb") as file:
        file.write(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

command, path, *rest = sys.argv[1:]
if command == "layers":
    for manifest in manifests(path):
        if read(path, manifest["config"])["architecture"] == rest[0]:
            print("\n".join(layer["digest"] for layer in manifest["layers"]))
elif command == "drop":
    for layer in {blob(path, layer) for manifest in manifests(path) for layer in manifest["layers"]}:
        os.remove(layer)
elif command == "layout":
    layout, tar = rest[0], open(path, "rb").read()
    os.makedirs(os.path.join(layout, "blobs/sha256"))
    layer = put(layout, "layer.v1.tar+gzip", gzip.compress(tar, 6, mtime=0))
    rootfs = {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]}
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    config = {"os": "linux", "architecture": machine, "config": {"Cmd": ["bash"]}, "rootfs": rootfs}
    config = put(layout, "config.v1+json", json.dumps(config).encode())
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer]}
    manifest = put(layout, "manifest.v1+json", json.dumps(manifest).encode())
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "bookworm"}
    json.dump({"schemaVersion": 2, "manifests": [manifest]}, open(os.path.join(layout, "index.json"), "w"))
    json.dump({"imageLayoutVersion": "1.0.0"}, open(os.path.join(layout, "oci-layout"), "w"))
    print(layer["size"])
PY
# own LAYOUT ARCHITECTURE BASE: the layers that Cooper laid on the base
own() {
    python3 "$work/oci.py" layers "$1" "$2" | grep -vxFf <(python3 "$work/oci.py" layers "$3" "$2")
}

echo "== busybox and alpine"
cp -R "$bases/busybox" "$bases/alpine" "$work/ws/bases/"
cp -R "$bases/alpine" "$work/alpine"
cp -R "$bases/busybox" "$work/busybox"
printf '[workspace]\nplatforms = ["linux/amd64", "linux/arm64"]\n' >"$work/ws/cooper.toml"
busybox=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"])' "$bases/busybox/index.json")
for base in "busybox:$busybox" alpine:3.19.4; do
    name=${base%%:*}
    recipe "real/$name" <<TOML
[image]
title = "$name, overlaid"
[base]
layout = "bases/$base"
[[file]]
text     = "variant = {{ variant }}\n"
to       = "/etc/app/app.conf"
template = true
[[file]]
from  = "data/"
to    = "/srv/app/"
owner = "daemon"
[[dir]]
path  = "/var/lib/app"
owner = "nobody"
mode  = "0700"
[[file]]
text = "in /tmp, which stays sticky\n"
to   = "/tmp/note"
[[remove]]
path = "/bin/wget"
missing = "ok"
[[remove]]
path = "/etc/motd"
missing = "ok"
[[variant.dev.file]]
text = "dev only\n"
to   = "/etc/app/dev.conf"
[config]
cmd = ["cat", "/etc/app/app.conf"]
TOML
    mkdir -p "$work/ws/recipes/real/$name/data/sub"
    echo one >"$work/ws/recipes/real/$name/data/one"
    echo two >"$work/ws/recipes/real/$name/data/sub/two"
    timed "$name, first build of dev and prod on two platforms" cooper build "real/$name"
    timed "$name, the same again, --locked --offline" cooper build "real/$name" --locked --offline
    for variant in dev prod; do
        archive=$work/$name-$variant.tar
        cooper build "real/$name#$variant" --to "oci-archive:$archive" --to "oci:$work/out/$name-$variant" >/dev/null
        is "skopeo inspect, $name $variant" \
            "$(skopeo inspect "oci-archive:$archive" | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["Os"], len(d["Layers"]) > 1, d["Labels"]["org.opencontainers.image.title"])')" \
            "linux True $name, overlaid"
        skopeo copy --quiet "oci-archive:$archive" "oci:$work/one:$name-$variant"
        umoci unpack --image "$work/one:$name-$variant" "$work/bundle-$name-$variant" 2>"$work/said"
        root=$work/bundle-$name-$variant/rootfs
        is "umoci unpack, $name $variant" \
            "$(cat "$root/etc/app/app.conf"; stat -c '%a' "$root/tmp" "$root/var/lib/app"; ls "$root/etc/app")" \
            "$(printf 'variant = %s\n1777\n700\napp.conf' $variant; [ $variant = prod ] || printf '\ndev.conf')"
        image=$(docker_load "$archive")
        is "docker runs $name $variant" "$(inside "$image")" "variant = $variant"
        is "owners by name, $name $variant" \
            "$(inside "$image" stat -c '%U:%G %a' /srv/app /srv/app/sub/two /var/lib/app /tmp /etc)" \
            "$(printf '%s\n' 'daemon:daemon 755' 'daemon:daemon 644' \
                "nobody:$(inside "$image" sh -c 'id -gn nobody') 700" 'root:root 1777' 'root:root 755')"
        is "removed, $name $variant" "$(inside "$image" sh -c 'ls /bin/wget /etc/motd 2>/dev/null || echo gone')" gone
    done
done

echo "== layers are shared"
for base in "busybox:$busybox" alpine:3.19.4; do
    recipe "same/${base%%:*}" <<TOML
[base]
layout = "bases/$base"
[[file]]
text = "the same on every base\n"
to   = "/etc/same/one"
[[variant.dev.file]]
text = "dev only\n"
to   = "/etc/same/dev"
TOML
done
cooper build 'same/*' >/dev/null
for name in busybox alpine; do
    for variant in dev prod; do
        cooper build "same/$name#$variant" --to "oci:$work/out/same-$name-$variant" >/dev/null
    done
done
layer=$(own "$work/out/same-busybox-prod" amd64 "$work/busybox")
is "the other platform's layer" "$(own "$work/out/same-busybox-prod" arm64 "$work/busybox")" "$layer"
is "the other base's layer" "$(own "$work/out/same-alpine-prod" amd64 "$work/alpine")" "$layer"
is "dev's first layer" "$(own "$work/out/same-alpine-dev" amd64 "$work/alpine" | head -1)" "$layer"
is "dev's layers" "$(own "$work/out/same-alpine-dev" amd64 "$work/alpine" | wc -l)" 2
before=$(own "$work/out/alpine-prod" amd64 "$work/alpine")
sed -i s/alpine:3.19.4/alpine:3.20.3/ "$work/ws/recipes/real/alpine/recipe.toml"
cooper build real/alpine | sed 's/^/    /'
cooper build real/alpine#prod --to "oci:$work/out/moved" >/dev/null
is "overlay after alpine 3.19.4 -> 3.20.3" "$(own "$work/out/moved" amd64 "$work/alpine")" "$before"

echo "== a Debian root"
if [ -z "$debian" ]; then
    debian=${TMPDIR:-/tmp}/cooper-debian.tar
    timed "mmdebstrap, kept as $debian" mmdebstrap --variant=minbase \
        --customize-hook='echo "keeper:x:1234:4321:Keeper:/var/lib/keeper:/bin/sh" >>"$1/etc/passwd"' \
        --customize-hook='echo "keepers:x:4321:" >>"$1/etc/group"' \
        --customize-hook='install -d -m 0700 -o 1234 -g 4321 "$1/var/lib/keeper"' \
        --customize-hook='install -m 0600 -o 1234 -g 4321 /dev/null "$1/var/lib/keeper/kept"' \
        bookworm "$debian"
fi
size=$(python3 "$work/oci.py" layout "$debian" "$work/ws/bases/debian")
cp -R "$work/ws/bases/debian" "$work/debian"
ok "its layer: $((size / 1000000)) MB, $(tar tf "$debian" | wc -l) entries"
machine=$(dpkg --print-architecture)
recipe real/debian <<TOML
[image]
platforms = ["linux/$machine"]
[base]
layout = "bases/debian:bookworm"
[[file]]
text  = "kept\n"
to    = "/var/lib/keeper/more"
owner = "keeper"
mode  = "0600"
[[file]]
text  = "web\n"
to    = "/srv/www/index.html"
owner = "www-data:keepers"
[[file]]
text = "#!/bin/sh\necho a tool\n"
to   = "/bin/our-tool"
mode = "0755"
[[file]]
text = "a library\n"
to   = "/lib/ours/data"
[[remove]]
path = "/lib/terminfo/x/xterm*"
[[variant.dev.file]]
text = "dev only\n"
to   = "/lib/ours/dev"
TOML
timed "first build on it: facts and header index from one pass" cooper build real/debian
ok "$(cat "$work/said" | tr '\n' ' ')"
is "committed beside the lock" "$(cd "$work/ws/lockfiles" && find . -name '*.lock' -path '*debian*' -size -8k | wc -l)" 1
ok "facts: $(for blob in "$work"/ws/lockfiles/blobs/sha256/*; do wc -c <"$blob"; done | sort -n | tail -1) bytes, gzip -9: $(for blob in "$work"/ws/lockfiles/blobs/sha256/*; do gzip -9c "$blob" | wc -c; done | sort -n | tail -1)"
timed "again" cooper build real/debian
timed "again, --locked --offline" cooper build real/debian --locked --offline
for variant in dev prod; do
    archive=$work/debian-$variant.tar
    timed "oci-archive, $variant" cooper build "real/debian#$variant" --to "oci-archive:$archive"
    image=$(docker_load "$archive")
    is "links survive, $variant" "$(inside "$image" readlink /bin /lib /sbin)" $'usr/bin\nusr/lib\nusr/sbin'
    is "what went below them, $variant" "$(inside "$image" sh -c 'our-tool; cat /usr/lib/ours/data; ls /usr/lib/ours')" \
        "$(printf 'a tool\na library\ndata'; [ $variant = prod ] || printf '\ndev')"
    is "0700 of another owner, $variant" \
        "$(inside "$image" stat -c '%n %a %u:%g' /var/lib/keeper /var/lib/keeper/kept /var/lib/keeper/more)" \
        $'/var/lib/keeper 700 1234:4321\n/var/lib/keeper/kept 600 1234:4321\n/var/lib/keeper/more 600 1234:4321'
    is "owners by name, $variant" "$(inside "$image" stat -c '%U:%G' /srv/www/index.html)" www-data:keepers
    is "special modes of the base, $variant" "$(inside "$image" stat -c '%a %G' /tmp /var/mail /usr/bin/passwd)" \
        $'1777 root\n2775 mail\n4755 root'
    is "glob removed below a link, $variant" "$(inside "$image" sh -c 'ls /lib/terminfo/x | grep -c xterm')" 0
    skopeo copy --quiet "oci-archive:$archive" "oci:$work/one:debian-$variant"
    umoci unpack --image "$work/one:debian-$variant" "$work/bundle-debian-$variant" 2>"$work/said"
    is "umoci unpack, $variant" "$(cd "$work/bundle-debian-$variant/rootfs" && stat -c '%F %a %u:%g' lib var/lib/keeper usr/lib/ours/data)" \
        $'symbolic link 777 0:0\ndirectory 700 1234:4321\nregular file 644 0:0'
    rm -rf "$work/bundle-debian-$variant" "$archive"
done

echo "== sparse"
locked=$(cooper build --all --locked --offline | awk '{print $2}')
rm -rf "$work/store"
for base in busybox alpine debian; do python3 "$work/oci.py" drop "$work/ws/bases/$base"; done
ok "empty store, layers of all bases deleted"
begun=$(now)
is "build --locked --offline gives the locked digests" "$(cooper build --all --locked --offline | awk '{print $2}')" "$locked"
ok "in $((($(now) - begun) / 1000000)) ms"
for name in busybox alpine debian; do
    printf '[[file]]\ntext = "late\\n"\nto = "/var/spool/late/file"\n' >"$work/entry"
    python3 - "$work/ws/recipes/real/$name/recipe.toml" "$work/entry" <<'PY'
import sys
recipe, entry = (open(path).read() for path in sys.argv[1:])
open(sys.argv[1], "w").write(recipe.replace("[[remove]]", entry + "[[remove]]", 1))
PY
    timed "$name, a file where no entry was before, --offline" cooper build "real/$name" --offline
    timed "$name, and --locked" cooper build "real/$name" --locked --offline
done
echo "== all checks passed"
