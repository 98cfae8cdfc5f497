//! Arbitrary texts as constraint problems: read or refused with a place inside the text, and tabulated without a panic.

#![no_main]

use coact_negotiation::Error;
use coact_negotiation::dcop::File;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match File::parse(text) {
        Ok(file) => {
            // Large domains are allowed; a fuzzer would only find that large tables take long.
            let sizes = file.rules.iter().map(|rule| {
                rule.scope.iter().map(|&v| file.domains[file.variables[v].domain].values.len() as u64).product::<u64>()
            });
            if sizes.max().is_none_or(|size| size < 10_000) {
                let _ = file.problem().map(|problem| File::parse(&problem.to_yaml()).and_then(|file| file.problem()));
            }
        }
        Err(Error::Text { at, .. }) => {
            // YAML ends a line at a lone carriage return, too.
            let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
            assert!(at.line <= lines + 1, "{at}");
        }
        Err(error) => panic!("{error}"),
    }
});
