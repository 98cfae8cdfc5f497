//! Properties of planners, files and certificates on random models.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use coact_tabular::model::{Model, ModelBuilder, read_grid, read_json, read_toml, write_json};
use coact_tabular::plan::{METHODS, PlanOptions, plan};
use coact_tabular::{Error, certificate};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Recipe {
    n_states: usize,
    n_actions: usize,
    gamma: f64,
    scale: f64,
    /// Weight of each next state, reward, and whether the action is legal, a row.
    rows: Vec<(Vec<u32>, i32, bool)>,
    terminal: Vec<bool>,
}

impl Recipe {
    fn model(&self) -> Model {
        let mut b = ModelBuilder::new(self.n_states, self.n_actions, self.gamma);
        for s in 0..self.n_states {
            if self.terminal[s] {
                b.terminal(s);
            }
            for a in 0..self.n_actions {
                let (weights, reward, legal) = &self.rows[s * self.n_actions + a];
                // The first action is always legal; the last state always has weight.
                if a > 0 && !legal {
                    continue;
                }
                let total = f64::from(weights.iter().sum::<u32>() + 1);
                for (next, &w) in weights.iter().enumerate() {
                    let w = if next + 1 == self.n_states { w + 1 } else { w };
                    b.transition(s, a, next, f64::from(w) / total, f64::from(*reward) * self.scale);
                }
            }
        }
        b.build().unwrap()
    }
}

fn recipes() -> impl Strategy<Value = Recipe> {
    let scales = prop_oneof![Just(1.0), Just(1e-9), Just(1e9)];
    (1_usize..7, 1_usize..4, 0.0..0.98_f64, scales).prop_flat_map(|(n_states, n_actions, gamma, scale)| {
        // Weights of 0 to 3: sparse rows, ties and deterministic moves are frequent.
        let row = (prop::collection::vec(0_u32..4, n_states), -2..3_i32, any::<bool>());
        let rows = prop::collection::vec(row, n_states * n_actions);
        let terminal = prop::collection::vec(prop::bool::weighted(0.2), n_states);
        (rows, terminal).prop_map(move |(rows, terminal)| Recipe {
            n_states,
            n_actions,
            gamma,
            scale,
            rows,
            terminal,
        })
    })
}

proptest! {
    #[test]
    fn planners_agree_and_their_certificates_hold(recipe in recipes()) {
        let sparse = recipe.model();
        let dense = sparse.to_dense().unwrap();
        let options = PlanOptions { tolerance: 1e-10 * recipe.scale, ..PlanOptions::default() };
        let mut reference: Option<Vec<f64>> = None;
        for model in [&sparse, &dense] {
            for &(name, method, _) in METHODS {
                let plan = plan(model, method, &options).unwrap();
                let proof = certificate::certify(model, &plan.values, &plan.policy).unwrap();
                let bound = proof.policy_bound.unwrap();
                prop_assert!(bound <= 1e-8 * recipe.scale, "{name}: {proof:?}");
                let reference = reference.get_or_insert_with(|| plan.values.clone());
                for (a, b) in plan.values.iter().zip(reference.iter()) {
                    prop_assert!((a - b).abs() <= 1e-8 * recipe.scale, "{name}: {a} and {b}");
                }
            }
        }
    }

    /// The bounds must cover the truth for any values, not only for those of a planner.
    #[test]
    fn bounds_cover_the_distance_to_the_optimum(recipe in recipes(), noise in -1.0..1.0_f64, at in 0_usize..7) {
        let model = recipe.model();
        let optimal = plan(&model, METHODS[3].1, &PlanOptions::default()).unwrap();
        let mut values = optimal.values.clone();
        let state = at % values.len();
        if model.is_terminal(state) {
            return Ok(());
        }
        values[state] += noise * recipe.scale;
        let proof = certificate::certify(&model, &values, &optimal.policy).unwrap();
        let slack = 1e-9 * recipe.scale;
        prop_assert!(proof.value_bound.unwrap() + slack >= (noise * recipe.scale).abs());
        prop_assert!(proof.residual > 0.0 || noise == 0.0);
    }

    #[test]
    fn reading_what_was_written_gives_the_same_model(recipe in recipes()) {
        let sparse = recipe.model();
        prop_assert_eq!(&read_json(&write_json(&sparse).to_string()).unwrap(), &sparse);
        if (0..sparse.n_states()).all(|s| (0..sparse.n_actions()).all(|a| sparse.is_legal(s, a))) {
            let dense = sparse.to_dense().unwrap();
            let read = read_json(&write_json(&dense).to_string()).unwrap();
            prop_assert_eq!(read.kernel(), dense.kernel());
            prop_assert_eq!(read.reward(), dense.reward());
            prop_assert_eq!(&dense.to_sparse().to_dense().unwrap(), &dense);
        }
    }

    #[test]
    fn readers_never_panic(text in "[ -~\n]{0,80}") {
        let _ = (read_json(&text), read_toml(&text), read_grid(&text), read_grid(&format!("map\n{text}")));
    }
}

#[test]
fn faults_of_grids_carry_their_place() {
    let check = |text: &str, line: usize, column: usize, part: &str| match read_grid(text) {
        Err(Error::Parse { line: l, column: c, message }) => {
            assert_eq!((l, c), (line, column), "{message}");
            assert!(message.contains(part), "{message}");
        }
        other => panic!("{other:?}"),
    };
    check("gamma 0.9\nmap\n..\n...\n", 4, 3, "this row has 3 cells, the first one 2");
    check("gama 0.9\nmap\n..\n", 1, 1, "did you mean `gamma`?");
    check("gamma 1.5\nmap\n..\n", 1, 7, "from 0 to 1");
    check("letter G rewart 1\nmap\nG\n", 1, 10, "unexpected `rewart`");
    check("gamma 0.9", 2, 1, "ends before `map`");
    check("slip 0.1 2\nmap\n..\n", 1, 10, "unexpected `2`");
    check("letter A leads b\nmap\nA.\n", 3, 1, "exactly one cell");
}

/// Moves, walls, bumps, jumps and ends, cell by cell.
#[test]
fn a_grid_means_what_its_text_says() {
    let m = read_grid("step -1\nbump -2\nslip 0.2\nletter G reward 5 end\nmap\nS#\n.G\n").unwrap();
    assert_eq!(m.n_states(), 3);
    let row = |s: usize, a: usize| m.outcomes(s, a).map(|o| (o.next, o.prob, o.reward)).collect::<Vec<_>>();
    // Up from the start bumps, and so do both of its slips: left into the border, right into the wall.
    assert_eq!(row(0, 0), vec![(0, 1.0, -2.0)]);
    assert_eq!(row(0, 1), vec![(0, 0.2, -2.0), (1, 0.8, -1.0)]);
    assert_eq!(row(1, 3), vec![(0, 0.1, -1.0), (1, 0.1, -2.0), (2, 0.8, 5.0)]);
    assert!(m.is_terminal(2));
    assert_eq!(m.start(), &[1.0, 0.0, 0.0]);
}
