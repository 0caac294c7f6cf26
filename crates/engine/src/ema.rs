//! The exponential moving average of a model's weights.
//!
//! Parameters are averaged, `shadow = decay * shadow + (1 - decay) * current`; running statistics of
//! normalisation layers are averaged alike, so that they belong to the averaged weights. With
//! `warm-up` the decay of the n-th update is `min(decay, (1 + n) / (10 + n))`, TensorFlow's rule, so
//! that the first weights are soon forgotten.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::kind::BridgeTensor;

use crate::settings::EmaConfig;

/// An averaged inference copy of a module.
pub struct Ema<M> {
    shadow: M,
    config: EmaConfig,
    updates: u64,
}

impl<M: Module> Ema<M> {
    /// Starts from the module's present weights.
    pub fn new(config: EmaConfig, module: &M) -> Self {
        Self {
            shadow: module.valid(),
            config,
            updates: 0,
        }
    }

    /// The averaged module, for inference.
    pub fn module(&self) -> &M {
        &self.shadow
    }

    /// How many updates went into the average.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Replaces the average, as a checkpoint does.
    pub fn restore(&mut self, shadow: M, updates: u64) {
        self.shadow = shadow;
        self.updates = updates;
    }

    /// Takes the module's present weights into the average.
    pub fn update(&mut self, module: &M) {
        let mut collect = Collect(HashMap::new());
        module.valid().visit(&mut collect);
        let n = self.updates as f64;
        let decay = match self.config.warm_up {
            true => self.config.decay.min((1.0 + n) / (10.0 + n)),
            false => self.config.decay,
        };
        self.updates += 1;
        let shadow = self.shadow.clone();
        self.shadow = shadow.map(&mut Average {
            current: collect.0,
            decay,
        });
    }
}

struct Collect(HashMap<ParamId, BridgeTensor>);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id, param.val().into_bridge());
    }
}

struct Average {
    current: HashMap<ParamId, BridgeTensor>,
    decay: f64,
}

impl ModuleMapper for Average {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(current) = self.current.remove(&param.id) else {
            return param;
        };
        let (id, shadow, mapper) = param.consume();
        let current = Tensor::<D>::from_bridge(current);
        // shadow + (1 - decay) * (current - shadow), subtracted: exact where both agree, a zero's sign included, so
        // that the average of what stands still stands still.
        let step = (shadow.clone() - current).mul_scalar(1.0 - self.decay);
        Param::from_mapped_value(id, shadow - step, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_average_of_what_stands_still_stands_still_to_the_bit() {
        let device = Device::flex().autodiff();
        let mut linear = LinearConfig::new(2, 2).with_bias(false).init(&device);
        let values = [[0.1f32, -0.0], [1e-40, -3.7]];
        linear.weight = Param::from_tensor(Tensor::from_floats(values, &device));
        let config = EmaConfig {
            decay: 0.9,
            warm_up: false,
        };
        let mut ema = Ema::new(config, &linear);
        for _ in 0..3 {
            ema.update(&linear);
        }
        let bits = |linear: &burn::nn::Linear| -> Vec<u32> {
            let data = linear.weight.val().into_data();
            data.iter::<f32>().map(f32::to_bits).collect()
        };
        assert_eq!(bits(ema.module()), bits(&linear));
        // What moves is averaged: 0.9 x 1 + 0.1 x 2.
        let mut moving = linear.clone();
        moving.weight = moving.weight.map(|w| w.zeros_like().add_scalar(1.0));
        let mut ema = Ema::new(config, &moving);
        moving.weight = moving.weight.map(|w| w.add_scalar(1.0));
        ema.update(&moving);
        let first: f32 = ema.module().weight.val().into_data().iter().next().unwrap();
        assert!((first - 1.1).abs() < 1e-6, "{first}");
    }
}
