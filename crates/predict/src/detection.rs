//! Finding objects with a trained model.

use firesight_data::augment::Preparation;
use firesight_data::geometry::Map;
use firesight_data::sample::Image;
use firesight_models::detection::{Detector, Postprocess};
use serde::Serialize;

use crate::error::PredictError;
use crate::model::Model;
use crate::predictor::Predictor;

/// An object that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// `x1 y1 x2 y2` in pixels of the original image.
    pub xyxy: [f32; 4],
    /// Class index.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// From 0 to 1.
    pub score: f32,
}

impl Predictor {
    /// The detector.
    ///
    /// # Errors
    /// A model of another task.
    pub fn detector(&self) -> Result<&Detector, PredictError> {
        let Model::Detector(model) = &self.model else {
            return Err(self.other_task());
        };
        Ok(model)
    }

    /// Finds the objects in images; for each, the best first. `choice` stands for the recipe's thresholds.
    ///
    /// # Errors
    /// An image that cannot be prepared, weights that give no numbers.
    pub fn detect(
        &self,
        images: Vec<Image>,
        choice: Option<&Postprocess>,
    ) -> Result<Vec<Vec<Found>>, PredictError> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let model = self.detector()?;
        for image in &images {
            self.check(image)?;
        }
        let size = [self.card.width, self.card.height];
        let back: Vec<Back> = images
            .iter()
            .map(|image| Back::new(&self.prepare, [image.width, image.height], Some(size)))
            .collect();
        let output = model.forward(self.batch(images)?);
        let choice = choice.unwrap_or(model.postprocess());
        let found = model.detections(&output, [self.card.height, self.card.width], choice)?;
        let named = found.into_iter().zip(back).map(|(found, back)| {
            let object = |d: firesight_models::detection::Detection| Found {
                xyxy: back.restore(d.xyxy),
                class: d.class,
                name: self.card.classes[d.class].clone(),
                score: d.score,
            };
            found.into_iter().map(object).collect()
        });
        Ok(named.collect())
    }
}

/// The way back from a prepared image to the original one.
pub struct Back {
    map: Option<Map>,
    size: [f32; 2],
}

impl Back {
    /// None: boxes of an image of `[width, height]` stay where they are, clipped to it.
    pub fn none(size: [usize; 2]) -> Self {
        Self {
            map: None,
            size: size.map(|side| side as f32),
        }
    }

    /// For an original image of `[width, height]`; what comes after its preparation, to `then` (width and height), is a
    /// plain resizing.
    pub fn new(prepare: &Preparation, size: [usize; 2], then: Option<[usize; 2]>) -> Self {
        let plan = prepare.plan(size);
        let (mut map, at) = (plan.map(), plan.size());
        if let Some(to) = then.filter(|to| *to != at) {
            let factor = |i: usize| to[i] as f64 / at[i].max(1) as f64;
            map = map.then(&Map::scaling(factor(0), factor(1)));
        }
        Self {
            map: map.inverse(),
            size: size.map(|side| side as f32),
        }
    }

    /// A box in pixels of the original image, clipped to it.
    pub fn restore(&self, xyxy: [f32; 4]) -> [f32; 4] {
        let moved = self.map.and_then(|map| map.hull(xyxy.map(f64::from)));
        let [x1, y1, x2, y2] = moved.map_or(xyxy, |hull| hull.map(|v| v as f32));
        let [w, h] = self.size;
        [
            x1.clamp(0.0, w),
            y1.clamp(0.0, h),
            x2.clamp(0.0, w),
            y2.clamp(0.0, h),
        ]
    }
}
