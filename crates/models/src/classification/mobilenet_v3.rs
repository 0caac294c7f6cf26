//! MobileNet V3 (Howard et al., "Searching for MobileNetV3", <https://arxiv.org/abs/1905.02244>): inverted
//! residuals with squeeze and excitation and hard swish.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::mobilenet_v3::MOBILENET_V3_SMALL;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("mobilenet_v3_small")?;
//! let model = config.init(MOBILENET_V3_SMALL.input, MOBILENET_V3_SMALL.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 2_542_856);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firesight_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::{SqueezeExcitation, make_divisible, pooled};
use crate::layers::{Init, check_rate, conv};
use crate::sequential::{Act, Block, Head, HeadLayer, Layer, Sequential, run};
use crate::style::{Style, head_dropout, head_linear};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

const STYLE: Style = Style {
    draw: Init::KaimingFanOut,
    epsilon: 1e-3,
    momentum: 0.01,
};

/// Channels of the stem.
const STEM: usize = 16;

/// What distinguishes the variants.
#[derive(Clone, Copy, Debug)]
pub struct MobileNetV3Shape {
    rows: &'static [Row],
    /// The first of the rows with stride 8.
    third_stage: usize,
    /// The first of the rows with stride 32.
    last_stage: usize,
    /// Channels of the hidden layer of the head.
    hidden: usize,
}

/// A block: a row of the paper's tables 1 and 2.
#[derive(Clone, Copy, Debug)]
struct Row {
    kernel: usize,
    expanded: usize,
    out: usize,
    excitation: bool,
    act: Activation,
    stride: usize,
}

const fn row(
    kernel: usize,
    expanded: usize,
    out: usize,
    excitation: bool,
    act: Activation,
    stride: usize,
) -> Row {
    Row {
        kernel,
        expanded,
        out,
        excitation,
        act,
        stride,
    }
}

const RE: Activation = Activation::Relu;
const HS: Activation = Activation::HardSwish;

const LARGE: [Row; 15] = [
    row(3, 16, 16, false, RE, 1),
    row(3, 64, 24, false, RE, 2),
    row(3, 72, 24, false, RE, 1),
    row(5, 72, 40, true, RE, 2),
    row(5, 120, 40, true, RE, 1),
    row(5, 120, 40, true, RE, 1),
    row(3, 240, 80, false, HS, 2),
    row(3, 200, 80, false, HS, 1),
    row(3, 184, 80, false, HS, 1),
    row(3, 184, 80, false, HS, 1),
    row(3, 480, 112, true, HS, 1),
    row(3, 672, 112, true, HS, 1),
    row(5, 672, 160, true, HS, 2),
    row(5, 960, 160, true, HS, 1),
    row(5, 960, 160, true, HS, 1),
];

const SMALL: [Row; 11] = [
    row(3, 16, 16, true, RE, 2),
    row(3, 72, 24, false, RE, 2),
    row(3, 88, 24, false, RE, 1),
    row(5, 96, 40, true, HS, 2),
    row(5, 240, 40, true, HS, 1),
    row(5, 240, 40, true, HS, 1),
    row(5, 120, 48, true, HS, 1),
    row(5, 144, 48, true, HS, 1),
    row(5, 288, 96, true, HS, 2),
    row(5, 576, 96, true, HS, 1),
    row(5, 576, 96, true, HS, 1),
];

/// MobileNet V3 large.
pub const MOBILENET_V3_LARGE: Variant<MobileNetV3Shape> = Variant::imagenet(
    5_483_032,
    1,
    MobileNetV3Shape {
        rows: &LARGE,
        third_stage: 3,
        last_stage: 12,
        hidden: 1280,
    },
);
/// MobileNet V3 small.
pub const MOBILENET_V3_SMALL: Variant<MobileNetV3Shape> = Variant::imagenet(
    2_542_856,
    1,
    MobileNetV3Shape {
        rows: &SMALL,
        third_stage: 1,
        last_stage: 8,
        hidden: 1024,
    },
);

/// Options of the MobileNets V3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MobileNetV3Config {
    /// The share of values dropped before the last layer in training, in `[0, 1)`.
    pub dropout: f64,
    /// Halves the channels of the last stage and of the head, as the paper does for detection and segmentation.
    pub reduced_tail: bool,
    /// Whether the last stage dilates instead of striding, as segmenters want it.
    pub dilated: bool,
}

