//! The parameters of a module by name: what optimizer groups, state files and clipping go by.
//!
//! Burn's parameter ids are random per construction, so nothing that is written to a file is keyed by
//! them. A parameter's name is its path of fields, with PyTorch's leaf names for normalisation layers
//! (`weight`, `bias` for Burn's `gamma`, `beta`), and without the variant of an enum on the way.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

/// What is known of one float tensor of a module, parameter or running statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterInfo {
    /// Burn's id, valid in this process only.
    pub id: ParamId,
    /// For example `layer1.0.conv1.weight`.
    pub name: String,
    /// Number of dimensions.
    pub rank: usize,
    /// Number of elements.
    pub elements: usize,
    /// Whether it takes gradients; running statistics and frozen parameters do not.
    pub trainable: bool,
    /// Whether it is a bias or belongs to a normalisation layer: what weight decay may spare.
    pub norm_or_bias: bool,
}

/// Every float tensor of a module, in the order of its fields.
pub fn parameters<M: Module>(module: &M) -> Vec<ParameterInfo> {
    let mut visitor = Lister::default();
    module.visit(&mut visitor);
    visitor.found
}

#[derive(Default)]
struct Lister {
    path: Path,
    found: Vec<ParameterInfo>,
}

impl ModuleVisitor for Lister {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape();
        self.found.push(ParameterInfo {
            id: param.id,
            name: self.path.name(),
            rank: D,
            elements: shape.num_elements(),
            trainable: param.is_require_grad(),
            norm_or_bias: self.path.norm_or_bias(),
        });
    }
}

/// The fields between the module and a tensor of it.
#[derive(Default)]
struct Path(Vec<(String, String)>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.into(), container.into()));
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn in_norm(&self) -> bool {
        self.0.last().is_some_and(|(_, container)| container.contains("Norm"))
    }

    fn norm_or_bias(&self) -> bool {
        self.in_norm() || self.0.last().is_some_and(|(name, _)| name == "bias")
    }

    fn name(&self) -> String {
        let last = self.0.len().saturating_sub(1);
        let parts = self.0.iter().enumerate().filter(|(_, (_, c))| !c.starts_with("Enum:"));
        let names = parts.map(|(i, (name, _))| match name.as_str() {
            "gamma" if i == last && self.in_norm() => "weight",
            "beta" if i == last && self.in_norm() => "bias",
            name => name,
        });
        names.collect::<Vec<_>>().join(".")
    }
}

/// The largest tensor that is summed in one call; larger ones are summed in chunks of this size, since
/// Flex sums 4 Mi elements and more in an order that depends on work stealing.
const SUM_CHUNK: usize = 1 << 20;

/// The sum of squares of all elements, in an order that never varies.
pub fn sum_of_squares<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let flat: Tensor<1> = tensor.flatten(0, D.saturating_sub(1));
    let [elements] = flat.dims();
    if elements <= SUM_CHUNK {
        return flat.square().sum();
    }
    let chunks = (0..elements).step_by(SUM_CHUNK).map(|start| {
        let end = (start + SUM_CHUNK).min(elements);
        flat.clone().slice([start..end]).square().sum()
    });
    chunks.reduce(|total, chunk| total + chunk).expect("a tensor over the chunk size has chunks")
}

/// The global Euclidean norm of the gradients of a module's parameters; 0 without any gradient.
pub fn gradient_norm<M: Module>(module: &M, gradients: &GradientsParams, device: &Device) -> f64 {
    struct Norm<'a> {
        gradients: &'a GradientsParams,
        squares: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for Norm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.squares.push(sum_of_squares(gradient));
            }
        }
    }
    let mut norm = Norm { gradients, squares: Vec::new() };
    module.visit(&mut norm);
    if norm.squares.is_empty() {
        return 0.0;
    }
    let squares = Tensor::cat(norm.squares, 0).to_device(device);
    let values: Vec<f32> = squares.into_data().iter::<f32>().collect();
    values.into_iter().map(f64::from).sum::<f64>().sqrt()
}

