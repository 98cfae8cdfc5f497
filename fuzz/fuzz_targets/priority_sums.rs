//! Sums of priorities against plain sums over a vector.

#![no_main]

use coact_replay::PrioritySums;
use libfuzzer_sys::fuzz_target;

/// The smallest index whose running sum exceeds `mass`.
fn find(leaves: &[u32], mass: u64) -> usize {
    let mut sum = 0;
    leaves
        .iter()
        .position(|&l| {
            sum += u64::from(l);
            sum > mass
        })
        .unwrap()
}

fuzz_target!(|input: &[u8]| {
    let [low, high, operations @ ..] = input else { return };
    let n = 1 + u16::from_le_bytes([*low, *high]) as usize % 9000;
    let mut sums = PrioritySums::with_minimum(n);
    let mut leaves = vec![0_u32; n];
    for operation in operations.chunks_exact(7) {
        let index = u16::from_le_bytes([operation[1], operation[2]]) as usize % n;
        let value = u32::from_le_bytes([operation[3], operation[4], operation[5], operation[6]]);
        let total: u64 = leaves.iter().map(|&l| u64::from(l)).sum();
        match operation[0] % 8 {
            0..4 => {
                let leaf = if operation[0] & 8 == 0 { value } else { value % 3 };
                leaves[index] = leaf;
                sums.set(index, leaf);
                assert_eq!(sums.get(index), leaf);
            }
            4 if total > 0 => {
                let mass = (u64::from(value) * 0x9E37_79B9 + index as u64) % total;
                assert_eq!(sums.find(mass), find(&leaves, mass), "mass {mass} of {total}");
            }
            5 if total > 0 => {
                let mut out = vec![0; 1 + index % 300];
                let u = f64::from(value) / 4_294_967_296.0;
                sums.stratified(|drawn| drawn.fill(u), &mut out);
                let width = total as f64 / out.len() as f64;
                for (i, &found) in out.iter().enumerate() {
                    let mass = (((u + i as f64) * width) as u64).min(total - 1);
                    assert_eq!(found as usize, find(&leaves, mass), "draw {i}");
                }
            }
            6 => assert_eq!(sums.minimum(), leaves.iter().copied().filter(|&l| l > 0).min()),
            _ => assert_eq!(sums.total(), total),
        }
    }
});
