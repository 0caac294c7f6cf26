//! A feature pyramid, "Feature Pyramid Networks for Object Detection" (Lin et al. 2016,
//! arXiv:1612.03144), over the last three stages of a classification network, with torchvision's keys:
//! `body`, `fpn.inner_blocks`, `fpn.layer_blocks`, `fpn.extra_blocks.p6` and `.p7`.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};
use firesight_ops::{Interpolation, resize};

use crate::classification::{Classifier, ClassifierConfig};
use crate::layers::{Init, conv};
use crate::weights::TorchNames;
use crate::{Backbone, InputSpec, ModelError};

/// What a pyramid is made of.
#[derive(Clone, Debug)]
pub(super) struct PyramidPlan<'a> {
    /// The detector's name, for errors.
    pub model: &'static str,
    /// The classification network below.
    pub body: &'a ClassifierConfig,
    /// Channels of every level.
    pub channels: usize,
    /// Levels, 3 to 5: those of the last three stages, then one or two by convolutions of stride 2.
    pub levels: usize,
    /// Whether the first extra level is made from the body's last map (RetinaNet as published) and not
    /// from the pyramid's.
    pub from_body: bool,
}

/// A body and the pyramid on it.
#[derive(Module, Debug)]
pub struct PyramidBackbone {
    body: Classifier,
    fpn: FeaturePyramid,
    from_body: bool,
}

#[derive(Module, Debug)]
struct FeaturePyramid {
    inner_blocks: Vec<Conv2d>,
    layer_blocks: Vec<Conv2d>,
    extra_blocks: ExtraBlocks,
}

#[derive(Module, Debug)]
struct ExtraBlocks {
    p6: Option<Conv2d>,
    p7: Option<Conv2d>,
}

impl PyramidBackbone {
    pub(super) fn new(
        plan: &PyramidPlan<'_>,
        input: InputSpec,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let option = |key: &str, message: String| ModelError::Option {
            model: plan.model.to_string(),
            key: key.to_string(),
            message,
        };
        // The head of one class is never made: its parameters are drawn at their first use.
        let name = plan.body.name();
        let body = plan
            .body
            .init(input, 1, device)?
            .into_body()
            .ok_or_else(|| {
                option(
                    "backbone",
                    format!(
                        "`{name}` has no body without a head yet; take one of the ResNet family"
                    ),
                )
            })?;
        let stages = body.feature_channels();
        let Some(used) = stages.len().checked_sub(3).map(|from| &stages[from..]) else {
            let stages = stages.len();
            return Err(option(
                "backbone",
                format!("`{name}` has {stages} stages, 3 are needed"),
            ));
        };
        if used.windows(2).any(|pair| pair[1].0 != 2 * pair[0].0) {
            let message = format!("the last three stages of `{name}` must halve their maps");
            return Err(option("backbone", message));
        }
        let channels = plan.channels;
        // `kaiming_uniform_(a=1)`, bias 0.
        let layer = |input: usize, kernel: usize, stride: usize| {
            let bound = (3.0 / (input * kernel * kernel) as f64).sqrt();
            conv(input, channels, kernel)
                .stride(stride)
                .padding(kernel / 2)
                .draw(Init::Uniform(bound))
                .init(device)
        };
        let last = used[2].1;
        let extra = if plan.from_body { last } else { channels };
        Ok(Self {
            fpn: FeaturePyramid {
                inner_blocks: used.iter().map(|(_, input)| layer(*input, 1, 1)).collect(),
                layer_blocks: used.iter().map(|_| layer(channels, 3, 1)).collect(),
                extra_blocks: ExtraBlocks {
                    p6: (plan.levels > 3).then(|| layer(extra, 3, 2)),
                    p7: (plan.levels > 4).then(|| layer(channels, 3, 2)),
                },
            },
            body,
            from_body: plan.from_body,
        })
    }

    /// Changes the body, for example to one with trained weights.
    pub(super) fn map_body<E>(
        mut self,
        change: impl FnOnce(Classifier) -> Result<Classifier, E>,
    ) -> Result<Self, E> {
        self.body = change(self.body)?;
        Ok(self)
    }

    /// Pixels of the input per step of each level.
    pub fn strides(&self) -> Vec<usize> {
        let stages = self.body.feature_channels();
        let mut strides: Vec<usize> = stages[stages.len() - 3..].iter().map(|(s, _)| *s).collect();
        let extra = &self.fpn.extra_blocks;
        for _ in extra.p6.iter().chain(&extra.p7) {
            strides.push(strides[strides.len() - 1] * 2);
        }
        strides
    }

    /// The levels, finest first.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - output: one `[N, channels, H', W']` per level
    pub fn forward(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        let mut maps = self.body.feature_maps(x);
        let maps: Vec<Tensor<4>> = maps
            .split_off(maps.len() - 3)
            .into_iter()
            .map(|m| m.tensor)
            .collect();
        let body_last = maps[2].clone();
        let fpn = &self.fpn;
        let mut levels = Vec::with_capacity(5);
        let mut above: Option<Tensor<4>> = None;
        for (i, map) in maps.into_iter().enumerate().rev() {
            let mut inner = kernels::conv2d(&fpn.inner_blocks[i], map);
            if let Some(above) = above {
                let [_, _, height, width] = inner.dims();
                inner = inner + resize(above, [height, width], Interpolation::Nearest, false);
            }
            levels.push(kernels::conv2d(&fpn.layer_blocks[i], inner.clone()));
            above = Some(inner);
        }
        levels.reverse();
        if let Some(p6) = &fpn.extra_blocks.p6 {
            let from = if self.from_body {
                body_last
            } else {
                levels[2].clone()
            };
            levels.push(kernels::conv2d(p6, from));
        }
        if let Some(p7) = &fpn.extra_blocks.p7 {
            let from = kernels::activation(Activation::Relu, levels[3].clone());
            levels.push(kernels::conv2d(p7, from));
        }
        levels
    }

    /// torchvision's key for a path inside this module.
    pub(super) fn torch_name(&self, path: &str) -> String {
        if let Some(rest) = path.strip_prefix("body.") {
            return format!("body.{}", self.body.torch_name(rest));
        }
        sequential(path)
    }
}

/// `fpn.inner_blocks.2.weight` as `fpn.inner_blocks.2.0.weight`: in torchvision a block is a `Sequential`.
/// Files that were published before it became one have the shorter key.
pub(super) fn sequential(key: &str) -> String {
    let mut parts: Vec<&str> = key.split('.').collect();
    let block = |part: &&str| matches!(*part, "inner_blocks" | "layer_blocks");
    if let Some(at) = parts.iter().position(block)
        && parts.len() == at + 3
    {
        parts.insert(at + 2, "0");
    }
    parts.join(".")
}
