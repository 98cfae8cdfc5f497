//! Rows against the definitions in `f64`, on every instruction set.

use coact_core::{Purpose, Stream};

use super::reference::policy_row;
use super::*;
use crate::td::is_legal;
use crate::{CpuOptions, Isa};

struct Case {
    n: usize,
    logits: Vec<f32>,
    mask: Vec<u32>,
    action: Vec<u32>,
    old_log_prob: Vec<f32>,
    advantage: Vec<f32>,
    weight: Vec<f32>,
}

/// Rows of `n` actions, action 0 always legal; every fifth row has no weight, and one of those nothing that is a number.
fn case(rows: usize, n: usize, masked: bool) -> Case {
    let mut rng = Stream::new(8, Purpose::Replay, n as u32, rows as u64);
    let words = if masked { n.div_ceil(32) } else { 0 };
    let mask: Vec<u32> = (0..rows * words).map(|i| rng.next_u32() | u32::from(i % words == 0)).collect();
    let legal = |row: usize, a: usize| is_legal(&mask[row * words..(row + 1) * words], a);
    let mut logits: Vec<f32> = (0..rows * n).map(|_| 2.0 * rng.normal() as f32).collect();
    if rows > 4 {
        logits[4 * n..5 * n].fill(f32::NAN);
    }
    let action = (0..rows)
        .map(|row| (0..n).rev().find(|&a| legal(row, a) && a % 3 == row % 3).unwrap_or(0) as u32)
        .collect();
    let mut column =
        |scale: f64, shift: f64| (0..rows).map(|_| (scale * rng.normal() + shift) as f32).collect();
    let (old_log_prob, advantage) = (column(0.3, -1.5), column(1.0, 0.0));
    let weight = (0..rows).map(|row| if row % 5 == 4 { 0.0 } else { 0.5 + row as f32 }).collect();
    Case { n, logits, mask, action, old_log_prob, advantage, weight }
}

fn run(case: &Case, isa: Isa, clip: Option<f32>) -> (Vec<f32>, Vec<PolicyTerms>) {
    let mut backend = Backend::cpu(CpuOptions { threads: 1, isa: Some(isa) }).unwrap();
    let (mut logits, mut terms) = (case.logits.clone(), vec![PolicyTerms::default(); case.action.len()]);
    backend.policy_rows(PolicyRows {
        n_actions: case.n,
        logits: &mut logits,
        mask: &case.mask,
        action: &case.action,
        old_log_prob: &case.old_log_prob,
        advantage: &case.advantage,
        weight: &case.weight,
        clip,
        ent_coef: 0.3,
        terms: &mut terms,
    });
    (logits, terms)
}

#[test]
fn losses_and_gradients_agree_with_the_reference_on_every_instruction_set() {
    for (rows, n, masked) in [(1, 1, false), (7, 5, true), (16, 3, false), (33, 40, true), (50, 6, true)] {
        for clip in [None, Some(0.2)] {
            let case = case(rows, n, masked);
            let (gradient, terms) = run(&case, Isa::Portable, clip);
            let words = if masked { n.div_ceil(32) } else { 0 };
            for row in 0..rows {
                let found = &gradient[row * n..(row + 1) * n];
                if case.weight[row] == 0.0 {
                    assert!(found.iter().all(|&d| d == 0.0), "row {row} of no weight");
                    continue;
                }
                let mask = &case.mask[row * words..(row + 1) * words];
                let legal: Vec<bool> = (0..n).map(|a| is_legal(mask, a)).collect();
                let logits: Vec<f64> =
                    case.logits[row * n..(row + 1) * n].iter().map(|&l| l.into()).collect();
                let [old, advantage, weight] =
                    [case.old_log_prob[row], case.advantage[row], case.weight[row]].map(f64::from);
                let action = case.action[row] as usize;
                let (loss, expected) = policy_row(
                    &logits,
                    &legal,
                    action,
                    old,
                    advantage,
                    weight,
                    clip.map(f64::from),
                    f64::from(0.3_f32),
                );
                let own = weight * f64::from(terms[row].loss - 0.3 * terms[row].entropy);
                let scale =
                    weight * (1.0 + advantage.abs() * (f64::from(terms[row].log_prob) - old).exp().max(1.0));
                assert!(
                    (own - loss).abs() < 1e-5 * scale.max(loss.abs()),
                    "loss of row {row}: {own}, {loss}"
                );
                for (found, expected) in found.iter().zip(expected) {
                    assert!(
                        (f64::from(*found) - expected).abs() < 1e-5 * scale,
                        "row {row}: {found}, {expected}"
                    );
                }
            }
            let bits = |(gradient, terms): &(Vec<f32>, Vec<PolicyTerms>)| {
                let counting = terms.iter().zip(&case.weight).filter(|(_, w)| **w != 0.0);
                let terms = counting.flat_map(|(t, _)| [t.log_prob, t.entropy, t.loss, t.kl, t.clipped]);
                gradient.iter().copied().chain(terms).map(f32::to_bits).collect::<Vec<_>>()
            };
            let expected = bits(&(gradient, terms));
            for isa in Isa::available() {
                assert_eq!(bits(&run(&case, isa, clip)), expected, "{rows} rows of {n} on {isa:?}");
            }
        }
    }
}

