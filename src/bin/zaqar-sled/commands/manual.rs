//! `completions` and `man`: what a package installs beside the program.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// The arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write the pages of all commands into this directory; without it, the program's page goes to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), NAME, &mut script);
        output::print(&script)?;
        Ok(Exit::Done)
    }
}

impl Man {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let Some(directory) = &self.out else {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
            output::print(&page)?;
            return Ok(Exit::Done);
        };
        let written = fs::create_dir_all(directory).and_then(|()| {
            let program = Arguments::command().disable_help_subcommand(true);
            clap_mangen::generate_to(program, directory)
        });
        written.map_err(|source| Failure::Path { path: directory.clone(), source })?;
        Ok(Exit::Done)
    }
}

const NAME: &str = "zaqar-sled";
