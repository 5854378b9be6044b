//! `cooper completions`

use clap::CommandFactory;

use crate::cli::{Cli, Completions};

pub(super) fn script(args: &Completions) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "cooper", &mut script);
    script
}
