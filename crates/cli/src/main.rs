//! The `coact` binary: reads the command line, runs one command, turns an error into one line and an exit code.

use std::process::ExitCode;

use clap::Parser;
use coact::args::{Cli, Command};
use coact::{
    allocate_command, console, evaluate_command, list, negotiate_command, plan_command, play, rank,
    record_command, report_command, solve, sweep, train, verify,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            console::note(usage_line(&error));
            return ExitCode::from(2);
        }
        // Help or version, as asked for.
        Err(help) => help.exit(),
    };
    let result = match &cli.command {
        Command::List(args) => list::list(args),
        Command::Info(args) => list::info(args),
        Command::Train(args) => train::train(args),
        Command::Evaluate(args) => evaluate_command::evaluate_run(args),
        Command::Play(args) => play::play(args),
        Command::Allocate(args) => allocate_command::allocate(args),
        Command::Plan(args) => plan_command::plan(args),
        Command::Verify(args) => verify::verify(args),
        Command::Record(args) => record_command::record(args),
        Command::Solve(args) => solve::solve(args),
        Command::Rank(args) => rank::rank(args),
        Command::Sweep(args) => sweep::sweep(args),
        Command::Report(args) => report_command::report(args),
        Command::Negotiate(args) => negotiate_command::negotiate(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::note(format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// What the parser found wrong, with its hints, in one line.
fn usage_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let parts: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // The parser advises `--help` where no command was given at all by printing all of it.
    if parts.first().is_some_and(|line| line.starts_with("error:")) {
        parts.join("; ").replace(":;", ":")
    } else {
        "error: say what to do, for example `coact train climbing` (`coact --help` shows all commands)".into()
    }
}
