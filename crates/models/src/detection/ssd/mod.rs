//! SSD, "SSD: Single Shot MultiBox Detector" (Liu et al. 2016, arXiv:1512.02325) over VGG-16, and SSDlite (Sandler et al.
//! 2018, arXiv:1801.04381, section 6.2; Howard et al. 2019, arXiv:1905.02244, section 6.3) over MobileNet V3, with
//! torchvision's numbers and keys.
//!
//! Unlike the other detectors' the class scores are a softmax, whose first column is the background: the head has one
//! column more than there are classes.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::InputSpec;
//! use firesight_models::detection::DetectorConfig;
//!
//! let device = Device::default();
//! let config = DetectorConfig::named("ssdlite320_mobilenet_v3_large")?;
//! let model = config.init(InputSpec::rgb(64), 5, &device)?;
//! let output = model.forward(Tensor::zeros([1, 3, 64, 64], &device));
//! assert_eq!(output.levels, [[4, 4], [2, 2], [1, 1], [1, 1], [1, 1], [1, 1]]);
//! assert_eq!(output.cls_logits.dims(), [1, 6 * (16 + 4 + 1 + 1 + 1 + 1), 1 + 5]);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

mod body;
mod loss;

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use firesight_ops::nms::NmsError;
use firesight_ops::{BoxCoder, DefaultBoxes};

use self::body::{Body, LITE, xavier};
use self::loss::ssd_loss;
use super::head::{HeadOutput, rows};
use super::loss::{DetectorLoss, Objects};
use super::postprocess::{Candidates, Detection, Postprocess, boxes_tensor, read};
use super::{DetectorArchitecture, PublishedOptions, image_boxes};
use crate::classification::Classifier;
use crate::family::{Member, PublishedModel};
use crate::layers::conv;
use crate::sequential::{Layer, Sequential};
use crate::weights::TorchNames;
use crate::{InputSpec, ModelError};

/// What an SSD is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct SsdConfig {
    /// Whether it is SSDlite over MobileNet V3, and not SSD over VGG-16.
    pub lite: bool,
    /// Which boxes become detections.
    pub postprocess: Postprocess,
}

/// SSD over VGG-16, for pictures of 300x300 pixels.
pub const SSD300_VGG16: PublishedModel<PublishedOptions, SsdConfig> = PublishedModel {
    parameters: 35_641_826,
    config: |options| published(options, false, Postprocess::SSD),
};
/// SSDlite over MobileNet V3, for pictures of 320x320 pixels.
pub const SSDLITE320_MOBILENET_V3_LARGE: PublishedModel<PublishedOptions, SsdConfig> =
    PublishedModel {
        parameters: 3_440_060,
        config: |options| published(options, true, Postprocess::SSDLITE),
    };

fn published(options: &PublishedOptions, lite: bool, postprocess: Postprocess) -> SsdConfig {
    SsdConfig {
        lite,
        postprocess: options.postprocess.clone().unwrap_or(postprocess),
    }
}

impl SsdConfig {
    fn default_boxes(&self) -> DefaultBoxes {
        match self.lite {
            false => DefaultBoxes {
                aspect_ratios: [1, 2, 2, 2, 1, 1]
                    .map(|n| [2.0, 3.0][..n].to_vec())
                    .to_vec(),
                scales: vec![0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
                steps: Some(vec![8.0, 16.0, 32.0, 64.0, 100.0, 300.0]),
            },
            true => DefaultBoxes {
                aspect_ratios: vec![vec![2.0, 3.0]; 6],
                scales: (0..6)
                    .map(|k| 0.2 + (0.95 - 0.2) * f64::from(k) / 5.0)
                    .chain([1.0])
                    .collect(),
                steps: None,
            },
        }
    }
}

/// An SSD.
#[derive(Module, Debug)]
pub struct Ssd {
    backbone: Body,
    head: Heads,
    #[module(skip)]
    settings: Settings,
}

/// What is no parameter.
#[derive(Clone, Debug)]
struct Settings {
    boxes: DefaultBoxes,
    postprocess: Postprocess,
}

#[derive(Module, Debug)]
struct Heads {
    classification_head: Head,
    regression_head: Head,
}

/// One entry for each level.
#[derive(Module, Debug)]
struct Head {
    module_list: Sequential,
}

impl Head {
    /// For each level, channels and values at each place.
    fn new(lite: bool, levels: impl Iterator<Item = (usize, usize)>, device: &Device) -> Self {
        let level = |(channels, values)| match lite {
            false => Layer::Conv(xavier(conv(channels, values, 3).padding(1), device)),
            true => {
                let spatial = conv(channels, channels, 3).padding(1).groups(channels);
                Layer::Sequential(Sequential::numbered(vec![
                    LITE.conv_norm_act(spatial, firesight_kernels::Activation::Relu6, device),
                    LITE.conv(conv(channels, values, 1), device),
                ]))
            }
        };
        Self {
            module_list: Sequential::numbered(levels.map(level).collect()),
        }
    }

