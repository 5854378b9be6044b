//! Writing: by hand, because a text that lands in pull requests needs its own idea of what belongs on one line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{VERSION, changed};
use crate::digest::Digest;
use crate::lock::{BaseOrigin, BasePin, Listing, Lock, Pin, SourceLock};
use crate::tree::{Content, Files, Portion, SourceKey};

const HEADER: &str = "# Made by cooper. Commit it; don't edit it.\n";

pub(in crate::lock) fn to_text(lock: &Lock) -> String {
    let mut out = Writer(HEADER.to_owned());
    out.line(format_args!("version = {VERSION}"));
    out.line(format_args!("encoding = {}", lock.encoding.number()));
    out.line(format_args!("epoch = {}", lock.epoch));
    if !lock.sections.is_empty() {
        out.table(format_args!("[recipe]"));
        out.digests(&lock.sections);
    }
    lock.bases.iter().for_each(|base| out.base(base));
    for (name, variants) in &lock.parents {
        out.table(format_args!("[parent.{}]", key(name)));
        out.digests(variants);
    }
    lock.sources.iter().for_each(|source| out.source(source));
    for (variant, output) in &lock.outputs {
        out.table(format_args!("[output.{}]", key(variant)));
        out.content("index", &output.index);
        for (platform, image) in &output.platforms {
            out.table(format_args!("[output.{}.platform.{}]", key(variant), key(platform)));
            out.text("manifest", &image.manifest.to_string());
            out.lines("layers", image.layers.iter().map(ToString::to_string));
        }
    }
    out.0
}

struct Writer(String);

impl Writer {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn table(&mut self, header: std::fmt::Arguments<'_>) {
        self.0.push('\n');
        self.line(header);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.line(format_args!("{} = {}", key(name), string(text)));
    }

    fn content(&mut self, name: &str, content: &Content) {
        self.text(name, &format!("{} {}", content.digest, content.size));
    }

    fn digests(&mut self, digests: &BTreeMap<String, Digest>) {
        digests.iter().for_each(|(name, digest)| self.text(name, &digest.to_string()));
    }

    /// A list on one line, left out when empty: what a person wrote.
    fn list(&mut self, name: &str, items: &[String]) {
        if !items.is_empty() {
            let items: Vec<String> = items.iter().map(|item| string(item)).collect();
            self.line(format_args!("{name} = [{}]", items.join(", ")));
        }
    }

    /// A list with an item a line: what was found.
    fn lines(&mut self, name: &str, items: impl Iterator<Item = String>) {
        let items: String = items.map(|item| format!("    {},\n", string(&item))).collect();
        let open = if items.is_empty() { "" } else { "\n" };
        self.line(format_args!("{} = [{open}{items}]", key(name)));
    }

    fn base(&mut self, base: &BasePin) {
        self.table(format_args!("[[base]]"));
        match &base.origin {
            BaseOrigin::Image(reference) => self.text("image", &reference.to_string()),
            BaseOrigin::Layout(path) => self.text("layout", path),
        }
        self.list("variants", &base.variants);
        if base.is_told() {
            self.text("index", &base.index.digest.to_string());
        } else {
            self.content("index", &base.index);
        }
        for (platform, pin) in &base.platforms {
            self.table(format_args!("[base.platform.{}]", key(platform)));
            self.content("manifest", &pin.manifest);
            pin.facts.iter().for_each(|facts| self.content("facts", facts));
            if !pin.removed.is_empty() {
                self.table(format_args!("[base.platform.{}.removed]", key(platform)));
            }
            for (pattern, paths) in &pin.removed {
                self.lines(pattern, paths.iter().map(ToString::to_string));
            }
        }
    }

    fn source(&mut self, source: &SourceLock) {
        self.table(format_args!("[[source]]"));
        self.source_key(&source.key);
        match &source.pin {
            Pin::None => {}
            Pin::File(content) => self.content("pinned", content),
            Pin::Image { index, manifest } => {
                self.content("index", index);
                self.content("manifest", manifest);
            }
        }
        if source.single {
            self.line(format_args!("single = true"));
        }
        self.text("hash", &source.hash.to_string());
        match &source.listing {
            Listing::Lines(lines) => self.lines("files", lines.iter().cloned()),
            Listing::Blob(content) => self.content("listing", content),
        }
    }

    fn source_key(&mut self, key: &SourceKey) {
        match key {
            SourceKey::Files(Files { directory, from, portion }) => {
                self.text("origin", directory);
                self.text("from", from);
                self.portion(None, portion);
            }
            SourceKey::Fetch { url, portion } => {
                self.text("fetch", url);
                self.portion(None, portion);
            }
            SourceKey::Input { name, portion, platform } => {
                self.text("input", name);
                self.portion(platform.as_ref(), portion);
            }
            SourceKey::Image { reference, path, portion, platform } => {
                self.text("image", reference);
                self.text("path", path);
                self.portion(Some(platform), portion);
            }
            SourceKey::Recipe { recipe, variant, path, portion, platform } => {
                self.text("recipe", &format!("{recipe}#{variant}"));
                self.text("path", path);
                self.portion(Some(platform), portion);
            }
            SourceKey::Base { on, path, recursive, platform } => {
                self.text("base", on);
                self.text("path", path);
                self.portion(Some(platform), &changed(*recursive));
            }
        }
    }

    fn portion(&mut self, platform: Option<&String>, portion: &Portion) {
        let Portion { include, exclude, unpack, strip, owners } = portion;
        platform.iter().for_each(|platform| self.text("platform", platform));
        self.list("include", include);
        self.list("exclude", exclude);
        self.list("unpack", unpack);
        if *strip > 0 {
            self.line(format_args!("strip = {strip}"));
        }
        if *owners {
            self.line(format_args!("owners = true"));
        }
    }
}

fn key(text: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !text.is_empty() && text.bytes().all(bare) { text.to_owned() } else { string(text) }
}

/// A TOML basic string.
fn string(text: &str) -> String {
    let mut out = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if char.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push('"');
    out
}
