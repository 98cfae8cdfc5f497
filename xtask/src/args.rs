//! Arguments of one command: flags, options with a value, and words. Not a general parser: options are spelled
//! `--name value` or `--name=value`, and whatever is not declared is an error that names what is.

use crate::{Failure, Result};

/// What was given.
#[derive(Debug, Default, PartialEq)]
pub struct Args {
    flags: Vec<String>,
    options: Vec<(String, String)>,
    /// Arguments without a dash, in order.
    pub words: Vec<String>,
}

impl Args {
    /// Sorts `args` into the declared `flags`, the declared `options` and words.
    pub fn parse(args: &[String], flags: &[&str], options: &[&str]) -> Result<Self> {
        let mut parsed = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) if arg.starts_with("--") => (name, Some(value.to_owned())),
                _ => (arg.as_str(), None),
            };
            if !name.starts_with('-') {
                parsed.words.push(arg.clone());
            } else if flags.contains(&name) && inline.is_none() {
                parsed.flags.push(name.to_owned());
            } else if options.contains(&name) {
                let value = inline.or_else(|| rest.next().cloned());
                let value = value.ok_or_else(|| Failure::Usage(format!("{name} needs a value")))?;
                parsed.options.push((name.to_owned(), value));
            } else {
                let known: Vec<&str> = flags.iter().chain(options).copied().collect();
                return Err(Failure::Usage(format!("unknown option `{arg}`; one of: {}", known.join(", "))));
            }
        }
        Ok(parsed)
    }

    /// Whether the flag was given.
    pub fn flag(&self, name: &str) -> bool {
        self.flags.iter().any(|f| f == name)
    }

    /// The last value given for the option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The option as a number of at least 1.
    pub fn count(&self, name: &str) -> Result<Option<usize>> {
        let Some(text) = self.option(name) else { return Ok(None) };
        match text.parse() {
            Ok(n) if n >= 1 => Ok(Some(n)),
            _ => Err(Failure::Usage(format!("{name} is `{text}`; give a whole number of at least 1"))),
        }
    }

    /// Fails if there are words where none belong.
    pub fn no_words(&self) -> Result {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(Failure::Usage(format!("`{word}` is not expected here"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Args> {
        let args: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Args::parse(&args, &["--quick"], &["--json", "--threads"])
    }

    #[test]
    fn sorts_flags_options_and_words() {
        let args = parse("act --json=a.json --quick --threads 2 --json b.json").unwrap();
        assert_eq!(args.words, ["act"]);
        assert!(args.flag("--quick"));
        assert_eq!(args.option("--json"), Some("b.json"));
        assert_eq!(args.count("--threads").unwrap(), Some(2));
        assert!(args.no_words().is_err());
    }

    #[test]
    fn refuses_what_is_not_declared() {
        for bad in ["--fast", "--json", "--quick=yes", "-q"] {
            assert!(matches!(parse(bad), Err(Failure::Usage(_))), "accepted {bad}");
        }
        assert!(parse("--threads 0").unwrap().count("--threads").is_err());
    }
}
