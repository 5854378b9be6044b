//! `compose`: what runs a stack.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Env, Error, Inputs, Selection};
use crate::deploy::{self, Stack};
use crate::work::Asks;
use crate::work::checkout::wants;
use crate::work::realise::Session;
pub use crate::work::run::Runner;
use crate::work::run::{How, chosen, unit, untold, variant_of};

/// What `compose` is asked.
#[derive(Debug, Clone, Default)]
pub struct DeployOptions {
    /// A stack, or some of its recipes; what they wait for comes with them.
    pub targets: Vec<String>,
    /// Which variant of each; otherwise the workspace's default.
    pub variant: Option<String>,
    /// For whom.
    pub runner: Runner,
    /// Images as they are called in their registry, by digest, not by an engine's ID.
    pub published: bool,
    /// Where inputs are; open ones are given so.
    pub inputs: Inputs,
    /// The directory of the file that is written: mounted sources are named from there.
    pub beside: PathBuf,
    /// What that file was called, if it was: said in its head.
    pub output: Option<PathBuf>,
}

impl DeployOptions {
    /// The command that was given: it writes the same again.
    fn command(&self, variant: &str) -> String {
        let mut words = vec!["cooper".to_owned(), "compose".to_owned()];
        words.extend(self.targets.iter().map(|target| word(target)));
        words.extend(["--variant".to_owned(), word(variant)]);
        // Manifests have published images anyway.
        let published = (self.published && self.runner != Runner::Kube).then_some("--published");
        let runner = match self.runner {
            Runner::Compose => None,
            Runner::Kube => Some("--kube"),
            Runner::Quadlet => Some("--quadlet"),
        };
        words.extend(published.into_iter().chain(runner).map(str::to_owned));
        if let Some(output) = &self.output {
            words.extend(["-o".to_owned(), word(&output.to_string_lossy())]);
        }
        words.join(" ")
    }
}

/// A word as a shell reads it, on one line whatever is in it.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./,:#@+=".contains(&byte);
    if text.bytes().all(plain) && !text.starts_with('#') && !text.is_empty() {
        return text.to_owned();
    }
    let escaped = text.bytes().map(|byte| match byte {
        b' '..=b'~' if !matches!(byte, b'\'' | b'\\' | b'`') => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    });
    let escaped: String = escaped.collect();
    if escaped == text { format!("'{text}'") } else { format!("$'{escaped}'") }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployed {
    /// The stack.
    pub stack: String,
    /// The variant.
    pub variant: String,
    /// Texts by file name.
    pub files: BTreeMap<String, String>,
    /// Images by service: what an engine calls them.
    pub images: BTreeMap<String, String>,
    /// Secrets that must be there.
    pub secrets: BTreeSet<String>,
    /// What was left out, for people.
    pub warnings: Vec<String>,
}

/// Describes how a stack is run. Images aren't built into the store; rendered copies of mounted templates are written.
///
/// # Errors
/// As for a build; a stack whose services don't fit together; sources that are mounted and can't be.
pub fn deploy(env: &Env<'_>, options: &DeployOptions) -> Result<Deployed, Error> {
    let session = Session::open(env, Asks::given(&options.inputs))?;
    let checkout = session.checkout();
    let selected = checkout.select(&Selection { targets: options.targets.clone(), all: false })?;
    wants::inputs(checkout, selected.keys())?;
    let variant = variant_of(checkout, &selected, options.variant.as_ref())?;
    if !checkout.file.variants.contains(&variant) {
        return Err(Error::NoVariant { name: variant, known: checkout.file.variants.clone() });
    }
    let chosen = chosen(checkout, &selected, &variant)?;
    let command = options.command(&variant);
    let mut stack = Stack { name: chosen.stack, variant: variant.clone(), command, units: Vec::new() };
    let how = How { runner: options.runner, published: options.published, beside: &options.beside };
    let (mut images, mut untold_names) = (BTreeMap::new(), Vec::new());
    for (target, service) in chosen.services {
        // Nothing here asks a registry: who describes how a stack is run isn't kept waiting for one.
        let lacks = wants::unknown(checkout, &target)?;
        let unit = if lacks.is_empty() {
            unit(&session, &target, &variant, service, &how)?
        } else {
            untold_names.push(target.to_string());
            untold(checkout, &target, &variant, service, &how)?
        };
        images.insert(unit.name.clone(), unit.image.clone());
        stack.units.push(unit);
    }
    let errors = stack.errors();
    if !errors.is_empty() {
        return Err(Error::Deploy(errors));
    }
    let written = match options.runner {
        Runner::Compose => deploy::compose(&stack),
        Runner::Kube => deploy::kube(&stack).map_err(Error::Deploy)?,
        Runner::Quadlet => deploy::quadlet(&stack).map_err(Error::Deploy)?,
    };
    let secrets = stack.units.iter().flat_map(|unit| unit.service.secrets.keys().cloned()).collect();
    let left_out = written.left_out.iter().map(|what| format!("{what} has no place there, and was left out"));
    let untold = untold_names.iter().map(|name| {
        format!("{name} is called by its name: `cooper lock {name}` makes known what its image is")
    });
    Ok(Deployed {
        stack: stack.name,
        variant,
        files: written.files,
        images,
        secrets,
        warnings: left_out.chain(untold).collect(),
    })
}
