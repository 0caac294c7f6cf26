//! LeNet-5, "Gradient-Based Learning Applied to Document Recognition" (LeCun et al. 1998), for
//! small images of any size.
//!
//! As it is built today: ReLU and max pooling, every map of the first convolution connected to every
//! filter of the second. The first convolution keeps the size; the second shrinks the map by 4, as
//! published, except on images below 20 pixels, where it keeps the size too (nothing would be left).
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::lenet::LENET;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("lenet")?;
//! let model = config.init(LENET.input, LENET.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 61_706);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Dropout, Linear};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::layers::{Init, check_rate, check_widths, conv, dropout, linear};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

/// LeNet-5: 61,706 parameters for 28x28 gray images and 10 classes.
pub const LENET: Variant<()> = Variant {
    shape: (),
    parameters: 61_706,
    input: InputSpec::gray(28),
    classes: 10,
    minimum: 4,
};

/// Options of `lenet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LeNetConfig {
    /// Output channels of the two convolutions.
    pub channels: [usize; 2],
    /// Widths of the two hidden layers.
    pub hidden: [usize; 2],
    /// The share of values dropped before each fully connected layer in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for LeNetConfig {
    fn default() -> Self {
        Self {
            channels: [6, 16],
            hidden: [120, 84],
            dropout: 0.0,
        }
    }
}

/// LeNet-5.
#[derive(Module, Debug)]
pub struct LeNet {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
    pool: MaxPool2d,
    dropout: Dropout,
    channels: [usize; 2],
}

/// Padding of the second convolution.
fn second_padding(input: InputSpec) -> usize {
    if input.height.min(input.width) < 20 {
        2
    } else {
        0
    }
}

impl Architecture for LeNet {
    type Shape = ();
    type Config = LeNetConfig;

    fn problems(config: &LeNetConfig) -> Vec<(String, String)> {
        let mut problems: Vec<_> = check_rate("dropout", config.dropout).into_iter().collect();
        for (key, widths) in [("channels", &config.channels), ("hidden", &config.hidden)] {
            problems.extend(check_widths(key, widths));
        }
        problems
    }

    fn build(
        _: &(),
        config: &LeNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let [first, second] = config.channels;
        let [wide, narrow] = config.hidden;
        let padding = second_padding(input);
        let left = |side: usize| (side / 2 + 2 * padding - 4) / 2;
        let flat = second * left(input.height) * left(input.width);
        Ok(Self {
            conv1: conv(input.channels, first, 5).padding(2).init(device),
            conv2: conv(first, second, 5).padding(padding).init(device),
            fc1: linear(flat, wide, Init::Default, device),
            fc2: linear(wide, narrow, Init::Default, device),
            fc3: linear(narrow, classes, Init::Default, device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dropout: dropout(config.dropout),
            channels: config.channels,
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        let [_, last] = self.stages(x);
        let x = self.dropout.forward(last.flatten::<2>(1, 3)); // [N, flat]
        let x = kernels::activation(Activation::Relu, kernels::linear(&self.fc1, x));
        let x = self.dropout.forward(x);
        kernels::activation(Activation::Relu, kernels::linear(&self.fc2, x)) // [N, hidden]
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.dropout.forward(self.embed(x));
        kernels::linear(&self.fc3, x)
    }
}

impl LeNet {
    fn stages(&self, x: Tensor<4>) -> [Tensor<4>; 2] {
        let x = kernels::activation(Activation::Relu, kernels::conv2d(&self.conv1, x));
        let first = kernels::max_pool2d(&self.pool, x); // [N, C1, H/2, W/2]
        let x = kernels::conv2d(&self.conv2, first.clone());
        let x = kernels::activation(Activation::Relu, x);
        [first, kernels::max_pool2d(&self.pool, x)] // [N, C2, H/4, W/4]
    }
}

impl Backbone for LeNet {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        vec![(2, self.channels[0]), (4, self.channels[1])]
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        let maps = self.stages(x);
        [2, 4]
            .into_iter()
            .zip(maps)
            .map(|(stride, tensor)| FeatureMap { stride, tensor })
            .collect()
    }
}

impl TorchNames for LeNet {
    fn head(&self) -> &'static [&'static str] {
        &["fc3."]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_on_digits_and_mnist_and_cifar_and_the_minimum() {
        let device = Device::flex();
        let sizes = [
            (1, 8, 8),
            (1, 28, 28),
            (3, 32, 32),
            (1, 4, 4),
            (1, 19, 25),
            (2, 20, 20),
        ];
        for (channels, height, width) in sizes {
            let input = InputSpec {
                channels,
                height,
                width,
            };
            let model = LeNet::build(&(), &LeNetConfig::default(), input, 7, &device).unwrap();
            let x = Tensor::zeros([2, channels, height, width], &device);
            assert_eq!(
                model.forward(x).dims(),
                [2, 7],
                "{channels}x{height}x{width}"
            );
        }
    }
}
