//! Inception v3 (Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
//! <https://arxiv.org/abs/1512.00567>): inception blocks with factorised convolutions.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::inception_v3::INCEPTION_V3;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("inception_v3")?;
//! let model = config.init(INCEPTION_V3.input, INCEPTION_V3.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 27_161_264);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::{Dropout, Linear};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{avg_pool2d, linear, max_pool2d};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, ClassifierOutput, Variant};
use crate::blocks::{ConvBlock, avg_pool, imagenet_to_unit, max_pool, pooled};
use crate::layers::{self, ConvSpec, Init, check_rate, conv, conv_rect};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

/// Torchvision's truncated normal, whose cut at 20 standard deviations never acts.
const DRAW: Init = Init::NormalWeight(0.1);

/// The weight of the auxiliary head's loss in the usual training of this network.
const AUX_WEIGHT: f64 = 0.4;

/// The smallest side of a map that the auxiliary head can see.
const AUX_MINIMUM: usize = 17;

/// Inception v3, with its auxiliary head.
pub const INCEPTION_V3: Variant<()> = Variant {
    input: InputSpec::rgb(299),
    ..Variant::imagenet(27_161_264, 75, ())
};

/// Options of `inception_v3`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct InceptionV3Config {
    /// The share of values dropped before the last layer in training, in `[0, 1)`.
    pub dropout: f64,
    /// Whether there is an auxiliary head. It acts in training only, and on images of at least 299 pixels, for which
    /// it was made; smaller ones leave it nothing to see.
    pub aux_logits: bool,
    /// Takes images normalised by ImageNet's mean and deviation to the normalisation by 0.5 and 0.5 that the
    /// published weights were trained with. RGB only.
    pub transform_input: bool,
}

impl Default for InceptionV3Config {
    fn default() -> Self {
        Self {
            dropout: 0.5,
            aux_logits: true,
            transform_input: false,
        }
    }
}

/// Inception v3 with the state-dict keys of torchvision's `inception_v3`.
#[derive(Module, Debug)]
pub struct InceptionV3 {
    conv2d_1a_3x3: ConvBlock,
    conv2d_2a_3x3: ConvBlock,
    conv2d_2b_3x3: ConvBlock,
    conv2d_3b_1x1: ConvBlock,
    conv2d_4a_3x3: ConvBlock,
    mixed_5b: MixedA,
    mixed_5c: MixedA,
    mixed_5d: MixedA,
    mixed_6a: MixedB,
    mixed_6b: MixedC,
    mixed_6c: MixedC,
    mixed_6d: MixedC,
    mixed_6e: MixedC,
    aux_logits: Option<AuxHead>,
    mixed_7a: MixedD,
    mixed_7b: MixedE,
    mixed_7c: MixedE,
    dropout: Dropout,
    fc: Linear,
    transform_input: bool,
}

/// The blocks at stride 8 (the paper's figure 5).
#[derive(Module, Debug)]
pub struct MixedA {
    branch1x1: ConvBlock,
    branch5x5_1: ConvBlock,
    branch5x5_2: ConvBlock,
    branch3x3dbl_1: ConvBlock,
    branch3x3dbl_2: ConvBlock,
    branch3x3dbl_3: ConvBlock,
    branch_pool: ConvBlock,
}

/// The block that goes to stride 16.
#[derive(Module, Debug)]
pub struct MixedB {
    branch3x3: ConvBlock,
    branch3x3dbl_1: ConvBlock,
    branch3x3dbl_2: ConvBlock,
    branch3x3dbl_3: ConvBlock,
}

/// The blocks at stride 16 (the paper's figure 6).
#[derive(Module, Debug)]
pub struct MixedC {
    branch1x1: ConvBlock,
    branch7x7_1: ConvBlock,
    branch7x7_2: ConvBlock,
    branch7x7_3: ConvBlock,
    branch7x7dbl_1: ConvBlock,
    branch7x7dbl_2: ConvBlock,
    branch7x7dbl_3: ConvBlock,
    branch7x7dbl_4: ConvBlock,
    branch7x7dbl_5: ConvBlock,
    branch_pool: ConvBlock,
}

/// The block that goes to stride 32.
#[derive(Module, Debug)]
pub struct MixedD {
    branch3x3_1: ConvBlock,
    branch3x3_2: ConvBlock,
    branch7x7x3_1: ConvBlock,
    branch7x7x3_2: ConvBlock,
    branch7x7x3_3: ConvBlock,
    branch7x7x3_4: ConvBlock,
}

