//! The `coact` binary: reads the command line, runs one command, turns an error into one line and an exit code.

use std::process::ExitCode;

use clap::Parser;
use coact::args::{Cli, Command};
use coact::{console, evaluate_command, list, play, report_command, train, verify};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::List(args) => list::list(args),
        Command::Info(args) => list::info(args),
        Command::Train(args) => train::train(args),
        Command::Evaluate(args) => evaluate_command::evaluate_run(args),
        Command::Play(args) => play::play(args),
        Command::Verify(args) => verify::verify(args),
        Command::Report(args) => report_command::report(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::note(format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}
