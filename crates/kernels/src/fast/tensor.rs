//! The bridge between Burn's tensors and the kernels: which tensors the kernels take, and how an
//! operation with a gradient of its own is recorded.
//!
//! Burn's extension macro panics on backends it was not compiled for, so the device is asked first
//! ([`takes`]) and everything else goes to Burn's own operator.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, BackendTensor, DispatchAutodiffContext, DispatchDevice,
    DispatchTensor, DispatchTensorKind, Flex, TensorMetadata,
};
use burn::tensor::{Bytes, DType, Shape, Tensor, TensorData};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty};

use super::buffer::{ALIGN, Buffer};
use crate::{Mode, mode};

/// A tensor of the Flex backend.
pub(crate) type FlexTensor = FloatTensor<Flex>;
type Tracked = FloatTensor<Autodiff<Flex>>;

/// Whether the kernels take this tensor: `f32` on Flex, with the fast mode on.
pub(crate) fn takes<const D: usize>(x: &Tensor<D>) -> bool {
    mode() == Mode::Fast
        && x.dtype() == DType::F32
        && matches!(
            x.device().without_autodiff().as_dispatch(),
            DispatchDevice::Flex(_)
        )
}

/// A tensor taken apart.
pub(crate) enum Float {
    /// Without autodiff.
    Plain(FlexTensor),
    /// With it, whether or not a gradient is wanted.
    Tracked(Tracked, DispatchAutodiffContext),
}

/// Takes a tensor apart for which [`takes`] holds.
pub(crate) fn open<const D: usize>(x: Tensor<D>) -> Float {
    let DispatchTensor { kind, autodiff } = x.into_dispatch();
    let kind = match kind {
        DispatchTensorKind::Autodiff(inner) => *inner,
        kind => kind,
    };
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Float(x)) => Float::Plain(x),
        DispatchTensorKind::Flex(BackendTensor::Autodiff(x)) => Float::Tracked(x, autodiff),
        _ => unreachable!("only `f32` tensors on Flex are opened"),
    }
}

/// The plain tensor inside, for reading.
pub(crate) fn inner<const D: usize>(x: Tensor<D>) -> FlexTensor {
    match open(x) {
        Float::Plain(x) => x,
        Float::Tracked(x, _) => x.into_primitive(),
    }
}

/// A tensor without autodiff.
pub(crate) fn plain<const D: usize>(x: FlexTensor) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(x)
}

/// The gradients of one recorded operation with `N` inputs.
pub(crate) trait Gradient<const N: usize>: Clone + Send + Debug + 'static {
    /// The gradient of each input for which one is wanted, given the output's.
    fn gradients(self, dy: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N];
}

#[derive(Debug)]
struct Recorded<T>(PhantomData<fn() -> T>);

impl<T: Gradient<N>, const N: usize> Backward<Flex, N> for Recorded<T> {
    type State = T;

    fn backward(self, ops: Ops<T, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = ops.state.gradients(dy, wanted);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// Runs `forward` on the inputs and records its gradient where an input wants one; `forward` is told
/// whether the state for that will be used.
pub(crate) fn apply<const N: usize, const D: usize, T: Gradient<N>>(
    inputs: [Float; N],
    forward: impl FnOnce([FlexTensor; N], bool) -> (FlexTensor, Option<T>),
) -> Tensor<D> {
    let context = inputs
        .iter()
        .fold(DispatchAutodiffContext::Disabled, |context, x| match x {
            Float::Plain(_) => context,
            Float::Tracked(_, other) => context.merge(*other),
        });
    if context == DispatchAutodiffContext::Disabled {
        let inputs = inputs.map(|x| match x {
            Float::Plain(x) => x,
            Float::Tracked(..) => unreachable!("a tracked tensor has a context"),
        });
        return plain(forward(inputs, false).0);
    }
    let inputs = inputs.map(|x| match x {
        Float::Plain(x) => <Autodiff<Flex> as AutodiffBackend>::from_inner(x),
        Float::Tracked(x, _) => x,
    });
    let nodes = inputs.each_ref().map(Tracked::node);
    let inputs = inputs.map(Tracked::into_primitive);
    // The kernels are worth more than what they would save by being run again, so the strategy of
    // gradient checkpointing makes no difference to them.
    let prepared = Recorded::<T>(PhantomData)
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful();
    let output = match prepared {
        OpsKind::Tracked(prepared) => {
            let (output, state) = forward(inputs, true);
            prepared.finish(state.expect("the state was asked for"), output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward(inputs, false).0),
    };
    let kind = DispatchTensorKind::Flex(BackendTensor::Autodiff(output));
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Autodiff(Box::new(kind)),
        autodiff: context,
    })
}

/// The tensor with its elements in order and without gaps.
pub(crate) fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.as_slice::<f32>().is_some() {
        x
    } else {
        x.to_contiguous()
    }
}

/// The elements of a tensor that [`contiguous`] has seen.
pub(crate) fn slice(x: &FlexTensor) -> &[f32] {
    x.as_slice::<f32>().expect("the tensor is contiguous")
}

/// A tensor over a finished buffer.
pub(crate) fn tensor(data: Buffer, shape: impl Into<Shape>) -> FlexTensor {
    let bytes = data.len() * size_of::<f32>();
    // SAFETY: the controller holds that many bytes, all of them written.
    let bytes = unsafe { Bytes::from_controller(Box::new(Kept(data)), bytes) };
    FlexTensor::from_data(TensorData::from_bytes(bytes, shape.into(), DType::F32))
}

/// A [`Buffer`] behind Burn's interface for memory.
struct Kept(Buffer);

impl Kept {
    fn bytes(&self) -> &[MaybeUninit<u8>] {
        let bytes = self.0.len() * size_of::<f32>();
        // SAFETY: the buffer's elements, as bytes.
        unsafe { std::slice::from_raw_parts(self.0.pointer().cast(), bytes) }
    }
}

impl AllocationController for Kept {
    fn alloc_align(&self) -> usize {
        // What Burn may ask of a copy: its own allocations go no further than this.
        ALIGN.min(align_of::<u128>())
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(
        &mut self,
        _: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes = self.0.len() * size_of::<f32>();
        // SAFETY: the buffer's elements, as bytes, which the caller keeps initialised by contract.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.pointer().cast(), bytes) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        Ok(self.bytes())
    }
}

/// The extents of a tensor of rank `D`.
pub(crate) fn dims<const D: usize>(x: &FlexTensor) -> [usize; D] {
    x.shape().dims()
}