/// The blocks at stride 32 (the paper's figure 7).
#[derive(Module, Debug)]
pub struct MixedE {
    branch1x1: ConvBlock,
    branch3x3_1: ConvBlock,
    branch3x3_2a: ConvBlock,
    branch3x3_2b: ConvBlock,
    branch3x3dbl_1: ConvBlock,
    branch3x3dbl_2: ConvBlock,
    branch3x3dbl_3a: ConvBlock,
    branch3x3dbl_3b: ConvBlock,
    branch_pool: ConvBlock,
}

/// The head at stride 16 that helps the gradient in training.
#[derive(Module, Debug)]
struct AuxHead {
    conv0: ConvBlock,
    conv1: ConvBlock,
    fc: Linear,
}

impl Architecture for InceptionV3 {
    type Shape = ();
    type Config = InceptionV3Config;

    fn problems(config: &InceptionV3Config) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout).into_iter().collect()
    }

    fn transforms_input(config: &InceptionV3Config) -> Option<bool> {
        Some(config.transform_input)
    }

    fn build(
        _: &(),
        config: &InceptionV3Config,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        super::check_transform_input("inception_v3", config.transform_input, input)?;
        let make = Make { device };
        Ok(Self {
            conv2d_1a_3x3: make.block(conv(input.channels, 32, 3).stride(2)),
            conv2d_2a_3x3: make.block(conv(32, 32, 3)),
            conv2d_2b_3x3: make.block(conv(32, 64, 3).padding(1)),
            conv2d_3b_1x1: make.block(conv(64, 80, 1)),
            conv2d_4a_3x3: make.block(conv(80, 192, 3)),
            mixed_5b: make.a(192, 32),
            mixed_5c: make.a(256, 64),
            mixed_5d: make.a(288, 64),
            mixed_6a: make.b(288),
            mixed_6b: make.c(128),
            mixed_6c: make.c(160),
            mixed_6d: make.c(160),
            mixed_6e: make.c(192),
            aux_logits: config.aux_logits.then(|| AuxHead {
                conv0: make.block(conv(768, 128, 1)),
                conv1: ConvBlock::new(conv(128, 768, 5).draw(Init::NormalWeight(0.01)), device),
                fc: layers::linear(768, classes, Init::NormalWeight(0.001), device),
            }),
            mixed_7a: make.d(768),
            mixed_7b: make.e(1280),
            mixed_7c: make.e(2048),
            dropout: layers::dropout(config.dropout),
            fc: layers::linear(2048, classes, DRAW, device),
            transform_input: config.transform_input,
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        let [.., last] = self.maps(x);
        pooled([1, 1], last)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        linear(&self.fc, self.dropout.forward(self.embed(x)))
    }

    fn forward_train(&self, x: Tensor<4>) -> ClassifierOutput {
        let [.., x16, last] = self.maps(x);
        let [.., height, width] = x16.dims();
        let aux = match &self.aux_logits {
            Some(head) if height.min(width) >= AUX_MINIMUM => {
                vec![(AUX_WEIGHT, head.forward(x16))]
            }
            _ => Vec::new(),
        };
        let x = self.dropout.forward(pooled([1, 1], last));
        ClassifierOutput {
            logits: linear(&self.fc, x),
            aux,
        }
    }
}

impl InceptionV3 {
    /// The last map of each stride.
    fn maps(&self, x: Tensor<4>) -> [Tensor<4>; 5] {
        let halve = |x| max_pool2d(&max_pool(3, 2, 0, false), x);
        let x = if self.transform_input {
            imagenet_to_unit(x)
        } else {
            x
        };
        let x2 = self.conv2d_2a_3x3.forward(self.conv2d_1a_3x3.forward(x));
        let x2 = self.conv2d_2b_3x3.forward(x2);
        let x4 = self.conv2d_3b_1x1.forward(halve(x2.clone()));
        let x4 = self.conv2d_4a_3x3.forward(x4);
        let x8 = [&self.mixed_5b, &self.mixed_5c, &self.mixed_5d]
            .into_iter()
            .fold(halve(x4.clone()), |x, block| block.forward(x));
        let x16 = [
            &self.mixed_6b,
            &self.mixed_6c,
            &self.mixed_6d,
            &self.mixed_6e,
        ]
        .into_iter()
        .fold(self.mixed_6a.forward(x8.clone()), |x, block| {
            block.forward(x)
        });
        let x32 = self.mixed_7a.forward(x16.clone());
        let x32 = self.mixed_7c.forward(self.mixed_7b.forward(x32));
        [x2, x4, x8, x16, x32]
    }
}

/// Makes the blocks.
struct Make<'a> {
    device: &'a Device,
}

