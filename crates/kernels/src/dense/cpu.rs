//! The product on the CPU.

use super::{Finish, Product, Start};
use crate::isa::{Isa, per_isa};

/// Computes the product into `c`, rows `c_row` apart.
pub(crate) fn product(isa: Isa, p: &Product<'_>, c: &mut [f32], c_row: usize) {
    p.check(c, c_row);
    plain(isa, p, c, c_row);
}

per_isa! {
    fn plain(p: &Product<'_>, c: &mut [f32], c_row: usize) = plain_body
}

#[inline(always)]
fn plain_body(p: &Product<'_>, c: &mut [f32], c_row: usize) {
    for i in 0..p.m {
        let c = &mut c[i * c_row..i * c_row + p.n];
        match p.start {
            Start::Zero => c.fill(0.0),
            Start::Bias(bias) => c.copy_from_slice(&bias[..p.n]),
        }
        for k in 0..p.k {
            let a = p.a[i * p.a_row + k * p.a_col];
            for (c, &b) in c.iter_mut().zip(&p.b[k * p.b_row..k * p.b_row + p.n]) {
                *c = a.mul_add(b, *c);
            }
        }
        match p.finish {
            Finish::Plain => {}
            Finish::Relu => crate::rows::relu(Isa::Portable, c),
            Finish::Where(h) => crate::rows::relu_grad(Isa::Portable, c, &h[i * c_row..i * c_row + p.n]),
        }
    }
}
