//! What every sink writes, a substituter reads back; and what hostile or broken places are answered with.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use cooperage::digest::Digest;
use cooperage::layer::archive::Writer;
use cooperage::oci::{Compression, Descriptor, Index, Manifest, MediaType, Platform};
use cooperage::sink::{Daemon, DockerArchive, Export, Layout, OciArchive, STALL, Sink};
use cooperage::store::{Closure, closure};
use cooperage::substitute;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cooper-it-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Blobs = BTreeMap<Digest, Vec<u8>>;

/// Two platforms with a layer each, and one that both share.
fn image() -> (Closure, Blobs) {
    let mut blobs = Blobs::new();
    let mut add = |kind, bytes: Vec<u8>| {
        let descriptor = Descriptor::of(kind, &bytes);
        blobs.insert(descriptor.digest, bytes);
        descriptor
    };
    let layer = |text: &str| [text.as_bytes(), &[7; 3000]].concat();
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let layers = [layer("shared"), layer(architecture)];
        let diff_ids = layers.each_ref().map(|layer| format!("\"{}\"", Digest::of(layer))).join(",");
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"linux","rootfs":{{"diff_ids":[{diff_ids}],"type":"layers"}}}}"#
        );
        let config = add(MediaType::Config, config.into_bytes());
        let layers = layers.map(|layer| add(MediaType::Layer(Compression::None), layer)).to_vec();
        let manifest = Manifest { config, layers, annotations: BTreeMap::new() };
        let mut manifest = add(MediaType::Manifest, manifest.to_bytes());
        manifest.platform = Some(format!("linux/{architecture}").parse().unwrap());
        manifests.push(manifest);
    }
    let root = add(MediaType::Index, Index { manifests, annotations: BTreeMap::new() }.to_bytes());
    (closure::<substitute::Error>(&root, |document| Ok(blobs.get(&document.digest).cloned())).unwrap(), blobs)
}

fn export(closure: &Closure, platform: &str) -> Export {
    let platform: Platform = platform.parse().unwrap();
    let mut export = Export::new(closure.clone(), platform).unwrap();
    export.reference = Some("web:1.2".parse().unwrap());
    export
}

fn opener(blobs: &Blobs) -> impl Fn(&Descriptor) -> Result<Box<dyn Read + Send>, std::io::Error> + Sync + '_ {
    |blob| match blobs.get(&blob.digest) {
        Some(bytes) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
        None => Err(std::io::Error::other("no such blob")),
    }
}

fn read_back(path: &Path, selector: Option<&str>) -> (Descriptor, Blobs) {
    let place = substitute::open(path).unwrap();
    let root = place.resolve(selector).unwrap();
    let closure = closure(&root, |document| place.read(document)).unwrap();
    assert!(closure.absent.is_empty());
    let blobs = closure.blobs.iter().map(|blob| {
        let mut bytes = Vec::new();
        place.open(blob).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
        (blob.digest, bytes)
    });
    (root, blobs.collect())
}

