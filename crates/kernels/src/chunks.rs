//! Gradients summed over the rows of a batch by a team: a chain within a chunk of rows, a pairwise tree over chunks.
//! With many chunks each thread takes stretches of them, with few all share each chunk; neither changes the order of a
//! sum.

use crate::buffer::{Buffer, Shared};
use crate::update::tree::PairTree;
use crate::{Cpu, Isa, rows};

/// Rows of a chunk.
pub(crate) const CHUNK_ROWS: usize = 256;

/// What to write of the gradient of a chunk: part `share` `(t, of)`, so that `of` calls with different `t` write all of it.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) chunk: usize,
    pub(crate) share: (usize, usize),
    /// The thread that does it, below the size of the team.
    pub(crate) thread: usize,
}

/// Writes a part of the gradient of one chunk.
pub(crate) type Fill<'a> = dyn Fn(Part, &Shared<'_, f32>) + Sync + 'a;

/// Chunks of a stretch that one thread sums alone: a power of two, so that stretches are subtrees, and four or more
/// stretches a thread where that is possible, so that a late thread costs little.
pub(crate) fn stretch_of(chunks: usize, threads: usize) -> usize {
    1 << (chunks / (4 * threads)).max(1).ilog2()
}

/// Whether threads take stretches of chunks rather than parts of each chunk.
pub(crate) fn apart(chunks: usize, threads: usize) -> bool {
    threads > 1 && chunks > 0 && (chunks.is_multiple_of(threads) || chunks >= 4 * threads)
}

/// The partial sums. Grows on first use.
#[derive(Debug, Default)]
pub(crate) struct ChunkSums {
    trees: Vec<PairTree>,
    /// Sums of all stretches but the first.
    partials: Buffer,
}

impl ChunkSums {
    /// Writes to `root` the sum over `chunks` chunks of what `fill` writes for each; zeros without a chunk.
    pub(crate) fn run(
        &mut self,
        cpu: &mut Cpu,
        threads: usize,
        chunks: usize,
        root: &mut [f32],
        fill: &Fill<'_>,
    ) {
        let isa = cpu.isa;
        let apart = apart(chunks, threads);
        let n_trees = if apart { cpu.team.threads() } else { 1 };
        if self.trees.len() < n_trees {
            self.trees.resize_with(n_trees, PairTree::default);
        }
        if apart {
            return self.stretches(cpu, stretch_of(chunks, threads), chunks, root, fill);
        }
        let tree = &mut self.trees[0];
        tree.start(chunks, root.len());
        for chunk in 0..chunks {
            tree.push(isa, root, |out| {
                let out = Shared::new(out);
                cpu.run(threads, threads, &|part, thread| {
                    fill(Part { chunk, share: (part, threads), thread }, &out);
                });
            });
        }
        tree.finish(isa, root);
    }

    fn stretches(&mut self, cpu: &mut Cpu, stretch: usize, chunks: usize, root: &mut [f32], fill: &Fill<'_>) {
        let (isa, len) = (cpu.isa, root.len());
        let stretches = chunks.div_ceil(stretch);
        self.partials.fit((stretches - 1) * len);
        for tree in &mut self.trees[..cpu.team.threads()] {
            // Here, because which thread begins which stretch is not fixed, and nothing may grow in a later call.
            tree.start(stretch, len);
        }
        let (root, partials, trees) = (Shared::new(root), &self.partials, Shared::new(&mut self.trees));
        // SAFETY: a stretch is one thread's, and the sums over stretches come after all of them.
        let sum_of =
            |s: usize| unsafe { if s == 0 { root.part(0, len) } else { partials.part((s - 1) * len, len) } };
        cpu.team.run(stretches, &|s, thread| {
            // SAFETY: each thread has a number, and a tree, of its own.
            let tree = unsafe { &mut trees.part(thread, 1)[0] };
            let out = sum_of(s);
            let own = s * stretch..chunks.min((s + 1) * stretch);
            tree.start(own.len(), len);
            for chunk in own {
                let part = Part { chunk, share: (0, 1), thread };
                tree.push(isa, out, |out| fill(part, &Shared::new(out)));
            }
            tree.finish(isa, out);
        });
        add_stretches(isa, stretches, &sum_of);
    }
}

/// The upper levels of the tree, in place.
fn add_stretches<'a>(isa: Isa, stretches: usize, sum_of: &dyn Fn(usize) -> &'a mut [f32]) {
    let mut gap = 1;
    while gap < stretches {
        for s in (0..stretches - gap).step_by(2 * gap) {
            rows::add(isa, sum_of(s), sum_of(s + gap));
        }
        gap *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, CpuOptions};

    /// Sums of chunks whose value depends on the order, at some number of threads.
    fn sums(threads: usize, chunks: usize, len: usize) -> Vec<u32> {
        let mut backend = Backend::cpu(CpuOptions { threads, isa: None }).unwrap();
        let mut root = vec![7.0; len];
        let fill = |part: Part, out: &Shared<'_, f32>| {
            let (chunk, (t, of)) = (part.chunk, part.share);
            let (low, high) = (len * t / of, len * (t + 1) / of);
            // SAFETY: parts of different `t` are disjoint.
            let out = unsafe { out.part(low, high - low) };
            for (i, o) in out.iter_mut().enumerate() {
                *o = 1.1_f32.powi((chunk * 7 % 31) as i32) - 3.3 * (low + i) as f32;
            }
        };
        let mut sums = ChunkSums::default();
        sums.run(backend.host_mut(), threads, chunks, &mut root, &fill);
        root.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn threads_are_invisible() {
        for chunks in [0, 1, 2, 3, 5, 8, 13, 16, 40, 67] {
            let alone = sums(1, chunks, 5);
            for threads in [2, 3, 4] {
                assert_eq!(sums(threads, chunks, 5), alone, "{chunks} chunks, {threads} threads");
            }
            assert_eq!(alone[0] == 0, chunks == 0, "{chunks} chunks");
        }
    }
}
