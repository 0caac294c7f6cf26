//! COCO's truth and results files as boxes, so that any results file can be scored against any truth file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json::Json;
use super::{DetectedBox, ImageBoxes, TrueBox};
use crate::MetricError;

/// A category of a truth file; its position in [`CocoPair::categories`] is the class index here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CocoCategory {
    /// The id in the file; ids may have gaps.
    pub id: u64,
    /// Its name; empty where the file gives none.
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
    /// What was left out, in words.
    pub remarks: Vec<String>,
}

/// Reads the texts of a truth file (`images`, `annotations`, `categories`) and of a results file (a list of
/// `image_id`, `category_id`, `bbox`, `score`).
///
/// As in COCO's tool, detections of a category that the truth does not have are left out, with a remark; a detection in
/// an image that the truth does not have is an error, as are an annotation of an unknown image or category, ids that occur
/// twice, keys that do, and values of another kind. 5.0 is the same id as 5. A true box that is missing beside an outline
/// is the outline's bound. Keys beyond those of COCO are passed over.
///
/// # Errors
/// [`MetricError::File`] with the file, the entry as a JSON pointer (`/annotations/3/bbox`) and the value.
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
    } = whole(truth, TruthFile).map_err(parse("truth"))?;
    let results = whole(results, ResultsFile).map_err(parse("results"))?;
    let wrong = |file, message| Err(MetricError::File { file, message });

    let mut seen = HashMap::new();
    for (i, category) in categories.iter().enumerate() {
        if let Some(first) = seen.insert(category.id, i) {
            let id = category.id;
            let message =
                format!("/categories/{i}/id: {id} is the id of /categories/{first} already");
            return wrong("truth", message);
        }
    }
    categories.sort_by_key(|c| c.id);
    let classes: HashMap<u64, usize> = categories
        .iter()
        .enumerate()
        .map(|(i, c)| (c.id, i))
        .collect();
    let mut by_image: BTreeMap<u64, ImageBoxes> = BTreeMap::new();
    for (i, id) in images.iter().enumerate() {
        if by_image.insert(*id, ImageBoxes::default()).is_some() {
            let message = format!("/images/{i}/id: another image has the id {id} already");
            return wrong("truth", message);
        }
    }
    let mut ids = HashSet::new();
    for (i, a) in annotations.into_iter().enumerate() {
        if let Some(id) = a.id
            && !ids.insert(id)
        {
            let message =
                format!("/annotations/{i}/id: another annotation has the id {id} already");
            return wrong("truth", message);
        }
        let Some(image) = by_image.get_mut(&a.image_id) else {
            let id = a.image_id;
            return wrong(
                "truth",
                format!("/annotations/{i}/image_id: there is no image {id}"),
            );
        };
        let Some(&class) = classes.get(&a.category_id) else {
            let id = a.category_id;
            let message = format!("/annotations/{i}/category_id: there is no category {id}");
            return wrong("truth", message);
        };
        image.truth.push(TrueBox {
            bbox: a.bbox,
            class,
            area: a.area,
            crowd: a.crowd,
            difficult: false,
        });
    }
    let count = results.len();
    let mut unknown: BTreeMap<u64, usize> = BTreeMap::new();
    for (i, d) in results.into_iter().enumerate() {
        let Some(image) = by_image.get_mut(&d.image_id) else {
            let id = d.image_id;
            return wrong(
                "results",
                format!("/{i}/image_id: the truth has no image {id}"),
            );
        };
        match classes.get(&d.category_id) {
            Some(&class) => image.detected.push(DetectedBox {
                bbox: d.bbox,
                class,
                score: d.score,
            }),
            None => *unknown.entry(d.category_id).or_default() += 1,
        }
    }
    let left_out: usize = unknown.values().sum();
    let mut remarks = Vec::new();
    if left_out > 0 {
        let some = |ids: &mut dyn Iterator<Item = u64>| {
            let ids: Vec<String> = ids.take(12).map(|id| id.to_string()).collect();
            ids.join(", ")
        };
        let found = some(&mut unknown.keys().copied());
        let known = some(&mut categories.iter().map(|category| category.id));
        if left_out == count {
            return wrong(
                "results",
                format!(
                    "none of the {count} detections is of a category that the truth has: they are of {found}, the truth \
                     has {known}; the two files do not belong together"
                ),
            );
        }
        remarks.push(format!(
            "{left_out} of {count} detections are left out: the truth has no category {found} (it has {known})"
        ));
    }
    let (image_ids, images) = by_image.into_iter().unzip();
    Ok(CocoPair {
        images,
        image_ids,
        categories,
        remarks,
    })
}