#[test]
fn layouts_and_archives_give_back_what_they_took() {
    let dir = Scratch::new("roundtrip");
    let (closure, blobs) = image();
    let export = export(&closure, "linux/amd64");
    let sinks: [(&str, &mut dyn Sink<std::io::Error>); 2] = [
        ("layout", &mut Layout { dir: dir.join("layout"), at_once: 4 }),
        ("archive", &mut OciArchive { file: dir.join("archive") }),
    ];
    for (name, sink) in sinks {
        sink.put(&export, &opener(&blobs)).unwrap();
        sink.put(&export, &opener(&blobs)).unwrap();
        let (root, found) = read_back(&dir.join(name), None);
        assert_eq!((root.digest, &found), (closure.root.digest, &blobs), "{name}");
    }
    for name in ["web:1.2", "docker.io/library/web:1.2", "1.2", &closure.root.digest.to_string()] {
        assert_eq!(read_back(&dir.join("archive"), Some(name)).0.digest, closure.root.digest);
    }
    let child = &closure.blobs[closure.blobs.len() - 2];
    assert_eq!(read_back(&dir.join("layout"), Some(&child.digest.to_string())).0.digest, child.digest);
    let names: Vec<_> =
        fs::read_dir(dir.join("layout")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn archives_are_the_same_bytes_every_time() {
    let dir = Scratch::new("determinism");
    let (closure, blobs) = image();
    let mut digests = Vec::new();
    for name in ["a", "b"] {
        OciArchive { file: dir.join(name) }.put(&export(&closure, "linux/amd64"), &opener(&blobs)).unwrap();
        digests.push(Digest::of(&fs::read(dir.join(name)).unwrap()));
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn docker_archives_carry_one_platform() {
    let dir = Scratch::new("docker");
    let (closure, blobs) = image();
    let file = dir.join("docker.tar");
    DockerArchive { file: file.clone() }.put(&export(&closure, "linux/arm64/v8"), &opener(&blobs)).unwrap();
    let (root, found) = read_back(&file, Some("web:1.2"));
    assert_eq!(root.platform.as_ref().unwrap().to_string(), "linux/arm64");
    assert_eq!(closure.blobs.iter().filter(|blob| blob.digest == root.digest).count(), 1);
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|(digest, bytes)| blobs.get(digest) == Some(bytes)));
}

#[test]
fn a_failed_export_leaves_the_old_one() {
    let dir = Scratch::new("failed");
    let (closure, mut blobs) = image();
    let export = export(&closure, "linux/amd64");
    let layout = dir.join("layout");
    let sinks: [(&str, &mut dyn Sink<std::io::Error>); 3] = [
        ("layout", &mut Layout { dir: layout, at_once: 4 }),
        ("archive", &mut OciArchive { file: dir.join("archive") }),
        ("docker", &mut DockerArchive { file: dir.join("docker") }),
    ];
    let layer = closure.blobs[0].digest;
    for (name, sink) in sinks {
        let good = blobs.clone();
        if name != "layout" {
            fs::write(dir.join(name), "old").unwrap();
        }
        for bad in [Some(b"short".to_vec()), None] {
            let mut blobs = good.clone();
            match bad {
                Some(bytes) => drop(blobs.insert(layer, bytes)),
                None => drop(blobs.remove(&layer)),
            }
            let error = sink.put(&export, &opener(&blobs)).unwrap_err().to_string();
            assert!(error.contains(&layer.to_string()), "{error}");
        }
        if name == "layout" {
            assert!(substitute::open(&dir.join(name)).is_err());
        } else {
            assert_eq!(fs::read(dir.join(name)).unwrap(), b"old");
        }
        sink.put(&export, &opener(&good)).unwrap();
        read_back(&dir.join(name), None);
    }
    blobs.clear();
    let left: Vec<_> = fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn layouts_keep_their_other_images_and_heal() {
    let dir = Scratch::new("layout");
    let (closure, blobs) = image();
    let mut sink = Layout { dir: dir.join("out"), at_once: 4 };
    let mut export = export(&closure, "linux/amd64");
    export.name = Some("one".into());
    sink.put(&export, &opener(&blobs)).unwrap();
    let arm = closure.blobs[closure.blobs.len() - 2].clone();
    let mut other = export.clone();
    (other.root, other.name) = (arm.clone(), Some("two".into()));
    sink.put(&other, &opener(&blobs)).unwrap();
    other.name = Some("one".into());
    sink.put(&other, &opener(&blobs)).unwrap();
    let place = substitute::open(&sink.dir).unwrap();
    assert_eq!(place.resolve(Some("one")).unwrap().digest, arm.digest);
    assert_eq!(place.resolve(None).unwrap().digest, arm.digest);
    sink.put(&export, &opener(&blobs)).unwrap();
    let error = substitute::open(&sink.dir).unwrap().resolve(None).unwrap_err().to_string();
    assert!(error.contains("choose one of one, two"), "{error}");
    let error = substitute::open(&sink.dir).unwrap().resolve(Some("x")).unwrap_err().to_string();
    assert!(error.contains("no image \"x\"; it has one, two"), "{error}");
    let blob = sink.dir.join("blobs/sha256").join(closure.blobs[0].digest.hex());
    let mut bytes = fs::read(&blob).unwrap();
    bytes[9] ^= 1;
    fs::write(&blob, bytes).unwrap();
    sink.put(&export, &opener(&blobs)).unwrap();
    assert_eq!(read_back(&sink.dir, Some("one")).1, blobs);
    fs::create_dir(dir.join("mine")).unwrap();
    fs::write(dir.join("mine/thesis.tex"), "").unwrap();
    let error =
        Layout { dir: dir.join("mine"), at_once: 4 }.put(&export, &opener(&blobs)).unwrap_err().to_string();
    assert!(error.contains("no image layout"), "{error}");
    assert_eq!(fs::read_dir(dir.join("mine")).unwrap().count(), 1);
}

/// Takes one request and gives its body.
fn engine(listener: &UnixListener, answer: &str) -> Vec<u8> {
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while !request.ends_with(b"\r\n0\r\n\r\n") {
        match stream.read(&mut buffer).unwrap() {
            0 => return Vec::new(),
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    stream.write_all(answer.as_bytes()).unwrap();
    let head = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    assert!(request.starts_with(b"POST /images/load?quiet=0 HTTP/1.1\r\n"));
    let (mut rest, mut body) = (&request[head + 4..], Vec::new());
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + size + 4..];
        if size == 0 {
            return body;
        }
    }
}

#[test]
fn engines_get_the_archive() {
    let dir = Scratch::new("engine");
    let (closure, blobs) = image();
    let export = export(&closure, "linux/amd64");
    let listener = UnixListener::bind(dir.join("sock")).unwrap();
    let mut sink = Daemon { host: format!("unix://{}", dir.join("sock").display()), stall: STALL };
    let mut talk = |answer: &str, blobs: &Blobs| {
        std::thread::scope(|scope| {
            let body = scope.spawn(|| engine(&listener, answer));
            let result = sink.put(&export, &opener(blobs));
            (result, body.join().unwrap())
        })
    };
    let (result, body) = talk("HTTP/1.1 200 OK\r\n\r\n{\"stream\":\"Loaded\"}\r\n", &blobs);
    result.unwrap();
    fs::write(dir.join("sent.tar"), body).unwrap();
    assert_eq!(read_back(&dir.join("sent.tar"), None).1, blobs);
    let (result, _) = talk("HTTP/1.1 200 OK\r\n\r\n{\"error\":\"disk full\"}\r\n", &blobs);
    assert!(result.unwrap_err().to_string().ends_with("refused the image: disk full"));
    let mut damaged = blobs.clone();
    damaged.insert(closure.blobs[0].digest, b"x".to_vec());
    let (result, body) = talk("", &damaged);
    assert!(result.unwrap_err().to_string().starts_with("cannot copy sha256:"));
    assert!(body.is_empty());
    for host in ["tcp://10.0.0.1:2375", "ssh://x", "tcp://127.0.0.1.evil.example:1", ""] {
        let error = Daemon { host: host.into(), stall: STALL }.put(&export, &opener(&blobs)).unwrap_err();
        assert!(error.to_string().contains("cannot speak to an engine"), "{error}");
    }
}

fn tar(path: &Path, members: &[(&str, &[u8])]) {
    let mut writer = Writer::new(Vec::new());
    for (name, bytes) in members {
        writer.file(name, bytes.len() as u64, &mut &**bytes).unwrap();
    }
    fs::write(path, writer.finish().unwrap()).unwrap();
}

#[test]
fn what_is_no_image_is_named() {
    let dir = Scratch::new("hostile");
    let file = dir.join("x.tar");
    let answer = || substitute::open(&file).err().unwrap().to_string();
    fs::write(&file, [0x1f, 0x8b, 8, 0, 0]).unwrap();
    assert!(answer().contains("it is compressed"));
    tar(&file, &[("a", b"")]);
    assert!(answer().contains("neither oci-layout nor manifest.json"));
    tar(&file, &[("manifest.json", b"[]"), ("./manifest.json", b"[]")]);
    assert!(answer().contains("two members are named manifest.json"));
    let config = br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000000"]}}"#;
    let manifest = br#"[{"Config":"c","Layers":["l"]}]"#;
    tar(&file, &[("manifest.json", manifest), ("c", config), ("l", b"layer")]);
    assert!(answer().contains("not sha256:0000"));
    tar(&file, &[("manifest.json", manifest), ("c", config)]);
    assert!(answer().contains("the layer l is missing"));
    tar(&file, &[("manifest.json", br#"[{"Config":"c","Layers":[]}]"#), ("c", config)]);
    assert!(answer().contains("names 0 layers"));
    tar(&file, &[("oci-layout", br#"{"imageLayoutVersion":"9"}"#)]);
    assert!(answer().contains("unknown version"));
    tar(&file, &[("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#), ("index.json", &[b' '; 2000])]);
    fs::write(&file, &fs::read(&file).unwrap()[..2000]).unwrap();
    assert!(answer().contains("tar"), "{}", answer());
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    assert!(answer().contains("is not a regular file"));
    assert!(substitute::open(&dir.0).err().unwrap().to_string().contains("no oci-layout"));
}

#[test]
fn links_in_layouts_are_not_followed() {
    let dir = Scratch::new("links");
    let (closure, blobs) = image();
    let out = dir.join("out");
    Layout { dir: out.clone(), at_once: 4 }.put(&export(&closure, "linux/amd64"), &opener(&blobs)).unwrap();
    let layer = closure.blobs[0].clone();
    let blob = out.join("blobs/sha256").join(layer.digest.hex());
    fs::rename(&blob, dir.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(dir.join("elsewhere"), &blob).unwrap();
    let error = substitute::open(&out).unwrap().open(&layer).err().unwrap().to_string();
    assert!(error.contains("is not a regular file"), "{error}");
}
