//! COCO's truth and results files as boxes, so that any results file can be scored against any truth file.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::{DetectedBox, ImageBoxes, TrueBox};
use crate::MetricError;

/// A category of a truth file; its position in [`CocoPair::categories`] is the class index here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CocoCategory {
    /// The id in the file; ids may have gaps.
    pub id: u64,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A truth file and a results file put together.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoPair {
    /// By image id.
    pub images: Vec<ImageBoxes>,
    /// The id of each image.
    pub image_ids: Vec<u64>,
    /// By id.
    pub categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct Truth {
    images: Vec<ImageEntry>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct ImageEntry {
    id: u64,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    area: Option<f64>,
    #[serde(default)]
    iscrowd: Flag,
}

/// COCO writes 0 and 1, others write booleans.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Flag {
    #[default]
    Absent,
    Number(u8),
    Bool(bool),
}

impl Flag {
    fn is_set(&self) -> bool {
        matches!(self, Flag::Number(1..) | Flag::Bool(true))
    }
}

#[derive(Deserialize)]
struct Detection {
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    score: f64,
}

/// Reads the texts of a truth file (`images`, `annotations`, `categories`) and of a results file (a list of
/// `image_id`, `category_id`, `bbox`, `score`).
///
/// As in COCO's tool, detections of a category that the truth does not have are left out; a detection in an image that
/// the truth does not have is an error, as are an annotation of an unknown image or category, and ids that
/// occur twice.
pub fn read_coco(truth: &str, results: &str) -> Result<CocoPair, MetricError> {
    let parse = |file: &'static str| {
        move |e: serde_json::Error| MetricError::File {
            file,
            message: e.to_string(),
        }
    };
    let Truth {
        images,
        annotations,
        mut categories,
    } = serde_json::from_str(truth).map_err(parse("truth"))?;
    let results: Vec<Detection> = serde_json::from_str(results).map_err(parse("results"))?;
    let wrong = |file, message| Err(MetricError::File { file, message });

    categories.sort_by_key(|c| c.id);
    let classes: HashMap<u64, usize> = categories
        .iter()
        .enumerate()
        .map(|(i, c)| (c.id, i))
        .collect();
    if classes.len() < categories.len() {
        return wrong("truth", "two categories have the same id".into());
    }
    let mut by_image: BTreeMap<u64, ImageBoxes> = BTreeMap::new();
    let mut seen = HashSet::new();
    for image in &images {
        if !seen.insert(image.id) {
            return wrong("truth", format!("two images have the id {}", image.id));
        }
        by_image.insert(image.id, ImageBoxes::default());
    }
    for (i, a) in annotations.into_iter().enumerate() {
        let Some(image) = by_image.get_mut(&a.image_id) else {
            return wrong(
                "truth",
                format!("/annotations/{i}: there is no image {}", a.image_id),
            );
        };
        let Some(&class) = classes.get(&a.category_id) else {
            return wrong(
                "truth",
                format!("/annotations/{i}: there is no category {}", a.category_id),
            );
        };
        let crowd = a.iscrowd.is_set();
        image.truth.push(TrueBox {
            bbox: a.bbox,
            class,
            area: a.area,
            crowd,
            difficult: false,
        });
    }
    for (i, d) in results.into_iter().enumerate() {
        let Some(image) = by_image.get_mut(&d.image_id) else {
            return wrong(
                "results",
                format!("/{i}: the truth has no image {}", d.image_id),
            );
        };
        if let Some(&class) = classes.get(&d.category_id) {
            image.detected.push(DetectedBox {
                bbox: d.bbox,
                class,
                score: d.score,
            });
        }
    }
    let (image_ids, images) = by_image.into_iter().unzip();
    Ok(CocoPair {
        images,
        image_ids,
        categories,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: &str = r#"{"images": [{"id": 9}, {"id": 4}], "categories": [{"id": 7, "name": "cat"}],
        "annotations": [{"image_id": 9, "category_id": 7, "bbox": [1, 2, 3, 4], "iscrowd": 1}]}"#;

    #[test]
    fn reads_gaps_empty_images_and_unknown_categories() {
        let results = r#"[{"image_id": 4, "category_id": 7, "bbox": [0, 0, 1, 1], "score": 0.5},
            {"image_id": 4, "category_id": 8, "bbox": [0, 0, 1, 1], "score": 0.5}]"#;
        let pair = read_coco(TRUTH, results).unwrap();
        assert_eq!(pair.image_ids, [4, 9]);
        assert_eq!(pair.images[0].detected.len(), 1);
        assert!(pair.images[1].truth[0].crowd);
        assert_eq!(pair.categories[0].name, "cat");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let detection =
            r#"[{"image_id": 5, "category_id": 7, "bbox": [0, 0, 1, 1], "score": 0.5}]"#;
        let error = |truth: &str, results: &str| read_coco(truth, results).unwrap_err().to_string();
        assert_eq!(
            error(TRUTH, detection),
            "the results file: /0: the truth has no image 5"
        );
        assert!(error("{", "[]").starts_with("the truth file: EOF"));
        assert!(error(TRUTH, r#"[{"image_id": 4}]"#).contains("missing field"));
        assert!(
            error(&TRUTH.replace("\"image_id\": 9", "\"image_id\": 8"), "[]")
                .contains("/annotations/0")
        );
        assert!(error(&TRUTH.replace("{\"id\": 4}", "{\"id\": 9}"), "[]").contains("the id 9"));
    }
}
