//! The mean of two pictures.

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Combination, Settings, fitted, laid, of_two_kinds};
use crate::error::DataError;
use crate::random::{beta, coin};
use crate::sample::{Image, Sample, Value, with_images};

/// The weighted mean of two pictures with the objects of both (Zhang et al., "Bag of Freebies for Training Object
/// Detection Neural Networks", 2019). The other picture is resized to fit this one and stands in its middle. A class
/// mask is that of the picture with the larger share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MixupBoxes {
    /// How many of the samples are mixed, from 0 to 1.
    pub probability: f64,
    /// The share of this picture is drawn from Beta(alpha, alpha); above 0.
    pub alpha: f64,
    /// Red, green and blue around the other picture; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for MixupBoxes {
    fn default() -> Self {
        MixupBoxes {
            probability: 0.5,
            alpha: 32.0,
            fill: [114; 3],
        }
    }
}

impl Combination for MixupBoxes {
    fn partners(&self, rng: &mut ChaCha8Rng) -> usize {
        usize::from(coin(rng, self.probability))
    }

    fn combine(
        &self,
        mut sample: Sample,
        partners: Vec<Sample>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Sample, DataError> {
        let frame = sample.image.size();
        for partner in partners {
            if sample.target.boxes.is_none() || partner.target.boxes.is_none() {
                let reason = "needs pictures with boxes; take the entry out";
                return Err(DataError::setting("combine.mixup", reason));
            }
            let share = beta(rng, self.alpha);
            let [w, h] = fitted(partner.image.size(), frame, 1.0);
            let middle = |side: usize, of: usize| (of as i64 - side as i64) / 2;
            let at = [middle(w, frame[0]), middle(h, frame[1])];
            let partner = laid(partner, [w, h], at, frame, self.fill)?;
            with_images!(
                &mut sample.image, &partner.image,
                (own, other) => mix(own, other, share),
                else return Err(of_two_kinds())
            );
            if share < 0.5 {
                sample.target.mask = sample.target.mask.and(partner.target.mask);
            }
            let boxes = sample.target.boxes.get_or_insert_default();
            boxes.extend(partner.target.boxes.into_iter().flatten());
        }
        Ok(sample)
    }

    fn problems(&self) -> Vec<(String, String)> {
        let mut settings = Settings(Vec::new()).share("probability", self.probability);
        if !(self.alpha > 0.0 && self.alpha <= 1e3) {
            let message = format!("{} is not above 0 and at most 1000", self.alpha);
            settings.0.push(("alpha".into(), message));
        }
        settings.0
    }
}

/// The weighted mean of two images of a size.
fn mix<T: Value>(image: &mut Image<T>, other: &Image<T>, share: f64) {
    for (own, other) in image.pixels.iter_mut().zip(&other.pixels) {
        let [a, b] = [*own, *other].map(|value| f64::from(value.into()));
        *own = T::nearest(a * share + b * (1.0 - share));
    }
}
