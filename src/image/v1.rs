//! Config, manifest and index of encoding 1 (`book/src/encoding-1.md`, "Config" and after).
//!
//! Owns every byte of the documents. Never edited after the first release, only added beside.

use std::collections::{BTreeMap, BTreeSet};

use super::parts::{Error, Image, Layer, Warning};
use crate::derivation::{Cmd, ConfigPatch, Healthcheck};
use crate::digest::Digest;
use crate::oci::json::{Object, Value, object};
use crate::oci::{Descriptor, DocumentError, ImageConfig, Index, Manifest, MediaType, Platform, Time};

const KEY: &str = "org.opencontainers.image.";
/// After [`KEY`]: labels of the base that would be lies about its child.
const STALE: [&str; 7] = ["created", "revision", "version", "ref.name", "title", "source", "url"];
/// Members that only ever meant the machine and the container an image was made in.
const DROPPED: [&str; 5] = ["container", "container_config", "docker_version", "id", "parent"];

pub(super) fn assemble(
    base: Option<(&Manifest, &ImageConfig)>,
    platform: &Platform,
    layers: &[Layer],
    patch: &ConfigPatch,
) -> Result<Image, Error> {
    let scratch = scratch(platform);
    let platform = if base.is_some() { platform.clone() } else { scratch.platform()? };
    let config = base.map_or(&scratch, |(_, config)| config);
    for platform in [platform.clone(), config.platform()?] {
        if platform.os == "windows" {
            return Err(Error::Windows { platform });
        }
    }
    let mut all = match base {
        Some((manifest, config)) => base_layers(manifest, config)?,
        None => Vec::new(),
    };
    let (config, warnings) = patched(config, all.len(), layers, patch)?;
    all.extend(
        layers
            .iter()
            .map(|layer| Descriptor::new(MediaType::Layer(layer.compression), layer.digest, layer.size)),
    );
    let manifest = Manifest {
        config: Descriptor::of(MediaType::Config, &config),
        layers: all,
        annotations: patch.annotations(),
    };
    let bytes = manifest.to_bytes();
    let descriptor = Descriptor { platform: Some(platform), ..Descriptor::of(MediaType::Manifest, &bytes) };
    Ok(Image { config, manifest: bytes, descriptor, annotations: manifest.annotations, warnings })
}

pub(super) fn index(mut children: Vec<Descriptor>, annotations: BTreeMap<String, String>) -> Vec<u8> {
    fn key(child: &Descriptor) -> (Option<(&str, &str, &str)>, Digest) {
        (child.platform.as_ref().map(Platform::key), child.digest)
    }
    children.sort_by(|a, b| key(a).cmp(&key(b)));
    Index { manifests: children, annotations }.to_bytes()
}

/// Children and annotations of the images of one variant.
pub(super) fn index_of<'i>(
    images: impl IntoIterator<Item = &'i Image>,
) -> (Vec<u8>, BTreeMap<String, String>) {
    let (children, annotations): (Vec<_>, Vec<_>) =
        images.into_iter().map(|image| (image.descriptor.clone(), &image.annotations)).unzip();
    let annotations = common(&annotations);
    (index(children, annotations.clone()), annotations)
}

