//! How images are prepared for published weights: torchvision's `weights.transforms()` as a recipe says it.

use firesight_data::augment::{CenterCrop, ResizeShortest};
use firesight_data::geometry::Filter;
use firesight_data::normalize::Normalize;
use firesight_data::preprocess::PreprocessStep;
use firesight_models::tags::{self, Preprocessing, ResizeFilter, Tag};
use firesight_recipe::Checks;

use crate::data::DataConfig;

/// The values of `data.preprocess`, and of `data.mean` and `data.std`, that preprocess images as the weights'
/// publishers did.
///
/// ```
/// use firesight_models::tags;
/// use firesight::preprocessing;
///
/// let tag = tags::tag("resnet50", "IMAGENET1K_V2").unwrap();
/// let (preprocess, normalize) = preprocessing::of(&tag.preprocessing);
/// assert_eq!(preprocess.len(), 2); // to 232 pixels, then the central 224
/// assert_eq!(normalize.mean, [0.485, 0.456, 0.406]);
/// ```
pub fn of(preprocessing: &Preprocessing) -> (Vec<PreprocessStep>, Normalize) {
    let Preprocessing {
        resize,
        crop,
        interpolation,
        mean,
        std,
    } = *preprocessing;
    let resize = ResizeShortest {
        size: resize,
        filter: match interpolation {
            ResizeFilter::Bilinear => Filter::Bilinear,
            ResizeFilter::Bicubic => Filter::Bicubic,
        },
        ..ResizeShortest::default()
    };
    let crop = CenterCrop {
        width: crop,
        height: crop,
        ..CenterCrop::default()
    };
    let normalize = Normalize {
        mean: mean.to_vec(),
        std: std.to_vec(),
    };
    (
        vec![
            PreprocessStep::ResizeShortest(resize),
            PreprocessStep::CenterCrop(crop),
        ],
        normalize,
    )
}

/// Whether the data give published weights, the `tag` of a classifier, the values they were trained on. Size and crop are
/// the recipe's own choice; another normalisation is nearly always an oversight. `transforms_input` is the model's own
/// answer to whether it brings its input from one normalisation to another.
pub(crate) fn check(
    model: &str,
    transforms_input: Option<bool>,
    tag: &str,
    data: &DataConfig,
    checks: &mut Checks<'_>,
) {
    let Some(tag) = tags::tag(model, tag) else {
        let known: Vec<&str> = tags::tags(model).map(|tag| tag.tag).collect();
        let help = match known.is_empty() {
            true => "take `init = { weights = \"FILE\" }`, or leave `init` out".to_owned(),
            false => format!("there are {}", known.join(", ")),
        };
        let message = format!("there are no published weights `{tag}` of {model}");
        checks.error("task.classification.init.tag", message, Some(&help));
        return;
    };
    match transforms_input {
        // Brought to a mean and a deviation of 0.5 by the network, or by the recipe.
        Some(false) if is(&data.mean, &[0.5; 3]) && is(&data.std, &[0.5; 3]) => {}
        Some(false) => {
            let message = format!(
                "the published weights of {model} were trained on images normalised by 0.5 and 0.5"
            );
            let help =
                "set `transform-input = true` and normalise by ImageNet's mean and deviation";
            checks.error(
                &format!("task.classification.model.{model}"),
                message,
                Some(help),
            );
        }
        _ => normalisation(data, tag, checks),
    }
}

fn normalisation(data: &DataConfig, tag: &Tag, checks: &mut Checks<'_>) {
    let Preprocessing { mean, std, .. } = tag.preprocessing;
    for (key, found, published) in [
        ("data.mean", &data.mean, mean),
        ("data.std", &data.std, std),
    ] {
        if !is(found, &published) {
            let Tag { model, tag, .. } = tag;
            let message = format!(
                "the weights {tag} of {model} were trained with {published:?}, not {found:?}"
            );
            checks.warning(
                key,
                message,
                Some("set `data.mean` and `data.std` to those of the weights"),
            );
        }
    }
}

/// Whether a recipe's values, of which one counts for all channels, are those of three channels; the third
/// decimal decides.
fn is(found: &[f32], published: &[f32; 3]) -> bool {
    let at = |channel: usize| match found {
        [one] => Some(*one),
        several => several.get(channel).copied(),
    };
    (0..3).all(|c| at(c).is_some_and(|value| (value - published[c]).abs() < 5e-4))
}
