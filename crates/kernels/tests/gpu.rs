//! Kernels of a GPU against those of the CPU, bit for bit. The comparisons need a device and are ignored without being
//! asked for: `cargo test -p coact-kernels --features cuda --test gpu -- --ignored` runs them on a GPU. Without one they
//! run here all the same, in a child process with the stand-in driver of `sim/`, which compiles the same `.cu` files for
//! the host; that needs a C++ compiler, and says so where there is none.

#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod gpu {
    mod act;
    mod driver;
    mod fast;
    mod fast_update;
    mod faults;
    mod mix;
    mod recurrent;
    mod resident;
    mod rollout;
    mod special;
    mod td_target;
    mod update;
}