impl Default for MobileNetV3Config {
    fn default() -> Self {
        Self {
            dropout: 0.2,
            reduced_tail: false,
            dilated: false,
        }
    }
}

/// MobileNet V3 with the state-dict keys of torchvision's `mobilenet_v3_large` and `mobilenet_v3_small`.
#[derive(Module, Debug)]
pub struct MobileNetV3 {
    features: Sequential<InvertedResidual>,
    classifier: Head,
    /// Entries of `features` up to the first map of stride 8.
    low_entries: usize,
}

/// Layers with their names.
type Layers<'a> = &'a [(String, Layer<InvertedResidual>)];

/// Expansion, depthwise convolution, squeeze and excitation, and projection, around which the input is added where
/// the shapes allow.
#[derive(Module, Debug)]
struct InvertedResidual {
    block: Sequential,
    residual: bool,
}

impl Architecture for MobileNetV3 {
    type Shape = MobileNetV3Shape;
    type Config = MobileNetV3Config;

    fn problems(config: &MobileNetV3Config) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout).into_iter().collect()
    }

    fn build(
        shape: &MobileNetV3Shape,
        config: &MobileNetV3Config,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Ok(Self::with_style(
            shape, config, STYLE, input, classes, device,
        ))
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        self.classifier
            .features(pooled([1, 1], self.features.forward(x)))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.classifier
            .forward(pooled([1, 1], self.features.forward(x)))
    }
}

impl MobileNetV3 {
    fn with_style(
        shape: &MobileNetV3Shape,
        config: &MobileNetV3Config,
        style: Style,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Self {
        let divider = if config.reduced_tail { 2 } else { 1 };
        let stem = conv(input.channels, STEM, 3).stride(2).padding(1);
        let mut layers = vec![style.conv_norm_act(stem, HS, device)];
        let mut width = STEM;
        for (i, mut row) in shape.rows.iter().copied().enumerate() {
            let mut dilation = 1;
            if i >= shape.last_stage {
                row.out /= divider;
                if i > shape.last_stage {
                    row.expanded /= divider;
                }
                if config.dilated {
                    (row.stride, dilation) = (1, 2);
                }
            }
            let strided = i == shape.last_stage;
            let block = InvertedResidual::new(width, row, dilation, strided, style, device);
            layers.push(Layer::Block(block));
            width = row.out;
        }
        layers.push(style.conv_norm_act(conv(width, 6 * width, 1), HS, device));
        let hidden = shape.hidden / divider;
        let linear = |input, output| head_linear(input, output, Init::Normal(0.01), device);
        Self {
            low_entries: shape.third_stage + 2,
            features: Sequential::numbered(layers),
            classifier: Head::numbered(vec![
                linear(6 * width, hidden),
                HeadLayer::Act(Act::new(HS)),
                head_dropout(config.dropout),
                linear(hidden, classes),
            ]),
        }
    }

    /// The large network with the reduced tail and no head, in the style of the detector above it.
    pub(crate) fn large_body(style: Style, input: InputSpec, device: &Device) -> Self {
        let config = MobileNetV3Config {
            reduced_tail: true,
            ..Default::default()
        };
        let mut body =
            Self::with_style(&MOBILENET_V3_LARGE.shape, &config, style, input, 1, device);
        body.classifier = Head::numbered(Vec::new());
        body
    }

    /// The maps that torchvision's SSDlite takes: what the first block of the last stage expands to, at stride 16, and
    /// the last.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - output: `[N, C', H/16, W/16]` and `[N, C'', H/32, W/32]`
    pub(crate) fn expansion_and_high(&self, x: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let (before, block, behind) = self.last_stage();
        let x = run(before, x);
        let ([expansion], x) = block.forward_stages(x, [1]);
        (expansion, run(behind, x))
    }

    /// The channels of [`MobileNetV3::expansion_and_high`].
    pub(crate) fn expansion_and_high_channels(&self) -> (usize, usize) {
        let (_, block, _) = self.last_stage();
        let expansion = block.iter().next();
        let expansion = expansion.map_or(0, |layer| layer.out_channels(0));
        (expansion, self.features.out_channels(0))
    }

    /// The layers of the first block of the last stage, with those before and behind it.
    fn last_stage(&self) -> (Layers<'_>, &Sequential, Layers<'_>) {
        let entries = self.features.entries();
        // The first of the last stage's three blocks, behind which there is one more layer.
        let at = entries.len() - 4;
        match &entries[at].1 {
            Layer::Block(first) => (&entries[..at], &first.block, &entries[at + 1..]),
            _ => unreachable!("the last stages are blocks"),
        }
    }

    /// The maps that torchvision's segmenters take: the first of stride 8, and the last.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - output: `[N, C', H/8, W/8]` and `[N, C'', H/32, W/32]`, or `H/16` and `W/16` where the network dilates
    pub fn low_and_high(&self, x: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let ([low], high) = self.features.forward_stages(x, [self.low_entries]);
        (low, high)
    }

    /// The channels of [`MobileNetV3::low_and_high`].
    pub fn low_and_high_channels(&self) -> (usize, usize) {
        let channels = |entries: usize| {
            let layers = self.features.iter().take(entries);
            layers.fold(0, |channels, layer| layer.out_channels(channels))
        };
        (channels(self.low_entries), channels(usize::MAX))
    }
}

impl InvertedResidual {
    /// `strided` says that the row has a stride in the published network: such a block has no residual, even where
    /// it dilates instead.
    fn new(
        width: usize,
        row: Row,
        dilation: usize,
        strided: bool,
        style: Style,
        device: &Device,
    ) -> Self {
        let Row {
            kernel,
            expanded,
            out,
            act,
            stride,
            ..
        } = row;
        let mut layers = Vec::new();
        if expanded != width {
            layers.push(style.conv_norm_act(conv(width, expanded, 1), act, device));
        }
        let depthwise = conv(expanded, expanded, kernel)
            .stride(stride)
            .dilation(dilation)
            .padding(kernel / 2 * dilation)
            .groups(expanded);
        layers.push(style.conv_norm_act(depthwise, act, device));
        if row.excitation {
            let squeezed = make_divisible((expanded / 4) as f64, 8);
            let (acts, draws) = ([RE, Activation::HardSigmoid], [style.draw, style.draw]);
            let excitation = SqueezeExcitation::new(expanded, squeezed, acts, draws, device);
            layers.push(Layer::SqueezeExcitation(excitation));
        }
        layers.push(style.conv_norm_act(conv(expanded, out, 1), Activation::Identity, device));
        Self {
            block: Sequential::numbered(layers),
            residual: stride == 1 && !strided && width == out,
        }
    }
}

impl Block for InvertedResidual {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self.residual {
            true => self
                .block
                .forward_residual(x.clone(), x, Activation::Identity),
            false => self.block.forward(x),
        }
    }

