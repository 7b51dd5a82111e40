//! Completions for shells, made from the definition of the command line: what is hidden there is not
//! offered, and where an option takes one of a few words, these are.

use std::io::{self, Write};

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, CommandFactory, ValueEnum};
use clap_complete::aot;

use super::args::Typed;
use super::options;

/// A shell that can be told what may follow on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU's, with or without bash-completion
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly one
    Fish,
}

/// Writes the script with which `shell` completes command lines of `partfs`. An error is of `out`.
pub fn write_completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let generator = match shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    let mut script = Vec::new();
    aot::generate(generator, &mut offered(&Typed::command()), "partfs", &mut script);
    out.write_all(&script)?;
    out.flush()
}

/// The command as far as it is offered. The generators would show hidden flags and commands, too.
fn offered(command: &Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    Command::new(command.get_name().to_owned())
        .about(about)
        .aliases(command.get_all_aliases().map(str::to_owned))
        .args(command.get_arguments().filter(|arg| !arg.is_hide_set()).map(with_words))
        .subcommands(command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(offered))
        .disable_help_subcommand(true)
}

fn with_words(arg: &Arg) -> Arg {
    let words = options::find(arg.get_id().as_str()).map_or_else(Vec::new, |known| known.words());
    match words.is_empty() {
        true => arg.clone(),
        false => arg.clone().value_parser(PossibleValuesParser::new(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(shell: Shell) -> String {
        let mut script = Vec::new();
        write_completions(shell, &mut script).unwrap();
        String::from_utf8(script).unwrap()
    }

    #[test]
    fn every_option_and_command_is_offered_in_every_shell() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for definition in options::FLAGS {
                let flag = definition.flag();
                assert!(script.contains(flag), "{shell:?} does not know {flag}");
            }
            for command in Typed::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell:?}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn what_is_hidden_is_not_offered() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert!(!script(shell).contains("background-child"), "{shell:?}");
        }
    }

    #[test]
    fn the_words_of_a_choice_are_offered() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert!(script(shell).contains("keep_old"), "{shell:?}");
        }
    }
}
