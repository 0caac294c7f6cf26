//! The classification network under a segmenter: its maps, its strides and the names of its tensors.

use burn::tensor::{Device, Tensor};

use crate::classification::mobilenet_v3::MobileNetV3Config;
use crate::classification::resnet::ResNetConfig;
use crate::classification::{Classifier, ClassifierConfig};
use crate::weights::TorchNames;
use crate::{Backbone, InputSpec, ModelError};

/// Makes a network of the zoo and takes its head off.
pub(super) fn build(
    config: &ClassifierConfig,
    channels: usize,
    device: &Device,
) -> Result<Classifier, ModelError> {
    // The size only matters to heads, and they are taken off.
    let side = minimum(config).max(256);
    let input = InputSpec {
        channels,
        height: side,
        width: side,
    };
    let whole = config.init(input, 1, device)?;
    whole.into_body().ok_or_else(|| ModelError::Option {
        model: config.name().to_string(),
        key: "backbone".to_string(),
        message: "cannot be parted from its head; take a ResNet, a MobileNet, a VGG or `cnn`"
            .to_string(),
    })
}

/// The smallest side in pixels of an image that leaves every map at least one pixel.
pub(super) fn minimum(config: &ClassifierConfig) -> usize {
    match config {
        // Every block halves the image.
        ClassifierConfig::Cnn(cnn) => 1 << cnn.channels.len().min(16),
        config => config.minimum(),
    }
}

/// What is wrong with a backbone's options, under the key `backbone`.
pub(super) fn problems(config: &ClassifierConfig) -> Vec<(String, String)> {
    let under = |(key, message)| (format!("backbone.{}.{key}", config.name()), message);
    config.problems().into_iter().map(under).collect()
}

/// ResNet-50, the last two stages of which dilate instead of striding: its last map has stride 8.
pub(super) fn dilated_resnet50() -> ClassifierConfig {
    ClassifierConfig::Resnet50(dilated_resnet())
}

/// ResNet-101, dilated as [`dilated_resnet50`].
pub(super) fn dilated_resnet101() -> ClassifierConfig {
    ClassifierConfig::Resnet101(dilated_resnet())
}

fn dilated_resnet() -> ResNetConfig {
    ResNetConfig {
        replace_stride_with_dilation: [false, true, true],
        ..Default::default()
    }
}

/// A MobileNet V3 whose last stage dilates: its last map has stride 16.
pub(super) fn dilated_mobilenet() -> ClassifierConfig {
    ClassifierConfig::MobilenetV3Large(MobileNetV3Config {
        dilated: true,
        ..Default::default()
    })
}

/// The channels of the maps that [`main_and_aux`] gives.
pub(super) fn main_and_aux_channels(body: &Classifier) -> (usize, Option<usize>) {
    if let Classifier::MobileNetV3(body) = body {
        let (low, high) = body.low_and_high_channels();
        return (high, Some(low));
    }
    let maps = body.feature_channels();
    let from_end = |n: usize| maps.len().checked_sub(n).map(|at| maps[at].1);
    (from_end(1).unwrap_or(0), from_end(2))
}

/// The map for the head and the one for the auxiliary head, as torchvision picks them: the last stage's, and the
/// one before it; of a MobileNet V3 the first map of stride 8.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`, normalised
/// - output: `[N, C', H', W']` each
pub(super) fn main_and_aux(body: &Classifier, x: Tensor<4>) -> (Tensor<4>, Option<Tensor<4>>) {
    if let Classifier::MobileNetV3(body) = body {
        let (low, high) = body.low_and_high(x);
        return (high, Some(low));
    }
    let mut maps = body.feature_maps(x);
    let main = maps.pop().expect("every backbone has a map").tensor;
    (main, maps.pop().map(|map| map.tensor))
}

/// The key in torchvision's segmenters of a parameter below `backbone.`.
pub(super) fn torch_name(body: &Classifier, rest: &str) -> String {
    let name = body.torch_name(rest);
    // torchvision hands its segmenters the `features` of a MobileNet, not the network.
    let name = match body {
        Classifier::MobileNetV3(_) => name.strip_prefix("features.").unwrap_or(&name),
        _ => &name,
    };
    format!("backbone.{name}")
}
