//! What a segmenter minimises: a sum of losses over the pixels that count.

use burn::tensor::{Int, Tensor, TensorData};
use firesight_data::Mask;
use firesight_ops::loss::{
    ClassAverage, CrossEntropyOptions, cross_entropy_pixels, dice_loss, lovasz_softmax,
    softmax_focal_loss,
};
use firesight_ops::sum;
use firesight_recipe::Checks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The target of pixels that do not count.
pub(super) const IGNORE: i64 = Mask::IGNORE as i64;

/// One term of a segmenter's loss. A batch without a pixel that counts has loss 0 in each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LossTerm {
    /// Cross-entropy of each pixel, averaged; takes the class weights.
    CrossEntropy(CrossEntropyTerm),
    /// Dice loss of the classes that are in the batch (Milletari et al. 2016).
    Dice(DiceTerm),
    /// Focal loss of each pixel, averaged (Lin et al. 2017).
    Focal(FocalTerm),
    /// Lovasz-softmax of the classes that are in the batch (Berman et al. 2018).
    Lovasz(LovaszTerm),
}

/// Cross-entropy in a segmenter's loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CrossEntropyTerm {
    /// The term's share of the loss, above 0.
    pub weight: f64,
    /// The share of the target that is spread evenly over all classes, 0 to below 1.
    pub label_smoothing: f64,
}

/// Dice loss in a segmenter's loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DiceTerm {
    /// The term's share of the loss, above 0.
    pub weight: f64,
    /// Added to numerator and denominator, 0 or more.
    pub smooth: f64,
}

/// Focal loss in a segmenter's loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FocalTerm {
    /// The term's share of the loss, above 0.
    pub weight: f64,
    /// The power of the factor that quiets easy pixels, 0 or more.
    pub gamma: f64,
}

/// Lovasz-softmax in a segmenter's loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LovaszTerm {
    /// The term's share of the loss, above 0.
    pub weight: f64,
}

impl Default for CrossEntropyTerm {
    fn default() -> Self {
        Self {
            weight: 1.0,
            label_smoothing: 0.0,
        }
    }
}

impl Default for DiceTerm {
    fn default() -> Self {
        Self {
            weight: 1.0,
            smooth: 1.0,
        }
    }
}

impl Default for FocalTerm {
    fn default() -> Self {
        Self {
            weight: 1.0,
            gamma: 2.0,
        }
    }
}

impl Default for LovaszTerm {
    fn default() -> Self {
        Self { weight: 1.0 }
    }
}

impl LossTerm {
    /// The term's name among the parts of a loss.
    pub(super) fn part(&self) -> &'static str {
        match self {
            Self::CrossEntropy(_) => "cross_entropy",
            other => other.name(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::CrossEntropy(_) => "cross-entropy",
            Self::Dice(_) => "dice",
            Self::Focal(_) => "focal",
            Self::Lovasz(_) => "lovasz",
        }
    }

    fn weight(&self) -> f64 {
        match self {
            Self::CrossEntropy(term) => term.weight,
            Self::Dice(term) => term.weight,
            Self::Focal(term) => term.weight,
            Self::Lovasz(term) => term.weight,
        }
    }

    /// Checks the term; `path` is its place in the recipe.
    pub(super) fn check(&self, path: &str, checks: &mut Checks<'_>) {
        let path = format!("{path}.{}", self.name());
        let mut at_least = |key: &str, value: f64, open: bool| {
            if !(value <= 1e3 && (value > 0.0 || (value == 0.0 && !open))) {
                let rule = if open { "above 0" } else { "0 or more" };
                let message = format!("{value} is not {rule} and at most 1000");
                checks.error(&format!("{path}.{key}"), message, None);
            }
        };
        at_least("weight", self.weight(), true);
        match self {
            Self::CrossEntropy(term) => {
                crate::checks::share(
                    checks,
                    &format!("{path}.label-smoothing"),
                    term.label_smoothing,
                );
            }
            Self::Dice(term) => at_least("smooth", term.smooth, false),
            Self::Focal(term) => at_least("gamma", term.gamma, false),
            Self::Lovasz(_) => {}
        }
    }