    fn stride(&self) -> usize {
        self.block.stride()
    }

    fn out_channels(&self) -> usize {
        self.block.out_channels(0)
    }
}

impl Backbone for MobileNetV3 {
    fn into_body(mut self) -> Option<Self> {
        self.classifier = Head::numbered(Vec::new());
        Some(self)
    }

    fn feature_channels(&self) -> Vec<(usize, usize)> {
        self.features.feature_channels(1)
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        self.features.feature_maps(x, 1)
    }
}

impl TorchNames for MobileNetV3 {
    fn head(&self) -> &'static [&'static str] {
        &["classifier.3."]
    }
}

#[cfg(test)]
mod tests {
    use super::super::ClassifierConfig;
    use super::*;

    #[test]
    fn a_reduced_and_dilated_tail_keeps_the_size_and_halves_the_channels() {
        let config = MobileNetV3Config {
            reduced_tail: true,
            dilated: true,
            ..Default::default()
        };
        let device = Device::flex();
        let model = ClassifierConfig::MobilenetV3Large(config);
        let model = model.init(InputSpec::rgb(64), 5, &device).unwrap();
        assert_eq!(
            model.feature_channels(),
            [(2, 16), (4, 24), (8, 40), (16, 480)]
        );
        let maps = model.feature_maps(Tensor::ones([1, 3, 64, 64], &device));
        assert_eq!(maps[3].tensor.dims(), [1, 480, 4, 4]);
        assert_eq!(
            model.forward(Tensor::ones([1, 3, 64, 64], &device)).dims(),
            [1, 5]
        );
    }
}
