//! The heads of one-stage detectors: two towers of convolutions that every level of a pyramid shares, one
//! for the classes, one for the boxes. `head(features) -> class scores and box regressions`, usable on any
//! backbone whose levels have the same number of channels.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::detection::{DenseHead, HeadSpec};
//!
//! let spec = HeadSpec {
//!     channels: 8,
//!     depth: 1,
//!     group_norm: false,
//!     bias: true,
//!     tower_std: None,
//!     anchors: 2,
//!     classes: 3,
//!     centerness: false,
//! };
//! let device = Device::default();
//! let levels = [4, 2].map(|side| Tensor::<4>::zeros([1, 8, side, side], &device));
//! let output = DenseHead::new(&spec, &device).forward(&levels);
//! assert_eq!(output.cls_logits.dims(), [1, 2 * (4 * 4 + 2 * 2), 3]);
//! assert_eq!(output.levels, [[4, 4], [2, 2]]);
//! ```

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, GroupNormConfig, Initializer};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};

use crate::layers::{Init, conv};

/// Groups of a tower's normalisation, as torchvision has them.
pub(super) const GROUPS: usize = 32;
/// The score that an untrained head gives every class (Lin et al. 2017, section 4.1).
pub(super) const PRIOR: f64 = 0.01;

/// What a head is made of.
#[derive(Clone, Copy, Debug)]
pub struct HeadSpec {
    /// Channels of the levels and of the towers.
    pub channels: usize,
    /// Convolutions in each tower.
    pub depth: usize,
    /// Group normalisation of 32 groups after each convolution of the towers.
    pub group_norm: bool,
    /// Whether the towers' convolutions have a bias.
    pub bias: bool,
    /// Standard deviation of the towers' weights when they are drawn; `None` draws them by `kaiming_normal_` of
    /// the outputs.
    pub tower_std: Option<f64>,
    /// Boxes predicted at each position of a level.
    pub anchors: usize,
    /// Classes; background is none.
    pub classes: usize,
    /// Whether a score of how central a position lies in its box is predicted (FCOS).
    pub centerness: bool,
}

/// What a head gives, all levels one after the other.
#[derive(Clone, Debug)]
pub struct HeadOutput {
    /// Class scores before the sigmoid, `[N, A, classes]`.
    pub cls_logits: Tensor<3>,
    /// Box regressions, `[N, A, 4]`.
    pub bbox_regression: Tensor<3>,
    /// Centeredness before the sigmoid, `[N, A, 1]`.
    pub bbox_ctrness: Option<Tensor<3>>,
    /// Whether there is an object, before the sigmoid, `[N, A, 1]`.
    pub objectness: Option<Tensor<3>>,
    /// Height and width of each level.
    pub levels: Vec<[usize; 2]>,
}

/// The two towers and their last layers.
#[derive(Module, Debug)]
pub struct DenseHead {
    classification_head: ClassificationHead,
    regression_head: RegressionHead,
}

#[derive(Module, Debug)]
struct ClassificationHead {
    conv: Vec<(Conv2d, Option<GroupNorm>)>,
    cls_logits: Conv2d,
}

#[derive(Module, Debug)]
struct RegressionHead {
    conv: Vec<(Conv2d, Option<GroupNorm>)>,
    bbox_reg: Conv2d,
    bbox_ctrness: Option<Conv2d>,
}

impl DenseHead {
    /// A head with freshly drawn parameters, as torchvision draws them.
    pub fn new(spec: &HeadSpec, device: &Device) -> Self {
        let draw = spec.tower_std.map_or(Init::KaimingFanOut, Init::Normal);
        let tower = || -> Vec<(Conv2d, Option<GroupNorm>)> {
            let layer = |_| {
                let layer = conv(spec.channels, spec.channels, 3).padding(1).draw(draw);
                let layer = if spec.bias { layer } else { layer.no_bias() };
                let norm = GroupNormConfig::new(GROUPS, spec.channels);
                (
                    layer.init(device),
                    spec.group_norm.then(|| norm.init(device)),
                )
            };
            (0..spec.depth).map(layer).collect()
        };
        let last = |output: usize| {
            conv(spec.channels, output, 3)
                .padding(1)
                .draw(Init::Normal(0.01))
                .init(device)
        };
        let outputs = spec.anchors * spec.classes;
        let mut cls_logits = last(outputs);
        let prior = Initializer::Constant {
            value: -((1.0 - PRIOR) / PRIOR).ln(),
        };
        cls_logits.bias = Some(prior.init([outputs], device));
        Self {
            classification_head: ClassificationHead {
                conv: tower(),
                cls_logits,
            },
            regression_head: RegressionHead {
                conv: tower(),
                bbox_reg: last(spec.anchors * 4),
                bbox_ctrness: spec.centerness.then(|| last(spec.anchors)),
            },
        }
    }

    /// # Shapes
    /// - `levels`: `[N, channels, H', W']` each, finest first
    pub fn forward(&self, levels: &[Tensor<4>]) -> HeadOutput {
        let mut logits = Vec::with_capacity(levels.len());
        let mut boxes = Vec::with_capacity(levels.len());
        let mut centerness = Vec::new();
        let sizes = levels.iter().map(|x| [x.dims()[2], x.dims()[3]]).collect();
        let classes = self.classes();
        for level in levels {
            let x = tower(&self.classification_head.conv, level.clone());
            let x = kernels::conv2d(&self.classification_head.cls_logits, x);
            logits.push(rows(x, classes));
            let x = tower(&self.regression_head.conv, level.clone());
            boxes.push(rows(
                kernels::conv2d(&self.regression_head.bbox_reg, x.clone()),
                4,
            ));
            if let Some(layer) = &self.regression_head.bbox_ctrness {
                centerness.push(rows(kernels::conv2d(layer, x), 1));
            }
        }
        HeadOutput {
            cls_logits: Tensor::cat(logits, 1),
            bbox_regression: Tensor::cat(boxes, 1),
            bbox_ctrness: (!centerness.is_empty()).then(|| Tensor::cat(centerness, 1)),
            objectness: None,
            levels: sizes,
        }
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        let outputs = |layer: &Conv2d| layer.weight.dims()[0];
        let anchors = outputs(&self.regression_head.bbox_reg) / 4;
        outputs(&self.classification_head.cls_logits) / anchors
    }
}

fn tower(layers: &[(Conv2d, Option<GroupNorm>)], x: Tensor<4>) -> Tensor<4> {
    layers.iter().fold(x, |x, (conv, norm)| {
        let x = kernels::conv2d(conv, x);
        let x = match norm {
            Some(norm) => kernels::group_norm(norm, x),
            None => x,
        };
        kernels::activation(Activation::Relu, x)
    })
}

/// `[N, anchors * values, H, W]` as rows position by position, all anchors of a position together:
/// `[N, H * W * anchors, values]`.
pub(super) fn rows(x: Tensor<4>, values: usize) -> Tensor<3> {
    let [n, channels, height, width] = x.dims();
    let anchors = channels / values;
    x.permute([0, 2, 3, 1]) // [N, H, W, anchors * values]
        .reshape([n, height * width * anchors, values])
}
