//! FCN-32s, FCN-16s and FCN-8s on VGG-16 (Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic
//! Segmentation", <https://arxiv.org/abs/1411.4038>; the numbers are those of the authors' published networks for
//! Caffe): the fully connected layers as convolutions, class scores of the third and fourth pooling added to those
//! of the last, upsampling by transposed convolutions that start as bilinear interpolation.
//!
//! The image is padded by 100 zeros, poolings round up, and every fusion crops, as published, so any size of image
//! works. The skips are scaled by 0.01 and 0.0001 ("at-once" training). Keys are torchvision's for the convolutions
//! (`features.0.weight`) and the published layer names for the rest (`fc6`, `score_fr`, `upscore8`).
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::InputSpec;
//! use firesight_models::segmentation::SegmenterConfig;
//! use firesight_models::weights::parameter_count;
//!
//! let config = SegmenterConfig::named("fcn8s")?;
//! let model = config.init(InputSpec::rgb(64), 21, &Device::default())?;
//! assert_eq!(parameter_count(&model), 134_489_759);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::nn::{Dropout, Initializer};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SegmenterArchitecture, SegmenterOutput, upsample};
use crate::blocks::max_pool;
use crate::family::{Member, PublishedModel};
use crate::layers::{Init, check_rate, conv, dropout};
use crate::sequential::{Act, Layer, Sequential};
use crate::style::Style;
use crate::weights::TorchNames;
use crate::{InputSpec, ModelError};

const STYLE: Style = Style::new(Init::KaimingFanOut);
/// Zeros around the image, so that the 7x7 convolution on the last pooling has room.
const PADDING: usize = 100;
/// Convolutions and their channels before each pooling of VGG-16.
const STAGES: [(usize, usize); 5] = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)];
/// Entries of `features` up to the third and up to the fourth pooling: a convolution and its ReLU are two.
const POOL3: usize = 2 * (2 + 2 + 3) + 3;
const POOL4: usize = POOL3 + 2 * 3 + 1;
/// Channels of the convolutions that were fully connected layers.
const HIDDEN: usize = 4096;
/// What the scores of the fourth and of the third pooling are multiplied by.
const SKIP_SCALES: [f64; 2] = [0.01, 0.0001];

/// Options of the FCNs on VGG-16.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FcnVggConfig {
    /// The share of values dropped after `fc6` and `fc7` in training, in `[0, 1)`.
    pub dropout: f64,
    /// Whether the scores of the skips are scaled by 0.01 and 0.0001, as the published networks that are trained
    /// in one stage do.
    pub scale_skips: bool,
}

impl Default for FcnVggConfig {
    fn default() -> Self {
        Self {
            dropout: 0.5,
            scale_skips: true,
        }
    }
}

/// FCN-32s, whose parameters the authors' networks for Caffe have, as those of the next two.
pub const FCN32S: PublishedModel<FcnVggConfig, Skips> = PublishedModel {
    parameters: 136_152_917,
    config: |options| (options.clone(), 0),
};
/// FCN-16s.
pub const FCN16S: PublishedModel<FcnVggConfig, Skips> = PublishedModel {
    parameters: 134_815_994,
    config: |options| (options.clone(), 1),
};
/// FCN-8s.
pub const FCN8S: PublishedModel<FcnVggConfig, Skips> = PublishedModel {
    parameters: 134_489_759,
    config: |options| (options.clone(), 2),
};

/// The options, and how many poolings give scores besides the last.
pub type Skips = (FcnVggConfig, usize);

impl FcnVggConfig {
    /// What is wrong with the options: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        check_rate("dropout", self.dropout).into_iter().collect()
    }
}

/// An FCN on VGG-16.
#[derive(Module, Debug)]
pub struct FcnVgg {
    features: Sequential,
    fc6: Conv2d,
    fc7: Conv2d,
    score_fr: Conv2d,
    score_pool4: Option<Conv2d>,
    score_pool3: Option<Conv2d>,
    /// From stride 32 to 16, where there is a skip.
    upscore2: Option<ConvTranspose2d>,
    /// From stride 16 to 8, where there are two.
    upscore_pool4: Option<ConvTranspose2d>,
    /// To the image.
    upscore8: Option<ConvTranspose2d>,
    upscore16: Option<ConvTranspose2d>,
    upscore: Option<ConvTranspose2d>,
    dropout: Dropout,
    scales: [f64; 2],
}

