//! From the path of a parameter in a Burn module to its key in PyTorch's state dict.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

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

    /// The key of today for one that older published files have.
    fn published_key(&self, key: &str) -> String {
        key.to_string()
    }
}

/// A parameter or running statistic of a module, as PyTorch sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterInfo {
    /// Key in the state dict, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// Burn's id, which optimizer states and gradients are keyed by.
    pub id: ParamId,
    /// PyTorch's shape (a linear weight is `[out, in]`).
    pub shape: Vec<usize>,
    /// A running statistic: part of the state, but nothing that is trained or counted.
    pub buffer: bool,
}

impl ParameterInfo {
    /// The number of dimensions; 1 for biases and normalisation, which weight decay often spares.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
}

/// Every parameter and running statistic in the module's order; nothing is initialised by asking.
pub fn parameters<M: TorchNames>(module: &M) -> Vec<ParameterInfo> {
    raw_parameters(module)
        .into_iter()
        .map(|(_, info)| info)
        .collect()
}

/// The number of trainable values, as PyTorch counts them (running statistics are none).
pub fn parameter_count<M: TorchNames>(module: &M) -> usize {
    let trained = parameters(module).into_iter().filter(|info| !info.buffer);
    trained
        .map(|info| info.shape.iter().product::<usize>())
        .sum()
}

/// [`parameters`] with the path in the Burn module beside each.
pub(super) fn raw_parameters<M: TorchNames>(module: &M) -> Vec<(String, ParameterInfo)> {
    let mut lister = Lister {
        at: Place::default(),
        found: Vec::new(),
    };
    module.visit(&mut lister);
    let mut found = lister.found;
    for (path, info) in &mut found {
        info.name = module.torch_name(path);
    }
    found
}

/// Hears of every parameter and running statistic of a module; see [`visit_tensors`].
pub trait TensorVisitor {
    /// A tensor as it lies in Burn's module (a linear weight is `[in, out]`), and its key in PyTorch's state dict.
    fn visit<const D: usize>(&mut self, key: &str, tensor: Tensor<D>);
}

/// Shows every parameter and running statistic to a visitor, in the module's order.
pub fn visit_tensors<M: TorchNames>(module: &M, visitor: &mut impl TensorVisitor) {
    struct Shower<'a, M, V> {
        module: &'a M,
        visitor: &'a mut V,
        at: Place,
    }
    impl<M: TorchNames, V: TensorVisitor> ModuleVisitor for Shower<'_, M, V> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.at.enter(name, container);
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.at.exit();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let key = self.module.torch_name(&self.at.path());
            self.visitor.visit(&key, param.val());
        }
    }
    let at = Place::default();
    module.visit(&mut Shower {
        module,
        visitor,
        at,
    });
}

struct Lister {
    at: Place,
    found: Vec<(String, ParameterInfo)>,
}

impl ModuleVisitor for Lister {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.at.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.at.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let mut shape = param.lazy_shape().to_vec();
        if self.at.transposed() {
            shape.reverse();
        }
        let info = ParameterInfo {
            name: String::new(),
            id: param.id,
            shape,
            buffer: self.at.buffer(),
        };
        self.found.push((self.at.path(), info));
    }
}

/// Where in a module a visitor or mapper stands.
#[derive(Default)]
pub(super) struct Place {
    steps: Vec<(String, String)>,
}

impl Place {
    pub(super) fn enter(&mut self, name: &str, container: &str) {
        self.steps.push((name.to_string(), container.to_string()));
    }

    pub(super) fn exit(&mut self) {
        self.steps.pop();
    }

    /// The parameter's own field and the module type that it is a field of.
    fn leaf(&self) -> (&str, &str) {
        self.steps
            .last()
            .map_or(("", ""), |(name, container)| (name, container))
    }

    /// Whether Burn keeps the transpose of PyTorch's matrix here.
    pub(super) fn transposed(&self) -> bool {
        self.leaf() == ("weight", "Struct:Linear")
    }

    fn buffer(&self) -> bool {
        let (name, container) = self.leaf();
        match container {
            "Struct:BatchNorm" => name.starts_with("running_"),
            "Struct:SpectralConv" => name == "u",
            _ => false,
        }
    }

    /// The path, without enum variants and with PyTorch's name for the parameter itself.
    pub(super) fn path(&self) -> String {
        let mut segments: Vec<&str> = self
            .steps
            .iter()
            .filter(|(_, container)| !container.starts_with("Enum:"))
            .map(|(name, _)| name.as_str())
            .collect();
        let renamed = match self.leaf() {
            ("gamma", "Struct:BatchNorm" | "Struct:LayerNorm" | "Struct:GroupNorm") => "weight",
            ("beta", "Struct:BatchNorm" | "Struct:LayerNorm" | "Struct:GroupNorm") => "bias",
            ("alpha", "Struct:PRelu") => "weight",
            _ => "",
        };
        if let (false, Some(last)) = (renamed.is_empty(), segments.last_mut()) {
            *last = renamed;
        }
        segments.join(".")
    }
}
