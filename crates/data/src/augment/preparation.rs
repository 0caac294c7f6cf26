//! Preparation: what is done to every image alike, in training, evaluation and prediction.
//!
//! A step of it draws nothing, so that the way from an image to the model's input, and the way back for boxes and
//! masks, follow from the image's size alone. The type knows no other steps.
//!
//! ```
//! use firesight_data::augment::{Prepare, Preparation};
//!
//! let steps: Vec<Prepare> = serde_json::from_str(r#"[{"letterbox": {"width": 64, "height": 64}}]"#)?;
//! let plan = Preparation::new(&steps).plan([128, 96]);
//! assert_eq!(plan.size(), [64, 64]);
//! // A random step is refused where it is read.
//! let wrong = serde_json::from_str::<Prepare>(r#"{"rotate": {"degrees": 10}}"#).unwrap_err();
//! assert!(wrong.to_string().contains("put it into `data.augment`"), "{wrong}");
//! # Ok::<(), serde_json::Error>(())
//! ```

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::de::{Deserializer, Error, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::{
    Augment, Augmentation, AutoContrast, CentreCrop, Equalise, Greyscale, Invert, Letterbox,
    Pipeline, Plan, Resize, ResizeShortest,
};
use crate::error::DataError;
use crate::random::{Domain, stream};
use crate::sample::Sample;

/// One entry of a recipe's `prepare` list: a change that draws nothing, the same for every image of a size.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Prepare {
    /// Resizes to an exact size, whatever the shape was.
    Resize(Resize),
    /// Resizes so that the shortest side has a given length.
    ResizeShortest(ResizeShortest),
    /// Resizes as large as fits a frame, keeping the shape, and pads the rest evenly.
    Letterbox(Letterbox),
    /// Cuts the middle out; a smaller image is padded around.
    CentreCrop(CentreCrop),
    /// Takes the colour out of every image; it keeps its channels.
    Greyscale {},
    /// Flattens the histogram of each channel.
    Equalise {},
    /// Stretches each channel to the full range.
    AutoContrast {},
    /// Inverts all values.
    Invert {},
}

/// A step that draws something, which no preparation holds: reading one is the error that says so.
enum Random {}

impl<'de> Deserialize<'de> for Random {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Err(D::Error::custom(
            "this step is drawn at random for each image, but a preparation is the same in training, evaluation and \
             prediction; put it into `data.augment`",
        ))
    }
}

/// Declares what may be written: the steps of [`Prepare`], and the augmentations that are refused by name.
macro_rules! written {
    ({ $($with:ident),* } { $($always:ident),* } { $($random:ident),* $(,)? }) => {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        enum Written {
            $($with($with),)*
            $($always {},)*
            $($random(Random),)*
        }

        impl From<Written> for Prepare {
            fn from(written: Written) -> Self {
                match written {
                    $(Written::$with(step) => Self::$with(step),)*
                    $(Written::$always {} => Self::$always {},)*
                    $(Written::$random(never) => match never {},)*
                }
            }
        }

        impl From<Prepare> for Augment {
            fn from(step: Prepare) -> Self {
                match step {
                    $(Prepare::$with(step) => Self::$with(step),)*
                    $(Prepare::$always {} => Self::$always($always { probability: 1.0 }),)*
                }
            }
        }
    };
}

written! {
    { Resize, ResizeShortest, Letterbox, CentreCrop }
    { Greyscale, Equalise, AutoContrast, Invert }
    {
        HorizontalFlip, VerticalFlip, Transpose,
        Rotate, Translate, Scale, Shear, Perspective,
        PadAndCrop, RandomCrop, RandomResizedCrop, RandomResizeShortest,
        IouCrop, ZoomOut, ScaleJitter,
        ColourJitter, Solarise, Posterise, Sharpness,
        GaussianBlur, GaussianNoise, RandomErasing,
        RandAugment, TrivialAugmentWide, AutoAugment,
    }
}

impl<'de> Deserialize<'de> for Prepare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Written::deserialize(deserializer).map(Self::from)
    }
}

impl Prepare {
    /// What is wrong with the settings: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        Augment::from(self.clone()).problems()
    }
}

/// The steps of a recipe's `prepare` list, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preparation(Pipeline);

impl Preparation {
    /// The given steps, one after the other.
    pub fn new(steps: &[Prepare]) -> Self {
        Self(Pipeline::new(
            steps.iter().cloned().map(Augment::from).collect(),
        ))
    }

