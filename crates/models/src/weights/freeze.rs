//! Parts of a module that stand still in training.

use std::collections::{BTreeMap, HashSet};

use burn::module::{Flag, ModuleMapper, Param, ParamId};
use burn::tensor::Tensor;

use super::names::{Place, TorchNames, raw_parameters};

/// Freezes the parameters whose names, as a state dict has them, `frozen` picks: they take no gradients.
///
/// What belongs to frozen parameters alone stands still with them: the running statistics of a normalisation
/// whose weight and bias are both frozen (it normalises by them, as in inference), and dropout and stochastic depth
/// inside a part of the network that is frozen as a whole.
///
/// ```
/// use burn::tensor::Device;
/// use firesight_models::InputSpec;
/// use firesight_models::classification::{ClassifierConfig};
/// use firesight_models::weights::freeze;
///
/// let device = Device::default();
/// let model = ClassifierConfig::named("lenet")?.init(InputSpec::gray(28), 10, &device)?;
/// let model = freeze(model, |name| name.starts_with("conv1."));
/// # let _ = model;
/// # Ok::<(), firesight_models::ModelError>(())
/// ```
pub fn freeze<M: TorchNames>(module: M, frozen: impl Fn(&str) -> bool) -> M {
    let mut ids = HashSet::new();
    // For every part of the module by path: whether all parameters in it are frozen.
    let mut parts: BTreeMap<String, bool> = BTreeMap::new();
    for (path, info) in raw_parameters(&module) {
        if info.buffer {
            continue;
        }
        let still = frozen(&info.name);
        if still {
            ids.insert(info.id);
        }
        let mut part = path.as_str();
        while let Some((around, _)) = part.rsplit_once('.') {
            *parts.entry(around.to_string()).or_insert(true) &= still;
            part = around;
        }
        *parts.entry(String::new()).or_insert(true) &= still;
    }
    module.map(&mut Freezer {
        at: Place::default(),
        ids,
        parts,
    })
}

struct Freezer {
    at: Place,
    ids: HashSet<ParamId>,
    parts: BTreeMap<String, bool>,
}

impl Freezer {
    /// Whether the smallest part around the place that has parameters at all is frozen as a whole.
    fn stands_still(&self) -> bool {
        let path = self.at.path();
        let mut part = path.as_str();
        while let Some((around, _)) = part.rsplit_once('.') {
            if let Some(still) = self.parts.get(around) {
                return *still;
            }
            part = around;
        }
        self.parts.get("").copied().unwrap_or(false)
    }
}

impl ModuleMapper for Freezer {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.at.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.at.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.ids.contains(&param.id) {
            true => param.set_require_grad(false),
            false => param,
        }
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match self.stands_still() {
            true => flag.with_value(false),
            false => flag,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;
    use crate::InputSpec;
    use crate::classification::{Classifier, ClassifierConfig};
    use crate::weights::{StateDict, load_state_dict, state_dict};

    fn model(name: &str) -> Classifier {
        let device = Device::flex().autodiff();
        device.seed(1);
        let config = ClassifierConfig::named(name).unwrap();
        config.init(InputSpec::rgb(32), 10, &device).unwrap()
    }

    fn images() -> Tensor<4> {
        Tensor::random(
            [4, 3, 32, 32],
            Distribution::Default,
            &Device::flex().autodiff(),
        )
    }

    fn changed(before: &StateDict, after: &StateDict) -> Vec<String> {
        let names = before.iter().filter(|(name, data)| {
            let after = &after[*name];
            data.as_bytes() != after.as_bytes()
        });
        names.map(|(name, _)| name.clone()).collect()
    }

    #[test]
    fn statistics_stand_still_where_weight_and_bias_do() {
        let all = freeze(model("resnet20"), |name| {
            name.starts_with("conv1.") || name.starts_with("bn1.") || name.starts_with("layer1.")
        });
        let before = state_dict(&all);
        let loss = all.forward(images()).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &all);
        let moved = changed(&before, &state_dict(&all));
        assert!(
            moved.iter().all(|name| name.contains("running_")
                && (name.starts_with("layer2") || name.starts_with("layer3"))),
            "{moved:?}"
        );
        assert!(moved.contains(&"layer2.0.bn1.running_var".to_string()));
        let trained = raw_parameters(&all)
            .into_iter()
            .filter(|(_, info)| {
                !info.buffer
                    && !["conv1.", "bn1.", "layer1."]
                        .iter()
                        .any(|p| info.name.starts_with(p))
            })
            .count();
        assert_eq!(gradients.len(), trained);
        // Half a norm is no frozen norm.
        let half = freeze(model("resnet20"), |name| name == "bn1.weight");
        let before = state_dict(&half);
        let _ = half.forward(images());
        let moved = changed(&before, &state_dict(&half));
        assert!(moved.contains(&"bn1.running_mean".to_string()), "{moved:?}");
    }

    #[test]
    fn dropout_inside_of_a_frozen_part_is_silent() {
        // Everything below the classifier, stochastic depth included, gives the same map twice.
        let below = freeze(model("efficientnet_b0"), |name| {
            name.starts_with("features.")
        });
        let whole = freeze(model("efficientnet_b0"), |_| true);
        let x = images();
        let twice = |model: &Classifier| {
            [0, 1].map(|_| model.forward(x.clone()).into_data().as_bytes().to_vec())
        };
        let [first, second] = twice(&whole);
        assert_eq!(first, second);
        // The dropout before the layer that is trained acts.
        let [first, second] = twice(&below);
        assert_ne!(first, second);
        let [first, second] = twice(&model("efficientnet_b0"));
        assert_ne!(first, second);
    }

    #[test]
    fn loading_keeps_what_is_frozen() {
        let fresh = freeze(model("resnet20"), |name| !name.starts_with("fc."));
        let state = state_dict(&model("resnet20"));
        let loaded = load_state_dict(fresh, &state).unwrap();
        let before = state_dict(&loaded);
        let loss = loaded.forward(images()).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &loaded);
        assert_eq!(gradients.len(), 2);
        assert_eq!(changed(&before, &state_dict(&loaded)), Vec::<String>::new());
        let copy = loaded.valid().train();
        let _ = copy.forward(images());
        assert_eq!(changed(&before, &state_dict(&copy)), Vec::<String>::new());
    }
}
