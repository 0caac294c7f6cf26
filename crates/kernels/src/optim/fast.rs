//! The updates on Flex: one pass, several threads, in place where a buffer has no other owner.

use burn::tensor::Tensor;

use super::step::{AdamStep, SgdStep};
use crate::fast::norm::vectors;
use crate::fast::parallel::{Output, Shared, for_each};
use crate::fast::simd::{Simd, simd_dispatch, splat_each};
use crate::fast::tensor::{
    self as bridge, FlexTensor, contiguous, dims, inner, plain, slice, tensor,
};

/// Whether parameter, gradient and state are all for the kernels, and without autodiff.
pub(super) fn takes<const D: usize, const N: usize>(
    parameter: &Tensor<D>,
    grad: &Tensor<D>,
    state: Option<[&Tensor<D>; N]>,
) -> bool {
    let takes = |x: &Tensor<D>| {
        bridge::takes(x) && !x.device().is_autodiff() && x.dims() == parameter.dims()
    };
    takes(parameter) && takes(grad) && state.is_none_or(|state| state.into_iter().all(takes))
}

/// A buffer that is read and written: in place, or into a new one where it has other owners.
enum Buffer {
    InPlace(FlexTensor),
    Copy {
        old: FlexTensor,
        new: Output,
    },
    /// Nothing was there before.
    New(Output),
}

impl Buffer {
    fn of<const D: usize>(x: Tensor<D>) -> Self {
        let mut x = contiguous(inner(x));
        let len = slice(&x).len();
        // A view of a larger buffer is not written in place.
        if x.try_storage_mut::<f32>()
            .is_some_and(|storage| storage.len() == len)
        {
            return Buffer::InPlace(x);
        }
        Buffer::Copy {
            old: x,
            new: Output::new(len),
        }
    }

    /// Where to read and to write.
    fn pointers(&mut self) -> (Option<*const f32>, Shared) {
        match self {
            Buffer::InPlace(x) => {
                let storage = x
                    .try_storage_mut::<f32>()
                    .expect("the buffer has one owner");
                let shared = Shared::from(storage);
                (Some(shared.at(0).cast_const()), shared)
            }
            Buffer::Copy { old, new } => (Some(slice(old).as_ptr()), new.shared()),
            Buffer::New(new) => (None, new.shared()),
        }
    }

    /// # Safety
    /// Every element was written.
    unsafe fn finish<const D: usize>(self, shape: [usize; D]) -> Tensor<D> {
        match self {
            Buffer::InPlace(x) => plain(x),
            Buffer::Copy { new, .. } | Buffer::New(new) => {
                // SAFETY: this function's contract.
                plain(tensor(unsafe { new.finish() }, shape))
            }
        }
    }
}

/// A place to read that tasks share.
#[derive(Clone, Copy)]
struct Source(Option<*const f32>);

// SAFETY: a plain address, read (or read and then written by the same task) in chunks that do not overlap.
unsafe impl Send for Source {}
// SAFETY: as above.
unsafe impl Sync for Source {}

impl Source {
    fn skip(self, count: usize) -> Option<*const f32> {
        self.0.map(|p| p.wrapping_add(count))
    }
}

/// Elements a task takes.
const CHUNK: usize = 1 << 14;

pub(super) fn sgd<const D: usize>(
    step: SgdStep,
    parameter: Tensor<D>,
    grad: Tensor<D>,
    velocity: Option<Tensor<D>>,
) -> (Tensor<D>, Option<Tensor<D>>) {
    let grad = contiguous(inner(grad));
    let shape = dims::<D>(&grad);
    let grad = slice(&grad);
    let mut parameter = Buffer::of(parameter);
    let mut velocity = (step.momentum != 0.0).then(|| match velocity {
        Some(velocity) => Buffer::of(velocity),
        None => Buffer::New(Output::new(grad.len())),
    });
    let (from, to) = parameter.pointers();
    let from = Source(from);
    let velocities = velocity.as_mut().map(|v| {
        let (from, to) = v.pointers();
        (Source(from), to)
    });
    let len = grad.len();
    for_each(len.div_ceil(CHUNK), len, |i| {
        let at = i * CHUNK;
        let grad = &grad[at..len.min(at + CHUNK)];
        let velocity = velocities.map(|(from, to)| (from.skip(at), to.skip(at)));
        let parameter = from.skip(at).expect("a parameter has values");
        // SAFETY: all buffers have the gradient's length, and a task takes one chunk of each.
        unsafe { sgd_chunk(step, parameter, to.skip(at), grad, velocity) };
    });
    // SAFETY: the chunks cover the buffers.
    unsafe { (parameter.finish(shape), velocity.map(|v| v.finish(shape))) }
}

simd_dispatch! {
    /// # Safety
    /// Every pointer is valid for the gradient's length; those written are this call's.
    fn sgd_chunk(
        step: SgdStep,
        from: *const f32,
        to: Shared,
        grad: &[f32],
        velocity: Option<(Option<*const f32>, Shared)>,
    ) = sgd_chunk_with
}

