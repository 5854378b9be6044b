//! `cooper completions`

use clap::Args;
use cooperage::ops;

use super::Verb;
use crate::complete;
use crate::errors::Failure;
use crate::options::Format;
use crate::shell::Answer;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper completions bash > ~/.local/share/bash-completion/completions/cooper
  cooper completions zsh  > ~/.zfunc/_cooper
  cooper completions fish > ~/.config/fish/completions/cooper.fish")]
pub(crate) struct Completions {
    /// bash, zsh, fish, powershell or elvish
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl Verb for Completions {
    fn raw(&self) -> Option<Vec<u8>> {
        Some(complete::script(&self.shell.to_string()))
    }

    /// The script was all.
    fn run(&self, _: Format, _: &ops::Env<'_>) -> Result<Answer, Failure> {
        Ok(Answer::default())
    }
}
