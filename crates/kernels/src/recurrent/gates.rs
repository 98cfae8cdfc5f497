//! What a cell does between products: each row is read once, all gates of some units in registers, and written once.
//! Elementary functions are those of [`crate::math`], to the bit.

use crate::Isa;
use crate::dense::lanes::Lanes;
#[cfg(target_arch = "x86_64")]
use crate::dense::x86::{Avx, Zmm};

/// `e^x`, as [`crate::math::exp_f32`].
#[inline(always)]
unsafe fn exp<V: Lanes>(x: V) -> V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let x = x.at_most(88.0).at_least(-87.0);
        let magic = V::splat(12_582_912.0);
        let t = x.fma(V::splat(std::f32::consts::LOG2_E), magic);
        let k = t.sub(magic);
        let r = k.fma(V::splat(-0.693_359_4), x);
        let r = k.fma(V::splat(2.121_944_4e-4), r);
        let p = V::splat(1.987_569_1e-4);
        let p = p.fma(r, V::splat(1.398_199_9e-3));
        let p = p.fma(r, V::splat(8.333_452e-3));
        let p = p.fma(r, V::splat(4.166_579_6e-2));
        let p = p.fma(r, V::splat(1.666_666_5e-1));
        let p = p.fma(r, V::splat(0.5));
        let y = p.fma(r.mul(r), r).add(V::splat(1.0));
        y.mul(t.power_of_two())
    }
}

/// `1 / (1 + e^-x)`, as [`crate::math::sigmoid_f32`].
#[inline(always)]
unsafe fn sigmoid<V: Lanes>(x: V) -> V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let one = V::splat(1.0);
        // A product flips the sign, also that of zero.
        one.div(one.add(exp(x.mul(V::splat(-1.0)))))
    }
}

/// As [`crate::math::tanh_f32`].
#[inline(always)]
unsafe fn tanh<V: Lanes>(x: V) -> V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (one, two) = (V::splat(1.0), V::splat(2.0));
        let z = x.mul(x);
        let p = V::splat(-5.704_988_7e-3);
        let p = p.fma(z, V::splat(2.063_908_8e-2));
        let p = p.fma(z, V::splat(-5.373_971_5e-2));
        let p = p.fma(z, V::splat(1.333_144_2e-1));
        let p = p.fma(z, V::splat(-3.333_328e-1));
        let small = p.mul(z).fma(x, x);
        let size = x.abs();
        let large = one.sub(two.div(exp(two.mul(size)).add(one))).signed_as(x);
        size.choose(0.625, small, large)
    }
}

/// `1 - y`.
#[inline(always)]
unsafe fn rest<V: Lanes>(y: V) -> V {
    // SAFETY: the caller has the instruction set.
    unsafe { V::splat(1.0).sub(y) }
}

/// Slope of a sigmoid where its value is `y`.
#[inline(always)]
unsafe fn sigmoid_slope<V: Lanes>(y: V) -> V {
    // SAFETY: the caller has the instruction set.
    unsafe { y.mul(rest(y)) }
}

/// Slope of tanh where its value is `y`.
#[inline(always)]
unsafe fn tanh_slope<V: Lanes>(y: V) -> V {
    // SAFETY: the caller has the instruction set.
    unsafe { y.fma(y.mul(V::splat(-1.0)), V::splat(1.0)) }
}

/// Some units of a row: the first `n` lanes of a vector.
#[derive(Clone, Copy)]
struct Units<const TAIL: bool> {
    n: usize,
}

impl<const TAIL: bool> Units<TAIL> {
    #[inline(always)]
    unsafe fn load<V: Lanes>(self, p: *const f32) -> V {
        // SAFETY: the caller's units lie in the row.
        unsafe { if TAIL { V::load_first(p, self.n) } else { V::load(p) } }
    }

    #[inline(always)]
    unsafe fn store<V: Lanes>(self, v: V, p: *mut f32) {
        // SAFETY: the caller's units lie in the row.
        unsafe { if TAIL { v.store_first(p, self.n) } else { v.store(p) } }
    }
}

/// What a pass does with some units of a row.
trait Pass: Copy {
    /// Units `unit..` of row `row`.
    ///
    /// # Safety
    /// The instruction set of `V` is there, and the units lie in the row.
    unsafe fn units<V: Lanes, const TAIL: bool>(self, row: usize, unit: usize, lanes: Units<TAIL>);
}

/// All units of all rows.
#[inline(always)]
unsafe fn sweep<V: Lanes, P: Pass>(pass: P, rows: usize, h: usize) {
    for row in 0..rows {
        let mut unit = 0;
        // SAFETY: units stay below `h`.
        unsafe {
            while unit + V::W <= h {
                pass.units::<V, false>(row, unit, Units { n: V::W });
                unit += V::W;
            }
            if unit < h {
                pass.units::<V, true>(row, unit, Units { n: h - unit });
            }
        }
    }
}