/// Reads a text to its end.
fn whole<'de, S: DeserializeSeed<'de>>(text: &'de str, seed: S) -> serde_json::Result<S::Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

struct Truth {
    images: Vec<u64>,
    annotations: Vec<Annotation>,
    categories: Vec<CocoCategory>,
}

struct Annotation {
    id: Option<u64>,
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    area: Option<f64>,
    crowd: bool,
}

struct Detection {
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    score: f64,
}

/// An entry's keys, each asked for by name.
struct Keys<'a>(&'a [(String, Json)]);

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Json> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    }

    /// A value that must be there.
    fn need<T>(&self, key: &str, read: fn(&Json) -> Result<T, String>) -> Result<T, String> {
        let value = self.get(key).ok_or_else(|| format!("/{key} is missing"))?;
        read(value).map_err(|wrong| format!("/{key}: {wrong}"))
    }

    /// A value that may be missing.
    fn may<T>(&self, key: &str, read: fn(&Json) -> Result<T, String>) -> Result<Option<T>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(_) => self.need(key, read).map(Some),
        }
    }
}

fn image(keys: &Keys<'_>) -> Result<u64, String> {
    keys.need("id", Json::whole)
}

fn category(keys: &Keys<'_>) -> Result<CocoCategory, String> {
    let text = |value: &Json| match value {
        Json::Text(text) => Ok(text.clone()),
        other => Err(format!("{other} is no string")),
    };
    Ok(CocoCategory {
        id: keys.need("id", Json::whole)?,
        name: keys.may("name", text)?.unwrap_or_default(),
    })
}

fn annotation(keys: &Keys<'_>) -> Result<Annotation, String> {
    let area = |value: &Json| match value {
        Json::Null => Ok(None),
        value => match value.number()? {
            area if area >= 0.0 => Ok(Some(area)),
            area => Err(format!("{area} is no area")),
        },
    };
    let bbox = match keys.get("bbox") {
        None | Some(Json::Null) => outline(keys)?,
        Some(Json::List(values)) if values.is_empty() => outline(keys)?,
        Some(_) => keys.need("bbox", Json::bbox)?,
    };
    Ok(Annotation {
        id: keys.may("id", Json::whole)?,
        image_id: keys.need("image_id", Json::whole)?,
        category_id: keys.need("category_id", Json::whole)?,
        bbox,
        area: keys.may("area", area)?.flatten(),
        crowd: keys.may("iscrowd", Json::flag)?.unwrap_or(false),
    })
}

/// The bound of an outline of polygons, where no box is given.
fn outline(keys: &Keys<'_>) -> Result<[f64; 4], String> {
    let missing =
        || "/bbox is missing, and there is no outline of polygons to take it from".to_owned();
    let Some(Json::List(polygons)) = keys.get("segmentation") else {
        return Err(missing());
    };
    let [mut low, mut high] = [[f64::INFINITY; 2], [f64::NEG_INFINITY; 2]];
    for (i, polygon) in polygons.iter().enumerate() {
        let values = match polygon {
            Json::List(values) if values.len() >= 6 && values.len().is_multiple_of(2) => values,
            other => return Err(format!("/segmentation/{i}: {other} is no polygon")),
        };
        for (at, value) in values.iter().enumerate() {
            let wrong = |wrong| format!("/segmentation/{i}/{at}: {wrong}");
            let value = value.number().map_err(wrong)?;
            low[at % 2] = low[at % 2].min(value);
            high[at % 2] = high[at % 2].max(value);
        }
    }
    match polygons.is_empty() {
        true => Err(missing()),
        false => Ok([low[0], low[1], high[0] - low[0], high[1] - low[1]]),
    }
}

