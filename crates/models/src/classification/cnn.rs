//! A small network of convolution blocks whose widths the recipe gives: `convolutions` times 3x3
//! convolution (with batch normalisation unless refused) and ReLU, then 2x2 max pooling, per entry
//! of `channels`; then fully connected layers with dropout.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::cnn::CNN;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("cnn")?;
//! let model = config.init(CNN.input, CNN.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 421_738);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, Dropout, Linear};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::layers::{Init, batch_norm, check_rate, check_widths, conv, dropout, linear};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

/// The default widths on 28x28 gray images with 10 classes.
pub const CNN: Variant<()> = Variant {
    shape: (),
    parameters: 421_738,
    input: InputSpec::gray(28),
    classes: 10,
    minimum: 2,
};

/// Options of `cnn`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CnnConfig {
    /// Output channels of each block; every block halves the image.
    pub channels: Vec<usize>,
    /// Convolutions in each block.
    pub convolutions: usize,
    /// Batch normalisation after each convolution.
    pub batch_norm: bool,
    /// How the last map becomes a vector.
    pub pooling: Pooling,
    /// Widths of the hidden fully connected layers; may be empty.
    pub hidden: Vec<usize>,
    /// The share of values dropped before each fully connected layer in training, in `[0, 1)`.
    pub dropout: f64,
}

/// How the last feature map becomes a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// All positions side by side; the model then takes images of one size only.
    Flatten,
    /// The mean over all positions.
    Average,
}

impl Default for CnnConfig {
    fn default() -> Self {
        Self {
            channels: vec![32, 64],
            convolutions: 1,
            batch_norm: true,
            pooling: Pooling::Flatten,
            hidden: vec![128],
            dropout: 0.25,
        }
    }
}

/// The small configurable network.
#[derive(Module, Debug)]
pub struct Cnn {
    blocks: Vec<ConvBlock>,
    hidden: Vec<Linear>,
    /// Absent where the network is the body of a segmenter or a detector.
    fc: Option<Linear>,
    pool: MaxPool2d,
    average: Option<AdaptiveAvgPool2d>,
    dropout: Dropout,
}

/// Convolutions of one width.
#[derive(Module, Debug)]
struct ConvBlock {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
}

impl Architecture for Cnn {
    type Shape = ();
    type Config = CnnConfig;

    fn problems(config: &CnnConfig) -> Vec<(String, String)> {
        let mut problems: Vec<_> = check_rate("dropout", config.dropout).into_iter().collect();
        problems.extend(check_widths("channels", &config.channels));
        problems.extend(check_widths("hidden", &config.hidden));
        let mut say =
            |key: &str, message: &str| problems.push((key.to_string(), message.to_string()));
        if config.channels.is_empty() {
            say(
                "channels",
                "give at least one width, each at least 1, such as [32, 64]",
            );
        }
        if config.channels.len() > 16 {
            say(
                "channels",
                "more than 16 blocks: every block halves the image",
            );
        }
        if !(1..=64).contains(&config.convolutions) {
            say("convolutions", "every block has from 1 to 64 convolutions");
        }
        problems
    }

