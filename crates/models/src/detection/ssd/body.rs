//! The networks below an SSD's heads: six maps, two of a classification network and four behind it.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use firesight_kernels::Activation;

use crate::InputSpec;
use crate::blocks::max_pool;
use crate::classification::mobilenet_v3::MobileNetV3;
use crate::layers::{ConvSpec, Init, conv};
use crate::sequential::{Act, Layer, Sequential};
use crate::style::Style;

/// How SSDlite draws and normalises its convolutions, those of its MobileNet too.
pub(super) const LITE: Style = Style {
    draw: Init::Normal(0.03),
    epsilon: 1e-3,
    momentum: 0.03,
};
/// VGG's, in torchvision.
const VGG: Style = Style::new(Init::KaimingFanOut);

/// A convolution drawn by `xavier_uniform_`, its bias 0.
pub(super) fn xavier(spec: ConvSpec, device: &Device) -> Conv2d {
    let shape = spec.clone().init(device).weight.lazy_shape().to_vec();
    let area: usize = shape[2..].iter().product();
    let bound = (6.0 / ((shape[0] + shape[1]) * area) as f64).sqrt();
    spec.draw(Init::Uniform(bound)).init(device)
}

/// What gives the maps.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one per model; Module is not implemented for Box"
)]
pub(super) enum Body {
    Vgg(VggBody),
    MobileNet(MobileNetBody),
}

/// VGG-16 up to its fourth block, whose map is scaled, and behind it.
#[derive(Module, Debug)]
pub(super) struct VggBody {
    scale_weight: Param<Tensor<1>>,
    features: Sequential,
    extra: Sequential,
}

/// MobileNet V3 and four blocks behind it.
#[derive(Module, Debug)]
pub(super) struct MobileNetBody {
    features: MobileNetV3,
    extra: Sequential,
}

impl Body {
    /// VGG-16's body for pictures of `channels`.
    pub fn vgg(channels: usize, device: &Device) -> Self {
        let relu = || Layer::Act(Act::new(Activation::Relu));
        let block = |input: usize, output: usize, count: usize| -> Vec<Layer> {
            let layer = |at| {
                let input = if at == 0 { input } else { output };
                [VGG.conv(conv(input, output, 3).padding(1), device), relu()]
            };
            (0..count).flat_map(layer).collect()
        };
        // The third pooling rounds up: 75 places become 38.
        let pool = |ceil| Layer::MaxPool(max_pool(2, 2, 0, ceil));
        let mut features = Vec::new();
        for (input, output, count, ceil) in [
            (channels, 64, 2, false),
            (64, 128, 2, false),
            (128, 256, 3, true),
        ] {
            features.extend(block(input, output, count));
            features.push(pool(ceil));
        }
        features.extend(block(256, 512, 3));

        let drawn = |spec: ConvSpec| [Layer::Conv(xavier(spec, device)), relu()];
        let mut dense: Vec<Layer> = vec![Layer::MaxPool(max_pool(3, 1, 1, false))];
        dense.extend(drawn(conv(512, 1024, 3).padding(6).dilation(6)));
        dense.extend(drawn(conv(1024, 1024, 1)));
        let mut fifth = vec![pool(false)];
        fifth.extend(block(512, 512, 3));
        fifth.push(Layer::Sequential(Sequential::numbered(dense)));

        let further = |[input, hidden, output]: [usize; 3], halves: bool| {
            let spatial = conv(hidden, output, 3);
            let spatial = if halves {
                spatial.stride(2).padding(1)
            } else {
                spatial
            };
            let layers = [drawn(conv(input, hidden, 1)), drawn(spatial)];
            Layer::Sequential(Sequential::numbered(layers.into_iter().flatten().collect()))
        };
        Self::Vgg(VggBody {
            scale_weight: Initializer::Constant { value: 20.0 }.init([512], device),
            features: Sequential::numbered(features),
            extra: Sequential::numbered(vec![
                Layer::Sequential(Sequential::numbered(fifth)),
                further([1024, 256, 512], true),
                further([512, 128, 256], true),
                further([256, 128, 256], false),
                further([256, 128, 256], false),
            ]),
        })
    }

    /// The body over MobileNet V3 with the reduced tail.
    pub fn mobile_net(input: InputSpec, device: &Device) -> Self {
        let features = MobileNetV3::large_body(LITE, input, device);
        let (_, last) = features.expansion_and_high_channels();
        let block = |input: usize, output: usize| {
            let hidden = output / 2;
            let unit = |spec| LITE.conv_norm_act(spec, Activation::Relu6, device);
            let spatial = conv(hidden, hidden, 3).stride(2).padding(1).groups(hidden);
            Layer::Sequential(Sequential::numbered(vec![
                unit(conv(input, hidden, 1)),
                unit(spatial),
                unit(conv(hidden, output, 1)),
            ]))
        };
        Self::MobileNet(MobileNetBody {
            features,
            extra: Sequential::numbered(vec![
                block(last, 512),
                block(512, 256),
                block(256, 256),
                block(256, 128),
            ]),
        })
    }

    /// Channels of the maps.
    pub fn channels(&self) -> Vec<usize> {
        let (mut channels, extra) = match self {
            Self::Vgg(body) => (vec![512], &body.extra),
            Self::MobileNet(body) => {
                let (expansion, last) = body.features.expansion_and_high_channels();
                (vec![expansion, last], &body.extra)
            }
        };
        channels.extend(extra.iter().map(|block| block.out_channels(0)));
        channels
    }

    /// The maps, finest first.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`
    /// - output: six of `[N, channels, H', W']`
    pub fn forward(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        let (mut x, mut maps, extra) = match self {
            Self::Vgg(body) => {
                let x = body.features.forward(x);
                (x.clone(), vec![body.scaled(x)], &body.extra)
            }
            Self::MobileNet(body) => {
                let (expansion, last) = body.features.expansion_and_high(x);
                (last.clone(), vec![expansion, last], &body.extra)
            }
        };
        for block in extra.iter() {
            x = block.forward(x);
            maps.push(x.clone());
        }
        maps
    }

    /// torchvision's key: its SSDlite has the MobileNet as two lists, parted behind the expansion of block 13, whose other
    /// layers come first in the second list.
    pub fn torch_name(&self, path: &str) -> String {
        let parts: Vec<&str> = path.split('.').collect();
        if let (Self::MobileNet(_), ["features", "features", block, rest @ ..]) = (self, &parts[..])
            && let Ok(block) = block.parse::<usize>()
        {
            let (list, place, rest) = match (block.cmp(&PARTED), rest) {
                (std::cmp::Ordering::Less, rest) => (0, block, rest),
                (std::cmp::Ordering::Greater, rest) => (1, block - PARTED, rest),
                (_, ["block", "0", rest @ ..]) => (0, PARTED, rest),
                (_, ["block", rest @ ..]) => (1, 0, rest),
                (_, rest) => (1, 0, rest),
            };
            return format!("features.{list}.{place}.{}", rest.join("."));
        }
        path.to_string()
    }
}

/// The block of a MobileNet V3 large with which its last stage begins.
const PARTED: usize = 13;

impl VggBody {
    /// Each place divided by its length, each channel times its own scale; the paper's section 3.1.
    fn scaled(&self, x: Tensor<4>) -> Tensor<4> {
        // A place without any signal stays zero, and has a gradient of zero.
        let length = (x.clone() * x.clone()).sum_dim(1).clamp_min(1e-24).sqrt();
        x / length * self.scale_weight.val().reshape([1, -1, 1, 1])
    }
}