fn detection(keys: &Keys<'_>) -> Result<Detection, String> {
    if keys.get("bbox").is_none() && keys.get("segmentation").is_some() {
        return Err(
            "/bbox is missing; this is a result of masks, and boxes alone are scored".into(),
        );
    }
    Ok(Detection {
        image_id: keys.need("image_id", Json::whole)?,
        category_id: keys.need("category_id", Json::whole)?,
        bbox: keys.need("bbox", Json::bbox)?,
        score: keys.need("score", Json::number)?,
    })
}

/// A list of entries, each read as soon as it is parsed, so that a large file is never there as JSON as a whole.
struct Entries<T> {
    /// The list's own JSON pointer.
    at: &'static str,
    read: fn(&Keys<'_>) -> Result<T, String>,
}

impl<'de, T> DeserializeSeed<'de> for Entries<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T> Visitor<'de> for Entries<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            "" => f.write_str("a list of results"),
            at => write!(f, "a list at {at}"),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut read = Vec::new();
        while let Some(entry) = items.next_element::<Json>()? {
            let place = |wrong: String| {
                let colon = if wrong.starts_with('/') { "" } else { ": " };
                A::Error::custom(format!("{}/{}{colon}{wrong}", self.at, read.len()))
            };
            let keys = Keys(entry.entries().map_err(place)?);
            let place =
                |wrong: String| A::Error::custom(format!("{}/{}{wrong}", self.at, read.len()));
            let entry = (self.read)(&keys).map_err(place)?;
            read.push(entry);
        }
        Ok(read)
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Vec<T>, A::Error> {
        Err(A::Error::custom(match self.at {
            "" => "this is an object, as a truth file is; results are a list: are the two files exchanged?".into(),
            at => format!("{at}: this is an object, not a list"),
        }))
    }
}

struct ResultsFile;

impl<'de> DeserializeSeed<'de> for ResultsFile {
    type Value = Vec<Detection>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let entries = Entries {
            at: "",
            read: detection,
        };
        entries.deserialize(deserializer)
    }
}

struct TruthFile;

