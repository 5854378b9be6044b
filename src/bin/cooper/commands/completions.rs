//! `cooper completions`

use clap::Args;
use cooperage::ops;

use super::Verb;
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
    fn raw(&self, cli: fn() -> clap::Command) -> Option<Vec<u8>> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut cli(), "cooper", &mut script);
        Some(script)
    }

    /// The script was all.
    fn run(&self, _: Format, _: &ops::Env<'_>) -> Result<Answer, Failure> {
        Ok(Answer::default())
    }
}
