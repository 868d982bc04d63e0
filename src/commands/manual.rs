//! `completions` and `man`: the command line as shells and manuals describe it.

use std::io::{self, Write};
use std::path::Path;

use clap_complete::Shell;

use crate::cli;

const PROGRAM: &str = "teams-rooms-exporter";

/// Prints the completions of a shell.
pub fn completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    // The generator panics if it cannot write, as on a closed pipe.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut cli::definition(), PROGRAM, &mut text);
    out.write_all(&text)
}

/// Writes the manual page of each command into an existing directory.
pub fn pages(directory: &Path) -> io::Result<()> {
    clap_mangen::generate_to(cli::definition().disable_help_subcommand(true), directory)
}

/// The command and those below it, in reading order.
fn with_subcommands(command: &clap::Command) -> Vec<clap::Command> {
    let below = command.get_subcommands().flat_map(with_subcommands);
    std::iter::once(command.clone()).chain(below).collect()
}

/// The page of all commands and flags in docs/, in Markdown.
pub fn markdown() -> String {
    // Of a terminal, so that the page is the same on every machine.
    const WIDTH: usize = 110;
    let mut program = cli::definition().term_width(WIDTH).disable_help_subcommand(true);
    program.build();
    let mut commands = with_subcommands(&program);
    let chapters = commands.iter_mut().map(|command| {
        let name = command.get_bin_name().unwrap_or(PROGRAM).to_owned();
        // Without colors; clap ends some lines in blanks.
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        format!("## `{name}`\n\n```text\n{}\n```\n", lines.join("\n"))
    });
    chapters.collect::<Vec<_>>().join("\n")
}
