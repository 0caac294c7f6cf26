//! Preprocessing: what is done to every image alike, in training, evaluation and prediction, and its inverse.
//!
//! A step of it draws nothing, so that the way from an image to the model's input, and the way back for boxes and
//! masks, follow from the image's size alone. The type knows no other steps.
//!
//! ```
//! use firesight_data::preprocess::{Preprocess, PreprocessStep};
//!
//! let steps: Vec<PreprocessStep> = serde_json::from_str(r#"[{"letterbox": {"width": 64, "height": 64}}]"#)?;
//! let preprocess = Preprocess::new(&steps);
//! assert_eq!(preprocess.plan([128, 96]).size(), [64, 64]);
//! // A box that was found in the 64x64 pixels stands here in the original image:
//! let inverse = preprocess.inverse([128, 96], None);
//! assert_eq!(inverse.xyxy([0.0, 8.0, 32.0, 56.0]), [0.0, 0.0, 64.0, 96.0]);
//! // A random step is refused where it is read.
//! let wrong = serde_json::from_str::<PreprocessStep>(r#"{"rotate": {"degrees": 10}}"#).unwrap_err();
//! assert!(wrong.to_string().contains("put it into `data.augment`"), "{wrong}");
//! # Ok::<(), serde_json::Error>(())
//! ```

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::de::{Deserializer, Error, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::augment::{Augment, Augmentation, Pipeline, Plan, every_augmentation};
use crate::error::DataError;
use crate::geometry::{Map, nearest};
use crate::random::{Domain, stream};
use crate::sample::Sample;
use crate::target::Mask;

/// A step that draws something, which no preprocess holds: reading one is the error that says so.
enum Random {}

impl<'de> Deserialize<'de> for Random {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Err(D::Error::custom(
            "this step is drawn at random for each image, but preprocessing is the same in training, evaluation and \
             prediction; put it into `data.augment`",
        ))
    }
}