    /// The term's value, its weight included, `[1]`.
    ///
    /// # Shapes
    /// - `logits`: `[N, C, H, W]`
    /// - `targets`: `[N, H, W]`, class indices in `0..C` or [`IGNORE`]
    pub(super) fn value(
        &self,
        logits: Tensor<4>,
        targets: Tensor<3, Int>,
        class_weights: Option<&Vec<f32>>,
    ) -> Tensor<1> {
        let loss = match self {
            Self::CrossEntropy(term) => {
                let options = CrossEntropyOptions {
                    label_smoothing: term.label_smoothing,
                    class_weights: class_weights.cloned(),
                    ignore_index: Some(IGNORE),
                };
                cross_entropy_pixels(logits, targets, &options)
            }
            Self::Dice(term) => dice_loss(
                logits,
                targets,
                Some(IGNORE),
                term.smooth,
                ClassAverage::Present,
            ),
            Self::Focal(term) => focal(logits, targets, term.gamma),
            Self::Lovasz(_) => lovasz_softmax(logits, targets, Some(IGNORE), ClassAverage::Present),
        };
        match self.weight() {
            1.0 => loss,
            weight => loss.mul_scalar(weight),
        }
    }
}

/// Focal loss averaged over the pixels that count; 0 where none does.
fn focal(logits: Tensor<4>, targets: Tensor<3, Int>, gamma: f64) -> Tensor<1> {
    let [n, classes, h, w] = logits.dims();
    let rows = logits.permute([0, 2, 3, 1]).reshape([n * h * w, classes]);
    let targets = targets.reshape([n * h * w]);
    let ignored = targets.clone().equal_elem(IGNORE);
    let targets = targets.mask_fill(ignored.clone(), 0);
    let loss = softmax_focal_loss(rows, targets, gamma).mask_fill(ignored.clone(), 0.0);
    let counted = sum(ignored.bool_not().float()).clamp_min(1.0);
    sum(loss) / counted
}

/// The masks of a batch as class indices, `[N, H, W]`.
pub(super) fn targets(masks: &[&Mask], device: &burn::tensor::Device) -> Tensor<3, Int> {
    let (height, width) = masks.first().map_or((1, 1), |m| (m.height, m.width));
    let values: Vec<i32> = masks
        .iter()
        .flat_map(|mask| mask.classes.iter().map(|class| i32::from(*class)))
        .collect();
    Tensor::from_data(
        TensorData::new(values, [masks.len(), height, width]),
        device,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn terms() -> Vec<LossTerm> {
        vec![
            LossTerm::CrossEntropy(Default::default()),
            LossTerm::Dice(Default::default()),
            LossTerm::Focal(Default::default()),
            LossTerm::Lovasz(Default::default()),
        ]
    }

    fn value(term: &LossTerm, classes: Vec<u8>) -> (f32, Vec<f32>) {
        let device = Device::flex().autodiff();
        let mask = Mask {
            width: 2,
            height: 2,
            classes,
        };
        let logits = Tensor::<4>::from_floats(
            [[[[2.0, 0.0], [1.0, -1.0]], [[0.0, 1.0], [0.5, 3.0]]]],
            &device,
        )
        .require_grad();
        let loss = term.value(logits.clone(), targets(&[&mask], &device), None);
        let gradients = loss.backward();
        let gradient = logits.grad(&gradients).unwrap().into_data();
        (loss.into_scalar(), gradient.iter::<f32>().collect())
    }

    #[test]
    fn an_all_ignored_batch_has_loss_zero_and_finite_gradients() {
        for term in terms() {
            let (loss, gradient) = value(&term, vec![255; 4]);
            assert_eq!(loss, 0.0, "{term:?}");
            assert!(gradient.iter().all(|g| *g == 0.0), "{term:?}");
        }
    }

    #[test]
    fn an_ignored_pixel_pulls_nothing() {
        for term in terms() {
            let (loss, gradient) = value(&term, vec![0, 1, 255, 1]);
            assert!(loss > 0.0 && loss.is_finite(), "{term:?}");
            // Plane by plane: the third pixel of each class.
            assert_eq!([gradient[2], gradient[6]], [0.0; 2], "{term:?}");
            assert!(gradient[0] < 0.0, "{term:?}: {gradient:?}");
        }
    }

    #[test]
    fn focal_without_gamma_is_cross_entropy() {
        let plain = value(
            &LossTerm::CrossEntropy(Default::default()),
            vec![0, 1, 255, 1],
        )
        .0;
        let term = FocalTerm {
            weight: 2.0,
            gamma: 0.0,
        };
        let focal = value(&LossTerm::Focal(term), vec![0, 1, 255, 1]).0;
        assert!((focal - 2.0 * plain).abs() < 1e-6);
    }
}