/// What all say alike.
fn common(all: &[&BTreeMap<String, String>]) -> BTreeMap<String, String> {
    let Some((first, others)) = all.split_first() else { return BTreeMap::new() };
    let alike = |name: &str, value: &String| others.iter().all(|other| other.get(name) == Some(value));
    let pairs = first.iter().filter(|(name, value)| alike(name, value));
    pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Of each platform the first child; attestations are none.
pub(super) fn subset(base: &Index, platforms: &[Platform]) -> Vec<u8> {
    let of = |platform: &Platform| {
        let is_it = |child: &&Descriptor| {
            !child.is_attestation() && child.platform.as_ref().is_some_and(|own| own.matches(platform))
        };
        base.manifests.iter().find(is_it).cloned()
    };
    index(platforms.iter().filter_map(of).collect(), BTreeMap::new())
}

/// The config that nothing stands on. arm64 is written arm64/v8, however it was asked for.
fn scratch(platform: &Platform) -> ImageConfig {
    let (os, architecture, variant) = platform.key();
    let mut members = Object::new();
    members.insert("os".into(), os.into());
    members.insert("architecture".into(), architecture.into());
    if !variant.is_empty() {
        members.insert("variant".into(), variant.into());
    }
    let layers = object([("type", "layers".into()), ("diff_ids", Value::Array(Vec::new()))]);
    members.insert("rootfs".into(), layers);
    ImageConfig { members }
}

/// The base's layers as they stand, under OCI's names.
fn base_layers(manifest: &Manifest, config: &ImageConfig) -> Result<Vec<Descriptor>, Error> {
    manifest.check_image()?;
    let (layers, diff_ids) = (manifest.layers.len(), config.diff_ids()?.len());
    if layers != diff_ids {
        return Err(Error::DiffIds { layers, diff_ids });
    }
    let renamed =
        |layer: &Descriptor| Ok(Descriptor { media_type: layer.kind()?.to_string(), ..layer.clone() });
    manifest.layers.iter().map(renamed).collect()
}

fn patched(
    base: &ImageConfig,
    base_layers: usize,
    layers: &[Layer],
    patch: &ConfigPatch,
) -> Result<(Vec<u8>, Vec<Warning>), Error> {
    let mut members = base.members.clone();
    members.retain(|name, _| !DROPPED.contains(&name.as_str()) && !name.starts_with("moby.buildkit."));
    let mut settings = match members.remove("config") {
        Some(Value::Object(settings)) => settings,
        _ => Object::new(),
    };
    let warnings = on_build(&mut settings);
    apply(&mut settings, patch)?;
    members.insert("config".into(), settings.into());

    let base_created = members.get("created").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let created = base_created.map_or(Time(patch.epoch), |time: Time| time.max(Time(patch.epoch)));
    members.insert("created".into(), created.to_string().into());
    let history = history(members.remove("history"), base_layers, base_created);
    let ours = layers.iter().map(|layer| history_entry(Some(created), "cooper", layer.name.as_deref()));
    members.insert("history".into(), Value::Array(history.into_iter().chain(ours).collect()));

    let ids = base.diff_ids()?.into_iter().chain(layers.iter().map(|layer| layer.diff_id));
    let ids = Value::Array(ids.map(|id| id.to_string().into()).collect());
    if let Some(Value::Object(rootfs)) = members.get_mut("rootfs") {
        rootfs.insert("diff_ids".into(), ids);
    }
    Ok((Value::Object(members).to_bytes(), warnings))
}

fn on_build(settings: &mut Object) -> Vec<Warning> {
    settings.remove("Image");
    let Some(Value::Array(items)) = settings.remove("OnBuild") else { return Vec::new() };
    let instructions: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if instructions.is_empty() { Vec::new() } else { vec![Warning::OnBuild { instructions }] }
}

/// The base's entries, if as many of them as there are layers say that they made one.
fn history(base: Option<Value>, layers: usize, created: Option<Time>) -> Vec<Value> {
    let entries = match base {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    };
    let made_one = |entry: &&Value| entry.as_object().is_some_and(|entry| !is_empty_layer(entry));
    let sound = entries.iter().all(|entry| entry.as_object().is_some());
    if sound && entries.iter().filter(made_one).count() == layers {
        return entries;
    }
    vec![history_entry(created, "base", None); layers]
}

pub(super) fn is_empty_layer(entry: &Object) -> bool {
    entry.get("empty_layer") == Some(&Value::Bool(true))
}

fn history_entry(created: Option<Time>, created_by: &str, comment: Option<&str>) -> Value {
    let mut entry = Object::from([("created_by".to_owned(), created_by.into())]);
    if let Some(created) = created {
        entry.insert("created".into(), created.to_string().into());
    }
    if let Some(comment) = comment {
        entry.insert("comment".into(), comment.into());
    }
    entry.into()
}

/// Changes `config` of the config, member by member; what the patch doesn't speak of stays as it stood.
fn apply(settings: &mut Object, patch: &ConfigPatch) -> Result<(), Error> {
    command(settings, patch);
    let strings = [("User", &patch.user), ("WorkingDir", &patch.workdir), ("StopSignal", &patch.stop_signal)];
    for (name, value) in strings {
        if let Some(value) = value {
            settings.insert(name.into(), value.as_str().into());
        }
    }
    if let Some(check) = &patch.healthcheck {
        settings.insert("Healthcheck".into(), healthcheck(check));
    }
    env(settings, patch)?;
    set(settings, "ExposedPorts", &patch.remove.expose, &patch.expose)?;
    set(settings, "Volumes", &patch.remove.volumes, &patch.volumes)?;
    edit(settings, "Labels", |labels| {
        labels.retain(|name, _| !is_stale(name) && !patch.remove.labels.contains(name));
        labels.extend(patch.all_labels().into_iter().map(|(name, value)| (name, value.into())));
    })
}

fn is_stale(label: &str) -> bool {
    label.strip_prefix(KEY).is_some_and(|name| STALE.contains(&name) || name.starts_with("base."))
}

/// Arguments were written for one entrypoint: another one doesn't get them unless somebody says so.
fn command(settings: &mut Object, patch: &ConfigPatch) {
    if let Some(entrypoint) = &patch.entrypoint {
        words(settings, "Entrypoint", entrypoint);
        if patch.cmd.is_none() {
            settings.remove("Cmd");
        }
    }
    if let Some(Cmd::Set(cmd)) = &patch.cmd {
        words(settings, "Cmd", cmd);
    }
}

fn words(settings: &mut Object, name: &str, words: &[String]) {
    settings.remove(name);
    if !words.is_empty() {
        settings.insert(name.into(), words.to_vec().into());
    }
}

fn healthcheck(check: &Healthcheck) -> Value {
    let mut test = vec![if check.test.is_empty() { "NONE" } else { "CMD" }];
    test.extend(check.test.iter().map(String::as_str));
    let mut members = Object::from([("Test".to_owned(), test.into())]);
    let numbers = [
        ("Interval", check.interval_ns),
        ("Timeout", check.timeout_ns),
        ("StartPeriod", check.start_period_ns),
        ("Retries", check.retries),
    ];
    for (name, number) in numbers {
        if number > 0 && !check.test.is_empty() {
            members.insert(name.into(), number.into());
        }
    }
    members.into()
}

fn env(settings: &mut Object, patch: &ConfigPatch) -> Result<(), Error> {
    if patch.env.is_empty() && patch.remove.env.is_empty() {
        return Ok(());
    }
    let not_strings = || wrong("config.Env", "an array of strings");
    let old = match settings.remove("Env") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(not_strings()),
    };
    let mut added = patch.env.clone();
    let mut list = Vec::new();
    for item in old {
        let pair = item.as_str().ok_or_else(not_strings)?;
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        if patch.remove.env.contains(name) {
            continue;
        }
        match added.remove(name) {
            Some(value) => list.push(format!("{name}={value}")),
            None if patch.env.contains_key(name) => {}
            None => list.push(pair.to_owned()),
        }
    }
    list.extend(added.iter().map(|(name, value)| format!("{name}={value}")));
    words(settings, "Env", &list);
    Ok(())
}