impl FcnVgg {
    /// A network whose finest scores have stride 32, 16 or 8 for 0, 1 or 2 skips.
    pub fn new(
        config: &FcnVggConfig,
        skips: usize,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Self {
        let mut layers = Vec::new();
        let mut width = channels;
        for (convolutions, out) in STAGES {
            for _ in 0..convolutions {
                let padding = if layers.is_empty() { PADDING } else { 1 };
                layers.push(STYLE.conv(conv(width, out, 3).padding(padding), device));
                layers.push(Layer::Act(Act::new(Activation::Relu)));
                width = out;
            }
            layers.push(Layer::MaxPool(max_pool(2, 2, 0, true)));
        }
        let hidden = |input, kernel| {
            conv(input, HIDDEN, kernel)
                .draw(Init::KaimingFanOut)
                .init(device)
        };
        let up = |factor| upsample::bilinear(classes, factor, 0, device);
        Self {
            features: Sequential::numbered(layers),
            fc6: hidden(width, 7),
            fc7: hidden(HIDDEN, 1),
            score_fr: score(HIDDEN, classes, device),
            score_pool4: (skips >= 1).then(|| score(STAGES[3].1, classes, device)),
            score_pool3: (skips >= 2).then(|| score(STAGES[2].1, classes, device)),
            upscore2: (skips >= 1).then(|| up(2)),
            upscore_pool4: (skips >= 2).then(|| up(2)),
            upscore8: (skips >= 2).then(|| up(8)),
            upscore16: (skips == 1).then(|| up(16)),
            upscore: (skips == 0).then(|| up(32)),
            dropout: dropout(config.dropout),
            scales: match config.scale_skips {
                true => SKIP_SCALES,
                false => [1.0; 2],
            },
        }
    }
}

/// A 1x1 convolution to the classes that starts at zero, as published.
fn score(channels: usize, classes: usize, device: &Device) -> Conv2d {
    let mut layer = conv(channels, classes, 1).init(device);
    layer.weight = Initializer::Zeros.init([classes, channels, 1, 1], device);
    layer.bias = Some(Initializer::Zeros.init([classes], device));
    layer
}

/// The part of a map that begins `offset` from its upper left corner.
fn crop(x: Tensor<4>, offset: usize, [height, width]: [usize; 2]) -> Tensor<4> {
    let [n, channels, _, _] = x.dims();
    x.slice([
        0..n,
        0..channels,
        offset..offset + height,
        offset..offset + width,
    ])
}

impl Member for FcnVgg {
    type Config = Skips;

    fn problems((config, _): &Skips) -> Vec<(String, String)> {
        config.problems()
    }

    fn minimum(_: &Skips) -> usize {
        1
    }

    fn build(
        _: &'static str,
        (config, skips): &Skips,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Ok(Self::new(config, *skips, input.channels, classes, device))
    }
}

impl SegmenterArchitecture for FcnVgg {
    fn forward_train(&self, x: Tensor<4>) -> SegmenterOutput {
        SegmenterOutput {
            logits: self.forward(x),
            aux: None,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let ([pool3, pool4], pool5) = self.features.forward_stages(x, [POOL3, POOL4]);
        let relu = |x| kernels::activation(Activation::Relu, x);
        let x = self
            .dropout
            .forward(relu(kernels::conv2d(&self.fc6, pool5)));
        let x = self.dropout.forward(relu(kernels::conv2d(&self.fc7, x)));
        let mut x = kernels::conv2d(&self.score_fr, x);
        let skips = [
            (&self.upscore2, &self.score_pool4, pool4, self.scales[0], 5),
            (
                &self.upscore_pool4,
                &self.score_pool3,
                pool3,
                self.scales[1],
                9,
            ),
        ];
        for (up, score, map, scale, offset) in skips {
            let (Some(up), Some(score)) = (up, score) else {
                break;
            };
            x = kernels::conv_transpose2d(up, x);
            let [_, _, h, w] = x.dims();
            let scores = kernels::conv2d(score, map.mul_scalar(scale));
            x = x + crop(scores, offset, [h, w]);
        }
        let last = [
            (&self.upscore8, 31),
            (&self.upscore16, 27),
            (&self.upscore, 19),
        ];
        for (up, offset) in last {
            if let Some(up) = up {
                x = crop(kernels::conv_transpose2d(up, x), offset, [height, width]);
            }
        }
        x
    }
}

impl TorchNames for FcnVgg {
    fn head(&self) -> &'static [&'static str] {
        &[
            "score_fr.",
            "score_pool4.",
            "score_pool3.",
            "upscore2.",
            "upscore_pool4.",
            "upscore8.",
            "upscore16.",
            "upscore.",
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::parameter_count;

    #[test]
    fn has_the_published_number_of_parameters() {
        let device = Device::flex();
        let count = |skips| {
            let config = FcnVggConfig::default();
            parameter_count(&FcnVgg::new(&config, skips, 3, 21, &device))
        };
        let shared = 14_714_688 + 102_764_544 + 16_781_312 + 86_037;
        assert_eq!(count(2), 134_489_759);
        assert_eq!(count(1), shared + 10_773 + 21 * 21 * (16 + 32 * 32));
        assert_eq!(count(0), shared + 21 * 21 * 64 * 64);
    }

    /// The sizes of all maps, which the crops must fit into, without the convolutions' work.
    #[test]
    fn the_crops_fit_at_every_size() {
        let pool = |n: usize| n.div_ceil(2);
        for side in 1..700 {
            let pool3 = pool(pool(pool(side + 2 * PADDING - 2)));
            let pool4 = pool(pool3);
            let fr = pool(pool4) - 6;
            let up = |n: usize, factor: usize| (n - 1) * factor + 2 * factor;
            assert!(up(fr, 32) >= 19 + side);
            let (two, four) = (up(fr, 2), up(up(fr, 2), 2));
            assert!(pool4 >= 5 + two && up(two, 16) >= 27 + side, "{side}");
            assert!(pool3 >= 9 + four && up(four, 8) >= 31 + side, "{side}");
        }
    }
}
