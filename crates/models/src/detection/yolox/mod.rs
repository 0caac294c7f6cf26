//! YOLOX, "YOLOX: Exceeding YOLO Series in 2021" (Ge et al. 2021, arXiv:2107.08430), with the numbers and keys of Megvii's
//! published networks.
//!
//! Those take pictures of blue, green and red in this order, values from 0 to 255, laid into the upper left corner of a
//! frame of gray; `transform-input` makes such of pictures as other networks take them. Trained here, a network takes what
//! the recipe prepares.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::InputSpec;
//! use firesight_models::detection::DetectorConfig;
//!
//! let device = Device::default();
//! let model = DetectorConfig::named("yolox_nano")?.init(InputSpec::rgb(64), 5, &device)?;
//! let output = model.forward(Tensor::zeros([1, 3, 64, 64], &device));
//! assert_eq!(output.levels, [[8, 8], [4, 4], [2, 2]]);
//! assert_eq!(output.objectness.unwrap().dims(), [1, 8 * 8 + 4 * 4 + 2 * 2, 1]); // one box at each cell
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

mod assign;
mod darknet;
mod head;
mod loss;

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use firesight_ops::nms::NmsError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::assign::{Cell, cells};
use self::darknet::{Neck, Scale};
use self::head::DecoupledHead;
use self::loss::yolox_loss;
use super::head::HeadOutput;
use super::loss::{DetectorLoss, Objects};
use super::postprocess::{Candidates, Detection, Postprocess, read};
use super::{DetectorArchitecture, image_boxes};
use crate::blocks::imagenet_to_bgr;
use crate::classification::{Classifier, check_transform_input};
use crate::family::{Member, PublishedModel};
use crate::weights::TorchNames;
use crate::{InputSpec, ModelError};

/// A YOLOX of any size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct YoloxConfig {
    /// The depth beside that of the large network, 0.1 to 4: its stages have 3, 9, 9 and 3 bottlenecks.
    pub depth: f64,
    /// The width beside that of the large network, 0.1 to 4: its stem has 64 channels.
    pub width: f64,
    /// Whether convolutions of 3x3 are depthwise, followed by one of 1x1, as in the nano.
    pub depthwise: bool,
    /// Whether the absolute differences of the raw box values are minimized too; published networks do in the epochs
    /// without mosaics, the last 16 of 300.
    pub l1: bool,
    /// Takes images normalised by ImageNet's mean and deviation to those that the published weights were trained with:
    /// blue, green and red in this order, from 0 to 255. RGB only.
    pub transform_input: bool,
    /// Which boxes become detections.
    pub postprocess: Postprocess,
}

impl Default for YoloxConfig {
    fn default() -> Self {
        Self::sized(0.33, 0.5, false)
    }
}

/// Options of a YOLOX of a published size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct YoloxOptions {
    /// Whether the absolute differences of the raw box values are minimized too; published networks do in the epochs
    /// without mosaics, the last 16 of 300.
    pub l1: bool,
    /// Takes images normalised by ImageNet's mean and deviation to those that the published weights were trained with:
    /// blue, green and red in this order, from 0 to 255. RGB only.
    pub transform_input: bool,
    /// Which boxes become detections, instead of the published choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postprocess: Option<Postprocess>,
}