    /// The preparation, and the augmentations behind it.
    pub fn then(&self, augment: &[Augment]) -> Pipeline {
        self.0.clone().then(augment)
    }

    /// What is done to an image of `[width, height]`: always the same.
    pub fn plan(&self, size: [usize; 2]) -> Plan {
        self.0.draw(size, &mut nothing())
    }

    /// Prepares a sample.
    ///
    /// # Errors
    /// A sample whose buffers do not fit its sizes.
    pub fn apply(&self, sample: Sample) -> Result<Sample, DataError> {
        self.0.apply(sample, &mut nothing())
    }
}

/// The stream that the pipeline asks for and no step of a preparation draws from.
fn nothing() -> ChaCha8Rng {
    stream(0, 0, 0, Domain::Sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Image;
    use crate::target::{BoxLabel, Target};

    /// Every step that a preparation may hold, with settings that change sizes unevenly.
    fn steps() -> Vec<Prepare> {
        let text = r#"[
            {"resize": {"width": 50, "height": 70}},
            {"resize-shortest": {"size": 37}},
            {"resize-shortest": {"size": 40, "longest": 41, "filter": "bicubic"}},
            {"letterbox": {"width": 64, "height": 48}},
            {"centre-crop": {"width": 61, "height": 90}},
            {"greyscale": {}}, {"equalise": {}}, {"auto-contrast": {}}, {"invert": {}}
        ]"#;
        serde_json::from_str(text).unwrap()
    }

    fn sample(size: [usize; 2]) -> Sample {
        let [width, height] = size;
        let pixels = (0..width * height * 3).map(|at| (at * 7 % 251) as u8);
        Sample {
            image: Image {
                width,
                height,
                channels: 3,
                pixels: pixels.collect(),
            },
            target: Target::of_boxes(vec![BoxLabel {
                xyxy: [
                    0.4 * width as f32,
                    0.4 * height as f32,
                    0.6 * width as f32,
                    0.55 * height as f32,
                ],
                class: 0,
                ..BoxLabel::default()
            }]),
        }
    }

    #[test]
    fn a_step_is_the_same_each_time_and_its_map_leads_back() {
        for step in steps() {
            for size in [[80, 60], [33, 99], [101, 47]] {
                let pipeline = Pipeline::new(vec![step.clone().into()]);
                let preparation = Preparation::new(std::slice::from_ref(&step));
                let expected = preparation.apply(sample(size)).unwrap();
                for seed in 0..20 {
                    let mut rng = stream(seed, seed, 3, Domain::Sample);
                    let drawn = pipeline.apply(sample(size), &mut rng).unwrap();
                    assert_eq!(drawn, expected, "{step:?}");
                }
                let back = preparation.plan(size).map().inverse().unwrap();
                let boxes = expected.target.boxes.as_ref().unwrap();
                let restored = back.hull(boxes[0].xyxy.map(f64::from)).unwrap();
                let truth = sample(size).target.boxes.unwrap();
                for (got, want) in restored.iter().zip(truth[0].xyxy) {
                    assert!(
                        (got - f64::from(want)).abs() < 1e-3,
                        "{step:?}: {restored:?}"
                    );
                }
            }
        }
    }

    /// Each augmentation is either a step or refused by name, none as an unknown word.
    #[test]
    fn every_augmentation_is_taken_or_told_its_place() {
        let schema = schemars::schema_for!(Augment);
        let variants = schema.as_value()["oneOf"].as_array().unwrap();
        let mut random = 0;
        for variant in variants {
            let (name, _) = variant["properties"]
                .as_object()
                .unwrap()
                .iter()
                .next()
                .unwrap();
            match serde_json::from_str::<Prepare>(&format!("{{\"{name}\": {{}}}}")) {
                Ok(step) => assert!(
                    steps().iter().any(|known| {
                        std::mem::discriminant(known) == std::mem::discriminant(&step)
                    }),
                    "{name}"
                ),
                Err(error) => {
                    random += 1;
                    assert!(
                        error.to_string().contains("drawn at random"),
                        "{name}: {error}"
                    );
                }
            }
        }
        assert!(random > 20 && variants.len() > random, "{random}");
        // A coin that always falls on one side is none; here it has no say at all.
        let error = serde_json::from_str::<Prepare>(r#"{"greyscale": {"probability": 0.1}}"#);
        assert!(error.unwrap_err().to_string().contains("probability"));
    }
}
