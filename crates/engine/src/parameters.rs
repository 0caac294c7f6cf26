//! The trainable parameters of a module by name, and what is done with all their gradients at once.
//!
//! Burn's parameter ids are random per construction, so nothing that is written to a file is keyed by
//! them: a parameter goes by its PyTorch name.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::GradientsParams;
//! use burn::tensor::{Device, Tensor};
//! use firesight_engine::parameters::{GradientChange, gradient_norm, map_gradients};
//!
//! let device = Device::flex();
//! let training = device.clone().autodiff();
//! let linear = LinearConfig::new(2, 1).with_bias(false).init(&training);
//! let loss = linear.forward(Tensor::<2>::from_floats([[3.0, 4.0]], &training)).sum();
//! let gradients = GradientsParams::from_grads(loss.backward(), &linear); // the input: 3 and 4
//! assert_eq!(gradient_norm(&linear, &gradients, &device), 5.0);
//! let halved = map_gradients(&linear, gradients, GradientChange::Scale(0.5));
//! assert_eq!(gradient_norm(&linear, &halved, &device), 2.5);
//! ```

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use firesight_models::weights::{self, ParameterInfo, TorchNames};
use firesight_ops::sum_of_squares;

/// The parameters that take gradients; running statistics and frozen parameters do not.
pub fn trainable<M: TorchNames>(module: &M) -> Vec<ParameterInfo> {
    struct Ids(HashSet<ParamId>);
    impl ModuleVisitor for Ids {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0.insert(param.id);
            }
        }
    }
    let mut ids = Ids(HashSet::new());
    module.visit(&mut ids);
    let all = weights::parameters(module).into_iter();
    all.filter(|info| !info.buffer && ids.0.contains(&info.id))
        .collect()
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
    let mut norm = Norm {
        gradients,
        squares: Vec::new(),
    };
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
    let mut map = Map {
        from: gradients,
        to: GradientsParams::new(),
        change,
    };
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
