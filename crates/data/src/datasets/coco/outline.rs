//! An object's outline: polygons, or lengths of runs that alternate between outside and inside, column by column.

use serde::de::{MapAccess, SeqAccess};

use super::value::{Any, Context, Plain, Take, Value, keys};

/// Where an object is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outline {
    /// Polygons `x y x y ..` of at least three points each.
    Polygons(Vec<Vec<f64>>),
    /// Lengths of runs and the size `[width, height]` of the image that they are of.
    Runs { counts: Vec<u32>, size: [usize; 2] },
}

/// What stands for `segmentation`.
#[derive(Debug, PartialEq)]
pub(super) enum Field {
    /// Nothing: no key, null, or an empty list.
    Absent,
    /// Something that is no outline: what.
    Wrong(Box<str>),
    /// An outline, and what is to be said of how it was read.
    Given {
        outline: Outline,
        aside: Option<String>,
    },
}

impl Outline {
    /// The smallest box `x1 y1 x2 y2` around it; `None` where there is nothing in it.
    pub fn bound(&self) -> Option<[f64; 4]> {
        let mut bound = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
        let mut widen = |[x1, y1, x2, y2]: [f64; 4]| {
            let [left, top, right, bottom] = bound;
            bound = [left.min(x1), top.min(y1), right.max(x2), bottom.max(y2)];
        };
        match self {
            Self::Polygons(polygons) => {
                let points = polygons.iter().flat_map(|polygon| polygon.chunks_exact(2));
                points.for_each(|point| widen([point[0], point[1], point[0], point[1]]));
            }
            Self::Runs { counts, size } => {
                let height = size[1];
                for (from, to) in inside(counts) {
                    let (first, last) = (from / height, (to - 1) / height);
                    let (top, bottom) = match first == last {
                        true => (from % height, (to - 1) % height),
                        false => (0, height - 1),
                    };
                    let edges = [first, top, last + 1, bottom + 1];
                    widen(edges.map(|edge| edge as f64));
                }
            }
        }
        (bound[0] <= bound[2]).then_some(bound)
    }

    /// Whether each pixel of an image of `[width, height]` is covered, row by row. A polygon covers the pixels whose
    /// centers lie inside it (even-odd).
    ///
    /// # Errors
    /// Runs for an image of another size.
    pub fn covered(&self, [width, height]: [usize; 2]) -> Result<Vec<bool>, String> {
        let mut covered = vec![false; width * height];
        match self {
            Self::Polygons(polygons) => {
                for polygon in polygons {
                    fill(polygon, [width, height], &mut covered);
                }
            }
            Self::Runs { counts, size } => {
                if *size != [width, height] {
                    let [w, h] = size;
                    return Err(format!(
                        "its run lengths are for {w}x{h} pixels, the image has {width}x{height}"
                    ));
                }
                for (from, to) in inside(counts) {
                    (from..to).for_each(|i| covered[i % height * width + i / height] = true);
                }
            }
        }
        Ok(covered)
    }

    /// Bytes that identify it.
    pub fn identity(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Polygons(polygons) => {
                for polygon in polygons {
                    bytes.extend((polygon.len() as u64).to_le_bytes());
                    polygon.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
                }
            }
            Self::Runs { counts, size } => {
                size.iter()
                    .for_each(|v| bytes.extend((*v as u64).to_le_bytes()));
                counts.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
            }
        }
    }
}

/// The runs that lie inside, from one pixel to the one after their last.
fn inside(counts: &[u32]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    let runs = counts.iter().enumerate().map(move |(number, count)| {
        let from = at;
        at += *count as usize;
        (number, from, at)
    });
    runs.filter(|(number, from, to)| number % 2 == 1 && from < to)
        .map(|(_, from, to)| (from, to))
}

/// Marks the pixels whose centers lie inside a polygon `x y x y ..`.
fn fill(polygon: &[f64], [width, height]: [usize; 2], covered: &mut [bool]) {
    let corners: Vec<(f64, f64)> = polygon.chunks_exact(2).map(|p| (p[0], p[1])).collect();
    let top = corners
        .iter()
        .map(|corner| corner.1)
        .fold(f64::MAX, f64::min);
    let bottom = corners
        .iter()
        .map(|corner| corner.1)
        .fold(f64::MIN, f64::max);
    // Casts of negative numbers give 0.
    let rows = (top.floor() as usize).min(height)..(bottom.ceil() as usize).min(height);
    let mut crossings = Vec::new();
    for row in rows {
        let line = &mut covered[row * width..][..width];
        let y = row as f64 + 0.5;
        crossings.clear();
        for (i, &(x1, y1)) in corners.iter().enumerate() {
            let (x2, y2) = corners[(i + 1) % corners.len()];
            if (y1 <= y) != (y2 <= y) {
                crossings.push(x1 + (y - y1) / (y2 - y1) * (x2 - x1));
            }
        }
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            // The first center at or right of an edge; negative numbers become 0.
            let [from, to] = [pair[0], pair[1]].map(|x| ((x - 0.5).ceil() as usize).min(width));
            line[from..to].fill(true);
        }
    }
}

