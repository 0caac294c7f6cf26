//! From the path of a parameter in a Burn module to its key in PyTorch's state dict.

use burn::module::Module;

/// A module whose parameters have PyTorch names.
///
/// The path handed to [`TorchNames::torch_name`] is Burn's with enum variants left out and the
/// parameter's own name already PyTorch's (`weight` and `bias` of a normalisation, not `gamma` and
/// `beta`). Fields, `Vec` indices and tuple indices are the segments, so a module laid out like the
/// original needs no mapping: a `Sequential` of a convolution and a norm is a tuple of two, and one
/// with layers that have no parameters is a `Vec<Option<Layer>>`.
pub trait TorchNames: Module {
    /// The state-dict key of a parameter.
    fn torch_name(&self, path: &str) -> String {
        path.to_string()
    }

    /// Key prefixes of the tensors whose shape follows from the number of classes. A weights file
    /// with another number of classes leaves these as they are.
    fn head(&self) -> &'static [&'static str] {
        &[]
    }
}
