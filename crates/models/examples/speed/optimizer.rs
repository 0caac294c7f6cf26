//! Updates a module parameter by parameter, as the trainer's engine does.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::{DynOptimizer, DynState, GradientsParams};
use burn::tensor::Tensor;

/// A module, the rule that updates it, and the state of each parameter.
pub struct Trained<M> {
    /// Away only while it is updated: a second owner would keep the rule from writing in place.
    module: Option<M>,
    optimizer: Optimizer,
}

struct Optimizer {
    rule: Box<dyn DynOptimizer>,
    states: HashMap<ParamId, DynState>,
}

/// The gradients of a module's parameters.
pub fn gradients_of<M: Module>(loss: Tensor<1>, module: &M) -> GradientsParams {
    GradientsParams::from_grads(loss.backward(), module)
}

impl<M: Module> Trained<M> {
    pub fn new(module: M, rule: impl DynOptimizer + 'static) -> Self {
        Self {
            module: Some(module),
            optimizer: Optimizer {
                rule: Box::new(rule),
                states: HashMap::new(),
            },
        }
    }

    pub fn module(&self) -> &M {
        self.module.as_ref().expect("the module is in its place")
    }

    pub fn step(&mut self, gradients: GradientsParams, rate: f64) {
        let updated = self.module.take().map(|module| {
            module.map(&mut Update {
                optimizer: &mut self.optimizer,
                gradients,
                rate,
            })
        });
        self.module = updated;
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