/// COCO's packed runs: groups of five bits from the lowest, in letters from `0` on, the sixth bit saying that more
/// follow; from the fourth on each is a difference to the one two before.
fn unpack(text: &str) -> Result<Vec<u32>, String> {
    let mut counts: Vec<i64> = Vec::new();
    let mut letters = text.bytes();
    while let Some(first) = letters.next() {
        let (mut value, mut shift, mut letter) = (0i64, 0u32, first);
        loop {
            let bits = i64::from(letter) - 48;
            if !(0..64).contains(&bits) || shift > 50 {
                return Err("run lengths that are not packed as COCO packs them".into());
            }
            value |= (bits & 31) << shift;
            shift += 5;
            if bits & 32 == 0 {
                if bits & 16 != 0 {
                    value |= -1 << shift;
                }
                break;
            }
            letter = letters
                .next()
                .ok_or("run lengths that end in the middle of a number")?;
        }
        if counts.len() > 2 {
            value += counts[counts.len() - 2];
        }
        // Checked at once, so that no sum of differences can overflow.
        if u32::try_from(value).is_err() {
            return Err(format!("a run of {value} pixels"));
        }
        counts.push(value);
    }
    Ok(counts.into_iter().map(|count| count as u32).collect())
}

/// Reads `segmentation`.
pub(super) struct Segmentation<'a>(pub &'a Context);

