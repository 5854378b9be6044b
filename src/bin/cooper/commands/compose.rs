//! `cooper compose`

use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use cooperage::disk;
use cooperage::ops::{self, DeployOptions, Deployed, Runner};
use serde_json::json;

use super::Verb;
use crate::complete;
use crate::errors::Failure;
use crate::options::{Format, Inputs, Net};
use crate::shell::Answer;
use crate::text::count;

/// Print what runs a stack: a Compose file, Kubernetes manifests or Quadlet units
///
/// Made of [service] of its recipes. Images are named by the ID that an engine without a registry knows them by (`cooper build
/// STACK --to docker-daemon:` brings them there), or with --published as their registry has them, by digest. Don't edit the
/// result: what a site changes goes into an override file beside it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper compose shop --variant dev -o compose.yaml && docker compose -p shop up
  cooper compose shop --published -o deploy/compose.yaml
  cooper compose shop/web                      one service, and what it waits for
  cooper compose shop --kube -o shop.yaml
  cooper compose shop --quadlet -o ~/.config/containers/systemd/")]
pub(crate) struct Compose {
    /// A stack, or recipes of one
    #[arg(value_name = "STACK", required = true, add = ArgValueCandidates::new(complete::stacks))]
    targets: Vec<String>,
    /// Which variant of each recipe; otherwise the workspace's default one
    #[arg(long, value_name = "VARIANT", add = ArgValueCandidates::new(complete::variant))]
    variant: Option<String>,
    /// Name images as [publish] does, by digest
    #[arg(long)]
    published: bool,
    /// Kubernetes manifests, with published images
    #[arg(long)]
    kube: bool,
    /// Units for Podman's Quadlet
    #[arg(long, conflicts_with = "kube")]
    quadlet: bool,
    /// Write to a file, or into a directory, in place of standard output
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    net: Net,
}

impl Verb for Compose {
    fn net(&self) -> Net {
        self.net.clone()
    }

    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        let runner = match (self.kube, self.quadlet) {
            (true, _) => Runner::Kube,
            (_, true) => Runner::Quadlet,
            _ => Runner::Compose,
        };
        let output = self.output.as_ref().map(|path| env.dir.join(path));
        // A name that ends in a slash, or is a directory already, is where files go under their own names.
        let into = output.as_ref().filter(|path| runner == Runner::Quadlet || is_directory(path)).cloned();
        let beside = match (&into, &output) {
            (Some(directory), _) => directory.clone(),
            (None, Some(file)) => disk::parent(file).to_owned(),
            (None, None) => env.dir.clone(),
        };
        env.output(&beside).map_err(ops::Error::from)?;
        let options = DeployOptions {
            inputs: self.inputs.paths(),
            targets: self.targets.clone(),
            variant: self.variant.clone(),
            runner,
            published: self.published,
            beside,
            output: self.output.clone(),
        };
        let deployed = ops::deploy(env, &options)?;
        let mut written = Vec::new();
        for (name, text) in &deployed.files {
            let path = match (&into, &output) {
                (Some(directory), _) => directory.join(name),
                (None, Some(file)) => file.clone(),
                (None, None) => continue,
            };
            write(&path, text)?;
            written.push(path);
        }
        Ok(answer(&deployed, &written))
    }
}

fn is_directory(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/") || disk::is_directory(path)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: disk::Error| Failure::from(ops::Error::from(error));
    disk::create_directories(disk::parent(path)).map_err(failed)?;
    disk::write_atomic(path, text.as_bytes()).map_err(failed)
}

fn answer(deployed: &Deployed, written: &[PathBuf]) -> Answer {
    let Deployed { stack, variant, files, images, secrets, warnings } = deployed;
    let lines = if !written.is_empty() {
        written.iter().map(|path| format!("{}  written", path.display())).collect()
    } else if files.len() == 1 {
        files.values().flat_map(|text| text.lines()).map(str::to_owned).collect()
    } else {
        let named = files.iter().flat_map(|(name, text)| {
            [format!("# {name}")].into_iter().chain(text.lines().map(str::to_owned)).chain([String::new()])
        });
        named.collect()
    };
    let mut status = vec![format!("{stack}#{variant}: {}", count(images.len(), "service"))];
    if !secrets.is_empty() {
        let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
        status.push(format!("secrets that must be there: {}", names.join(", ")));
    }
    Answer {
        lines,
        warnings: warnings.clone(),
        status,
        json: json!({
            "stack": stack, "variant": variant, "files": files, "images": images, "secrets": secrets,
            "written": written,
        }),
        ..Answer::default()
    }
}
