//! Updates a module parameter by parameter, as the trainer's engine does.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::{DynOptimizer, DynState, GradientsParams};
use burn::tensor::Tensor;

/// A rule and the state of each parameter.
pub struct Optimizer {
    rule: Box<dyn DynOptimizer>,
    states: HashMap<ParamId, DynState>,
}

/// The gradients of a module's parameters.
pub fn gradients_of<M: Module>(loss: Tensor<1>, module: &M) -> GradientsParams {
    GradientsParams::from_grads(loss.backward(), module)
}

impl Optimizer {
    pub fn new(rule: impl DynOptimizer + 'static) -> Self {
        Self {
            rule: Box::new(rule),
            states: HashMap::new(),
        }
    }

    pub fn step<M: Module>(&mut self, module: M, gradients: GradientsParams, rate: f64) -> M {
        module.map(&mut Update {
            optimizer: self,
            gradients,
            rate,
        })
    }
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientsParams,
    rate: f64,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            return param;
        };
        let (id, tensor, mapper) = param.consume();
        let state = self.optimizer.states.remove(&id);
        let (tensor, gradient) = (tensor.inner().into_bridge(), gradient.into_bridge());
        let (updated, state) =
            (self.optimizer.rule).step_dyn(D, self.rate, tensor, gradient, state);
        if let Some(state) = state {
            self.optimizer.states.insert(id, state);
        }
        let updated = Tensor::<D>::from_inner(Tensor::from_bridge(updated));
        Param::from_mapped_value(id, updated.require_grad(), mapper)
    }
}
