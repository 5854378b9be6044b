//! Inputs, and files of the checkout that are archives.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::fetch::{Known, Located};
use crate::disk;
use crate::ops::error::Error;
use crate::ops::session::Session;
use crate::plan::source_key;
use crate::recipe::SourcePath;
use crate::tree::{SourceKey, SourceKind, SourceNode};
use crate::workspace::{Scan, read_input};

impl Session<'_> {
    /// Where an input lies: as the recipe says, or `--input`.
    fn input_path(&self, path: &SourcePath) -> Result<PathBuf, Error> {
        if let Some(given) = self.asks.inputs.get(&path.path) {
            return Ok(self.env.dir.join(given));
        }
        if path.directory.is_empty() {
            let (name, why) = (path.path.clone(), format!("it is open: --input {}=PATH gives it", path.path));
            return Err(Error::Foreign { name, why });
        }
        Ok(self.workspace.root().join(&path.directory))
    }

    pub(super) fn input_scan(&self, path: &SourcePath) -> Result<Scan, Error> {
        let SourceKey { include, exclude, .. } = source_key(path);
        let file = self.input_path(path)?;
        if disk::regular_size(&file)?.is_none() && !disk::is_directory(&file) {
            let given = self.asks.inputs.get(&path.path).map(|given| given.display().to_string());
            let name = format!("[input.{}] {}", path.path, given.as_ref().unwrap_or(&path.directory));
            return Err(Error::Nowhere { name, made_by: path.made_by.clone() });
        }
        let scan = read_input(&file, &include, &exclude);
        scan.map_err(|source| Error::Source { at: path.at.clone(), source })
    }

    /// The one file that a source of the checkout, or an input, is.
    pub(super) fn file_of(&self, path: &SourcePath) -> Result<Option<Located>, Error> {
        let plain = SourcePath {
            unpack: Vec::new(),
            strip: 0,
            include: Vec::new(),
            exclude: Vec::new(),
            ..path.clone()
        };
        let scan = match path.kind {
            SourceKind::Files => (*self.source_at(&source_key(&plain), &path.at)?).clone(),
            _ => self.input_scan(&plain)?,
        };
        let Some(SourceNode::File { content, .. }) =
            scan.tree.nodes.values().next().filter(|_| scan.tree.single)
        else {
            return Ok(None);
        };
        let file = match scan.contents.path(content) {
            Some(path) => path.to_owned(),
            None => {
                // Small enough to be kept in memory: unpacking wants a file.
                let mut bytes = Vec::new();
                scan.contents
                    .open(content)?
                    .read_to_end(&mut bytes)
                    .map_err(disk::failed("read", Path::new(&path.path)))?;
                let mut file = self.transaction()?.scratch()?;
                file.write_all(&bytes).map_err(disk::failed("write", file.path()))?;
                let at = file.path().to_owned();
                self.scratch.borrow_mut().push(file);
                at
            }
        };
        Ok(Some(Located { path: file, content: Known::Content(*content) }))
    }
}
