//! The rows of a label file: `class x y width height`, or `class x1 y1 x2 y2 x3 y3 ..` for a polygon, in shares of the
//! picture's size.

use std::collections::HashMap;

use super::super::annotated::{Object, Read, Shape};

/// Shares beyond this are pixels that were taken for shares.
const FAR: f64 = 2.0;

/// What a label file says.
#[derive(Default)]
pub(super) struct Rows {
    pub objects: Vec<Read>,
    /// Lines of which each is the same as one above it, and is read once.
    pub repeated: Vec<u32>,
    /// The first line of which the keypoints are not read.
    pub keypoints: Option<u32>,
}

/// Reads the rows of a file. `keypoints` is how many numbers follow a box, where the dataset has keypoints.
pub(super) fn rows(text: &str, classes: usize, keypoints: Option<usize>) -> Rows {
    let mut rows = Rows::default();
    let mut seen: HashMap<Vec<u32>, u32> = HashMap::new();
    for (at, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let object = match numbers(line).and_then(|row| row_class(&row, classes).map(|c| (row, c)))
        {
            Ok((row, class)) => {
                let bits = row.iter().map(|value| (*value as f32).to_bits()).collect();
                if let std::collections::hash_map::Entry::Vacant(entry) = seen.entry(bits) {
                    entry.insert(at);
                } else {
                    rows.repeated.push(at);
                    continue;
                }
                if keypoints.is_some() {
                    rows.keypoints.get_or_insert(at);
                }
                shape(&row[1..], keypoints).map(|shape| Object {
                    class,
                    shape,
                    difficult: false,
                    at,
                })
            }
            Err(reason) => Err(reason),
        };
        rows.objects.push(Read { at, object });
    }
    rows
}

/// The numbers of a row.
fn numbers(line: &str) -> Result<Vec<f64>, String> {
    let number = |(column, word): (usize, &str)| {
        let value = word.parse::<f64>().ok().filter(|value| value.is_finite());
        value.ok_or_else(|| match column {
            0 if !word.contains(',') => format!("the class is `{word}`, not a number from 0"),
            _ if word.contains(',') => {
                "commas in it; the numbers of a row are parted by spaces".into()
            }
            _ => format!("`{word}` is not a number"),
        })
    };
    line.split_whitespace().enumerate().map(number).collect()
}

fn row_class(row: &[f64], classes: usize) -> Result<usize, String> {
    match row[0] {
        class if class.fract() != 0.0 || class < 0.0 => {
            Err(format!("the class is {class}, not a whole number from 0"))
        }
        class if class >= classes as f64 => Err(format!(
            "class {class}: there are {classes} classes, numbered from 0"
        )),
        class => Ok(class as usize),
    }
}

/// What follows the class.
fn shape(values: &[f64], keypoints: Option<usize>) -> Result<Shape, String> {
    if let Some(far) = values[..values.len().min(4)]
        .iter()
        .find(|value| value.abs() > FAR)
    {
        return Err(format!(
            "{far} is no share of the picture's size, from 0 to 1; are these pixels?"
        ));
    }
    let count = values.len() + 1;
    match (keypoints, values) {
        (Some(more), [cx, cy, w, h, ..]) if values.len() == 4 + more => {
            Ok(from_center([*cx, *cy, *w, *h]))
        }
        (Some(more), _) => Err(format!(
            "{count} numbers; a class, a box and `kpt_shape` are {}",
            5 + more
        )),
        (None, &[cx, cy, w, h]) => Ok(from_center([cx, cy, w, h])),
        (None, [_, _, _, _, _]) => Err(
            "6 numbers; a box is `class x y width height`: is the last one a confidence?".into(),
        ),
        (None, points) if points.len() >= 6 && points.len() % 2 == 0 => {
            Ok(Shape::Polygons(vec![points.to_vec()]))
        }
        (None, _) => Err(format!(
            "{count} numbers; a row is `class x y width height`, or `class x1 y1 x2 y2 x3 y3 ..` for a polygon"
        )),
    }
}

fn from_center([cx, cy, w, h]: [f64; 4]) -> Shape {
    Shape::Box([cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0])
}
