//! Faults planted in the kernels, each of which the comparisons under the stand-in driver must find. The sources are
//! copied, one place is changed, and a stand-in is built of the copy.

use super::driver::{build, child};
use std::path::{Path, PathBuf};
use std::process::Output;

/// A change of one place in a source file.
struct Fault {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

/// Copies what the stand-in is built of, with the change.
fn planted(fault: &Fault) -> PathBuf {
    let to =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fault-{}-{}", fault.name, std::process::id()));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(here, &to, Path::new("sim"));
    copy(here, &to, Path::new("src"));
    let file = to.join(fault.file);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches(fault.from).count(), 1, "{}: {:?} is not one place", fault.file, fault.from);
    std::fs::write(&file, text.replace(fault.from, fault.to)).unwrap();
    to
}

fn copy(from: &Path, to: &Path, folder: &Path) {
    for entry in std::fs::read_dir(from.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = folder.join(entry.file_name());
        if entry.path().is_dir() {
            copy(from, to, &name);
        } else if entry
            .path()
            .extension()
            .is_some_and(|e| e == "cu" || e == "cuh" || e == "hpp" || e == "cpp")
        {
            std::fs::create_dir_all(to.join(folder)).unwrap();
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// What the compiler, or the comparisons named `filter` in some order of threads, say to the fault. None on a machine
/// that cannot build a stand-in.
fn found(fault: &Fault, filter: &str) -> Option<String> {
    let sources = planted(fault);
    let built = build(&format!("faulty-{}", fault.name), &sources);
    std::fs::remove_dir_all(&sources).unwrap();
    let folder = match built {
        Ok(Ok(folder)) => folder,
        Ok(Err(said)) => return Some(said),
        Err(why) => {
            eprintln!("skipped: {why}");
            return None;
        }
    };
    for order in ["0", "1", "2", "3", "4"] {
        let Output { status, stdout, stderr } = child(&folder, filter, &[("COACT_SIM_ORDER", order)]);
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(!said.contains("running 0 tests"), "no test is named {filter}");
        if !status.success() {
            return Some(said);
        }
    }
    panic!("{}: nothing is found", fault.name);
}

fn finds(fault: &Fault, filter: &str, expected: &str) {
    if let Some(said) = found(fault, filter) {
        assert!(said.contains(expected), "{}: expected {expected:?} in: {said}", fault.name);
    }
}

#[test]
fn a_missing_barrier_is_found() {
    let fault = Fault {
        name: "missing-barrier",
        file: "src/cuda/network.cuh",
        from: "fused, here, there, stride);\n        __syncthreads();",
        to: "fused, here, there, stride);",
    };
    finds(&fault, "act_on_a_device_over_rows", "QShape");
}

/// A thread that is a step ahead overwrites what the others still read.
#[test]
fn a_missing_barrier_between_steps_is_found() {
    let fault = Fault {
        name: "missing-barrier-between-steps",
        file: "src/recurrent/kernel.cu",
        from: "nobody reads this step's any more.\n        __syncthreads();",
        to: "nobody reads this step's any more.",
    };
    finds(&fault, "cells_on_a_device_over_rows", "hidden Some");
}

/// The next part of a product overwrites what others still multiply.
#[test]
fn a_missing_barrier_in_a_product_is_found() {
    let fault = Fault {
        name: "missing-barrier-in-a-product",
        file: "src/mlp/kernel.cu",
        from: "sum[c][i] = fma_(rows[i], b, sum[c][i]);\n            }\n        }\n        __syncthreads();",
        to: "sum[c][i] = fma_(rows[i], b, sum[c][i]);\n            }\n        }",
    };
    finds(&fault, "recurrent_networks_on_a_device_over_layers", "output Some");
}

#[test]
fn a_barrier_after_an_early_return_is_found() {
    let fault = Fault {
        name: "early-return",
        file: "src/act/kernel.cu",
        from: "    const Solo solo = {args.params + (u64)set * net.n_params};\n",
        to: "    const Solo solo = {args.params + (u64)set * net.n_params};\n    if (threadIdx.x % ROWS >= count) return;\n",
    };
    finds(&fault, "act_on_a_device_over_rows", "threads ended while the others wait at a barrier");
}

/// Some lanes of a warp go another way than those that compute a product with them.
#[test]
fn a_lane_that_is_missing_from_a_collective_is_found() {
    let fault = Fault {
        name: "missing-lane",
        file: "src/cuda/fast.cuh",
        from: "    float c[PARTS][TILES][4];\n",
        to: "    if (first + TILES * j >= n) return;\n    float c[PARTS][TILES][4];\n",
    };
    finds(&fault, "fast_runs_on_a_device", "wait in a collective for the others");
}

/// Two halves of a fragment are swapped: rows and columns are all there, and one of them is not where it belongs.
#[test]
fn a_wrong_index_into_a_fragment_is_found() {
    let fault = Fault {
        name: "wrong-fragment",
        file: "src/cuda/fast.cuh",
        from: "c[r / 2][t][r % 2 * 2 + odd]",
        to: "c[r / 2][t][odd * 2 + r % 2]",
    };
    finds(&fault, "fast_values_on_a_device", "over");
    let fault = Fault {
        name: "wrong-input",
        from: "a[0][2 * part + 1], a[1][2 * part],",
        to: "a[1][2 * part], a[0][2 * part + 1],",
        ..fault
    };
    finds(&fault, "fast_values_on_a_device", "over");
}

/// Gradients of two inputs are swapped.
#[test]
fn a_wrong_index_into_a_gradient_is_found() {
    let fault = Fault {
        name: "wrong-gradient",
        file: "src/update/fast.cuh",
        from: "own_k + 2 * part + half, column",
        to: "own_k + 2 * half + part, column",
    };
    finds(&fault, "fast_gradients_on_a_device", "over");
}

/// Inputs past the last one are not zeros.
#[test]
fn a_fragment_that_is_not_padded_is_found() {
    let fault = Fault {
        name: "not-padded",
        file: "src/cuda/fast.cuh",
        from: "    if (k < k_len) load_<EACH>(x + k * stride, v);",
        to: "    load_<EACH>(x + k * stride, v);",
    };
    finds(&fault, "fast_values_on_a_device", "over");
}

#[test]
fn a_read_past_the_end_is_found() {
    let fault = Fault {
        name: "read-past-the-end",
        file: "src/act/kernel.cu",
        from: "r < count ? args.obs[((u64)(first + r) * args.n_sets + set) * d + k] : 0.0f;",
        to: "args.obs[((u64)(first + r) * args.n_sets + set) * d + k];",
    };
    finds(&fault, "act_on_a_device_over_rows", "act_8: thread ");
    finds(&fault, "act_on_a_device_over_rows", "which is nobody's");
}

#[test]
fn a_write_past_the_end_is_found() {
    let fault = Fault {
        name: "write-past-the-end",
        file: "src/update/kernel.cu",
        from: "    if (i >= args.len) return;\n    args.grads",
        to: "    args.grads",
    };
    finds(&fault, "updates_on_a_device_on_random", "update_tree: thread ");
}

/// Shared memory begins as NaN: the last input of a tile is not loaded.
#[test]
fn shared_memory_that_nobody_wrote_is_found() {
    let fault = Fault {
        name: "unwritten",
        file: "src/act/kernel.cu",
        from: "for (u32 i = threadIdx.x; i < d * ROWS; i += blockDim.x) {",
        to: "for (u32 i = threadIdx.x; i + 1 < d * ROWS; i += blockDim.x) {",
    };
    finds(&fault, "act_on_a_device_over_rows", "QShape");
}

/// Two fields of one size are swapped on one side.
#[test]
fn arguments_in_another_order_are_found() {
    let fault = Fault {
        name: "swapped",
        file: "src/act/kernel.cu",
        from: "    u32 n_sets;\n    u32 units; // rows of a set\n",
        to: "    u32 units; // rows of a set\n    u32 n_sets;\n",
    };
    finds(&fault, "act_on_a_device_over_options", "running 1 test");
}

/// A field is added on one side: first the compiler says so, then, without the assertion, the driver does.
#[test]
fn an_argument_of_another_size_is_found() {
    let assertion = "static_assert(sizeof(ActArgs) == 160, \"ActArgs as in Rust\");";
    let fault = Fault {
        name: "larger",
        file: "src/act/kernel.cu",
        from: "    float epsilon, temperature;\n};\n",
        to: "    float epsilon, temperature, more, most;\n};\n",
    };
    finds(&fault, "act_on_a_device", "ActArgs as in Rust");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(fault.file)).unwrap();
    assert!(text.contains(&format!("{}{assertion}", fault.from)));
    let fault = Fault {
        name: "larger-unasserted",
        from: "    float epsilon, temperature;\n};\nstatic_assert(sizeof(ActArgs) == 160, \"ActArgs as in Rust\");",
        to: "    float epsilon, temperature, more, most;\n};\n",
        ..fault
    };
    finds(&fault, "act_on_a_device", "with an argument of 168 bytes: it is stale");
}

/// The committed PTX lacks a kernel that the sources have.
#[test]
fn a_module_without_a_kernel_is_found() {
    let fault = Fault {
        name: "renamed",
        file: "src/update/kernel.cu",
        from: "KERNEL(update_tree, TreeArgs) {",
        to: "KERNEL(update_trees, TreeArgs) {",
    };
    finds(&fault, "act_on_a_device", "has no kernel update_trees with an argument of 24 bytes: it is stale");
}

/// Blocks that do not wait for each other between two phases.
#[test]
fn a_missing_barrier_between_blocks_is_found() {
    let fault = Fault {
        name: "missing-grid-barrier",
        file: "src/resident/learn.cu",
        from: "grads_of_item(args.grads, i);\n        grid_sync(args.arrived);",
        to: "grads_of_item(args.grads, i);",
    };
    finds(&fault, "both_forms_of_steps_on_a_device", "panicked at crates/kernels/tests/gpu/resident.rs");
}

/// A block that leaves before a barrier of all blocks.
#[test]
fn a_block_that_others_wait_for_is_found() {
    let fault = Fault {
        name: "absent-block",
        file: "src/resident/learn.cu",
        from: "    for (u32 step = 0; step < args.steps; step++) {",
        to: "    if (blockIdx.x == 1) return;\n    for (u32 step = 0; step < args.steps; step++) {",
    };
    finds(&fault, "both_forms_of_steps_on_a_device", "all blocks wait for each other");
}

/// Environments multiply and add without fusing; a fused operation differs in few last bits.
#[test]
fn a_fused_operation_in_an_environment_is_found() {
    let fault = Fault {
        name: "fused",
        file: "src/rollout/env.cuh",
        from: "*place = *place + *velocity * dt;",
        to: "*place = fma_(*velocity, dt, *place);",
    };
    finds(&fault, "spread_on_a_device", "agents: obs");
}

/// The second half of the mixing network begins before the first has ended.
#[test]
fn a_missing_barrier_in_a_mixer_is_found() {
    let fault = Fault {
        name: "mixer-barrier",
        file: "src/mix/mix.cuh",
        from: "unfused_exp_(h) - 1.0f;\n    }\n    __syncthreads();",
        to: "unfused_exp_(h) - 1.0f;\n    }",
    };
    finds(&fault, "mixing_on_a_device_over_rows", "total of MixShape");
}

/// A product of the mixing network is fused with the addition behind it.
#[test]
fn a_fused_operation_in_a_mixer_is_found() {
    let fault = Fault {
        name: "mixer-fused",
        file: "src/mix/kernel.cu",
        from: "lane[c] += d * size_(*w);",
        to: "lane[c] = fma_(d, size_(*w), lane[c]);",
    };
    finds(&fault, "mixing_on_a_device_over_rows", "d_q of MixShape");
}

/// Gradients of the last chunk go over rows that are not there.
#[test]
fn a_chunk_that_is_too_long_is_found() {
    let fault = Fault {
        name: "long-chunk",
        file: "src/mix/kernel.cu",
        from: "count = min_(args.chunk_rows, args.rows - first);\n    float *out = args.partials + (u64)blockIdx.y * args.n_params;",
        to: "count = args.chunk_rows;\n    float *out = args.partials + (u64)blockIdx.y * args.n_params;",
    };
    finds(&fault, "mixing_on_a_device_over_rows", "mix_grads_");
}

/// The next tile of rows begins while the last one's actions are still chosen.
#[test]
fn a_missing_barrier_between_tiles_of_targets_is_found() {
    let fault = Fault {
        name: "target-barrier",
        file: "src/td_target/kernel.cu",
        from: "LD + sample - first] = value;\n    }\n    __syncthreads();",
        to: "LD + sample - first] = value;\n    }",
    };
    finds(&fault, "targets_on_a_device_over", "QShape");
}

/// The next state of an ended process is read: it is not a number there.
#[test]
fn a_next_value_that_does_not_count_is_found() {
    let fault = Fault {
        name: "target-ended",
        file: "src/td_target/kernel.cu",
        from: "    return g.discount[place] != 0.0f;",
        to: "    return true;",
    };
    finds(&fault, "targets_on_a_device_over_options", "NoLegalAction");
}
