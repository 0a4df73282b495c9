//! Writes the manual pages and shell completions of `pagi-server` and `pagictl` below a directory, from the definitions
//! that parse their command lines: an option cannot be forgotten in one of them.
//!
//! Usage: `pagi-manual DIRECTORY`; makes `man/*.1` and `completions/*`.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use pagi_supervisor::cli;
use pagi_supervisor::control::command;

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: pagi-manual DIRECTORY");
        return ExitCode::from(2);
    };
    match write(Path::new(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Cannot write below {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn write(directory: &Path) -> io::Result<()> {
    let pages = directory.join("man");
    let completions = directory.join("completions");
    std::fs::create_dir_all(&pages)?;
    std::fs::create_dir_all(&completions)?;
    for definition in [cli::CommandLine::command(), command::definition()] {
        let name = definition.get_name().to_owned();
        for shell in SHELLS {
            // Generators keep state in the command.
            clap_complete::generate_to(shell, &mut definition.clone(), &name, &completions)?;
        }
        write_pages(&definition, &pages)?;
    }
    Ok(())
}

/// One page for the command and one for each of its own subcommands.
fn write_pages(definition: &Command, directory: &Path) -> io::Result<()> {
    // `help` is no page: it would only say how to ask for help.
    let mut definition = definition.clone().disable_help_subcommand(true);
    definition.build();
    clap_mangen::generate_to(definition, directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        directory
    }

    fn read(directory: &tempfile::TempDir, name: &str) -> String {
        std::fs::read_to_string(directory.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    #[test]
    fn every_option_is_in_the_manual_page_and_in_every_completion() {
        let directory = written();
        let definition = cli::CommandLine::command();
        let names: Vec<&str> = definition
            .get_arguments()
            .filter(|argument| !argument.is_hide_set())
            .filter_map(|argument| argument.get_long())
            .collect();
        assert!(names.len() > 40, "{names:?}");
        let page = read(&directory, "man/pagi-server.1").replace("\\-", "-");
        let bash = read(&directory, "completions/pagi-server.bash");
        let zsh = read(&directory, "completions/_pagi-server");
        let fish = read(&directory, "completions/pagi-server.fish");
        for name in names {
            assert!(page.contains(&format!("--{name}")), "--{name} has no place in the manual page");
            assert!(bash.contains(&format!("--{name}")), "--{name} is not completed by bash");
            assert!(zsh.contains(&format!("--{name}")), "--{name} is not completed by zsh");
            assert!(fish.contains(&format!("-l {name}")), "--{name} is not completed by fish");
        }
    }

    #[test]
    fn every_verb_has_a_page_and_is_completed() {
        let directory = written();
        let bash = read(&directory, "completions/pagictl.bash");
        let verbs: Vec<String> = command::definition()
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .map(|verb| verb.get_name().to_owned())
            .collect();
        assert!(verbs.iter().any(|verb| verb == "reload"), "{verbs:?}");
        for verb in verbs {
            assert!(bash.contains(&format!("pagictl,{verb})")), "{verb} is not completed");
            let page = read(&directory, &format!("man/pagictl-{verb}.1"));
            assert!(page.contains("SYNOPSIS") && page.contains("Exit status:"), "{page}");
        }
    }
}
