"""An OCI image layout of a root file system's tar."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path

OCI = "application/vnd.oci.image"


class Blobs:
    def __init__(self, place: Path):
        self.place = place / "blobs" / "sha256"
        self.place.mkdir(parents=True)

    def put(self, data: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        (self.place / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def document(self, value: dict, media_type: str) -> dict:
        return self.put(json.dumps(value, sort_keys=True).encode(), media_type)

    def layer(self, tar: Path) -> tuple[dict, str]:
        """The layer, and the digest of its tar."""
        plain, packed, part = hashlib.sha256(), hashlib.sha256(), self.place / "part"

        class Counted:
            size = 0

            def __init__(self, file):
                self.file = file

            def write(self, data):
                packed.update(data)
                self.size += len(data)
                return self.file.write(data)

            def flush(self):
                self.file.flush()

        with open(tar, "rb") as source, open(part, "wb") as target:
            counted = Counted(target)
            # Quick rather than small: it never leaves this machine.
            with gzip.GzipFile(filename="", mode="wb", fileobj=counted, compresslevel=1, mtime=0) as pack:
                while chunk := source.read(1 << 20):
                    plain.update(chunk)
                    pack.write(chunk)
        part.rename(self.place / packed.hexdigest())
        descriptor = {"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": f"sha256:{packed.hexdigest()}", "size": counted.size}
        return descriptor, f"sha256:{plain.hexdigest()}"


def write(tar: Path, place: Path, tag: str) -> None:
    """Replaces `place`. The arm64 image has amd64's layer: it is never run, and lets recipes for both be locked unchanged."""
    shutil.rmtree(place, ignore_errors=True)
    blobs = Blobs(place)
    layer, diff_id = blobs.layer(tar)
    manifests = []
    for arch in ("amd64", "arm64"):
        config = blobs.document(
            {
                "architecture": arch,
                "os": "linux",
                "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]},
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            },
            f"{OCI}.config.v1+json",
        )
        manifest = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": [layer]}
        manifests.append(
            blobs.document(manifest, f"{OCI}.manifest.v1+json") | {"platform": {"os": "linux", "architecture": arch}}
        )
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": manifests}
    entry = blobs.document(index, f"{OCI}.index.v1+json") | {"annotations": {"org.opencontainers.image.ref.name": tag}}
    (place / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
