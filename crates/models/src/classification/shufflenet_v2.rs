//! ShuffleNet V2 (Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
//! <https://arxiv.org/abs/1807.11164>): half of the channels pass each unit untouched, then all are shuffled.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::shufflenet_v2::SHUFFLENET_V2_X0_5;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("shufflenet_v2_x0_5")?;
//! let model = config.init(SHUFFLENET_V2_X0_5.input, SHUFFLENET_V2_X0_5.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 1_366_792);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::{Dropout, Linear};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{Activation, linear};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::{max_pool, pooled};
use crate::layers::{self, Init, check_rate, conv};
use crate::sequential::{Act, Block, Layer, Sequential};
use crate::style::Style;
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

const STYLE: Style = Style::new(Init::Default);

/// Channels of the stem.
const STEM: usize = 24;

/// Units of each stage.
const UNITS: [usize; 3] = [4, 8, 4];

/// What distinguishes the variants.
#[derive(Clone, Copy, Debug)]
pub struct ShuffleNetShape {
    /// Channels of each stage.
    pub stages: [usize; 3],
    /// Channels that are pooled.
    pub last: usize,
}

const fn shufflenet(
    parameters: usize,
    stages: [usize; 3],
    last: usize,
) -> Variant<ShuffleNetShape> {
    Variant::imagenet(parameters, 1, ShuffleNetShape { stages, last })
}

/// ShuffleNet V2 at half the width.
pub const SHUFFLENET_V2_X0_5: Variant<ShuffleNetShape> = shufflenet(1_366_792, [48, 96, 192], 1024);
/// ShuffleNet V2.
pub const SHUFFLENET_V2_X1_0: Variant<ShuffleNetShape> =
    shufflenet(2_278_604, [116, 232, 464], 1024);
/// ShuffleNet V2 at 1.5 times the width.
pub const SHUFFLENET_V2_X1_5: Variant<ShuffleNetShape> =
    shufflenet(3_503_624, [176, 352, 704], 1024);
/// ShuffleNet V2 at twice the width.
pub const SHUFFLENET_V2_X2_0: Variant<ShuffleNetShape> =
    shufflenet(7_393_996, [244, 488, 976], 2048);

/// Options of the ShuffleNets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ShuffleNetConfig {
    /// The share of values dropped before the last layer in training, in `[0, 1)`.
    pub dropout: f64,
}

/// ShuffleNet V2 with the state-dict keys of torchvision's `shufflenet_v2_x0_5` to `shufflenet_v2_x2_0`.
#[derive(Module, Debug)]
pub struct ShuffleNetV2 {
    /// Torchvision's `conv1`, `maxpool`, `stage2`, ..., `conv5`, which stand beside `fc` there.
    trunk: Sequential<ShuffleUnit>,
    dropout: Dropout,
    fc: Linear,
}

/// A unit with stride 1, whose first half of channels passes, or with stride 2, where `branch1` takes all of them.
#[derive(Module, Debug)]
pub struct ShuffleUnit {
    branch1: Sequential,
    branch2: Sequential,
}

impl Architecture for ShuffleNetV2 {
    type Shape = ShuffleNetShape;
    type Config = ShuffleNetConfig;

    fn problems(config: &ShuffleNetConfig) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout).into_iter().collect()
    }

    fn build(
        shape: &ShuffleNetShape,
        config: &ShuffleNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let relu = Activation::Relu;
        let stem = conv(input.channels, STEM, 3).stride(2).padding(1);
        let mut trunk = vec![
            ("conv1", STYLE.conv_norm_act(stem, relu, device)),
            ("maxpool", Layer::MaxPool(max_pool(3, 2, 1, false))),
        ];
        let mut width = STEM;
        let stages = ["stage2", "stage3", "stage4"].into_iter().zip(shape.stages);
        for ((name, out), count) in stages.zip(UNITS) {
            let units = (0..count).map(|i| {
                let before = if i == 0 { width } else { out };
                Layer::Block(ShuffleUnit::new(before, out, i == 0, device))
            });
            trunk.push((
                name,
                Layer::Sequential(Sequential::numbered(units.collect())),
            ));
            width = out;
        }
        trunk.push((
            "conv5",
            STYLE.conv_norm_act(conv(width, shape.last, 1), relu, device),
        ));
        Ok(Self {
            trunk: Sequential::new(trunk),
            dropout: layers::dropout(config.dropout),
            fc: layers::linear(shape.last, classes, Init::Default, device),
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        pooled([1, 1], self.trunk.forward(x))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        linear(&self.fc, self.dropout.forward(self.embed(x)))
    }
}

impl ShuffleUnit {
    fn new(before: usize, after: usize, strided: bool, device: &Device) -> Self {
        let half = after / 2;
        let stride = if strided { 2 } else { 1 };
        let relu = || Layer::Act(Act::new(Activation::Relu));
        let depthwise = |width| {
            conv(width, width, 3)
                .stride(stride)
                .padding(1)
                .groups(width)
        };
        let mut branch1 = Vec::new();
        if strided {
            branch1.extend(STYLE.conv_norm(depthwise(before), device));
            branch1.extend(STYLE.conv_norm(conv(before, half, 1), device));
            branch1.push(relu());
        }
        let seen = if strided { before } else { half };
        let mut branch2 = Vec::from(STYLE.conv_norm(conv(seen, half, 1), device));
        branch2.push(relu());
        branch2.extend(STYLE.conv_norm(depthwise(half), device));
        branch2.extend(STYLE.conv_norm(conv(half, half, 1), device));
        branch2.push(relu());
        Self {
            branch1: Sequential::numbered(branch1),
            branch2: Sequential::numbered(branch2),
        }
    }
}

impl Block for ShuffleUnit {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (first, second) = match self.stride() {
            1 => {
                let half = x.dims()[1] / 2;
                (x.clone().narrow(1, 0, half), x.narrow(1, half, half))
            }
            _ => (self.branch1.forward(x.clone()), x),
        };
        let x = Tensor::cat(vec![first, self.branch2.forward(second)], 1);
        let [n, channels, height, width] = x.dims();
        x.reshape([n, 2, channels / 2, height * width])
            .swap_dims(1, 2) // [N, C / 2, 2, H * W]
            .reshape([n, channels, height, width])
    }

    fn stride(&self) -> usize {
        self.branch2.stride()
    }

    fn out_channels(&self) -> usize {
        2 * self.branch2.out_channels(0)
    }
}

impl Backbone for ShuffleNetV2 {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        self.trunk.feature_channels(1)
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        self.trunk.feature_maps(x, 1)
    }
}

impl TorchNames for ShuffleNetV2 {
    fn torch_name(&self, path: &str) -> String {
        path.strip_prefix("trunk.").unwrap_or(path).to_string()
    }

    fn head(&self) -> &'static [&'static str] {
        &["fc."]
    }
}