    fn build(
        _: &(),
        config: &CnnConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let stride = 1 << config.channels.len();
        if input.height.min(input.width) < stride {
            let (height, width) = (input.height, input.width);
            let model = "cnn".to_string();
            return Err(ModelError::InputTooSmall {
                model,
                minimum: stride,
                height,
                width,
            });
        }
        let mut before = input.channels;
        let mut blocks = Vec::new();
        for &width in &config.channels {
            let (mut convs, mut norms) = (Vec::new(), Vec::new());
            for _ in 0..config.convolutions {
                let layer = conv(before, width, 3).padding(1);
                let layer = if config.batch_norm {
                    layer.no_bias()
                } else {
                    layer
                };
                convs.push(layer.draw(Init::KaimingFanOut).init(device));
                if config.batch_norm {
                    norms.push(batch_norm(width, device));
                }
                before = width;
            }
            blocks.push(ConvBlock { convs, norms });
        }
        let (average, mut width) = match config.pooling {
            Pooling::Flatten => (
                None,
                before * (input.height / stride) * (input.width / stride),
            ),
            Pooling::Average => (Some(AdaptiveAvgPool2dConfig::new([1, 1]).init()), before),
        };
        let mut hidden = Vec::new();
        for &next in &config.hidden {
            hidden.push(linear(width, next, Init::Default, device));
            width = next;
        }
        Ok(Self {
            blocks,
            hidden,
            fc: Some(linear(width, classes, Init::Default, device)),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            average,
            dropout: dropout(config.dropout),
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.blocks.iter().fold(x, |x, block| self.block(block, x));
        let x = match &self.average {
            Some(pool) => kernels::adaptive_avg_pool2d(pool, x),
            None => x,
        };
        let mut x = x.flatten::<2>(1, 3);
        for layer in &self.hidden {
            x = kernels::linear(layer, self.dropout.forward(x));
            x = kernels::activation(Activation::Relu, x);
        }
        x
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let features = self.dropout.forward(self.embed(x));
        match &self.fc {
            Some(fc) => kernels::linear(fc, features),
            None => features,
        }
    }
}

impl Cnn {
    /// `[N, C, H, W]` to `[N, width, H/2, W/2]`.
    fn block(&self, block: &ConvBlock, mut x: Tensor<4>) -> Tensor<4> {
        for (i, layer) in block.convs.iter().enumerate() {
            x = match block.norms.get(i) {
                Some(norm) => kernels::conv2d_norm_act(layer, norm, x, Activation::Relu),
                None => kernels::activation(Activation::Relu, kernels::conv2d(layer, x)),
            };
        }
        kernels::max_pool2d(&self.pool, x)
    }
}

impl Backbone for Cnn {
    fn into_body(mut self) -> Option<Self> {
        self.hidden.clear();
        self.fc = None;
        Some(self)
    }

    fn feature_channels(&self) -> Vec<(usize, usize)> {
        let width = |block: &ConvBlock| block.convs.last().map_or(0, |conv| conv.weight.dims()[0]);
        self.blocks
            .iter()
            .enumerate()
            .map(|(i, block)| (2 << i, width(block)))
            .collect()
    }

    fn feature_maps(&self, mut x: Tensor<4>) -> Vec<FeatureMap> {
        let mut maps = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            x = self.block(block, x);
            maps.push(FeatureMap {
                stride: 2 << i,
                tensor: x.clone(),
            });
        }
        maps
    }
}

impl TorchNames for Cnn {
    fn head(&self) -> &'static [&'static str] {
        &["fc."]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_gives_the_shape() {
        let device = Device::flex();
        for (batch_norm, pooling, hidden) in [
            (true, Pooling::Flatten, vec![9]),
            (false, Pooling::Average, vec![]),
            (false, Pooling::Flatten, vec![5, 4]),
        ] {
            let config = CnnConfig {
                channels: vec![4, 6, 8],
                convolutions: 2,
                batch_norm,
                pooling,
                hidden,
                ..Default::default()
            };
            let input = InputSpec {
                channels: 2,
                height: 9,
                width: 17,
            };
            let model = Cnn::build(&(), &config, input, 3, &device).unwrap();
            let y = model.forward(Tensor::zeros([2, 2, 9, 17], &device));
            assert_eq!(y.dims(), [2, 3]);
            assert_eq!(model.feature_channels(), [(2, 4), (4, 6), (8, 8)]);
        }
        let small = InputSpec::gray(3);
        let error = Cnn::build(&(), &CnnConfig::default(), small, 3, &device).unwrap_err();
        assert!(matches!(
            error,
            ModelError::InputTooSmall { minimum: 4, .. }
        ));
    }
}