fn run<P: Pass>(isa: Isa, pass: P, rows: usize, h: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        unsafe fn avx512<P: Pass>(pass: P, rows: usize, h: usize) {
            // SAFETY: promised by the caller.
            unsafe { sweep::<Zmm, P>(pass, rows, h) }
        }
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2<P: Pass>(pass: P, rows: usize, h: usize) {
            // SAFETY: promised by the caller.
            unsafe { sweep::<Avx, P>(pass, rows, h) }
        }
        match isa {
            // SAFETY: `Backend::cpu` checked that the machine has the set, and the pass's maker checked lengths.
            Isa::Avx512 => return unsafe { avx512(pass, rows, h) },
            // SAFETY: as above.
            Isa::Avx2 => return unsafe { avx2(pass, rows, h) },
            _ => {}
        }
    }
    let _ = isa;
    // SAFETY: plain Rust runs everywhere; lengths were checked.
    unsafe { sweep::<[f32; 4], P>(pass, rows, h) }
}

/// Rows of all of these, `(elements, width)`, which must agree with each other.
fn rows_of<const N: usize>(columns: [(usize, usize); N]) -> usize {
    let rows = columns[0].0 / columns[0].1;
    assert!(columns.iter().all(|&(len, width)| len == rows * width), "columns of one length: {columns:?}");
    rows
}

#[derive(Clone, Copy)]
struct Gru {
    h: usize,
    x: *const f32,
    gates: *mut f32,
    n: *mut f32,
    h_in: *const f32,
    hidden: *mut f32,
}

impl Pass for Gru {
    #[inline(always)]
    unsafe fn units<V: Lanes, const TAIL: bool>(self, row: usize, unit: usize, lanes: Units<TAIL>) {
        let (h, at) = (self.h, row * self.h + unit);
        // SAFETY: columns hold all rows, and these units lie in theirs.
        unsafe {
            let (x, gates) = (self.x.add(3 * row * h + unit), self.gates.add(3 * row * h + unit));
            let r: V = sigmoid(lanes.load::<V>(gates).add(lanes.load(x)));
            let z: V = sigmoid(lanes.load::<V>(gates.add(h)).add(lanes.load(x.add(h))));
            let n: V = tanh(r.fma(lanes.load(gates.add(2 * h)), lanes.load(x.add(2 * h))));
            let h_in: V = lanes.load(self.h_in.add(at));
            lanes.store(r, gates);
            lanes.store(z, gates.add(h));
            lanes.store(n, self.n.add(at));
            lanes.store(z.fma(h_in.sub(n), n), self.hidden.add(at));
        }
    }
}

/// GRU: `gates` `[rows, 3 H]` holds the hidden side, and then `r`, `z` and the hidden side of `n`; writes `n` and `hidden`
/// `[rows, H]`.
pub(super) fn gru(
    isa: Isa,
    h: usize,
    x: &[f32],
    gates: &mut [f32],
    n: &mut [f32],
    h_in: &[f32],
    hidden: &mut [f32],
) {
    let wide = [(x.len(), 3 * h), (gates.len(), 3 * h)];
    let rows = rows_of([wide[0], wide[1], (n.len(), h), (h_in.len(), h), (hidden.len(), h)]);
    let (gates, n, hidden) = (gates.as_mut_ptr(), n.as_mut_ptr(), hidden.as_mut_ptr());
    run(isa, Gru { h, x: x.as_ptr(), gates, n, h_in: h_in.as_ptr(), hidden }, rows, h);
}

#[derive(Clone, Copy)]
struct GruGrad {
    h: usize,
    d_hidden: *const f32,
    d_h: *mut f32,
    gates: *const f32,
    n: *const f32,
    h_in: *const f32,
    d_x: *mut f32,
    d_y: *mut f32,
}

impl Pass for GruGrad {
    #[inline(always)]
    unsafe fn units<V: Lanes, const TAIL: bool>(self, row: usize, unit: usize, lanes: Units<TAIL>) {
        let (h, at, wide) = (self.h, row * self.h + unit, 3 * row * self.h + unit);
        // SAFETY: columns hold all rows, and these units lie in theirs.
        unsafe {
            let gates = self.gates.add(wide);
            let (r, z, y): (V, V, V) =
                (lanes.load(gates), lanes.load(gates.add(h)), lanes.load(gates.add(2 * h)));
            let (n, h_in): (V, V) = (lanes.load(self.n.add(at)), lanes.load(self.h_in.add(at)));
            let d = lanes.load::<V>(self.d_h.add(at)).add(lanes.load(self.d_hidden.add(at)));
            let d_z = d.mul(h_in.sub(n)).mul(sigmoid_slope(z));
            let d_n = d.mul(rest(z)).mul(tanh_slope(n));
            let d_r = d_n.mul(y).mul(sigmoid_slope(r));
            lanes.store(d.mul(z), self.d_h.add(at));
            for (side, last) in [(self.d_x, d_n), (self.d_y, d_n.mul(r))] {
                lanes.store(d_r, side.add(wide));
                lanes.store(d_z, side.add(wide + h));
                lanes.store(last, side.add(wide + 2 * h));
            }
        }
    }
}