impl Make<'_> {
    fn block(&self, spec: ConvSpec) -> ConvBlock {
        ConvBlock::new(spec.draw(DRAW), self.device)
    }

    fn one(&self, input: usize, output: usize) -> ConvBlock {
        self.block(conv(input, output, 1))
    }

    /// A kernel of `[height, width]` that keeps the size.
    fn same(&self, input: usize, output: usize, kernel: [usize; 2]) -> ConvBlock {
        self.block(conv_rect(input, output, kernel).padding_rect(kernel.map(|k| k / 2)))
    }

    fn a(&self, input: usize, pool: usize) -> MixedA {
        MixedA {
            branch1x1: self.one(input, 64),
            branch5x5_1: self.one(input, 48),
            branch5x5_2: self.same(48, 64, [5, 5]),
            branch3x3dbl_1: self.one(input, 64),
            branch3x3dbl_2: self.same(64, 96, [3, 3]),
            branch3x3dbl_3: self.same(96, 96, [3, 3]),
            branch_pool: self.one(input, pool),
        }
    }

    fn b(&self, input: usize) -> MixedB {
        MixedB {
            branch3x3: self.block(conv(input, 384, 3).stride(2)),
            branch3x3dbl_1: self.one(input, 64),
            branch3x3dbl_2: self.same(64, 96, [3, 3]),
            branch3x3dbl_3: self.block(conv(96, 96, 3).stride(2)),
        }
    }

    fn c(&self, middle: usize) -> MixedC {
        MixedC {
            branch1x1: self.one(768, 192),
            branch7x7_1: self.one(768, middle),
            branch7x7_2: self.same(middle, middle, [1, 7]),
            branch7x7_3: self.same(middle, 192, [7, 1]),
            branch7x7dbl_1: self.one(768, middle),
            branch7x7dbl_2: self.same(middle, middle, [7, 1]),
            branch7x7dbl_3: self.same(middle, middle, [1, 7]),
            branch7x7dbl_4: self.same(middle, middle, [7, 1]),
            branch7x7dbl_5: self.same(middle, 192, [1, 7]),
            branch_pool: self.one(768, 192),
        }
    }

    fn d(&self, input: usize) -> MixedD {
        MixedD {
            branch3x3_1: self.one(input, 192),
            branch3x3_2: self.block(conv(192, 320, 3).stride(2)),
            branch7x7x3_1: self.one(input, 192),
            branch7x7x3_2: self.same(192, 192, [1, 7]),
            branch7x7x3_3: self.same(192, 192, [7, 1]),
            branch7x7x3_4: self.block(conv(192, 192, 3).stride(2)),
        }
    }

    fn e(&self, input: usize) -> MixedE {
        MixedE {
            branch1x1: self.one(input, 320),
            branch3x3_1: self.one(input, 384),
            branch3x3_2a: self.same(384, 384, [1, 3]),
            branch3x3_2b: self.same(384, 384, [3, 1]),
            branch3x3dbl_1: self.one(input, 448),
            branch3x3dbl_2: self.same(448, 384, [3, 3]),
            branch3x3dbl_3a: self.same(384, 384, [1, 3]),
            branch3x3dbl_3b: self.same(384, 384, [3, 1]),
            branch_pool: self.one(input, 192),
        }
    }
}

/// One block after the other.
fn chain<const N: usize>(blocks: [&ConvBlock; N], x: &Tensor<4>) -> Tensor<4> {
    blocks
        .into_iter()
        .fold(x.clone(), |x, block| block.forward(x))
}

fn average(x: &Tensor<4>) -> Tensor<4> {
    avg_pool2d(&avg_pool(3, 1, 1), x.clone())
}

impl MixedA {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let dbl = [
            &self.branch3x3dbl_1,
            &self.branch3x3dbl_2,
            &self.branch3x3dbl_3,
        ];
        let branches = vec![
            self.branch1x1.forward(x.clone()),
            chain([&self.branch5x5_1, &self.branch5x5_2], &x),
            chain(dbl, &x),
            self.branch_pool.forward(average(&x)),
        ];
        Tensor::cat(branches, 1)
    }
}