#[inline(always)]
unsafe fn sgd_chunk_with<S: Simd>(
    step: SgdStep,
    from: *const f32,
    to: Shared,
    grad: &[f32],
    velocity: Option<(Option<*const f32>, Shared)>,
) {
    // SAFETY: accesses stay within the gradient's length.
    unsafe {
        let rate = S::splat(-step.rate);
        let (momentum, share) = (S::splat(step.momentum), S::splat(step.share));
        let decay = S::splat(step.decay);
        let (pg, to) = (grad.as_ptr(), to.at(0));
        match velocity {
            None => vectors!(S, grad.len(), |i, load, store| {
                let p = load!(from);
                let d = S::fma(decay, p, load!(pg));
                store!(to, S::fma(rate, d, p));
            }),
            Some((old, new)) => {
                let new = new.at(0);
                vectors!(S, grad.len(), |i, load, store| {
                    let p = load!(from);
                    let d = S::fma(decay, p, load!(pg));
                    let v = match old {
                        Some(old) => S::fma(momentum, load!(old), S::mul(share, d)),
                        None => d,
                    };
                    store!(new, v);
                    let d = if step.nesterov {
                        S::fma(momentum, v, d)
                    } else {
                        v
                    };
                    store!(to, S::fma(rate, d, p));
                })
            }
        }
    }
}

pub(super) fn adam<const D: usize>(
    step: &AdamStep,
    parameter: Tensor<D>,
    grad: Tensor<D>,
    moments: Option<[Tensor<D>; 2]>,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let grad = contiguous(inner(grad));
    let shape = dims::<D>(&grad);
    let grad = slice(&grad);
    let len = grad.len();
    let mut parameter = Buffer::of(parameter);
    let mut moments = match moments {
        Some(moments) => moments.map(Buffer::of),
        None => [Buffer::New(Output::new(len)), Buffer::New(Output::new(len))],
    };
    let (from, to) = parameter.pointers();
    let from = Source(from);
    let places = moments.each_mut().map(|m| {
        let (from, to) = m.pointers();
        (Source(from), to)
    });
    for_each(len.div_ceil(CHUNK), 2 * len, |i| {
        let at = i * CHUNK;
        let grad = &grad[at..len.min(at + CHUNK)];
        let parameter = from.skip(at).expect("a parameter has values");
        let places = places.map(|(from, to)| (from.skip(at), to.skip(at)));
        // SAFETY: all buffers have the gradient's length, and a task takes one chunk of each.
        unsafe { adam_chunk(*step, parameter, to.skip(at), grad, places) };
    });
    // SAFETY: the chunks cover the buffers.
    unsafe { (parameter.finish(shape), moments.map(|m| m.finish(shape))) }
}

simd_dispatch! {
    /// # Safety
    /// Every pointer is valid for the gradient's length; those written are this call's.
    fn adam_chunk(
        step: AdamStep,
        from: *const f32,
        to: Shared,
        grad: &[f32],
        moments: [(Option<*const f32>, Shared); 2],
    ) = adam_chunk_with
}

#[inline(always)]
unsafe fn adam_chunk_with<S: Simd>(
    step: AdamStep,
    from: *const f32,
    to: Shared,
    grad: &[f32],
    moments: [(Option<*const f32>, Shared); 2],
) {
    // SAFETY: accesses stay within the gradient's length.
    unsafe {
        let [beta_1, beta_2] = splat_each::<S, 2>([step.beta_1 as f32, step.beta_2 as f32]);
        let [rest_1, rest_2] =
            splat_each::<S, 2>([(1.0 - step.beta_1) as f32, (1.0 - step.beta_2) as f32]);
        let (penalty, keep) = (S::splat(step.penalty as f32), S::splat(step.keep as f32));
        let (size, epsilon) = (S::splat(step.size as f32), S::splat(step.epsilon as f32));
        let correction = S::splat(step.correction as f32);
        let zero = S::splat(0.0);
        let [(old_1, new_1), (old_2, new_2)] = moments;
        let (pg, to, new_1, new_2) = (grad.as_ptr(), to.at(0), new_1.at(0), new_2.at(0));
        vectors!(S, grad.len(), |i, load, store| {
            let p = load!(from);
            let g = S::fma(penalty, p, load!(pg));
            let mean = old_1.map_or(zero, |old| load!(old));
            let mean = S::fma(beta_1, mean, S::mul(rest_1, g));
            let square = old_2.map_or(zero, |old| load!(old));
            let square = S::fma(beta_2, square, S::mul(rest_2, S::mul(g, g)));
            store!(new_1, mean);
            store!(new_2, square);
            let root = S::fma(S::sqrt(square), correction, epsilon);
            let change = S::div(S::mul(size, mean), root);
            store!(to, S::sub(S::mul(keep, p), change));
        });
    }
}
