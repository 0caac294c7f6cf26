//! The head: at each level one path for the classes and one for box and objectness.

use burn::module::Module;
use burn::nn::Initializer;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use firesight_kernels::conv2d;

use super::darknet::{Neck, Scale, conv1};
use crate::detection::head::{HeadOutput, PRIOR, rows};
use crate::layers::conv;
use crate::sequential::{Layer, Sequential};

/// One entry for each level, finest first.
#[derive(Module, Debug)]
pub(super) struct DecoupledHead {
    cls_convs: Vec<Sequential>,
    reg_convs: Vec<Sequential>,
    cls_preds: Vec<Conv2d>,
    reg_preds: Vec<Conv2d>,
    obj_preds: Vec<Conv2d>,
    stems: Vec<Sequential>,
}

impl DecoupledHead {
    pub fn new(scale: Scale, classes: usize, device: &Device) -> Self {
        let levels = Neck::channels(scale);
        let width = levels[0];
        let each = |make: &dyn Fn() -> Sequential| levels.iter().map(|_| make()).collect();
        let tower = || {
            let layer = || Layer::Sequential(scale.conv3(width, width, 1, device));
            Sequential::numbered(vec![layer(), layer()])
        };
        let last = |values: usize, sure: bool| -> Vec<Conv2d> {
            let make = |_| {
                let mut layer = conv(width, values, 1).init(device);
                if sure {
                    let value = -((1.0 - PRIOR) / PRIOR).ln();
                    layer.bias = Some(Initializer::Constant { value }.init([values], device));
                }
                layer
            };
            levels.iter().map(make).collect()
        };
        Self {
            cls_convs: each(&tower),
            reg_convs: each(&tower),
            cls_preds: last(classes, true),
            reg_preds: last(4, false),
            obj_preds: last(1, true),
            stems: levels
                .iter()
                .map(|input| conv1(*input, width, device))
                .collect(),
        }
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.cls_preds[0].weight.dims()[0]
    }

    /// # Shapes
    /// - `levels`: `[N, channels, H', W']` each, finest first
    pub fn forward(&self, levels: [Tensor<4>; 3]) -> HeadOutput {
        let sizes = levels.each_ref().map(|x| [x.dims()[2], x.dims()[3]]);
        let (mut logits, mut boxes, mut objectness) = (Vec::new(), Vec::new(), Vec::new());
        for (at, level) in levels.into_iter().enumerate() {
            let x = self.stems[at].forward(level);
            let place = self.reg_convs[at].forward(x.clone());
            let class = self.cls_convs[at].forward(x);
            logits.push(rows(conv2d(&self.cls_preds[at], class), self.classes()));
            boxes.push(rows(conv2d(&self.reg_preds[at], place.clone()), 4));
            objectness.push(rows(conv2d(&self.obj_preds[at], place), 1));
        }
        HeadOutput {
            cls_logits: Tensor::cat(logits, 1),
            bbox_regression: Tensor::cat(boxes, 1),
            bbox_ctrness: None,
            objectness: Some(Tensor::cat(objectness, 1)),
            levels: sizes.to_vec(),
        }
    }
}
