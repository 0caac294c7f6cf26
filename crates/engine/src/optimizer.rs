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
use firesight_models::weights::TorchNames;
use regex::Regex;

use crate::optimizers::{OptimizerConfig, ParameterGroup};
use crate::parameters::trainable;

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
    pub fn new<M: TorchNames>(
        config: &OptimizerConfig,
        groups: &[ParameterGroup],
        module: &M,
    ) -> Self {
        let spare = !config.decays_norm_and_bias();
        let mut built: Vec<(GroupKey, Group)> = Vec::new();
        let mut members = HashMap::new();
        let patterns: Vec<Option<Regex>> = groups
            .iter()
            .map(|group| Regex::new(&group.pattern).ok())
            .collect();
        for parameter in trainable(module) {
            let group = patterns.iter().position(|pattern| {
                pattern
                    .as_ref()
                    .is_some_and(|pattern| pattern.is_match(&parameter.name))
            });
            // Biases and the parameters of norms are the vectors of a network.
            let spared = spare && parameter.rank() <= 1;
            let key = GroupKey {
                group,
                spared,
                rank: parameter.rank(),
            };
            let index = built
                .iter()
                .position(|(other, _)| *other == key)
                .unwrap_or_else(|| {
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
        Self {
            groups,
            members,
            states: BTreeMap::new(),
        }
    }

    /// One update of every parameter that has a gradient, at the base learning rate `rate`.
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientsParams, rate: f64) -> M {
        module.map(&mut Update {
            optimizer: self,
            gradients,
            rate,
        })
    }

    /// The state as named tensors and scalars.
    pub fn state(&self) -> (Vec<(String, TensorData)>, BTreeMap<String, Scalar>) {
        let mut sink = StateSink::default();
        let rules: HashMap<&str, &Group> = self
            .members
            .values()
            .map(|(g, name)| (name.as_str(), &self.groups[*g]))
            .collect();
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
    pub fn load_state<M: TorchNames>(
        &mut self,
        module: &M,
        device: &Device,
        tensors: Vec<(String, TensorData)>,
        scalars: BTreeMap<String, Scalar>,
    ) -> Result<(), String> {
        let had_state = |name: &str| {
            let under = |key: &str| {
                key.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
            };
            tensors.iter().any(|(key, _)| under(key)) || scalars.keys().any(|key| under(key))
        };
        let expected: Vec<_> = trainable(module)
            .into_iter()
            .filter(|p| had_state(&p.name))
            .collect();
        let mut source = StateSource::new(scalars.clone());
        for (name, data) in tensors.iter().cloned() {
            source.insert_tensor(name, data);
        }
        self.states.clear();
        for parameter in expected {
            let Some((group, name)) = self.members.get(&parameter.id) else {
                continue;
            };
            let rule = &self.groups[*group].rule;
            let state = rule
                .state_unflatten(parameter.rank(), name, &mut source, &device.clone().inner())
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
        let Some((group, name)) = self.optimizer.members.get(&param.id) else {
            return param;
        };
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            return param;
        };
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

#[cfg(test)]
mod tests {
    use burn::module::ParamId;

    use super::*;
    use crate::optimizers::*;

    #[derive(Module, Debug)]
    struct Pair {
        matrix: Param<Tensor<2>>,
        vector: Param<Tensor<1>>,
    }

    impl TorchNames for Pair {}

    const MATRIX: [[f32; 3]; 2] = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]];

    fn pair(device: &Device) -> Pair {
        let matrix = Tensor::from_floats(MATRIX, device).require_grad();
        let vector = Tensor::from_floats([0.1, -0.2, 0.3], device).require_grad();
        Pair {
            matrix: Param::initialized(ParamId::new(), matrix),
            vector: Param::initialized(ParamId::new(), vector),
        }
    }

    fn gradients(pair: &Pair, step: usize, device: &Device) -> GradientsParams {
        let mut gradients = GradientsParams::new();
        let matrix = Tensor::<2>::from_floats([[0.1, -0.2, 0.3], [-0.4, 0.5, 0.0]], device);
        gradients.register(pair.matrix.id, matrix.mul_scalar(1.0 + 0.5 * step as f64));
        let vector = Tensor::<1>::from_floats([1.0, -0.01, 1e-4], device);
        gradients.register(pair.vector.id, vector.mul_scalar(1.0 - 0.7 * step as f64));
        gradients
    }

    fn floats(value: &serde_json::Value) -> Vec<f64> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap())
            .collect()
    }

    fn assert_close(what: &str, found: Vec<f32>, expected: &serde_json::Value) {
        for (found, expected) in found.into_iter().zip(floats(expected)) {
            let error = (f64::from(found) - expected).abs();
            assert!(
                error <= 1e-6 + 1e-5 * expected.abs(),
                "{what}: {found}, not {expected}"
            );
        }
    }

    /// Three steps against the fixture, the state written and read back between them.
    fn assert_pinned(name: &str, config: OptimizerConfig) {
        let fixture: serde_json::Value =
            serde_json::from_str(include_str!("../fixtures/optimizers.json")).unwrap();
        let plain = Device::flex();
        let device = plain.clone().autodiff();
        let mut pair = pair(&device);
        let mut optimizer = Optimizer::new(&config, &[], &pair);
        for step in 0..3 {
            let gradients = gradients(&pair, step, &plain);
            pair = optimizer.step(pair, gradients, config.learning_rate());
            let (tensors, scalars) = optimizer.state();
            optimizer = Optimizer::new(&config, &[], &pair);
            optimizer
                .load_state(&pair, &device, tensors, scalars)
                .unwrap();
            let expected = &fixture[name][step];
            let what = format!("{name}, step {step}");
            let matrix = pair.matrix.val().into_data().iter::<f32>().collect();
            assert_close(&what, matrix, &expected["matrix"]);
            if expected.get("vector").is_some() {
                let vector = pair.vector.val().into_data().iter::<f32>().collect();
                assert_close(&what, vector, &expected["vector"]);
            }
        }
    }

    #[test]
    fn sgd_is_pytorchs() {
        let plain = SgdConfig {
            learning_rate: 0.1,
            ..SgdConfig::default()
        };
        let momentum = SgdConfig {
            momentum: 0.9,
            weight_decay: 0.01,
            ..plain.clone()
        };
        assert_pinned("sgd_momentum", OptimizerConfig::Sgd(momentum.clone()));
        let nesterov = SgdConfig {
            nesterov: true,
            ..momentum
        };
        assert_pinned("sgd_nesterov", OptimizerConfig::Sgd(nesterov));
        let dampening = SgdConfig {
            momentum: 0.9,
            dampening: 0.3,
            ..plain.clone()
        };
        assert_pinned("sgd_dampening", OptimizerConfig::Sgd(dampening));
        assert_pinned("sgd", OptimizerConfig::Sgd(plain));
    }

    #[test]
    fn the_adaptive_optimizers_are_pytorchs() {
        let adam = AdamConfig {
            learning_rate: 0.01,
            weight_decay: 0.1,
            ..AdamConfig::default()
        };
        assert_pinned("adam", OptimizerConfig::Adam(adam));
        let adamw = AdamwConfig {
            learning_rate: 0.01,
            weight_decay: 0.1,
            ..AdamwConfig::default()
        };
        assert_pinned("adamw", OptimizerConfig::Adamw(adamw));
        let lamb = LambConfig {
            learning_rate: 0.01,
            weight_decay: 0.1,
            epsilon: 1e-6,
            ..LambConfig::default()
        };
        assert_pinned("lamb", OptimizerConfig::Lamb(lamb));
        let rmsprop = RmspropConfig {
            learning_rate: 0.01,
            momentum: 0.5,
            weight_decay: 0.1,
            ..RmspropConfig::default()
        };
        assert_pinned("rmsprop", OptimizerConfig::Rmsprop(rmsprop));
        let centered = RmspropConfig {
            learning_rate: 0.01,
            centered: true,
            ..RmspropConfig::default()
        };
        assert_pinned("rmsprop_centered", OptimizerConfig::Rmsprop(centered));
        let adagrad = AdagradConfig {
            learning_rate: 0.1,
            learning_rate_decay: 0.05,
            weight_decay: 0.1,
            ..AdagradConfig::default()
        };
        assert_pinned("adagrad", OptimizerConfig::Adagrad(adagrad));
        let lion = LionConfig {
            learning_rate: 0.01,
            weight_decay: 0.1,
            ..LionConfig::default()
        };
        assert_pinned("lion", OptimizerConfig::Lion(lion));
        let muon = MuonConfig {
            learning_rate: 0.02,
            ..MuonConfig::default()
        };
        assert_pinned("muon", OptimizerConfig::Muon(muon));
    }

    #[test]
    fn groups_have_their_own_rate_and_decay() {
        let plain = Device::flex();
        let device = plain.clone().autodiff();
        let pair = pair(&device);
        let sgd = SgdConfig {
            learning_rate: 0.1,
            ..SgdConfig::default()
        };
        let group = ParameterGroup {
            pattern: "^vector$".into(),
            rate_factor: 0.0,
            weight_decay: Some(0.5),
        };
        let mut optimizer = Optimizer::new(&OptimizerConfig::Sgd(sgd), &[group], &pair);
        let gradients = gradients(&pair, 0, &plain);
        let after = optimizer.step(pair.clone(), gradients, 0.1);
        let values = |tensor: Tensor<1>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
        assert_eq!(values(after.vector.val()), values(pair.vector.val()));
        let (before, after) = (
            pair.matrix.val().flatten(0, 1),
            after.matrix.val().flatten(0, 1),
        );
        assert_ne!(values(before), values(after));
    }

    #[test]
    fn a_state_that_cannot_be_restored_is_an_error() {
        let plain = Device::flex();
        let device = plain.clone().autodiff();
        let pair = pair(&device);
        let adam = OptimizerConfig::Adam(AdamConfig::default());
        let mut optimizer = Optimizer::new(&adam, &[], &pair);
        let gradients = gradients(&pair, 0, &plain);
        let pair = optimizer.step(pair, gradients, 0.1);
        let (mut tensors, scalars) = optimizer.state();
        tensors.retain(|(name, _)| !(name.starts_with("vector") && name.contains("mean")));
        let mut fresh = Optimizer::new(&adam, &[], &pair);
        let error = fresh
            .load_state(&pair, &device, tensors, scalars)
            .unwrap_err();
        assert_eq!(error, "vector");
    }
}
