//! What the readers of annotated objects share: boxes that cannot be true, and what to do about them.
//!
//! ```
//! use firesight_data::datasets::objects::FaultyBoxes;
//! use firesight_data::datasets::voc::VocConfig;
//!
//! let config: VocConfig = serde_json::from_str(r#"{"path": "voc", "faulty-boxes": "repair"}"#)?;
//! assert_eq!(config.faulty_boxes, FaultyBoxes::Repair);
//! assert_eq!(VocConfig::default().faulty_boxes, FaultyBoxes::Refuse);
//! # Ok::<(), serde_json::Error>(())
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do about a box that is inverted, has no area, leaves the image, or is no number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultyBoxes {
    /// The image is bad: it counts against `max-bad`.
    #[default]
    Refuse,
    /// The box is clipped to the image, and left out where nothing of it remains. `check` still names it.
    Repair,
}

/// Why a box cannot be true of an image of `[width, height]`, if it cannot.
pub(super) fn fault([x1, y1, x2, y2]: [f64; 4], [width, height]: [usize; 2]) -> Option<String> {
    if ![x1, y1, x2, y2].iter().all(|edge| edge.is_finite()) {
        return Some("a coordinate is not a finite number".into());
    }
    if x2 < x1 || y2 < y1 {
        return Some("the box is inverted".into());
    }
    if x2 == x1 || y2 == y1 {
        return Some("the box has no area".into());
    }
    // Half a pixel is what tools round away.
    let out = x1 < -0.5 || y1 < -0.5 || x2 > width as f64 + 0.5 || y2 > height as f64 + 0.5;
    out.then(|| format!("the box leaves the image of {width}x{height} pixels"))
}

/// The box inside the image; `None` where nothing of it remains.
pub(super) fn clipped([x1, y1, x2, y2]: [f64; 4], [width, height]: [usize; 2]) -> Option<[f32; 4]> {
    let (w, h) = (width as f64, height as f64);
    let inside = [
        x1.clamp(0.0, w),
        y1.clamp(0.0, h),
        x2.clamp(0.0, w),
        y2.clamp(0.0, h),
    ]
    .map(|v| v as f32);
    let [x1, y1, x2, y2] = inside;
    // Comparisons with NaN are false, so that it never passes.
    (x1 < x2 && y1 < y2).then_some(inside)
}
