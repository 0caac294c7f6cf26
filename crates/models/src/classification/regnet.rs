//! RegNet X and Y (Radosavovic et al., "Designing Network Design Spaces", <https://arxiv.org/abs/2003.13678>):
//! residual bottlenecks whose widths follow a quantised line; Y adds squeeze and excitation.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::regnet::REGNET_X_400MF;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("regnet_x_400mf")?;
//! let model = config.init(REGNET_X_400MF.input, REGNET_X_400MF.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 5_495_976);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::{Dropout, Linear};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{Activation, linear};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::{SqueezeExcitation, make_divisible, pooled};
use crate::layers::{self, Init, check_rate, conv};
use crate::sequential::{Block, Layer, Sequential};
use crate::style::Style;
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

const STYLE: Style = Style::new(Init::KaimingFanOut);

/// Channels of the stem.
const STEM: usize = 32;

/// Channels in the middle of squeeze and excitation, as a share of the block's input.
const SQUEEZE: f64 = 0.25;

/// What distinguishes the variants: the paper's parameters.
#[derive(Clone, Copy, Debug)]
pub struct RegNetShape {
    /// Number of blocks, `d`.
    pub depth: usize,
    /// Width of the first block before quantisation, `w_0`.
    pub initial: f32,
    /// By how much each block is wider than the one before it, before quantisation, `w_a`.
    pub slope: f32,
    /// The ratio of the widths of successive stages, `w_m`.
    pub step: f32,
    /// Channels of each group of the 3x3 convolutions, `g`.
    pub group: usize,
    /// Whether the blocks have squeeze and excitation: RegNet Y.
    pub excitation: bool,
}

const fn x(
    parameters: usize,
    depth: usize,
    initial: f32,
    slope: f32,
    step: f32,
    group: usize,
) -> Variant<RegNetShape> {
    let excitation = false;
    let shape = RegNetShape {
        depth,
        initial,
        slope,
        step,
        group,
        excitation,
    };
    Variant::imagenet(parameters, 1, shape)
}

const fn y(
    parameters: usize,
    depth: usize,
    initial: f32,
    slope: f32,
    step: f32,
    group: usize,
) -> Variant<RegNetShape> {
    let excitation = true;
    let shape = RegNetShape {
        depth,
        initial,
        slope,
        step,
        group,
        excitation,
    };
    Variant::imagenet(parameters, 1, shape)
}

/// RegNet X 400MF.
pub const REGNET_X_400MF: Variant<RegNetShape> = x(5_495_976, 22, 24.0, 24.48, 2.54, 16);
/// RegNet X 800MF.
pub const REGNET_X_800MF: Variant<RegNetShape> = x(7_259_656, 16, 56.0, 35.73, 2.28, 16);
/// RegNet X 1.6GF.
pub const REGNET_X_1_6GF: Variant<RegNetShape> = x(9_190_136, 18, 80.0, 34.01, 2.25, 24);
/// RegNet X 3.2GF.
pub const REGNET_X_3_2GF: Variant<RegNetShape> = x(15_296_552, 25, 88.0, 26.31, 2.25, 48);
/// RegNet X 8GF.
pub const REGNET_X_8GF: Variant<RegNetShape> = x(39_572_648, 23, 80.0, 49.56, 2.88, 120);
/// RegNet X 16GF.
pub const REGNET_X_16GF: Variant<RegNetShape> = x(54_278_536, 22, 216.0, 55.59, 2.1, 128);
/// RegNet X 32GF.
pub const REGNET_X_32GF: Variant<RegNetShape> = x(107_811_560, 23, 320.0, 69.86, 2.0, 168);
/// RegNet Y 400MF.
pub const REGNET_Y_400MF: Variant<RegNetShape> = y(4_344_144, 16, 48.0, 27.89, 2.09, 8);
/// RegNet Y 800MF.
pub const REGNET_Y_800MF: Variant<RegNetShape> = y(6_432_512, 14, 56.0, 38.84, 2.4, 16);
/// RegNet Y 1.6GF.
pub const REGNET_Y_1_6GF: Variant<RegNetShape> = y(11_202_430, 27, 48.0, 20.71, 2.65, 24);
/// RegNet Y 3.2GF.
pub const REGNET_Y_3_2GF: Variant<RegNetShape> = y(19_436_338, 21, 80.0, 42.63, 2.66, 24);
/// RegNet Y 8GF.
pub const REGNET_Y_8GF: Variant<RegNetShape> = y(39_381_472, 17, 192.0, 76.82, 2.19, 56);
/// RegNet Y 16GF.
pub const REGNET_Y_16GF: Variant<RegNetShape> = y(83_590_140, 18, 200.0, 106.23, 2.48, 112);
/// RegNet Y 32GF.
pub const REGNET_Y_32GF: Variant<RegNetShape> = y(145_046_770, 20, 232.0, 115.89, 2.53, 232);

/// Options of the RegNets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RegNetConfig {
    /// The share of values dropped before the last layer in training, in `[0, 1)`.
    pub dropout: f64,
}

/// RegNet with the state-dict keys of torchvision's `regnet_x_400mf` to `regnet_y_32gf`.
#[derive(Module, Debug)]
pub struct RegNet {
    stem: Sequential,
    trunk_output: Sequential<Bottleneck>,
    dropout: Dropout,
    fc: Linear,
}

/// Torchvision's `ResBottleneckBlock`: two 1x1 convolutions around a grouped 3x3 convolution, and the input added.
#[derive(Module, Debug)]
pub struct Bottleneck {
    proj: Option<Sequential>,
    f: Sequential,
}

