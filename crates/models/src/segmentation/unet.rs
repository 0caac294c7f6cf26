//! U-Net (Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
//! <https://arxiv.org/abs/1505.04597>): a path down, a path up, and at every size the maps of the one joined to
//! those of the other.
//!
//! Unlike the paper's, its convolutions are padded, so that the output has the image's size, and are followed by
//! batch normalisation; widths and depth are the recipe's.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::segmentation::SegmenterArchitecture;
//! use firesight_models::segmentation::unet::{Unet, UnetConfig};
//!
//! let config = UnetConfig { channels: vec![4, 8, 16], ..Default::default() };
//! assert_eq!(config.minimum(), 4); // two halvings
//! let device = Device::default();
//! let model = Unet::new(&config, 1, 2, &device);
//! let logits = model.forward(Tensor::zeros([1, 1, 30, 33], &device));
//! assert_eq!(logits.dims(), [1, 2, 30, 33]);
//! ```

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::pool::MaxPool2d;
use burn::nn::{BatchNorm, Dropout, Initializer};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SegmenterArchitecture, SegmenterOutput, to_size};
use crate::blocks::max_pool;
use crate::family::{Member, PublishedModel};
use crate::layers::{Init, batch_norm, check_rate, check_widths, conv, dropout};
use crate::weights::TorchNames;
use crate::{InputSpec, ModelError};

/// A U-Net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct UnetConfig {
    /// Channels at each size, from the image's down; every next one has half the height and width. 2 to 10 of
    /// them; the paper has `[64, 128, 256, 512, 1024]`.
    pub channels: Vec<usize>,
    /// Whether batch normalisation follows each 3x3 convolution.
    pub batch_norm: bool,
    /// The share of values of the smallest maps dropped in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for UnetConfig {
    fn default() -> Self {
        Self {
            channels: vec![64, 128, 256, 512, 1024],
            batch_norm: true,
            dropout: 0.0,
        }
    }
}

/// A U-Net of the paper's widths.
pub const UNET: PublishedModel<UnetConfig, UnetConfig> = PublishedModel {
    parameters: 31_038_933,
    config: UnetConfig::clone,
};

impl UnetConfig {
    /// What is wrong with the options: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems: Vec<_> = check_rate("dropout", self.dropout).into_iter().collect();
        if !(2..=10).contains(&self.channels.len()) {
            let message = "give 2 to 10 widths, each at least 1, such as [16, 32, 64]";
            problems.push(("channels".to_string(), message.to_string()));
        }
        problems.extend(check_widths("channels", &self.channels));
        problems
    }

    /// The smallest side in pixels of an input: the smallest map keeps at least one.
    pub fn minimum(&self) -> usize {
        1 << self.channels.len().saturating_sub(1).min(10)
    }
}

/// A U-Net.
#[derive(Module, Debug)]
pub struct Unet {
    down: Vec<DoubleConv>,
    up: Vec<Up>,
    score: Conv2d,
    pool: MaxPool2d,
    dropout: Dropout,
}

/// Two 3x3 convolutions, each with batch normalisation where asked for, and ReLU.
#[derive(Module, Debug)]
struct DoubleConv {
    conv1: Conv2d,
    bn1: Option<BatchNorm>,
    conv2: Conv2d,
    bn2: Option<BatchNorm>,
}

/// Doubles height and width, and joins the maps of the path down.
#[derive(Module, Debug)]
struct Up {
    upsample: ConvTranspose2d,
    block: DoubleConv,
}

impl Unet {
    /// Makes the network with freshly drawn parameters.
    pub fn new(config: &UnetConfig, channels: usize, classes: usize, device: &Device) -> Self {
        let widths = &config.channels;
        let block = |input, output| DoubleConv::new(input, output, config.batch_norm, device);
        let inputs = std::iter::once(&channels).chain(widths);
        let up = |pair: &[usize]| Up {
            upsample: transposed(pair[1], pair[0], device),
            block: block(2 * pair[0], pair[0]),
        };
        Self {
            down: inputs.zip(widths).map(|(&i, &o)| block(i, o)).collect(),
            up: widths.windows(2).rev().map(up).collect(),
            score: conv(widths[0], classes, 1).init(device),
            pool: max_pool(2, 2, 0, false),
            dropout: dropout(config.dropout),
        }
    }
}

/// A 2x2 transposed convolution of stride 2: each output pixel sees one input pixel.
fn transposed(input: usize, output: usize, device: &Device) -> ConvTranspose2d {
    let mut layer = ConvTranspose2dConfig::new([input, output], [2, 2])
        .with_stride([2, 2])
        .init(device);
    let std = (1.0 / input as f64).sqrt();
    layer.weight = Initializer::Normal { mean: 0.0, std }.init([input, output, 2, 2], device);
    layer.bias = Some(Initializer::Zeros.init([output], device));
    layer
}

impl Member for Unet {
    type Config = UnetConfig;

    fn problems(config: &UnetConfig) -> Vec<(String, String)> {
        config.problems()
    }

    fn minimum(config: &UnetConfig) -> usize {
        config.minimum()
    }

    fn build(
        _: &'static str,
        config: &UnetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Ok(Self::new(config, input.channels, classes, device))
    }
}

impl SegmenterArchitecture for Unet {
    fn forward_train(&self, x: Tensor<4>) -> SegmenterOutput {
        SegmenterOutput {
            logits: self.forward(x),
            aux: None,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut skips = Vec::with_capacity(self.down.len());
        let mut x = x;
        for (i, block) in self.down.iter().enumerate() {
            if i > 0 {
                skips.push(x.clone());
                x = kernels::max_pool2d(&self.pool, x);
            }
            x = block.forward(x);
        }
        x = self.dropout.forward(x);
        for up in &self.up {
            let skip = skips.pop().expect("as many ways up as down");
            let [_, _, h, w] = skip.dims();
            x = kernels::conv_transpose2d(&up.upsample, x);
            // An odd size is not twice the next one.
            x = up
                .block
                .forward(Tensor::cat(vec![skip, to_size(x, [h, w])], 1));
        }
        kernels::conv2d(&self.score, x)
    }
}

impl DoubleConv {
    fn new(input: usize, output: usize, batch_norms: bool, device: &Device) -> Self {
        let layer = |input| {
            let spec = conv(input, output, 3).padding(1).draw(Init::KaimingFanIn);
            match batch_norms {
                true => spec.no_bias().init(device),
                false => spec.init(device),
            }
        };
        let norm = || batch_norms.then(|| batch_norm(output, device));
        Self {
            conv1: layer(input),
            bn1: norm(),
            conv2: layer(output),
            bn2: norm(),
        }
    }

    /// `[N, C, H, W]` to `[N, C', H, W]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        [(&self.conv1, &self.bn1), (&self.conv2, &self.bn2)]
            .into_iter()
            .fold(x, |x, (conv, norm)| match norm {
                Some(norm) => {
                    kernels::batch_norm_act(norm, kernels::conv2d(conv, x), Activation::Relu)
                }
                None => kernels::activation(Activation::Relu, kernels::conv2d(conv, x)),
            })
    }
}

impl TorchNames for Unet {
    fn head(&self) -> &'static [&'static str] {
        &["score."]
    }
}