impl<'de> DeserializeSeed<'de> for TruthFile {
    type Value = Truth;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Truth, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TruthFile {
    type Value = Truth;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `images`, `annotations` and `categories`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Truth, A::Error> {
        Err(A::Error::custom(
            "this is a list, as a results file is; a truth is an object: are the two files exchanged?",
        ))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Truth, A::Error> {
        /// Reads a list that must not have been there before.
        fn once<'de, A: MapAccess<'de>, T>(
            map: &mut A,
            slot: &mut Option<Vec<T>>,
            entries: Entries<T>,
        ) -> Result<(), A::Error> {
            let at = entries.at;
            match slot.replace(map.next_value_seed(entries)?) {
                None => Ok(()),
                Some(_) => Err(A::Error::custom(format!("{at} is there twice"))),
            }
        }
        let (mut images, mut annotations, mut categories) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "images" => {
                    let (at, read) = ("/images", image as fn(&Keys<'_>) -> _);
                    once(&mut map, &mut images, Entries { at, read })?;
                }
                "annotations" => {
                    let (at, read) = ("/annotations", annotation as fn(&Keys<'_>) -> _);
                    once(&mut map, &mut annotations, Entries { at, read })?;
                }
                "categories" => {
                    let (at, read) = ("/categories", category as fn(&Keys<'_>) -> _);
                    once(&mut map, &mut categories, Entries { at, read })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let missing = |key: &str| A::Error::custom(format!("/{key} is missing"));
        Ok(Truth {
            images: images.ok_or_else(|| missing("images"))?,
            annotations: annotations.ok_or_else(|| missing("annotations"))?,
            categories: categories.ok_or_else(|| missing("categories"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: &str = r#"{"images": [{"id": 9}, {"id": 4}], "categories": [{"id": 7, "name": "cat"}],
        "annotations": [{"image_id": 9, "category_id": 7, "bbox": [1, 2, 3, 4], "iscrowd": 1}]}"#;
    const RESULTS: &str =
        r#"[{"image_id": 4, "category_id": 7, "bbox": [0, 0, 1, 1], "score": 0.5}]"#;

    #[test]
    fn reads_gaps_empty_images_and_unknown_categories() {
        let results = r#"[{"image_id": 4, "category_id": 7, "bbox": [0, 0, 1, 1], "score": 0.5},
            {"image_id": 4, "category_id": 8, "bbox": [0, 0, 1, 1], "score": 0.5}]"#;
        let pair = read_coco(TRUTH, results).unwrap();
        assert_eq!(pair.image_ids, [4, 9]);
        assert_eq!(pair.images[0].detected.len(), 1);
        assert!(pair.images[1].truth[0].crowd);
        assert_eq!(pair.categories[0].name, "cat");
        assert!(pair.remarks[0].contains("1 of 2") && pair.remarks[0].contains("no category 8"));
        let floats = results.replace("\"image_id\": 4,", "\"image_id\": 4.0,");
        assert_eq!(
            read_coco(&TRUTH.replace("1}", "true}"), &floats).unwrap(),
            pair
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |truth: &str, results: &str| read_coco(truth, results).unwrap_err().to_string();
        assert_eq!(
            error(TRUTH, &RESULTS.replace("4", "5")),
            "the results file: /0/image_id: the truth has no image 5"
        );
        assert!(error("{", "[]").starts_with("the truth file: EOF"));
        assert!(
            error(&TRUTH.replace("\"image_id\": 9", "\"image_id\": 8"), "[]")
                .contains("/annotations/0/image_id")
        );
        assert!(error(&TRUTH.replace("{\"id\": 4}", "{\"id\": 9}"), "[]").contains("the id 9"));
        // Files that do not belong together.
        assert!(error(RESULTS, TRUTH).contains("exchanged"));
        assert!(error(TRUTH, TRUTH).contains("exchanged"));
        assert!(error(TRUTH, &RESULTS.replace("7", "3")).contains("none of the 1 detections"));
        assert!(error(TRUTH, &format!("{RESULTS} x")).contains("trailing"));
        let masks = RESULTS.replace("\"bbox\": [0, 0, 1, 1]", "\"segmentation\": {}");
        assert!(error(TRUTH, &masks).contains("masks"));
    }

    /// Each field of every entry: missing, null, of other kinds, doubled; where it is not read, file and entry are named.
    #[test]
    fn every_field_is_read_or_refused_by_its_place() {
        let truth = |images: &str, categories: &str, annotations: &str| {
            format!(
                r#"{{"images": {images}, "categories": {categories}, "annotations": {annotations}}}"#
            )
        };
        let parts = |entry: &str| -> Vec<(String, String)> {
            let entry: Json = serde_json::from_str(entry).unwrap();
            let raw = |value: &Json| match value {
                Json::Text(text) => format!("{text:?}"),
                other => other.to_string(),
            };
            let entries = entry.entries().unwrap().iter();
            entries
                .map(|(key, value)| (key.clone(), raw(value)))
                .collect()
        };
        let image = r#"{"id": 4}"#;
        let category = r#"{"id": 7, "name": "cat"}"#;
        let annotation = r#"{"id": 1, "image_id": 4, "category_id": 7, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}"#;
        let detection = r#"{"image_id": 4, "category_id": 7, "bbox": [0, 0, 1, 1], "score": 0.5}"#;
        let (images, categories, annotations) = (
            format!("[{image}]"),
            format!("[{category}]"),
            format!("[{annotation}]"),
        );
        let read = |place: &str, entry: String| {
            let list = format!("[{entry}]");
            match place {
                "/images" => read_coco(&truth(&list, &categories, &annotations), RESULTS),
                "/categories" => read_coco(&truth(&images, &list, &annotations), RESULTS),
                "/annotations" => read_coco(&truth(&images, &categories, &list), RESULTS),
                _ => read_coco(&truth(&images, &categories, &annotations), &list),
            }
        };
        let optional = ["name", "id", "area", "iscrowd"];
        let mut refused = 0;
        for (place, entry) in [
            ("/images", image),
            ("/categories", category),
            ("/annotations", annotation),
            ("", detection),
        ] {
            assert!(read(place, entry.to_owned()).is_ok(), "{entry}");
            for (at, (key, _)) in parts(entry).iter().enumerate() {
                let with = |value: Option<&str>| {
                    let mut parts = parts(entry);
                    match value {
                        Some("twice") => parts.push(parts[at].clone()),
                        Some(value) => parts[at].1 = value.to_owned(),
                        None => drop(parts.remove(at)),
                    }
                    let parts = parts.iter().map(|(key, value)| format!("{key:?}: {value}"));
                    read(
                        place,
                        format!("{{{}}}", parts.collect::<Vec<_>>().join(", ")),
                    )
                };
                for value in [
                    None,
                    Some("twice"),
                    Some("null"),
                    Some("\"4\""),
                    Some("-1"),
                    Some("1.5"),
                    Some("1e400"),
                    Some("{}"),
                    Some("[]"),
                    Some("[1, 2, 3]"),
                    Some("[1, 2, -3, 4]"),
                    Some("[1, 2, \"3\", 4]"),
                    Some("[1, 2, null, 4]"),
                    Some("true"),
                    Some("1e30"),
                ] {
                    // These have one meaning.
                    let meant = match (place, key.as_str(), value) {
                        ("/images" | "/categories", "id", None) => false,
                        (_, key, None) => optional.contains(&key),
                        (_, "area", Some("null" | "1.5" | "1e30")) => true,
                        (_, "iscrowd", Some("true")) => true,
                        (_, "score", Some("-1" | "1.5" | "1e30")) => true,
                        (_, "name", Some("\"4\"")) => true,
                        _ => false,
                    };
                    match with(value) {
                        Ok(_) => assert!(meant, "{place} {key} {value:?} is taken"),
                        Err(error) => {
                            refused += 1;
                            let error = error.to_string();
                            assert!(!meant, "{place} {key} {value:?}: {error}");
                            // A number beyond all numbers is no JSON, and has a line and a column.
                            let place = format!("{place}/0");
                            assert!(
                                error.contains(&place) || value == Some("1e400"),
                                "{key} {value:?}: {error}"
                            );
                            assert!(
                                error.contains(key) || value == Some("1e400"),
                                "{value:?}: {error}"
                            );
                        }
                    }
                }
            }
        }
        assert!(refused > 100, "{refused}");
    }

    #[test]
    fn a_box_that_is_missing_is_its_outlines_bound() {
        let outline = "\"bbox\": null, \"segmentation\": [[1, 2, 4, 2, 4, 6], [2, 3, 3, 3, 3, 7]]";
        let truth = TRUTH.replace("\"bbox\": [1, 2, 3, 4]", outline);
        let pair = read_coco(&truth, "[]").unwrap();
        assert_eq!(pair.images[1].truth[0].bbox, [1.0, 2.0, 3.0, 5.0]);
        let error = read_coco(&truth.replace("[2, 3, 3, 3, 3, 7]", "[2, 3]"), "[]").unwrap_err();
        assert!(error.to_string().contains("/annotations/0/segmentation/1"));
    }

    #[test]
    fn lists_of_a_truth_are_there_once() {
        for key in ["images", "annotations", "categories"] {
            let other = TRUTH.replace(&format!("\"{key}\":"), "\"other\":");
            let error = read_coco(&other, "[]").unwrap_err().to_string();
            assert!(error.contains(&format!("/{key} is missing")), "{error}");
            let twice = TRUTH.replacen('{', &format!("{{\"{key}\": [], "), 1);
            let error = read_coco(&twice, "[]").unwrap_err().to_string();
            assert!(error.contains(&format!("/{key} is there twice")), "{error}");
            let null = TRUTH.replacen('{', &format!("{{\"{key}\": null, "), 1);
            assert!(read_coco(&null, "[]").is_err());
        }
    }
}