/// Backward of [`gru`]: writes the gradients of both sides of the gates `[rows, 3 H]`. `d_h` `[rows, H]` comes with the
/// gradient from the step after and leaves with what reaches the step before past the products.
#[allow(clippy::too_many_arguments)]
pub(super) fn gru_grad(
    isa: Isa,
    h: usize,
    d_hidden: &[f32],
    d_h: &mut [f32],
    gates: &[f32],
    n: &[f32],
    h_in: &[f32],
    d_x: &mut [f32],
    d_y: &mut [f32],
) {
    let wide = [(gates.len(), 3 * h), (d_x.len(), 3 * h), (d_y.len(), 3 * h)];
    let narrow = [(d_hidden.len(), h), (d_h.len(), h), (n.len(), h), (h_in.len(), h)];
    let rows = rows_of(wide);
    assert_eq!(rows, rows_of(narrow), "rows of gates and of units");
    let (d_hidden, gates, n, h_in) = (d_hidden.as_ptr(), gates.as_ptr(), n.as_ptr(), h_in.as_ptr());
    let (d_h, d_x, d_y) = (d_h.as_mut_ptr(), d_x.as_mut_ptr(), d_y.as_mut_ptr());
    run(isa, GruGrad { h, d_hidden, d_h, gates, n, h_in, d_x, d_y }, rows, h);
}

#[derive(Clone, Copy)]
struct Lstm {
    h: usize,
    x: *const f32,
    gates: *mut f32,
    c_in: *const f32,
    c: *mut f32,
    tanh_c: *mut f32,
    hidden: *mut f32,
}

impl Pass for Lstm {
    #[inline(always)]
    unsafe fn units<V: Lanes, const TAIL: bool>(self, row: usize, unit: usize, lanes: Units<TAIL>) {
        let (h, at) = (self.h, row * self.h + unit);
        // SAFETY: columns hold all rows, and these units lie in theirs.
        unsafe {
            let (x, gates) = (self.x.add(4 * row * h + unit), self.gates.add(4 * row * h + unit));
            let sum = |gate: usize| lanes.load::<V>(gates.add(gate * h)).add(lanes.load(x.add(gate * h)));
            let (i, f, g, o) = (sigmoid(sum(0)), sigmoid(sum(1)), tanh(sum(2)), sigmoid(sum(3)));
            let c = f.fma(lanes.load(self.c_in.add(at)), i.mul(g));
            let tanh_c = tanh(c);
            for (gate, value) in [i, f, g, o].into_iter().enumerate() {
                lanes.store(value, gates.add(gate * h));
            }
            lanes.store(c, self.c.add(at));
            lanes.store(tanh_c, self.tanh_c.add(at));
            lanes.store(o.mul(tanh_c), self.hidden.add(at));
        }
    }
}

/// LSTM: `gates` `[rows, 4 H]` holds the hidden side, and then `i`, `f`, `g`, `o`; writes `c`, `tanh(c)` and `hidden`
/// `[rows, H]`.
#[allow(clippy::too_many_arguments)]
pub(super) fn lstm(
    isa: Isa,
    h: usize,
    x: &[f32],
    gates: &mut [f32],
    c_in: &[f32],
    c: &mut [f32],
    tanh_c: &mut [f32],
    hidden: &mut [f32],
) {
    let wide = [(x.len(), 4 * h), (gates.len(), 4 * h)];
    let narrow = [(c_in.len(), h), (c.len(), h), (tanh_c.len(), h), (hidden.len(), h)];
    let rows = rows_of(wide);
    assert_eq!(rows, rows_of(narrow), "rows of gates and of units");
    let (x, gates, c_in) = (x.as_ptr(), gates.as_mut_ptr(), c_in.as_ptr());
    let (c, tanh_c, hidden) = (c.as_mut_ptr(), tanh_c.as_mut_ptr(), hidden.as_mut_ptr());
    run(isa, Lstm { h, x, gates, c_in, c, tanh_c, hidden }, rows, h);
}

#[derive(Clone, Copy)]
struct LstmGrad {
    h: usize,
    d_hidden: *const f32,
    d_h: *const f32,
    d_c: *mut f32,
    gates: *const f32,
    c_in: *const f32,
    tanh_c: *const f32,
    d_x: *mut f32,
}

