//! The optimizers of a recipe, applied to a module parameter by parameter.
//!
//! The arithmetic is Burn's (and, for SGD, Adam and AdamW, the one-pass form of `firesight-kernels`);
//! what stands here is what Burn's `ModuleOptimizer` does not give: state that is keyed by the
//! parameter's *name* and returns to the parameter's own device, groups with a rate factor and a
//! decay of their own, and decay that spares biases and normalisation layers. Constants are PyTorch's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::{DynOptimizer, DynState, GradientsParams, StateSink, StateSource};
use burn::tensor::{Device, Tensor, TensorData};
use burn_pack::Scalar;
use regex::Regex;

use super::parameters::{ParameterInfo, parameters};
use crate::recipe::{OptimizerConfig, ParameterGroup};

/// How one group of parameters is updated.
struct Group {
    rule: Arc<dyn DynOptimizer>,
    rate_factor: f64,
}

/// Updates the parameters of one module.
pub struct Optimizer {
    groups: Vec<Group>,
    /// The group of each trainable parameter and its name.
    members: HashMap<ParamId, (usize, String)>,
    states: BTreeMap<String, DynState>,
}

impl Optimizer {
    /// Assigns every trainable parameter of the module to its group: the first of `groups` whose
    /// pattern is found in its name, else the recipe's own settings.
    pub fn new<M: Module>(config: &OptimizerConfig, groups: &[ParameterGroup], module: &M) -> Self {
        let spare = !config.decays_norm_and_bias();
        let mut built: Vec<(GroupKey, Group)> = Vec::new();
        let mut members = HashMap::new();
        let patterns: Vec<Option<Regex>> =
            groups.iter().map(|group| Regex::new(&group.pattern).ok()).collect();
        for parameter in parameters(module).into_iter().filter(|p| p.trainable) {
            let group = patterns.iter().position(|pattern| {
                pattern.as_ref().is_some_and(|pattern| pattern.is_match(&parameter.name))
            });
            let spared = spare && parameter.norm_or_bias;
            let key = GroupKey { group, spared, rank: parameter.rank };
            let index = built.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
                let own = key.group.map(|g| &groups[g]);
                let decay = match key.spared {
                    true => Some(0.0),
                    false => own.and_then(|g| g.weight_decay),
                };
                let rule = config.rule(key.rank, decay);
                let rate_factor = own.map_or(1.0, |g| g.rate_factor);
                built.push((key, Group { rule, rate_factor }));
                built.len() - 1
            });
            members.insert(parameter.id, (index, parameter.name));
        }
        let groups = built.into_iter().map(|(_, group)| group).collect();
        Self { groups, members, states: BTreeMap::new() }
    }

    /// One update of every parameter that has a gradient, at the base learning rate `rate`.
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientsParams, rate: f64) -> M {
        module.map(&mut Update { optimizer: self, gradients, rate })
    }

    /// The state as named tensors and scalars.
    pub fn state(&self) -> (Vec<(String, TensorData)>, BTreeMap<String, Scalar>) {
        let mut sink = StateSink::default();
        let rules: HashMap<&str, &Group> =
            self.members.values().map(|(g, name)| (name.as_str(), &self.groups[*g])).collect();
        for (name, state) in &self.states {
            if let Some(group) = rules.get(name.as_str()) {
                group.rule.state_flatten(name, state, &mut sink);
            }
        }
        (sink.tensors, sink.scalars.into_iter().collect())
    }

    /// Puts a state back that [`Optimizer::state`] gave, on the module's device.
    ///
    /// # Errors
    /// The name of a parameter that had a state when it was written and cannot get it back now:
    /// going on would silently lose its momentum.
    pub fn load_state<M: Module>(
        &mut self,
        module: &M,
        device: &Device,
        tensors: Vec<(String, TensorData)>,
        scalars: BTreeMap<String, Scalar>,
    ) -> Result<(), String> {
        let had_state = |name: &str| {
            let under = |key: &str| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            tensors.iter().any(|(key, _)| under(key)) || scalars.keys().any(|key| under(key))
        };
        let expected: Vec<ParameterInfo> =
            parameters(module).into_iter().filter(|p| had_state(&p.name)).collect();
        let mut source = StateSource::new(scalars.clone());
        for (name, data) in tensors.iter().cloned() {
            source.insert_tensor(name, data);
        }
        self.states.clear();
        for parameter in expected {
            let Some((group, name)) = self.members.get(&parameter.id) else { continue };
            let rule = &self.groups[*group].rule;
            let state = rule
                .state_unflatten(parameter.rank, name, &mut source, &device.clone().inner())
                .ok_or_else(|| name.clone())?;
            self.states.insert(name.clone(), state);
        }
        Ok(())
    }
}

/// What makes two parameters share a group.
#[derive(PartialEq)]
struct GroupKey {
    group: Option<usize>,
    spared: bool,
    /// Muon treats matrices apart.
    rank: usize,
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientsParams,
    rate: f64,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((group, name)) = self.optimizer.members.get(&param.id) else { return param };
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let (id, tensor, mapper) = param.consume();
        let checkpointing = tensor.gradient_checkpointing_strategy();
        let group = &self.optimizer.groups[*group];
        let state = self.optimizer.states.remove(name);
        let (updated, state) = group.rule.step_dyn(
            D,
            self.rate * group.rate_factor,
            tensor.inner().into_bridge(),
            gradient.into_bridge(),
            state,
        );
        if let Some(state) = state {
            self.optimizer.states.insert(name.clone(), state);
        }
        let mut updated = Tensor::<D>::from_inner(Tensor::from_bridge(updated));
        if let Some(strategy) = checkpointing {
            updated = updated.with_gradient_checkpointing_strategy(strategy);
        }
        Param::from_mapped_value(id, updated.require_grad(), mapper)
    }
}