    /// `[N, A, values]`, all levels one after the other.
    fn forward(&self, levels: &[Tensor<4>], values: usize) -> Tensor<3> {
        let each = self.module_list.iter().zip(levels);
        Tensor::cat(
            each.map(|(layer, x)| rows(layer.forward(x.clone()), values))
                .collect(),
            1,
        )
    }
}

impl Member for Ssd {
    type Config = SsdConfig;

    /// COCO's 90 category numbers; the background, which torchvision counts as well, is none of them.
    const CLASSES: Option<usize> = Some(90);

    fn problems(config: &SsdConfig) -> Vec<(String, String)> {
        let under = |(key, message): (String, String)| (format!("postprocess.{key}"), message);
        config
            .postprocess
            .problems()
            .into_iter()
            .map(under)
            .collect()
    }

    fn minimum(config: &SsdConfig) -> usize {
        // The two last convolutions of SSD300 need 5 places, which 34 are before halving thrice, and 268 pixels before.
        if config.lite { 32 } else { 268 }
    }

    fn build(
        _: &'static str,
        config: &SsdConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let boxes = config.default_boxes();
        let backbone = match config.lite {
            false => Body::vgg(input.channels, device),
            true => Body::mobile_net(input, device),
        };
        let head = |values: usize| {
            let levels = backbone.channels().into_iter().enumerate();
            let levels = levels.map(|(level, channels)| (channels, values * boxes.per_cell(level)));
            Head::new(config.lite, levels, device)
        };
        Ok(Self {
            head: Heads {
                classification_head: head(1 + classes),
                regression_head: head(4),
            },
            backbone,
            settings: Settings {
                boxes,
                postprocess: config.postprocess.clone(),
            },
        })
    }
}

/// The coder's factors in the paper's implementation.
const CODER: BoxCoder = BoxCoder {
    weights: [10.0, 10.0, 5.0, 5.0],
    clamp: 4.135_166_556_742_356,
};

impl DetectorArchitecture for Ssd {
    /// Its body is a part of a network of the zoo, with layers of its own.
    fn backbone_name(_: &SsdConfig) -> Option<&'static str> {
        None
    }

    fn forward(&self, x: Tensor<4>) -> HeadOutput {
        let levels = self.backbone.forward(x);
        let heads = &self.head;
        HeadOutput {
            cls_logits: heads.classification_head.forward(&levels, self.columns()),
            bbox_regression: heads.regression_head.forward(&levels, 4),
            bbox_ctrness: None,
            objectness: None,
            levels: levels.iter().map(|x| [x.dims()[2], x.dims()[3]]).collect(),
        }
    }

    fn loss(&self, output: &HeadOutput, objects: &[Objects], size: [usize; 2]) -> DetectorLoss {
        ssd_loss(output, &self.default_boxes(size, &output.levels), objects)
    }

    fn detections(
        &self,
        output: &HeadOutput,
        size: [usize; 2],
        postprocess: &Postprocess,
    ) -> Result<Vec<Vec<Detection>>, NmsError> {
        let [n, all, columns] = output.cls_logits.dims();
        let device = output.bbox_regression.device();
        let boxes = boxes_tensor(&self.default_boxes(size, &output.levels), &device);
        let offsets = output.bbox_regression.clone().reshape([n * all, 4]);
        let boxes = read(CODER.decode(offsets, boxes.repeat_dim(0, n)));
        let scores = softmax(output.cls_logits.clone(), 2).narrow(2, 1, columns - 1);
        image_boxes(
            postprocess,
            &read(scores),
            &boxes,
            columns - 1,
            Candidates::OfClass { rows: all },
            Some(size),
        )
    }

    fn map_body<E>(self, _: impl FnOnce(Classifier) -> Result<Classifier, E>) -> Result<Self, E> {
        Ok(self)
    }

    fn postprocess(&self) -> &Postprocess {
        &self.settings.postprocess
    }

    fn first_label(&self) -> usize {
        1
    }
}

impl Ssd {
    /// Classes and background.
    fn columns(&self) -> usize {
        let boxes = self.settings.boxes.per_cell(0);
        let first = self.head.classification_head.module_list.iter().next();
        first.map_or(0, |layer| layer.out_channels(0) / boxes)
    }

    fn default_boxes(&self, image: [usize; 2], levels: &[[usize; 2]]) -> Vec<[f32; 4]> {
        let each = levels.iter().enumerate();
        each.flat_map(|(level, size)| self.settings.boxes.level(level, image, *size))
            .collect()
    }
}

impl TorchNames for Ssd {
    fn torch_name(&self, path: &str) -> String {
        match path.strip_prefix("backbone.") {
            Some(rest) => format!("backbone.{}", self.backbone.torch_name(rest)),
            None => path.to_string(),
        }
    }

    fn head(&self) -> &'static [&'static str] {
        &["head.classification_head.module_list."]
    }
}