impl Pass for LstmGrad {
    #[inline(always)]
    unsafe fn units<V: Lanes, const TAIL: bool>(self, row: usize, unit: usize, lanes: Units<TAIL>) {
        let (h, at, wide) = (self.h, row * self.h + unit, 4 * row * self.h + unit);
        // SAFETY: columns hold all rows, and these units lie in theirs.
        unsafe {
            let gate = |index: usize| lanes.load::<V>(self.gates.add(wide + index * h));
            let (i, f, g, o) = (gate(0), gate(1), gate(2), gate(3));
            let (c_in, tanh_c): (V, V) = (lanes.load(self.c_in.add(at)), lanes.load(self.tanh_c.add(at)));
            let d = lanes.load::<V>(self.d_h.add(at)).add(lanes.load(self.d_hidden.add(at)));
            let d_c = d.mul(o).fma(tanh_slope(tanh_c), lanes.load(self.d_c.add(at)));
            let of_gates = [
                d_c.mul(g).mul(sigmoid_slope(i)),
                d_c.mul(c_in).mul(sigmoid_slope(f)),
                d_c.mul(i).mul(tanh_slope(g)),
                d.mul(tanh_c).mul(sigmoid_slope(o)),
            ];
            for (gate, value) in of_gates.into_iter().enumerate() {
                lanes.store(value, self.d_x.add(wide + gate * h));
            }
            lanes.store(d_c.mul(f), self.d_c.add(at));
        }
    }
}

/// Backward of [`lstm`]: writes the gradient of the gates `[rows, 4 H]`. `d_h` and `d_c` `[rows, H]` come with the gradients
/// from the step after; `d_c` leaves with that of the step before.
#[allow(clippy::too_many_arguments)]
pub(super) fn lstm_grad(
    isa: Isa,
    h: usize,
    d_hidden: &[f32],
    d_h: &[f32],
    d_c: &mut [f32],
    gates: &[f32],
    c_in: &[f32],
    tanh_c: &[f32],
    d_x: &mut [f32],
) {
    let wide = [(gates.len(), 4 * h), (d_x.len(), 4 * h)];
    let narrow = [(d_hidden.len(), h), (d_h.len(), h), (d_c.len(), h), (c_in.len(), h), (tanh_c.len(), h)];
    let rows = rows_of(wide);
    assert_eq!(rows, rows_of(narrow), "rows of gates and of units");
    let (d_hidden, d_h, d_c) = (d_hidden.as_ptr(), d_h.as_ptr(), d_c.as_mut_ptr());
    let (gates, c_in, tanh_c) = (gates.as_ptr(), c_in.as_ptr(), tanh_c.as_ptr());
    run(isa, LstmGrad { h, d_hidden, d_h, d_c, gates, c_in, tanh_c, d_x: d_x.as_mut_ptr() }, rows, h);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math;

    /// Some function of many values, as rows of 7 and of 16 units.
    #[derive(Clone, Copy)]
    struct Map {
        h: usize,
        which: usize,
        x: *const f32,
        y: *mut f32,
    }

    impl Pass for Map {
        #[inline(always)]
        unsafe fn units<V: Lanes, const TAIL: bool>(self, row: usize, unit: usize, lanes: Units<TAIL>) {
            // SAFETY: the columns below hold all rows.
            unsafe {
                let x: V = lanes.load(self.x.add(row * self.h + unit));
                let y = [exp(x), sigmoid(x), tanh(x)][self.which];
                lanes.store(y, self.y.add(row * self.h + unit));
            }
        }
    }

    #[test]
    fn elementary_functions_are_those_of_math_to_the_bit() {
        let special = [0.0, -0.0, 0.625, -0.625, 88.0, -88.0, 1e30, -1e30, 1e-30, f32::NAN, f32::INFINITY];
        let mut x: Vec<f32> = (0..7 * 16 * 40).map(|i| (i as f32 - 2240.0) * 0.043).collect();
        x[..special.len()].copy_from_slice(&special);
        for (which, scalar) in [math::exp_f32, math::sigmoid_f32, math::tanh_f32].into_iter().enumerate() {
            for isa in Isa::available() {
                for h in [7, 16] {
                    let mut y = vec![0.0; x.len()];
                    run(isa, Map { h, which, x: x.as_ptr(), y: y.as_mut_ptr() }, x.len() / h, h);
                    for (&x, y) in x.iter().zip(y) {
                        let same = y.to_bits() == scalar(x).to_bits() || (x.is_nan() && y.is_nan());
                        assert!(same, "function {which} of {x} is {y} on {isa:?}, not {}", scalar(x));
                    }
                }
            }
        }
    }
}
