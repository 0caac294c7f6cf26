//! An object's outline as COCO writes it: polygons, or run lengths as numbers or packed.

use serde::de::{MapAccess, SeqAccess};

use super::super::json::{Any, Context, Element, Part, Plain, Take, Value, keys};
use super::super::outline::Outline;

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
