//! Names of warehouse tasks. Not here: what options say beyond the name.

use coact_core::{Error, Result};

use super::RewardScheme;

/// What a name like `rware/tiny-2ag-easy-v2` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The floor.
    pub size: Size,
    /// Height of groups of shelves, if the name tells.
    pub column_height: Option<usize>,
    /// Robots.
    pub n_agents: usize,
    /// Requested shelves.
    pub n_requests: usize,
    /// How far robots sense, if the name tells.
    pub sensor_range: Option<usize>,
    /// Who is paid, if the name tells.
    pub reward: Option<RewardScheme>,
    /// The name in its usual order.
    pub name: String,
}

/// The floor of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Groups of shelves: rows and columns.
    Groups(usize, usize),
    /// The layout that the options draw.
    Custom,
}

const FORM: &str = "rware/[Ns-]SIZE[-Hh]-Nag[-easy|-hard]-v2 with SIZE tiny, small, medium, large or custom, or \
                    rware/[Ns-]RxC-Hh-Nag-Qreq-indiv|global|twostage-v2";

impl Task {
    /// Reads a name that begins with `rware/` or `rware-`; parts may stand in any order.
    ///
    /// # Errors
    /// The part that is not understood, or one that is missing.
    pub fn parse(name: &str) -> Result<Self> {
        let bad =
            |what: String| Error::invalid(format!("environment `{name}`: {what}; names look like {FORM}"));
        let bare = name.strip_prefix("rware/").or_else(|| name.strip_prefix("rware-"));
        let bare = bare.ok_or_else(|| bad("it does not begin with `rware/`".into()))?;
        let (mut size, mut named_size, mut n_agents, mut n_requests) = (None, "", None, None);
        let (mut column_height, mut sensor_range, mut reward, mut version) = (None, None, None, false);
        let mut difficulty = "";
        for part in bare.split('-') {
            let number = |end: &str| part.strip_suffix(end).and_then(|digits| digits.parse::<usize>().ok());
            let sides = part.split_once('x').and_then(|(r, c)| Some((r.parse().ok()?, c.parse().ok()?)));
            match part {
                "tiny" => (size, named_size) = (Some(Size::Groups(1, 3)), part),
                "small" => (size, named_size) = (Some(Size::Groups(2, 3)), part),
                "medium" => (size, named_size) = (Some(Size::Groups(2, 5)), part),
                "large" => (size, named_size) = (Some(Size::Groups(3, 5)), part),
                "custom" => (size, named_size) = (Some(Size::Custom), part),
                "easy" | "hard" => difficulty = part,
                "indiv" => reward = Some(RewardScheme::Individual),
                "global" => reward = Some(RewardScheme::Global),
                "twostage" => reward = Some(RewardScheme::TwoStage),
                "v2" => version = true,
                "img" | "imgdict" | "Nd" => return Err(bad("image observations are not offered".into())),
                _ if sides.is_some() => (size, named_size) = (sides.map(|(r, c)| Size::Groups(r, c)), part),
                _ if number("ag").is_some() => n_agents = number("ag"),
                _ if number("req").is_some() => n_requests = number("req"),
                _ if number("h").is_some() => column_height = number("h"),
                _ if number("s").is_some() => sensor_range = number("s"),
                _ => return Err(bad(format!("`{part}` is not understood"))),
            }
        }
        let missing = |what: &str| bad(format!("{what} is missing"));
        let size = size.ok_or_else(|| missing("the size, as in `tiny`,"))?;
        let n_agents = n_agents.ok_or_else(|| missing("the number of robots, as in `2ag`,"))?;
        if !version {
            return Err(missing("the version `v2`"));
        }
        // Twice as many requests as robots, as many, or half as many, rounded down.
        let by_difficulty = match difficulty {
            "easy" => 2 * n_agents,
            "hard" => n_agents / 2,
            _ => n_agents,
        };
        let part = |end: &str, value: Option<usize>| value.map(|v| format!("-{v}{end}")).unwrap_or_default();
        let name = format!(
            "rware/{}{named_size}{}-{n_agents}ag{}{}{}{}-v2",
            sensor_range.map(|s| format!("{s}s-")).unwrap_or_default(),
            part("h", column_height),
            part("req", n_requests),
            if difficulty.is_empty() { "" } else { "-" },
            difficulty,
            match reward {
                None => "",
                Some(RewardScheme::Individual) => "-indiv",
                Some(RewardScheme::Global) => "-global",
                Some(RewardScheme::TwoStage) => "-twostage",
            },
        );
        let n_requests = n_requests.unwrap_or(by_difficulty);
        Ok(Self { size, column_height, n_agents, n_requests, sensor_range, reward, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_original_are_read() {
        let task = |name: &str| Task::parse(name).unwrap();
        assert_eq!(task("rware/tiny-2ag-v2").n_requests, 2);
        assert_eq!(task("rware-small-4ag-easy-v2").n_requests, 8);
        assert_eq!(task("rware-small-4ag-easy-v2").name, "rware/small-4ag-easy-v2");
        assert_eq!(task("rware/large-19ag-hard-v2").n_requests, 9);
        assert_eq!(task("rware/medium-6ag-v2").size, Size::Groups(2, 5));
        let long = task("rware-3s-4x7-5h-6ag-9req-twostage-v2");
        assert_eq!((long.size, long.column_height, long.n_requests), (Size::Groups(4, 7), Some(5), 9));
        assert_eq!((long.sensor_range, long.reward), (Some(3), Some(RewardScheme::TwoStage)));
        assert_eq!(long.name, "rware/3s-4x7-5h-6ag-9req-twostage-v2");
        for (bad, word) in [
            ("rware/tiny-v2", "2ag"),
            ("rware/2ag-v2", "tiny"),
            ("rware/tiny-2ag", "v2"),
            ("rware/tiny-2ag-v1", "`v1`"),
            ("rware/huge-2ag-v2", "`huge`"),
            ("rware-img-tiny-2ag-v2", "image"),
        ] {
            let text = Task::parse(bad).unwrap_err().to_string();
            assert!(text.contains(word) && !text.contains('\n'), "{text}");
        }
    }
}