macro_rules! published {
    ($($(#[$doc:meta])* $name:ident: $parameters:literal, $depth:literal, $width:literal, $depthwise:literal;)+) => {
        $($(#[$doc])*
        pub const $name: PublishedModel<YoloxOptions, YoloxConfig> = PublishedModel {
            parameters: $parameters,
            config: |options| {
                let base = YoloxConfig::sized($depth, $width, $depthwise);
                YoloxConfig {
                    l1: options.l1,
                    transform_input: options.transform_input,
                    postprocess: options.postprocess.clone().unwrap_or_else(|| base.postprocess.clone()),
                    ..base
                }
            },
        };)+
    };
}

published! {
    /// YOLOX-nano, whose convolutions are depthwise.
    YOLOX_NANO: 912_159, 0.33, 0.25, true;
    /// YOLOX-tiny.
    YOLOX_TINY: 5_055_855, 0.33, 0.375, false;
    /// YOLOX-s.
    YOLOX_S: 8_968_255, 0.33, 0.5, false;
    /// YOLOX-m.
    YOLOX_M: 25_326_495, 0.67, 0.75, false;
    /// YOLOX-l.
    YOLOX_L: 54_208_895, 1.0, 1.0, false;
    /// YOLOX-x.
    YOLOX_X: 99_071_455, 1.33, 1.25, false;
}

/// YOLOX of any size, by default as large as YOLOX-s.
pub const YOLOX: PublishedModel<YoloxConfig, YoloxConfig> = PublishedModel {
    parameters: YOLOX_S.parameters,
    config: YoloxConfig::clone,
};

impl YoloxConfig {
    fn sized(depth: f64, width: f64, depthwise: bool) -> Self {
        Self {
            depth,
            width,
            depthwise,
            l1: false,
            transform_input: false,
            postprocess: Postprocess::YOLOX,
        }
    }

    fn scale(&self) -> Scale {
        Scale {
            base: (64.0 * self.width).round() as usize,
            depth: (3.0 * self.depth).round_ties_even() as usize,
            depthwise: self.depthwise,
        }
    }
}

/// A YOLOX.
#[derive(Module, Debug)]
pub struct Yolox {
    backbone: Neck,
    head: DecoupledHead,
    #[module(skip)]
    settings: Settings,
}

/// What is no parameter.
#[derive(Clone, Debug)]
struct Settings {
    l1: bool,
    transform_input: bool,
    postprocess: Postprocess,
}

impl Member for Yolox {
    type Config = YoloxConfig;

    /// COCO's, without the numbers that COCO leaves out.
    const CLASSES: Option<usize> = Some(80);

    fn problems(config: &YoloxConfig) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (key, value) in [("depth", config.depth), ("width", config.width)] {
            if !(0.1..=4.0).contains(&value) {
                problems.push((key.to_string(), format!("{value} is not from 0.1 to 4")));
            }
        }
        let under = |(key, message): (String, String)| (format!("postprocess.{key}"), message);
        problems.extend(config.postprocess.problems().into_iter().map(under));
        problems
    }

    fn minimum(_: &YoloxConfig) -> usize {
        32
    }

    fn build(
        model: &'static str,
        config: &YoloxConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        check_transform_input(model, config.transform_input, input)?;
        let scale = config.scale();
        Ok(Self {
            backbone: Neck::new(input.channels, scale, device),
            head: DecoupledHead::new(scale, classes, device),
            settings: Settings {
                l1: config.l1,
                transform_input: config.transform_input,
                postprocess: config.postprocess.clone(),
            },
        })
    }
}

impl DetectorArchitecture for Yolox {
    /// Its backbone is no network of the zoo.
    fn backbone_name(_: &YoloxConfig) -> Option<&'static str> {
        None
    }

    fn forward(&self, x: Tensor<4>) -> HeadOutput {
        let x = match self.settings.transform_input {
            true => imagenet_to_bgr(x),
            false => x,
        };
        self.head.forward(self.backbone.forward(x))
    }

    fn loss(&self, output: &HeadOutput, objects: &[Objects], _: [usize; 2]) -> DetectorLoss {
        yolox_loss(output, objects, self.settings.l1)
    }

    /// A cell is of its best class alone; boxes are not clipped.
    fn detections(
        &self,
        output: &HeadOutput,
        _: [usize; 2],
        postprocess: &Postprocess,
    ) -> Result<Vec<Vec<Detection>>, NmsError> {
        let [n, all, classes] = output.cls_logits.dims();
        let cells = cells(&output.levels).repeat(n);
        let boxes = decode(output.bbox_regression.clone().reshape([n * all, 4]), &cells);
        let mut scores = sigmoid(output.cls_logits.clone());
        if let Some(objectness) = &output.objectness {
            scores = scores * sigmoid(objectness.clone());
        }
        let mut scores = read(scores);
        for row in scores.chunks_exact_mut(classes) {
            let best = (0..classes)
                .rev()
                .max_by(|a, b| row[*a].total_cmp(&row[*b]));
            // A score that is not a number stays for the choice of boxes to refuse.
            let others = (0..classes).filter(|class| Some(*class) != best);
            others.for_each(|class| row[class] = 0.0);
        }
        let rows: Vec<usize> = output.levels.iter().map(|[h, w]| h * w).collect();
        let candidates = Candidates::OfLevel(&rows);
        image_boxes(
            postprocess,
            &scores,
            &read(boxes),
            classes,
            candidates,
            None,
        )
    }

    fn map_body<E>(self, _: impl FnOnce(Classifier) -> Result<Classifier, E>) -> Result<Self, E> {
        Ok(self)
    }

    fn postprocess(&self) -> &Postprocess {
        &self.settings.postprocess
    }
}

/// The boxes that raw values of cells stand for, as [`Cell::decode`] has them.
///
/// # Shapes
/// - `raw` and output: `[N, 4]`, one row for each of `cells`
fn decode(raw: Tensor<2>, cells: &[Cell]) -> Tensor<2> {
    let device = raw.device();
    let places: Vec<f32> = cells.iter().flat_map(|cell| cell.place).collect();
    let strides: Vec<f32> = cells.iter().map(|cell| cell.stride).collect();
    let places = Tensor::<2>::from_data(TensorData::new(places, [cells.len(), 2]), &device);
    let strides = Tensor::<2>::from_data(TensorData::new(strides, [cells.len(), 1]), &device);
    let center = (raw.clone().narrow(1, 0, 2) + places) * strides.clone();
    let half = raw.narrow(1, 2, 2).exp() * strides.div_scalar(2.0);
    Tensor::cat(vec![center.clone() - half.clone(), center + half], 1)
}

impl TorchNames for Yolox {
    /// The pyramid's CSP layers are named with a capital.
    fn torch_name(&self, path: &str) -> String {
        path.replacen("backbone.c3_", "backbone.C3_", 1)
    }

    fn head(&self) -> &'static [&'static str] {
        &["head.cls_preds."]
    }
}