/// Applies `change` to every gradient of a module's parameters.
pub fn map_gradients<M: Module>(
    module: &M,
    gradients: GradientsParams,
    change: GradientChange,
) -> GradientsParams {
    struct Map {
        from: GradientsParams,
        to: GradientsParams,
        change: GradientChange,
    }
    impl ModuleVisitor for Map {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.from.remove::<D>(param.id) {
                let changed = match self.change {
                    GradientChange::Scale(factor) => gradient.mul_scalar(factor),
                    GradientChange::Clamp(limit) => gradient.clamp(-limit, limit),
                };
                self.to.register(param.id, changed);
            }
        }
    }
    let mut map = Map { from: gradients, to: GradientsParams::new(), change };
    module.visit(&mut map);
    map.to
}

/// What [`map_gradients`] does to each gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GradientChange {
    /// Multiplies it.
    Scale(f64),
    /// Limits each element to `-limit..=limit`.
    Clamp(f64),
}

/// The values of every float tensor of a module by name: parameters and running statistics.
///
/// The module must be an inference copy (`valid()`), which brings running statistics up to date.
pub fn values<M: Module>(module: &M) -> Vec<(String, TensorData)> {
    struct Values {
        names: std::vec::IntoIter<ParameterInfo>,
        values: Vec<(String, TensorData)>,
    }
    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let info = self.names.next().expect("visits come in the same order");
            self.values.push((info.name, param.val().into_data()));
        }
    }
    let mut visitor = Values { names: parameters(module).into_iter(), values: Vec::new() };
    module.visit(&mut visitor);
    visitor.values
}

/// Puts values back that [`values`] gave. The module keeps its device and its ids.
///
/// # Errors
/// The name of a tensor that is missing or has another shape; the module is then partly loaded and
/// must not be used.
pub fn load_values<M: Module>(
    module: M,
    values: HashMap<String, TensorData>,
) -> Result<M, LoadValuesError> {
    struct Load {
        names: std::vec::IntoIter<ParameterInfo>,
        values: HashMap<String, TensorData>,
        error: Option<LoadValuesError>,
    }
    impl ModuleMapper for Load {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let info = self.names.next().expect("maps come in the same order");
            let shape = param.lazy_shape().to_vec();
            let Some(data) = self.values.remove(&info.name) else {
                self.error.get_or_insert(LoadValuesError::Missing(info.name));
                return param;
            };
            if data.shape.to_vec() != shape {
                self.error.get_or_insert(LoadValuesError::Shape {
                    name: info.name,
                    expected: shape,
                    found: data.shape.to_vec(),
                });
                return param;
            }
            let trainable = param.is_require_grad();
            let (id, tensor, mapper) = param.consume();
            let loaded = Tensor::from_data(data, &tensor.device());
            let loaded = if trainable { loaded.require_grad() } else { loaded };
            Param::from_mapped_value(id, loaded, mapper)
        }
    }
    let names = parameters(&module).into_iter();
    let mut load = Load { names, values, error: None };
    let module = module.map(&mut load);
    match (load.error, load.values.keys().next()) {
        (Some(error), _) => Err(error),
        (None, Some(name)) => Err(LoadValuesError::Unknown(name.clone())),
        (None, None) => Ok(module),
    }
}

/// Why stored values do not fit a module.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum LoadValuesError {
    /// The file lacks a tensor that the model has.
    #[error("the tensor `{0}` is missing")]
    Missing(String),
    /// The file has a tensor that the model lacks.
    #[error("the tensor `{0}` belongs to no parameter of the model")]
    Unknown(String),
    /// The shapes differ.
    #[error("the tensor `{name}` has shape {found:?}, the model needs {expected:?}")]
    Shape {
        /// Whose.
        name: String,
        /// The model's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
}