impl<'de> Take<'de> for Segmentation<'_> {
    type Out = Field;

    fn value(self, value: Value) -> Field {
        match value {
            Value::Null => Field::Absent,
            value => wrong(format!(
                "is {value}, neither a list of polygons nor run lengths"
            )),
        }
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field, A::Error> {
        let (mut flat, mut pieces, mut fault) = (Vec::new(), Vec::new(), None);
        let mut number = 0;
        while let Some(element) = list.next_element_seed(Any(Element))? {
            match element {
                Part::Number(value) => flat.push(value),
                Part::Piece(piece) => pieces.push(piece),
                Part::Wrong(reason) => {
                    fault.get_or_insert(format!("element {number} {reason}"));
                }
            }
            number += 1;
        }
        if let Some(reason) = fault {
            return Ok(wrong(reason));
        }
        if !flat.is_empty() {
            if !pieces.is_empty() {
                return Ok(wrong("mixes numbers and lists of numbers"));
            }
            // One polygon that is not put into a list of its own.
            pieces.push(flat);
        }
        if pieces.iter().all(Vec::is_empty) {
            return Ok(Field::Absent);
        }
        if let Some(odd) = pieces.iter().find(|piece| piece.len() % 2 == 1) {
            return Ok(wrong(format!(
                "has a polygon of {} numbers, which are no pairs x y",
                odd.len()
            )));
        }
        if pieces.len() > 2 && pieces.iter().all(|piece| piece.len() == 2) {
            return Ok(wrong(
                "is a list of points; a polygon is one list x y x y .. in the list of polygons",
            ));
        }
        let all = pieces.len();
        pieces.retain(|piece| piece.len() >= 6);
        let aside = match all - pieces.len() {
            0 => None,
            1 => Some("a piece of fewer than three points is passed over".into()),
            short => Some(format!(
                "{short} pieces of fewer than three points are passed over"
            )),
        };
        Ok(match pieces.is_empty() {
            true => wrong("has no polygon of three points or more"),
            false => Field::Given {
                outline: Outline::Polygons(pieces),
                aside,
            },
        })
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<Field, A::Error> {
        let (mut counts, mut size) = (None, None);
        let met = keys(self.0, [&["counts", "size"], &[]], object, |key, object| {
            match key {
                0 => counts = Some(object.next_value_seed(Any(Counts))?),
                _ => size = Some(object.next_value_seed(Any(Element))?),
            }
            Ok(())
        })?;
        Ok(match runs(counts, size, met.twice) {
            Ok((outline, aside)) => Field::Given { outline, aside },
            Err(reason) => wrong(reason),
        })
    }
}

fn wrong(reason: impl Into<String>) -> Field {
    Field::Wrong(reason.into().into())
}

/// The outline that run lengths give, and what is to be said of it. Runs that end before their size does leave the rest
/// outside, as pycocotools has it.
fn runs(
    counts: Option<Result<Vec<u32>, String>>,
    size: Option<Part>,
    twice: Vec<&str>,
) -> Result<(Outline, Option<String>), String> {
    if let Some(key) = twice.first() {
        return Err(format!("has two `{key}`"));
    }
    let counts = counts.ok_or("is an object without `counts`")??;
    let size = match size.ok_or("has `counts` without `size`")? {
        Part::Piece(size) if size.len() == 2 => size,
        _ => return Err("has a `size` that is not a list of height and width".into()),
    };
    let whole =
        |side: f64| (side.fract() == 0.0 && (1.0..1e9).contains(&side)).then_some(side as usize);
    let (Some(height), Some(width)) = (whole(size[0]), whole(size[1])) else {
        return Err(format!("has the `size` {} x {}", size[0], size[1]));
    };
    let pixels: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let all = height as u64 * width as u64;
    if pixels > all {
        return Err(format!(
            "has run lengths for {pixels} pixels, more than its `size` of {width}x{height}"
        ));
    }
    let outline = Outline::Runs {
        counts,
        size: [width, height],
    };
    match outline.bound() {
        None => Err("has run lengths that cover no pixel".into()),
        Some(_) => {
            let aside = (pixels < all).then(|| {
                format!(
                    "has run lengths for {pixels} of the {all} pixels of its `size`; the others are taken to be outside"
                )
            });
            Ok((outline, aside))
        }
    }
}

/// An element of a list: a number or a list of numbers.
pub(super) struct Element;

/// What an element is.
pub(super) enum Part {
    Number(f64),
    Piece(Vec<f64>),
    /// Why it is neither.
    Wrong(String),
}

impl<'de> Take<'de> for Element {
    type Out = Part;

    fn value(self, value: Value) -> Part {
        match value.number() {
            Some(number) => Part::Number(number),
            None => Part::Wrong(format!("is {value}, not a number")),
        }
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
        let (mut numbers, mut fault) = (Vec::new(), None);
        while let Some(value) = list.next_element_seed(Any(Plain))? {
            match value.number() {
                Some(number) => numbers.push(number),
                None => {
                    fault.get_or_insert(format!("holds {value}, not a number"));
                }
            }
        }
        Ok(fault.map_or(Part::Piece(numbers), Part::Wrong))
    }
}

/// Lengths of runs, as numbers or packed.
struct Counts;

impl<'de> Take<'de> for Counts {
    type Out = Result<Vec<u32>, String>;

    fn value(self, value: Value) -> Self::Out {
        match value {
            Value::Text(text) => unpack(&text).map_err(|reason| format!("has {reason}")),
            value => Err(format!("has `counts` that is {value}, not run lengths")),
        }
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Out, A::Error> {
        let (mut counts, mut fault) = (Vec::new(), None);
        while let Some(value) = list.next_element_seed(Any(Plain))? {
            match value.number() {
                Some(n) if n.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&n) => {
                    counts.push(n as u32);
                }
                _ => {
                    fault.get_or_insert(format!("has a run of {value} pixels"));
                }
            }
        }
        Ok(fault.map_or(Ok(counts), Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeSeed;

    fn field(text: &str) -> Field {
        Any(Segmentation(&Context::default()))
            .deserialize(&mut serde_json::Deserializer::from_str(text))
            .unwrap()
    }

    #[test]
    fn what_has_one_meaning_is_read_and_the_rest_says_what_it_is() {
        let square = || Outline::Polygons(vec![vec![0.0, 0.0, 2.0, 0.0, 2.0, 2.0]]);
        let short = "3 pieces of fewer than three points are passed over";
        for (text, aside) in [
            ("[[0, 0, 2, 0, 2, 2]]", None),
            ("[0, 0, 2, 0, 2, 2]", None),
            ("[[\"0\", 0.0, 2e0, 0, 2, 2]]", None),
            (
                "[[0, 0, 2, 0, 2, 2], [5, 5, 9, 9], [1, 1], []]",
                Some(short),
            ),
        ] {
            let given = Field::Given {
                outline: square(),
                aside: aside.map(String::from),
            };
            assert_eq!(field(text), given, "{text}");
        }
        for text in ["null", "[]", "[[]]", "[[], []]"] {
            assert_eq!(field(text), Field::Absent, "{text}");
        }
        for (text, message) in [
            ("[[0, 0, 1, 1]]", "has no polygon of three points or more"),
            ("[0, 0, 1, 1]", "has no polygon of three points or more"),
            ("[[0, 0, 1, 1, 2, 2, 3]]", "has a polygon of 7 numbers"),
            ("[[0, 0], [1, 1], [2, 2]]", "is a list of points"),
            ("[[[0, 0], [1, 1]]]", "element 0 holds a list"),
            ("[[0, 0, 1, null, 1, 1]]", "element 0 holds null"),
            ("[1, [2]]", "mixes numbers and lists"),
            ("[{\"x\": 1}]", "element 0 is an object"),
            (
                "\"nothing\"",
                "is the string `nothing`, neither a list of polygons",
            ),
            ("true", "is true, neither"),
            ("5", "is 5, neither"),
            ("{\"counts\": [1, 2]}", "`counts` without `size`"),
            ("{\"size\": [1, 2]}", "is an object without `counts`"),
            (
                "{\"counts\": [1, 2], \"size\": [3]}",
                "not a list of height and width",
            ),
            (
                "{\"counts\": [1, 2], \"size\": [3, 0]}",
                "has the `size` 3 x 0",
            ),
            ("{\"counts\": [1, -2], \"size\": [3, 4]}", "has a run of -2"),
            (
                "{\"counts\": [1, 1.5], \"size\": [3, 4]}",
                "has a run of 1.5",
            ),
            ("{\"counts\": 5, \"size\": [3, 4]}", "`counts` that is 5"),
            (
                "{\"counts\": [1, 20], \"size\": [3, 4]}",
                "for 21 pixels, more than its `size` of 4x3",
            ),
            ("{\"counts\": [12], \"size\": [3, 4]}", "cover no pixel"),
            ("{\"counts\": \"o\", \"size\": [3, 4]}", "end in the middle"),
            (
                "{\"counts\": \"b'12'\", \"size\": [3, 4]}",
                "not packed as COCO packs them",
            ),
            (
                "{\"counts\": [1, 2], \"size\": [3, 4], \"size\": [3, 4]}",
                "has two `size`",
            ),
        ] {
            match field(text) {
                Field::Wrong(reason) => assert!(reason.contains(message), "{text}: {reason}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn bounds_and_pixels_of_both_kinds_agree() {
        let polygon = Outline::Polygons(vec![vec![1.0, 0.0, 3.0, 0.0, 3.0, 2.0, 1.0, 2.0]]);
        let runs = Outline::Runs {
            counts: vec![3, 2, 1, 2],
            size: [4, 3],
        };
        assert_eq!(polygon.bound(), Some([1.0, 0.0, 3.0, 2.0]));
        assert_eq!(runs.bound(), polygon.bound());
        assert_eq!(runs.covered([4, 3]), polygon.covered([4, 3]));
        let marked = runs.covered([4, 3]).unwrap();
        assert_eq!(marked.iter().filter(|inside| **inside).count(), 4);
        assert!(
            runs.covered([3, 4])
                .unwrap_err()
                .contains("for 4x3 pixels, the image has 3x4")
        );
        let long = Outline::Runs {
            counts: vec![2, 5],
            size: [4, 3],
        };
        assert_eq!(long.bound(), Some([0.0, 0.0, 3.0, 3.0]));
        // Beyond the image on every side.
        let large = Outline::Polygons(vec![vec![-5.0, -5.0, 9.0, -5.0, 9.0, 9.0, -5.0, 9.0]]);
        assert_eq!(large.covered([4, 3]).unwrap(), [true; 12]);
    }

    /// The packed text is pycocotools' `mask.encode` of 10x7 pixels, those whose number is divisible by 3 or above 40.
    #[test]
    fn packed_runs_are_read_as_pycocotools_wrote_them() {
        let packed = "0120030M04OL10O41L030M04OL10O41LO4";
        let runs = [
            0, 1, 2, 1, 2, 4, 2, 1, 2, 5, 1, 1, 2, 1, 1, 5, 2, 1, 2, 4, 2, 1, 2, 5, 1, 1, 2, 1, 1,
            5, 2, 1, 1, 5,
        ];
        assert_eq!(unpack(packed).unwrap(), runs);
        assert!(unpack("o").is_err() && unpack("\u{7f}").is_err());
    }
}