#[test]
fn a_policy_that_did_not_move_has_ratio_one() {
    let mut case = case(20, 5, true);
    let (_, terms) = run(&case, Isa::Portable, None);
    case.old_log_prob = terms.iter().map(|t| t.log_prob).collect();
    let (_, terms) = run(&case, Isa::Portable, Some(0.1));
    for (row, t) in terms.iter().enumerate().filter(|(row, _)| case.weight[*row] != 0.0) {
        assert_eq!((t.loss, t.kl, t.clipped), (-case.advantage[row], 0.0, 0.0), "row {row}");
    }
}

/// The definition, in `f64`: the first legal action whose cumulated probability exceeds the draw.
fn drawn(logits: &[f32], legal: impl Fn(usize) -> bool, uniform: f32) -> (u32, f64) {
    let weight = |a: usize| if legal(a) { f64::from(logits[a]).exp() } else { 0.0 };
    let total: f64 = (0..logits.len()).map(weight).sum();
    let (mut sum, mut near) = (0.0, f64::INFINITY);
    for a in 0..logits.len() {
        sum += weight(a) / total;
        near = (sum - f64::from(uniform)).abs().min(near);
        if sum > f64::from(uniform) {
            return (a as u32, near);
        }
    }
    (NO_ACTION, 0.0)
}

#[test]
fn draws_and_modes_follow_the_definition_on_every_instruction_set() {
    for (rows, n, masked) in [(1, 1, false), (7, 5, true), (16, 3, false), (33, 40, true), (500, 6, true)] {
        let mut case = case(rows, n, masked);
        let words = if masked { n.div_ceil(32) } else { 0 };
        // Not a number, and something that nothing can be chosen from.
        case.logits.iter_mut().for_each(|l| *l = if l.is_nan() { 0.5 } else { *l });
        let none = rows - 1;
        if masked {
            case.mask[none * words..].fill(0);
        }
        let mut rng = Stream::new(2, Purpose::Replay, 0, 0);
        let uniform: Vec<f32> = (0..rows).map(|_| rng.uniform()).collect();
        let run = |isa: Isa, uniform: &[f32]| {
            let mut backend = Backend::cpu(CpuOptions { threads: 1, isa: Some(isa) }).unwrap();
            let mut action = vec![0; rows];
            let Case { logits, mask, .. } = &case;
            backend.draw_rows(DrawRows { n_actions: n, logits, mask, uniform, action: &mut action });
            action
        };
        let (draws, modes) = (run(Isa::Portable, &uniform), run(Isa::Portable, &[]));
        for isa in Isa::available() {
            assert_eq!((run(isa, &uniform), run(isa, &[])), (draws.clone(), modes.clone()), "{isa:?}");
        }
        for row in 0..rows {
            let logits = &case.logits[row * n..(row + 1) * n];
            let legal = |a: usize| is_legal(&case.mask[row * words..(row + 1) * words], a);
            if masked && row == none {
                assert_eq!((draws[row], modes[row]), (NO_ACTION, NO_ACTION));
                continue;
            }
            let (expected, near) = drawn(logits, legal, uniform[row]);
            assert!(draws[row] == expected || near < 1e-6, "row {row}: {}, not {expected}", draws[row]);
            let best = (0..n).filter(|&a| legal(a)).reduce(|b, a| if logits[a] > logits[b] { a } else { b });
            assert_eq!(Some(modes[row] as usize), best, "row {row}");
        }
    }
}

#[test]
fn rounding_never_draws_what_cannot_happen() {
    let mut backend = Backend::cpu(CpuOptions::default()).unwrap();
    let mut action = [9; 3];
    backend.draw_rows(DrawRows {
        n_actions: 3,
        logits: &[0.0, 0.1, -900.0, 0.3, f32::NAN, 0.2, f32::NAN, f32::NAN, 0.0],
        mask: &[0b111, 0b101, 0b011],
        uniform: &[1.0 - f32::EPSILON / 2.0, 1.0 - f32::EPSILON / 2.0, 0.5],
        action: &mut action,
    });
    // The last row has no number among its legal logits: any legal action will do.
    assert!(action[0] == 1 && action[1] == 2 && action[2] < 2, "{action:?}");
}
