//! Names of foraging tasks. Not here: what an option overrides beyond the name, the rules.

use coact_core::{Error, Result};

use super::{Config, ForagingOptions, Levels, spread};

/// What a name like `lbf/Foraging-2s-8x8-2p-2f-coop-v3` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Rows of the field.
    pub rows: usize,
    /// Columns of the field.
    pub cols: usize,
    /// Players.
    pub n_players: usize,
    /// Pieces of food.
    pub n_foods: usize,
    /// How far a player sees; none for the whole field.
    pub sight: Option<usize>,
    /// Whether food needs all players (the three lowest, where there are more).
    pub coop: bool,
    /// Whether observations are grids.
    pub grid: bool,
    /// Whether food has level 1.
    pub individual: bool,
    /// Whether a failed load costs 0.1.
    pub penalty: bool,
}

impl Task {
    /// Reads a name, with or without `lbf/`; flags may stand anywhere.
    ///
    /// # Errors
    /// The part that is not understood, or a size that is missing.
    pub fn parse(name: &str) -> Result<Self> {
        let bad = |what: String| {
            let form = "lbf/Foraging[-grid][-Ns]-RxC-Pp-Ff[-coop][-ind][-pen]-v3";
            Error::invalid(format!("environment `{name}`: {what}; names look like {form}"))
        };
        let bare = name.strip_prefix("lbf/").unwrap_or(name);
        let mut parts = bare.split('-');
        if parts.next() != Some("Foraging") {
            return Err(bad("it does not begin with `Foraging`".into()));
        }
        let (mut field, mut n_players, mut n_foods, mut version) = (None, None, None, None);
        let mut task = Self {
            rows: 0,
            cols: 0,
            n_players: 0,
            n_foods: 0,
            sight: None,
            coop: false,
            grid: false,
            individual: false,
            penalty: false,
        };
        for part in parts {
            let number = |end: char| part.strip_suffix(end).and_then(|digits| digits.parse::<usize>().ok());
            let sides = part.split_once('x').and_then(|(r, c)| Some((r.parse().ok()?, c.parse().ok()?)));
            match part {
                "coop" => task.coop = true,
                "grid" => task.grid = true,
                "ind" => task.individual = true,
                "pen" => task.penalty = true,
                "v3" => version = Some(3),
                _ if sides.is_some() => field = sides,
                _ if number('p').is_some() => n_players = number('p'),
                _ if number('f').is_some() => n_foods = number('f'),
                _ if number('s').is_some() => task.sight = number('s'),
                _ => return Err(bad(format!("`{part}` is not understood"))),
            }
        }
        let missing = |what: &str| bad(format!("{what} is missing"));
        (task.rows, task.cols) = field.ok_or_else(|| missing("the size of the field, as in `8x8`,"))?;
        task.n_players = n_players.ok_or_else(|| missing("the number of players, as in `2p`,"))?;
        task.n_foods = n_foods.ok_or_else(|| missing("the number of pieces of food, as in `2f`,"))?;
        version.ok_or_else(|| missing("the version `v3`"))?;
        Ok(task)
    }

    /// The name in its usual order, with `lbf/`.
    pub fn name(&self) -> String {
        let flag = |on: bool, text: &'static str| if on { text } else { "" };
        let sight = self.sight.map(|s| format!("-{s}s")).unwrap_or_default();
        format!(
            "lbf/Foraging{}{sight}-{}x{}-{}p-{}f{}{}{}-v3",
            flag(self.grid, "-grid"),
            self.rows,
            self.cols,
            self.n_players,
            self.n_foods,
            flag(self.coop, "-coop"),
            flag(self.individual, "-ind"),
            flag(self.penalty, "-pen"),
        )
    }

    /// The task with what its name does not say.
    ///
    /// # Errors
    /// Lists of levels of the wrong length, levels of 0.
    pub fn configure(&self, options: &ForagingOptions) -> Result<Config> {
        let name = self.name();
        let named = self.individual.then_some(Levels::All(1));
        let max_food = options.max_food_level.clone().or(named);
        let max_food_level = match max_food {
            Some(levels) => Some(spread(&name, "max_food_level", &levels, self.n_foods)?),
            None => None,
        };
        let players = |option: &str, levels: &Levels| spread(&name, option, levels, self.n_players);
        Ok(Config {
            rows: self.rows,
            cols: self.cols,
            n_players: self.n_players,
            n_foods: self.n_foods,
            sight: self.sight.unwrap_or(self.rows.max(self.cols)),
            coop: self.coop,
            grid: self.grid,
            penalty: options.penalty.unwrap_or(if self.penalty { 0.1 } else { 0.0 }),
            max_steps: options.max_steps,
            normalize_reward: options.normalize_reward,
            observe_agent_levels: options.observe_agent_levels,
            min_player_level: players("min_player_level", &options.min_player_level)?,
            max_player_level: players("max_player_level", &options.max_player_level)?,
            min_food_level: spread(&name, "min_food_level", &options.min_food_level, self.n_foods)?,
            max_food_level,
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_order_and_written_in_one() {
        for (given, usual) in [
            ("lbf/Foraging-8x8-2p-2f-coop-v3", "lbf/Foraging-8x8-2p-2f-coop-v3"),
            ("Foraging-2s-8x8-2p-2f-coop-v3", "lbf/Foraging-2s-8x8-2p-2f-coop-v3"),
            ("lbf/Foraging-8x8-2p-2f-coop-2s-ind-pen-v3", "lbf/Foraging-2s-8x8-2p-2f-coop-ind-pen-v3"),
            ("lbf/Foraging-grid-3s-7x9-4p-3f-v3", "lbf/Foraging-grid-3s-7x9-4p-3f-v3"),
        ] {
            assert_eq!(Task::parse(given).unwrap().name(), usual);
        }
        for (bad, word) in [
            ("lbf/Forage-8x8-2p-2f-v3", "begin"),
            ("lbf/Foraging-8x8-2p-v3", "2f"),
            ("lbf/Foraging-8-2p-2f-v3", "`8`"),
            ("lbf/Foraging-8x8-2p-2f-v2", "`v2`"),
            ("lbf/Foraging-8x8-2p-2f", "v3"),
            ("lbf/Foraging-8x8-2p-2f-fast-v3", "`fast`"),
        ] {
            let text = Task::parse(bad).unwrap_err().to_string();
            assert!(text.contains(word) && !text.contains('\n'), "{text}");
        }
    }
}