/// `{"NAME": {}, …}`, Docker's way to write a set.
fn set(
    settings: &mut Object,
    name: &str,
    removed: &BTreeSet<String>,
    added: &BTreeSet<String>,
) -> Result<(), Error> {
    edit(settings, name, |members| {
        members.retain(|name, _| !removed.contains(name));
        for name in added {
            members.entry(name.clone()).or_insert_with(|| Object::new().into());
        }
    })
}

/// A member that ends up empty by our doing goes; one that we don't change stays as it stood.
fn edit(settings: &mut Object, name: &str, change: impl FnOnce(&mut Object)) -> Result<(), Error> {
    let old = match settings.get(name) {
        None | Some(Value::Null) => Object::new(),
        Some(Value::Object(members)) => members.clone(),
        Some(_) => return Err(wrong(&format!("config.{name}"), "an object")),
    };
    let mut new = old.clone();
    change(&mut new);
    if new.is_empty() && !old.is_empty() {
        settings.remove(name);
    } else if new != old {
        settings.insert(name.into(), new.into());
    }
    Ok(())
}

fn wrong(member: &str, expected: &'static str) -> Error {
    Error::Base(DocumentError::Member { document: "image config", member: member.to_owned(), expected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::DiffId;
    use crate::image::{assemble, index, index_of, subset, validate};
    use crate::oci::{Compression, Document};
    use crate::{derivation::Remove, digest::Encoding};

    const BASE: &str = r#"{"architecture":"amd64","os":"linux","created":"2025-06-01T10:00:00.123+02:00",
        "docker_version":"20","moby.buildkit.cache.v0":"x","x.unknown":1.50,
        "config":{"Env":["PATH=/bin","A=1","PATH=/again","B=2"],"Entrypoint":["/e"],"Cmd":["c"],"Image":"x",
            "OnBuild":["RUN true"],"Labels":{"keep":"1","org.opencontainers.image.version":"9"},
            "Volumes":null,"ExposedPorts":{"1/tcp":{}}},
        "rootfs":{"type":"layers","diff_ids":["D"]},"history":[{"created_by":"x"},{"created_by":"y","empty_layer":true}]}"#;

    fn base(config: &str, layer: &str) -> (Manifest, ImageConfig) {
        let id = Digest::of(b"base");
        let config = config.replace("\"D\"", &format!("\"{id}\""));
        let mut layer = Descriptor::new(MediaType::Layer(Compression::Gzip), id, 9).with_type(layer);
        layer.rest.insert("urls".into(), vec!["https://x"].into());
        let manifest = Manifest {
            config: Descriptor::of(MediaType::Config, b"")
                .with_type("application/vnd.docker.container.image.v1+json"),
            layers: vec![layer],
            annotations: BTreeMap::from([("gone".into(), "x".into())]),
        };
        (manifest, ImageConfig::parse(config.as_bytes()).unwrap())
    }

    impl Descriptor {
        fn with_type(self, media_type: &str) -> Self {
            Self { media_type: media_type.to_owned(), ..self }
        }
    }

    const DOCKER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

    fn ours(name: &str) -> Layer {
        Layer {
            diff_id: DiffId(Digest::of(b"tar")),
            digest: Digest::of(b"gzip"),
            size: 7,
            compression: Compression::Gzip,
            name: Some(name.into()),
        }
    }

    fn built(base: Option<&(Manifest, ImageConfig)>, patch: &ConfigPatch) -> Result<Image, Error> {
        let base = base.map(|(manifest, config)| (manifest, config));
        assemble(Encoding::V1, base, &"linux/amd64".parse().unwrap(), &[ours("app")], patch)
    }

    fn patch() -> ConfigPatch {
        ConfigPatch {
            entrypoint: Some(vec!["/new".into()]),
            env: BTreeMap::from([("PATH".into(), "/p".into()), ("Z".into(), "z".into())]),
            labels: BTreeMap::from([("l".into(), "m".into())]),
            remove: Remove { env: BTreeSet::from(["B".into()]), ..Remove::default() },
            healthcheck: Some(Healthcheck {
                test: vec!["ok".into()],
                interval_ns: 5,
                ..Healthcheck::default()
            }),
            title: Some("T".into()),
            epoch: 946_684_800,
            base_name: Some("docker.io/library/x:1".into()),
            ..ConfigPatch::default()
        }
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn golden_on_a_base() {
        let image = built(Some(&base(BASE, DOCKER)), &patch()).unwrap();
        assert_eq!(
            text(&image.config),
            r#"{"architecture":"amd64","config":{"Entrypoint":["/new"],"Env":["PATH=/p","A=1","Z=z"],"ExposedPorts":{"1/tcp":{}},"Healthcheck":{"Interval":5,"Test":["CMD","ok"]},"Labels":{"keep":"1","l":"m","org.opencontainers.image.title":"T"},"Volumes":null},"created":"2025-06-01T08:00:00Z","history":[{"created_by":"x"},{"created_by":"y","empty_layer":true},{"comment":"app","created":"2025-06-01T08:00:00Z","created_by":"cooper"}],"os":"linux","rootfs":{"diff_ids":["sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2","sha256:90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb"],"type":"layers"},"x.unknown":1.50}"#
        );
        assert_eq!(
            text(&image.manifest),
            r#"{"annotations":{"org.opencontainers.image.base.name":"docker.io/library/x:1","org.opencontainers.image.title":"T"},"config":{"digest":"sha256:a5acb4173e36aa1d7592a214000e5c14025c37e0071d46e893397e7c304c8ebf","mediaType":"application/vnd.oci.image.config.v1+json","size":639},"layers":[{"digest":"sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2","mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":9,"urls":["https://x"]},{"digest":"sha256:c8d77bf4d8b1a10dd67a283d0c82bd96c9d5609860f84d7fc77692a36ab9b4c2","mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":7}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#
        );
        assert_eq!(image.descriptor.digest.short(), "2e8be8cf22ce");
        assert_eq!(image.warnings, [Warning::OnBuild { instructions: vec!["RUN true".into()] }]);
    }

    #[test]
    fn golden_from_scratch() {
        let platform = "linux/arm64".parse().unwrap();
        let patch = ConfigPatch { epoch: 1_700_000_000, ..ConfigPatch::default() };
        let image = assemble(Encoding::V1, None, &platform, &[], &patch).unwrap();
        assert_eq!(
            text(&image.config),
            r#"{"architecture":"arm64","config":{},"created":"2023-11-14T22:13:20Z","history":[],"os":"linux","rootfs":{"diff_ids":[],"type":"layers"},"variant":"v8"}"#
        );
        assert_eq!(image.descriptor.digest.short(), "f4b5fb66cfb8");
        assert_eq!(image.descriptor.platform.unwrap().variant.as_deref(), Some("v8"));
    }

    #[test]
    fn oci_spec_reads_what_we_write() {
        use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest};
        for base in [None, Some(base(BASE, DOCKER))] {
            let image = built(base.as_ref(), &patch()).unwrap();
            assert_eq!(validate::image(&image.manifest, &image.config), Ok(()));
            ImageManifest::from_reader(&image.manifest[..]).unwrap();
            ImageConfiguration::from_reader(&image.config[..]).unwrap();
            let index = index(Encoding::V1, vec![image.descriptor], patch().annotations());
            ImageIndex::from_reader(&index[..]).unwrap();
        }
    }

    #[test]
    fn an_index_is_sorted_by_platform() {
        let child = |text: &str| Descriptor {
            platform: Some(text.parse().unwrap()),
            ..Descriptor::of(MediaType::Manifest, text.as_bytes())
        };
        let platforms = ["linux/s390x", "linux/arm64", "linux/arm/v6", "linux/arm", "linux/amd64"];
        let bytes = index(Encoding::V1, platforms.map(child).to_vec(), BTreeMap::new());
        let Document::Index(read) = Document::parse(&bytes, &MediaType::Index.to_string()).unwrap() else {
            panic!("not an index")
        };
        let order: Vec<String> =
            read.manifests.iter().map(|child| child.platform.as_ref().unwrap().short()).collect();
        assert_eq!(order, ["linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64", "linux/s390x"]);
        assert_eq!(Digest::of(&bytes).short(), "c58843a54abe");
    }

    #[test]
    fn an_index_says_what_its_images_say_alike() {
        let image = |platform: &str, version: &str| {
            let patch = ConfigPatch { version: Some(version.into()), ..patch() };
            assemble(Encoding::V1, None, &platform.parse().unwrap(), &[], &patch).unwrap()
        };
        let index = |images: &[Image]| match Document::parse(
            &index_of(Encoding::V1, images).0,
            &MediaType::Index.to_string(),
        ) {
            Ok(Document::Index(index)) => index,
            other => panic!("{other:?}"),
        };
        let (amd, arm) = (image("linux/amd64", "1"), image("linux/arm64", "2"));
        let both = index(&[arm, amd.clone()]);
        let names: Vec<&String> = both.annotations.keys().collect();
        assert_eq!(names, ["org.opencontainers.image.base.name", "org.opencontainers.image.title"]);
        let one = index(std::slice::from_ref(&amd));
        assert_eq!(one.annotations, amd.annotations);
        let left =
            subset(Encoding::V1, &both, &["linux/amd64".parse().unwrap(), "linux/arm".parse().unwrap()]);
        assert_eq!(left, Index { annotations: BTreeMap::new(), ..one }.to_bytes());
    }

    #[test]
    fn refuses_what_cannot_be_built_upon() {
        let windows = BASE.replace("\"linux\"", "\"windows\"");
        let two = BASE.replace("[\"D\"]", "[\"D\",\"D\"]");
        let env = BASE.replace("\"A=1\"", "1");
        for (config, layer, message) in [
            (windows.as_str(), DOCKER, "windows/amd64: images for Windows can't be built"),
            (&two, DOCKER, "the base's manifest has 1 layers, its config 2 diff_ids"),
            (&env, DOCKER, "the base can't be built upon"),
            (
                BASE,
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                "the base can't be built upon",
            ),
        ] {
            let error = built(Some(&base(config, layer)), &patch()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    fn settings(base_settings: &str, patch: ConfigPatch) -> String {
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["D"]}},"config":{base_settings}}}"#
        );
        let image = built(Some(&base(&config, DOCKER)), &patch).unwrap();
        let config = ImageConfig::parse(&image.config).unwrap();
        text(&config.members["config"].to_bytes()).to_owned()
    }

    #[test]
    fn command_and_arguments() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let both = r#"{"Cmd":["c"],"Entrypoint":["e"]}"#;
        for (entrypoint, cmd, expected) in [
            (None, None, both),
            (Some(&["n"][..]), None, r#"{"Entrypoint":["n"]}"#),
            (Some(&["n"]), Some(Cmd::Inherit), r#"{"Cmd":["c"],"Entrypoint":["n"]}"#),
            (Some(&["n"]), Some(Cmd::Set(words(&["d"]))), r#"{"Cmd":["d"],"Entrypoint":["n"]}"#),
            (Some(&[]), None, "{}"),
            (None, Some(Cmd::Set(Vec::new())), r#"{"Entrypoint":["e"]}"#),
        ] {
            let patch = ConfigPatch { entrypoint: entrypoint.map(words), cmd, ..ConfigPatch::default() };
            assert_eq!(settings(both, patch), expected);
        }
        let odd = r#"{"Cmd":null,"Entrypoint":[],"Labels":{},"Volumes":null}"#;
        assert_eq!(settings(odd, ConfigPatch::default()), odd);
        assert_eq!(settings("null", ConfigPatch::default()), "{}");
    }

    #[test]
    fn what_is_taken_away_leaves_nothing_empty() {
        let base = r#"{"Env":["A=1"],"ExposedPorts":{"1/tcp":{}},"Labels":{"l":"m"},"Volumes":{"/v":{}}}"#;
        let one = |name: &str| BTreeSet::from([name.to_owned()]);
        let remove = Remove { env: one("A"), volumes: one("/v"), expose: one("1/tcp"), labels: one("l") };
        assert_eq!(settings(base, ConfigPatch { remove: remove.clone(), ..ConfigPatch::default() }), "{}");
        let env = BTreeMap::from([("A".to_owned(), "2".to_owned())]);
        let expose = one("1/tcp");
        let patch = ConfigPatch { env, expose, remove, ..ConfigPatch::default() };
        assert_eq!(settings(base, patch), r#"{"Env":["A=2"],"ExposedPorts":{"1/tcp":{}}}"#);
    }
}