/// Declares the steps of a preprocess: augmentations that draw nothing, and those that draw only whether they happen,
/// which always do here; the others are refused by name.
macro_rules! steps {
    (
        fixed { $($(#[$fixed_meta:meta])+ $fixed_file:ident::$fixed:ident,)* }
        coin { $($(#[$coin_meta:meta])+ $coin_file:ident::$coin:ident,)* }
        random { $($(#[$random_meta:meta])+ $random_file:ident::$random:ident,)* }
    ) => {
        use crate::augment::{$($fixed,)* $($coin,)*};

        /// One entry of a recipe's `preprocess` list: a change that draws nothing, the same for every image of a size.
        #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub enum PreprocessStep {
            $($(#[$fixed_meta])+ $fixed($fixed),)*
            $($(#[$coin_meta])+ $coin {},)*
        }

        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        enum Written {
            $($(#[$fixed_meta])+ $fixed($fixed),)*
            $($(#[$coin_meta])+ $coin {},)*
            $($(#[$random_meta])+ $random(Random),)*
        }

        impl From<Written> for PreprocessStep {
            fn from(written: Written) -> Self {
                match written {
                    $(Written::$fixed(step) => Self::$fixed(step),)*
                    $(Written::$coin {} => Self::$coin {},)*
                    $(Written::$random(never) => match never {},)*
                }
            }
        }

        impl From<PreprocessStep> for Augment {
            fn from(step: PreprocessStep) -> Self {
                match step {
                    $(PreprocessStep::$fixed(step) => Self::$fixed(step),)*
                    $(PreprocessStep::$coin {} => Self::$coin($coin { probability: 1.0 }),)*
                }
            }
        }

        /// Every step there is, with its defaults.
        #[cfg(test)]
        fn every_step() -> Vec<PreprocessStep> {
            vec![
                $(PreprocessStep::$fixed($fixed::default()),)*
                $(PreprocessStep::$coin {},)*
            ]
        }

        /// Every augmentation that is no step, as it would be written.
        #[cfg(test)]
        const REFUSED: &[&str] = &[$(stringify!($random),)*];
    };
}

every_augmentation!(steps);

impl<'de> Deserialize<'de> for PreprocessStep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Written::deserialize(deserializer).map(Self::from)
    }
}

impl PreprocessStep {
    /// What is wrong with the settings: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        Augment::from(self.clone()).problems()
    }
}

/// The steps of a recipe's `preprocess` list, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preprocess(Pipeline);

impl Preprocess {
    /// The given steps, one after the other.
    pub fn new(steps: &[PreprocessStep]) -> Self {
        Self(Pipeline::new(
            steps.iter().cloned().map(Augment::from).collect(),
        ))
    }

    /// These steps, and the augmentations behind it.
    pub fn then(&self, augment: &[Augment]) -> Pipeline {
        self.0.clone().then(augment)
    }

    /// What is done to an image of `[width, height]`: always the same.
    pub fn plan(&self, size: [usize; 2]) -> Plan {
        self.0.draw(size, &mut nothing())
    }

    /// The way back for an original image of `[width, height]`. What comes after these steps, to `then` (width and
    /// height), is a plain resizing.
    pub fn inverse(&self, size: [usize; 2], then: Option<[usize; 2]>) -> InverseTransform {
        let plan = self.plan(size);
        let (mut map, at) = (plan.map(), plan.size());
        if let Some(to) = then.filter(|to| *to != at) {
            let factor = |i: usize| to[i] as f64 / at[i].max(1) as f64;
            map = map.then(&Map::scaling(factor(0), factor(1)));
        }
        InverseTransform {
            maps: map.inverse().map(|back| [map, back]),
            size,
        }
    }

    /// Preprocesses a sample.
    ///
    /// # Errors
    /// A sample whose buffers do not fit its sizes.
    pub fn apply(&self, sample: Sample) -> Result<Sample, DataError> {
        self.0.apply(sample, &mut nothing())
    }
}

/// The way back from a preprocessed image to the original one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InverseTransform {
    /// From the original image to the preprocessed one, and back, where there is a way back.
    maps: Option<[Map; 2]>,
    /// `[width, height]` of the original image.
    size: [usize; 2],
}

impl InverseTransform {
    /// That of no change of an image of `[width, height]`.
    pub fn identity(size: [usize; 2]) -> Self {
        Self {
            maps: Some([Map::IDENTITY; 2]),
            size,
        }
    }

    /// A box in pixels of the original image, clipped to it.
    pub fn xyxy(&self, xyxy: [f32; 4]) -> [f32; 4] {
        let moved = self
            .maps
            .and_then(|[_, back]| back.hull(xyxy.map(f64::from)));
        let [x1, y1, x2, y2] = moved.map_or(xyxy, |hull| hull.map(|v| v as f32));
        let [w, h] = self.size.map(|side| side as f32);
        [
            x1.clamp(0.0, w),
            y1.clamp(0.0, h),
            x2.clamp(0.0, w),
            y2.clamp(0.0, h),
        ]
    }

    /// A mask in the pixels of the original image, by the nearest; `outside` stands where the preprocess cut the image
    /// off.
    pub fn mask(&self, mask: &Mask, outside: u8) -> Mask {
        let [width, height] = self.size;
        let classes = match self.maps {
            Some([there, _]) => nearest(mask, &there, self.size, outside),
            None => vec![outside; width * height],
        };
        Mask {
            width,
            height,
            classes,
        }
    }
}

/// The stream that the pipeline asks for and no step of a preprocess draws from.
fn nothing() -> ChaCha8Rng {
    stream(0, 0, 0, Domain::Sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Image;
    use crate::target::{BoxLabel, Target};

    /// Every step there is, and some with settings that change sizes unevenly.
    fn steps() -> Vec<PreprocessStep> {
        let text = r#"[
            {"resize": {"width": 50, "height": 70}},
            {"resize-shortest": {"size": 37}},
            {"resize-shortest": {"size": 40, "longest": 41, "filter": "bicubic"}},
            {"letterbox": {"width": 64, "height": 48}},
            {"center-crop": {"width": 61, "height": 90}}
        ]"#;
        let mut steps = every_step();
        steps.extend(serde_json::from_str::<Vec<_>>(text).unwrap());
        steps
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
            }
            .into(),
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
                let preprocess = Preprocess::new(std::slice::from_ref(&step));
                let expected = preprocess.apply(sample(size)).unwrap();
                for seed in 0..20 {
                    let mut rng = stream(seed, seed, 3, Domain::Sample);
                    let drawn = pipeline.apply(sample(size), &mut rng).unwrap();
                    assert_eq!(drawn, expected, "{step:?}");
                }
                let boxes = expected.target.boxes.as_ref().unwrap();
                let restored = preprocess.inverse(size, None).xyxy(boxes[0].xyxy);
                let truth = sample(size).target.boxes.unwrap();
                for (got, want) in restored.iter().zip(truth[0].xyxy) {
                    assert!((got - want).abs() < 1e-3, "{step:?}: {restored:?}");
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
            match serde_json::from_str::<PreprocessStep>(&format!("{{\"{name}\": {{}}}}")) {
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
        let error =
            serde_json::from_str::<PreprocessStep>(r#"{"grayscale": {"probability": 0.1}}"#);
        assert!(error.unwrap_err().to_string().contains("probability"));
    }

    #[test]
    fn what_draws_is_refused_by_its_name() {
        for name in REFUSED {
            let text = format!(r#"{{"{}": {{}}}}"#, crate::names::kebab(name));
            let error = serde_json::from_str::<PreprocessStep>(&text).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("put it into `data.augment`"),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn a_mask_goes_there_and_back() {
        // 4x2 pixels as 8x4 in the middle of 8x8; of what is cut off nothing is known.
        let text = r#"[{"letterbox": {"width": 8, "height": 8}}]"#;
        let inverse =
            Preprocess::new(&serde_json::from_str::<Vec<_>>(text).unwrap()).inverse([4, 2], None);
        let found = Mask {
            width: 8,
            height: 8,
            classes: (0..64)
                .map(|at| (at % 8 / 2 + 10 * (at / 8 / 2)) as u8)
                .collect(),
        };
        let back = inverse.mask(&found, Mask::IGNORE);
        assert_eq!(back.classes, [10, 11, 12, 13, 20, 21, 22, 23]);
        let text = r#"[{"center-crop": {"width": 2, "height": 2}}]"#;
        let inverse = Preprocess::new(&serde_json::from_str::<Vec<_>>(text).unwrap())
            .inverse([4, 2], Some([4, 4]));
        let found = Mask {
            width: 4,
            height: 4,
            classes: (0..16)
                .map(|at| (at % 4 / 2 + 2 * (at / 8)) as u8)
                .collect(),
        };
        let back = inverse.mask(&found, Mask::IGNORE);
        assert_eq!(back.classes, [255, 0, 1, 255, 255, 2, 3, 255]);
        assert_eq!(InverseTransform::identity([4, 4]).mask(&found, 9), found);
    }
}
