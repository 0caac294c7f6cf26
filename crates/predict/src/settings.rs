//! How a trained segmenter sees images.

use firesight_data::augment::MAX_SIDE;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// How a trained segmenter sees images, when it predicts and when it is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PredictConfig {
    /// The windows that larger images are seen through; whole images at once if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<SlidingWindow>,
    /// Test-time augmentation: several views of an image, averaged.
    pub tta: Tta,
}

/// The keys of today, and those that the recipes of older runs hold.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Stored {
    sliding_window: Option<SlidingWindow>,
    tta: Option<Tta>,
    tile: Option<usize>,
    overlap: Option<f64>,
    flip: Option<bool>,
    turn: Option<bool>,
    scales: Option<Vec<f64>>,
}

impl<'de> Deserialize<'de> for PredictConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let (windows, tta) = (stored.sliding_window.is_some(), stored.tta.is_some());
        for (old, new, twice) in [
            (
                "tile",
                "sliding-window.size",
                stored.tile.is_some() && windows,
            ),
            (
                "overlap",
                "sliding-window.overlap",
                stored.overlap.is_some() && windows,
            ),
            ("flip", "tta.flip", stored.flip.is_some() && tta),
            ("turn", "tta.rotate", stored.turn.is_some() && tta),
            ("scales", "tta.scales", stored.scales.is_some() && tta),
        ] {
            if twice {
                return Err(D::Error::custom(format!(
                    "`{old}` is what `{new}` was called: remove one of them"
                )));
            }
        }
        let overlap = stored.overlap.unwrap_or(quarter());
        let old = stored.tile.map(|size| SlidingWindow { size, overlap });
        let tta = stored.tta.unwrap_or_default();
        Ok(Self {
            sliding_window: stored.sliding_window.or(old),
            tta: Tta {
                flip: stored.flip.unwrap_or(tta.flip),
                rotate: stored.turn.unwrap_or(tta.rotate),
                scales: stored.scales.unwrap_or(tta.scales),
            },
        })
    }
}

/// Windows that slide over an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SlidingWindow {
    /// The side of a window in pixels.
    pub size: usize,
    /// The share of a window that overlaps the next, 0 to 0.95; windows are blended there.
    #[serde(default = "quarter")]
    pub overlap: f64,
}

fn quarter() -> f64 {
    0.25
}

impl SlidingWindow {
    /// Windows of a side in pixels that overlap by a quarter.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            overlap: quarter(),
        }
    }
}

/// Test-time augmentation: several views of an image, averaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Tta {
    /// Whether the mirrored image is seen too.
    pub flip: bool,
    /// Whether the image is seen turned by 90, 180 and 270 degrees too; with `flip`, in the eight symmetries of a square.
    pub rotate: bool,
    /// The scales that the image is seen at.
    pub scales: Vec<f64>,
}

impl Default for Tta {
    fn default() -> Self {
        Self {
            flip: false,
            rotate: false,
            scales: vec![1.0],
        }
    }
}

impl PredictConfig {
    /// Whether an image is seen once, as it is.
    pub fn is_single(&self) -> bool {
        self.sliding_window.is_none() && self.tta == Tta::default()
    }

    /// What is wrong with the values: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if let Some(SlidingWindow { size, overlap }) = self.sliding_window {
            if !(1..=MAX_SIDE).contains(&size) {
                let message =
                    format!("a window of {size} pixels; from 1 to {MAX_SIDE} are possible");
                problems.push(("sliding-window.size".into(), message));
            }
            if !(0.0..=0.95).contains(&overlap) {
                let message = format!("{overlap} is out of range; give 0 or more, at most 0.95");
                problems.push(("sliding-window.overlap".into(), message));
            }
        }
        let scales = &self.tta.scales;
        let fits = |scale: &f64| (0.1..=8.0).contains(scale);
        if scales.is_empty() || scales.len() > 64 || !scales.iter().all(fits) {
            let message = "give 1 to 64 scales, each from 0.1 to 8".to_string();
            problems.push(("tta.scales".into(), message));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_older_runs_are_read() {
        let read = |text: &str| serde_json::from_str::<PredictConfig>(text).unwrap();
        let old =
            r#"{"tile": 96, "overlap": 0.5, "flip": true, "turn": false, "scales": [1.0, 2.0]}"#;
        let new = r#"{"sliding-window": {"size": 96, "overlap": 0.5}, "tta": {"flip": true, "scales": [1.0, 2.0]}}"#;
        assert_eq!(read(old), read(new));
        assert_eq!(
            read(r#"{"overlap": 0.25, "flip": false}"#),
            PredictConfig::default()
        );
    }

    #[test]
    fn what_is_said_under_both_names_is_refused() {
        for (text, expected) in [
            (
                r#"{"tile": 96, "sliding-window": {"size": 64}}"#,
                "`tile` is what `sliding-window.size`",
            ),
            (
                r#"{"overlap": 0.5, "sliding-window": {"size": 64}}"#,
                "`overlap` is what `sliding-window.overlap`",
            ),
            (
                r#"{"flip": true, "tta": {"rotate": true}}"#,
                "`flip` is what `tta.flip`",
            ),
            (
                r#"{"tta": {}, "turn": true}"#,
                "`turn` is what `tta.rotate`",
            ),
            (
                r#"{"tta": {}, "scales": [1.0]}"#,
                "`scales` is what `tta.scales`",
            ),
        ] {
            let found = serde_json::from_str::<PredictConfig>(text)
                .unwrap_err()
                .to_string();
            assert!(found.starts_with(expected), "{text}: {found}");
        }
    }

    #[test]
    fn settings_of_prediction_are_checked() {
        let config = PredictConfig {
            sliding_window: Some(SlidingWindow {
                size: 0,
                overlap: 1.0,
            }),
            tta: Tta {
                scales: Vec::new(),
                ..Tta::default()
            },
        };
        let keys: Vec<_> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "sliding-window.size",
                "sliding-window.overlap",
                "tta.scales"
            ]
        );
        assert!(PredictConfig::default().problems().is_empty());
    }
}