/// Blocks of one width.
#[derive(Debug, PartialEq)]
struct Stage {
    blocks: usize,
    width: usize,
    group: usize,
}

impl RegNetShape {
    /// The paper's section 3.3: widths on a line, rounded to powers of the step and to multiples of 8, blocks of
    /// the same width making a stage. In single precision, as torchvision computes it.
    fn stages(&self) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::new();
        for i in 0..self.depth {
            let line = i as f32 * self.slope + self.initial;
            let power = ((line / self.initial).ln() / self.step.ln()).round_ties_even();
            let width = (self.initial * self.step.powf(power) / 8.0).round_ties_even() * 8.0;
            match stages.last_mut() {
                Some(stage) if stage.width == width as usize => stage.blocks += 1,
                _ => stages.push(Stage {
                    blocks: 1,
                    width: width as usize,
                    group: 0,
                }),
            }
        }
        for stage in &mut stages {
            stage.group = self.group.min(stage.width);
            stage.width = make_divisible(stage.width as f64, stage.group);
        }
        stages
    }
}

impl Architecture for RegNet {
    type Shape = RegNetShape;
    type Config = RegNetConfig;

    fn problems(config: &RegNetConfig) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout).into_iter().collect()
    }

    fn build(
        shape: &RegNetShape,
        config: &RegNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let stem = conv(input.channels, STEM, 3).stride(2).padding(1);
        let mut width = STEM;
        let mut trunk = Vec::new();
        for (at, stage) in (1..).zip(shape.stages()) {
            let mut blocks = Vec::new();
            for i in 0..stage.blocks {
                let stride = if i == 0 { 2 } else { 1 };
                let block = Bottleneck::new(width, &stage, stride, shape.excitation, device);
                blocks.push((format!("block{at}-{i}"), Layer::Block(block)));
                width = stage.width;
            }
            trunk.push((
                format!("block{at}"),
                Layer::Sequential(Sequential::new(blocks)),
            ));
        }
        Ok(Self {
            stem: STYLE.sequential(stem, Activation::Relu, device),
            trunk_output: Sequential::new(trunk),
            dropout: layers::dropout(config.dropout),
            fc: layers::linear(width, classes, Init::Normal(0.01), device),
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        pooled([1, 1], self.trunk_output.forward(self.stem.forward(x)))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        linear(&self.fc, self.dropout.forward(self.embed(x)))
    }
}

impl Bottleneck {
    fn new(width: usize, stage: &Stage, stride: usize, excitation: bool, device: &Device) -> Self {
        let (out, relu) = (stage.width, Activation::Relu);
        let spatial = conv(out, out, 3)
            .stride(stride)
            .padding(1)
            .groups(out / stage.group);
        let mut f = vec![
            ("a", STYLE.conv_norm_act(conv(width, out, 1), relu, device)),
            ("b", STYLE.conv_norm_act(spatial, relu, device)),
        ];
        if excitation {
            let squeezed = (SQUEEZE * width as f64).round_ties_even() as usize;
            let acts = [relu, Activation::Sigmoid];
            // Torchvision leaves these biases as PyTorch drew them.
            let draws = [squeezed, out].map(|o| Init::NormalWeight((2.0 / o as f64).sqrt()));
            let excitation = SqueezeExcitation::new(out, squeezed, acts, draws, device);
            f.push(("se", Layer::SqueezeExcitation(excitation)));
        }
        f.push((
            "c",
            STYLE.conv_norm_act(conv(out, out, 1), Activation::Identity, device),
        ));
        let projects = width != out || stride != 1;
        Self {
            proj: projects.then(|| {
                let spec = conv(width, out, 1).stride(stride);
                STYLE.sequential(spec, Activation::Identity, device)
            }),
            f: Sequential::new(f),
        }
    }
}

impl Block for Bottleneck {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.proj {
            Some(proj) => proj.forward(x.clone()),
            None => x.clone(),
        };
        self.f.forward_residual(x, shortcut, Activation::Relu)
    }

    fn stride(&self) -> usize {
        self.f.stride()
    }

    fn out_channels(&self) -> usize {
        self.f.out_channels(0)
    }
}

impl Backbone for RegNet {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        let mut maps = self.stem.feature_channels(1);
        maps.extend(self.trunk_output.feature_channels(self.stem.stride()));
        maps
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        let stride = self.stem.stride();
        let stem = self.stem.forward(x);
        let mut maps = vec![FeatureMap {
            stride,
            tensor: stem.clone(),
        }];
        maps.extend(self.trunk_output.feature_maps(stem, stride));
        maps
    }
}

impl TorchNames for RegNet {
    fn head(&self) -> &'static [&'static str] {
        &["fc."]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Widths and depths of the paper's tables 8 and 9, the latter with torchvision's rounding to whole groups.
    #[test]
    fn stages_are_the_papers() {
        let stages = |shape: RegNetShape| {
            let stages = shape.stages().into_iter();
            stages
                .map(|s| (s.blocks, s.width, s.group))
                .collect::<Vec<_>>()
        };
        let x = stages(REGNET_X_400MF.shape);
        assert_eq!(x, [(1, 32, 16), (2, 64, 16), (7, 160, 16), (12, 400, 16)]);
        let y = stages(REGNET_Y_32GF.shape);
        assert_eq!(
            y,
            [
                (2, 232, 232),
                (5, 696, 232),
                (12, 1392, 232),
                (1, 3712, 232)
            ]
        );
    }
}
