//! Whatever text is given as a problem to plan, reading it ends with a problem or with an error of one line.

#![no_main]

use coact_tabular::decpomdp;
use coact_tabular::model;
use coact_tabular::problem::{self, Problem};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let one_line = |e: coact_tabular::Error| assert_eq!(e.to_string().lines().count().max(1), 1, "{e}");
    let _ = model::read_toml(text).map_err(one_line);
    let _ = model::read_json(text).map_err(one_line);
    let _ = model::read_grid(text).map_err(one_line);
    if let Ok(team) = decpomdp::parse(text).map_err(one_line) {
        // Names may hold anything but blanks and colons, so that what was written reads back.
        if team.n_states() * team.n_joint_actions() * team.n_joint_observations() < 1 << 12 {
            assert_eq!(decpomdp::parse(&decpomdp::write(&team)).as_ref(), Ok(&team));
        }
    }
    if let Ok(Problem::Model(model)) = problem::read(text, 0)
        && model.n_states() * model.n_actions() < 1 << 12
    {
        let written = model::write_json(&model).to_string();
        assert_eq!(model::read_json(&written).as_ref(), Ok(&model));
    }
});
