//! Counts of the mixing network of QMIX, and of targets that it mixes.

use super::{
    AGENTS, BARRIER, CACHED, Cost, FAR, LOAD, NEXT, launch, layer, macs, params, pass, plus, shared_of, tile,
    widths,
};
use crate::suites::kernels::predict::{H100, Launch};

/// Width of the state of `simple_spread`, units that mix, and units of the hypernetworks.
const STATE: f64 = 54.0;
const EMBED: f64 = 32.0;
const HYPER: f64 = 64.0;

/// Layers of the hypernetworks, of the first stage and of the second.
fn hyper_layers() -> [Vec<(f64, f64)>; 2] {
    let agents = AGENTS as f64;
    let first = vec![(STATE, HYPER), (STATE, HYPER), (STATE, EMBED), (STATE, EMBED)];
    [first, vec![(EMBED, 1.0), (HYPER, agents * EMBED), (HYPER, EMBED)]]
}

fn hyper_macs() -> f64 {
    hyper_layers().iter().flatten().map(|(k, n)| k * n).sum()
}

/// Parameters of all hypernetworks.
fn hyper_params() -> f64 {
    hyper_layers().iter().flatten().map(|(k, n)| (k + 1.0) * n).sum()
}

/// Columns of a tile: state, hidden layers, what they make, and the total.
fn columns() -> f64 {
    STATE + 2.0 * HYPER + 3.0 * EMBED + AGENTS as f64 * EMBED + EMBED + 1.0
}

/// Hypernetworks over a tile, narrow layers side by side, and the mixing: `A` products and sums and an exponential a hidden unit,
/// eight chains over them, their tree.
fn mixing(rows: f64) -> Cost {
    let load = ((rows * STATE / 32.0).ceil() * 12.0, (rows * STATE / 128.0).ceil() * 12.0 + FAR);
    let stage = |layers: &Vec<(f64, f64)>| {
        let all: Vec<Cost> = layers.iter().map(|&(k, n)| layer(rows, k, n, 128.0, 1.0)).collect();
        // Warps that a narrow layer leaves idle take the next one.
        let turns = all.iter().map(|c| c.0).sum::<f64>();
        let longest = all.iter().map(|c| c.1).fold(0.0, f64::max);
        (turns, longest.max(turns / 4.0) + BARRIER)
    };
    let hidden = EMBED * rows;
    let each = AGENTS as f64 * 4.0 + 30.0;
    let mixed = (
        (hidden / 32.0).ceil() * each + rows * 8.0 / 32.0 * EMBED,
        (hidden / 128.0).ceil() * each * NEXT / 2.0 + EMBED / 8.0 * 30.0 + 3.0 * BARRIER + 100.0,
    );
    hyper_layers().iter().map(stage).fold(plus(load, mixed), plus)
}

/// What forward keeps of a row.
fn kept() -> f64 {
    2.0 * HYPER + EMBED + AGENTS as f64 * EMBED + 2.0 * EMBED
}

/// `mix` forward, or backward with the gradients of its weights.
pub fn mix(batch: usize, backward: bool) -> Vec<Launch> {
    let (b, agents) = (batch as f64, AGENTS as f64);
    let tile = tile(b);
    let column = tile + 4.0;
    let tape = |times: f64| {
        ((tile * kept() / 32.0).ceil() * 8.0 * times, (tile * kept() / 128.0).ceil() * 8.0 * times)
    };
    if !backward {
        let shared = 4.0 * (columns() * column + 8.0 * tile + agents * column);
        let bytes = 4.0 * (b * (STATE + agents + 1.0 + kept()) + hyper_params());
        let ops = b * (2.0 * hyper_macs() + 2.0 * agents * EMBED + 22.0 * EMBED);
        let cost = plus(mixing(tile), tape(1.0));
        return vec![launch(
            &format!("mix_forward_{tile}"),
            (b / tile).ceil(),
            128,
            shared,
            cost,
            ops,
            bytes,
        )];
    }
    // Gradients of what was mixed, then of the hidden layers below it.
    let below = [(agents * EMBED, HYPER), (EMBED, HYPER), (1.0, EMBED)];
    let layers = below.iter().map(|&(k, n)| layer(tile, k, n, 128.0, 1.0)).fold(tape(2.0), plus);
    let unmixed = ((tile * EMBED / 32.0).ceil() * (12.0 + agents * 12.0), EMBED * 12.0 + 3.0 * BARRIER + FAR);
    let shared = 4.0 * column * (agents * EMBED + 2.0 * EMBED + agents + 1.0);
    let ops = b * 2.0 * below.iter().map(|(k, n)| k * n).sum::<f64>() + b * 6.0 * agents * EMBED;
    let back = launch(
        &format!("mix_backward_{tile}"),
        (b / tile).ceil(),
        128,
        shared,
        plus(layers, unmixed),
        ops,
        4.0 * (b * (2.0 * kept() + 2.0 * agents + 1.0) + hyper_params()),
    );
    let all: Vec<(f64, f64)> = hyper_layers().concat();
    let tiles =
        |side: f64| all.iter().map(|(k, n)| ((k + 1.0) / side).ceil() * (n / side).ceil()).sum::<f64>();
    let (chunks, chunk) = ((b / 256.0).ceil(), b.min(256.0));
    // As the gradients of an update: one or sixteen a thread, with as many products a row, and two loads either way.
    let (name, tiles, each, wait) = if tiles(64.0) * chunks < H100.multiprocessors {
        ("mix_grads_1", tiles(16.0), 7.0, LOAD)
    } else {
        ("mix_grads_4", tiles(64.0), 20.0, LOAD)
    };
    let grads = launch(
        name,
        tiles * chunks,
        256,
        0.0,
        (8.0 * each * chunk, chunk * (each + wait) + 400.0),
        2.0 * b * hyper_macs(),
        4.0 * (b * (STATE + 2.0 * kept()) + chunks * hyper_params()),
    );
    let mut launches = vec![back, grads];
    launches.extend(super::tree_over(chunks, hyper_params()));
    launches
}

/// `td_target` of double Q, the values of a sample mixed: two passes in lockstep, a choice a row, then the mixing.
pub fn td_target(batch: usize) -> Vec<Launch> {
    let (b, agents) = (batch as f64, AGENTS as f64);
    let tile = tile(b * agents);
    let samples = (tile / agents).floor();
    let forward = pass(tile, &widths(), 128.0, 2.0);
    let cost =
        [(300.0, 2.0 * FAR + 120.0 * NEXT), mixing(tile), (0.0, CACHED)].into_iter().fold(forward, plus);
    let nets = 2.0 * shared_of(tile) + 4.0 * samples * agents;
    let mixed = 4.0 * (tile + 4.0) * (columns() + agents) + 32.0 * tile;
    vec![launch(
        &format!("td_target_{tile}"),
        (b / samples).ceil(),
        128,
        nets.max(mixed),
        cost,
        b * (agents * 4.0 * macs() + 2.0 * hyper_macs()),
        4.0 * (b * (agents * 19.0 + STATE + 3.0) + 2.0 * params() + hyper_params()),
    )]
}