impl MixedB {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let dbl = [
            &self.branch3x3dbl_1,
            &self.branch3x3dbl_2,
            &self.branch3x3dbl_3,
        ];
        let branches = vec![
            self.branch3x3.forward(x.clone()),
            chain(dbl, &x),
            max_pool2d(&max_pool(3, 2, 0, false), x),
        ];
        Tensor::cat(branches, 1)
    }
}

impl MixedC {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let dbl = [
            &self.branch7x7dbl_1,
            &self.branch7x7dbl_2,
            &self.branch7x7dbl_3,
            &self.branch7x7dbl_4,
            &self.branch7x7dbl_5,
        ];
        let branches = vec![
            self.branch1x1.forward(x.clone()),
            chain(
                [&self.branch7x7_1, &self.branch7x7_2, &self.branch7x7_3],
                &x,
            ),
            chain(dbl, &x),
            self.branch_pool.forward(average(&x)),
        ];
        Tensor::cat(branches, 1)
    }
}

impl MixedD {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let long = [
            &self.branch7x7x3_1,
            &self.branch7x7x3_2,
            &self.branch7x7x3_3,
            &self.branch7x7x3_4,
        ];
        let branches = vec![
            chain([&self.branch3x3_1, &self.branch3x3_2], &x),
            chain(long, &x),
            max_pool2d(&max_pool(3, 2, 0, false), x),
        ];
        Tensor::cat(branches, 1)
    }
}

impl MixedE {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let three = self.branch3x3_1.forward(x.clone());
        let dbl = chain([&self.branch3x3dbl_1, &self.branch3x3dbl_2], &x);
        let branches = vec![
            self.branch1x1.forward(x.clone()),
            self.branch3x3_2a.forward(three.clone()),
            self.branch3x3_2b.forward(three),
            self.branch3x3dbl_3a.forward(dbl.clone()),
            self.branch3x3dbl_3b.forward(dbl),
            self.branch_pool.forward(average(&x)),
        ];
        Tensor::cat(branches, 1)
    }
}

impl AuxHead {
    /// `[N, 768, H, W]`, at least 17x17, to `[N, classes]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = avg_pool2d(&avg_pool(5, 3, 0), x); // [N, 768, 5, 5] for 17x17
        let x = self.conv1.forward(self.conv0.forward(x));
        linear(&self.fc, pooled([1, 1], x))
    }
}

impl Backbone for InceptionV3 {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        vec![(2, 64), (4, 192), (8, 288), (16, 768), (32, 2048)]
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        let strides = [2, 4, 8, 16, 32].into_iter();
        let maps = strides.zip(self.maps(x));
        maps.map(|(stride, tensor)| FeatureMap { stride, tensor })
            .collect()
    }
}

impl TorchNames for InceptionV3 {
    /// Torchvision's names of the outermost modules begin with capitals.
    fn torch_name(&self, path: &str) -> String {
        let (module, rest) = path.split_once('.').unwrap_or((path, ""));
        match module.split_once('_') {
            Some(("conv2d", which)) => format!("Conv2d_{which}.{rest}"),
            Some(("mixed", which)) => format!("Mixed_{which}.{rest}"),
            Some(("aux", "logits")) => format!("AuxLogits.{rest}"),
            _ => path.to_string(),
        }
    }

    fn head(&self) -> &'static [&'static str] {
        &["fc.", "AuxLogits.fc."]
    }
}

#[cfg(test)]
mod tests {
    use super::super::ClassifierConfig;
    use super::*;

    #[test]
    fn the_auxiliary_head_needs_images_of_299_pixels() {
        let device = Device::flex();
        let model = ClassifierConfig::InceptionV3(Default::default());
        let model = model.init(InputSpec::rgb(75), 3, &device).unwrap();
        let output = model.forward_train(Tensor::ones([1, 3, 75, 75], &device));
        assert!(output.aux.is_empty() && output.logits.dims() == [1, 3]);
        let head = AuxHead {
            conv0: ConvBlock::new(conv(768, 128, 1), &device),
            conv1: ConvBlock::new(conv(128, 768, 5), &device),
            fc: layers::linear(768, 3, Init::Default, &device),
        };
        let map = Tensor::ones([1, 768, AUX_MINIMUM, AUX_MINIMUM], &device);
        assert_eq!(head.forward(map).dims(), [1, 3]);
    }
}
