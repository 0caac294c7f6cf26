//! What the readers of annotated objects share: what is done about objects that cannot be true, in which frame boxes and
//! outlines are where a picture is turned, how yes and no are spelled, and how remarks of one kind become one.
//!
//! ```
//! use firesight_data::datasets::objects::Faulty;
//! use firesight_data::datasets::voc::VocConfig;
//!
//! let config: VocConfig = serde_json::from_str(r#"{"path": "voc", "faulty": "repair"}"#)?;
//! assert_eq!(config.faulty, Faulty::Repair);
//! assert_eq!(VocConfig::default().faulty, Faulty::Refuse);
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::turn::Turn;
use crate::error::DataError;
use crate::source::{Remark, Source};
use crate::target::Target;

/// What to do about an object that cannot be true or is not understood: a box or outline that is inverted, has no area,
/// leaves the image, is no list of numbers or is missing, a class that there is not. `check` names each one, with the
/// file and its place in it, whatever is done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Faulty {
    /// The image is bad: it counts against `max-bad`.
    #[default]
    Refuse,
    /// What is known is used: a box or outline is clipped to the image; where class masks are learnt, the box of an
    /// object without an outline does not count. An object of which nothing remains is left out.
    Repair,
    /// The object is left out, and the image is used without it.
    Drop,
}

/// Why a box cannot be true of any image, if it cannot.
pub(super) fn impossible([x1, y1, x2, y2]: [f64; 4]) -> Option<String> {
    if ![x1, y1, x2, y2].iter().all(|edge| edge.is_finite()) {
        return Some("a coordinate is not a finite number".into());
    }
    if x2 < x1 || y2 < y1 {
        return Some("the box is inverted".into());
    }
    // As they are kept: what is less than a number of 32 bits can tell is none.
    (x2 as f32 == x1 as f32 || y2 as f32 == y1 as f32).then(|| "the box has no area".into())
}

/// Why a box cannot be true of an image of `[width, height]`, if it cannot.
pub(super) fn fault(xyxy: [f64; 4], [width, height]: [usize; 2]) -> Option<String> {
    impossible(xyxy).or_else(|| {
        let leaves = leaves(xyxy, [width, height]);
        leaves.then(|| format!("the box leaves the image of {width}x{height} pixels"))
    })
}

/// Whether a box leaves the image by more than half a pixel, which is what tools round away.
pub(super) fn leaves([x1, y1, x2, y2]: [f64; 4], [width, height]: [usize; 2]) -> bool {
    x1 < -0.5 || y1 < -0.5 || x2 > width as f64 + 0.5 || y2 > height as f64 + 0.5
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

/// The turn from the frame that a picture's labels are in to the picture as it is shown, and a remark where that cannot
/// be told.
///
/// The width and height that the labels state say which frame it is: that of the picture as shown, or that of the file
/// before its EXIF orientation turned it.
///
/// # Errors
/// The stated size, where it is neither.
pub(super) fn frame(
    stated: Option<[usize; 2]>,
    shown: [usize; 2],
    turn: Turn,
) -> Result<(Turn, Option<String>), [usize; 2]> {
    let stored = turn.stored(shown);
    let doubt = |why: &str| {
        let message = format!(
            "its EXIF orientation turns the picture, and {why} whether the labels are turned too; taken as they are for \
             the picture as it is shown"
        );
        Ok((Turn::NONE, Some(message)))
    };
    match stated {
        Some(stated) if stated != shown && stated != stored => Err(stated),
        _ if turn.is_none() => Ok((Turn::NONE, None)),
        Some(_) if shown == stored => doubt("the stated size does not tell"),
        Some(stated) if stated == stored => Ok((turn, None)),
        Some(_) => Ok((Turn::NONE, None)),
        None => doubt("no size is stated that would tell"),
    }
}

/// The turn from the frame of a picture's labels to the picture, which `file` holds, and what is to be said of it. The size
/// and the turn of the picture are known; `labels` is what states a size, by its name in messages.
///
/// # Errors
/// A stated size that is not the picture's, unless it is to be repaired.
pub(super) fn placed(
    stated: Option<[usize; 2]>,
    (size, turn): ([usize; 2], Turn),
    faulty: Faulty,
    file: &Path,
    labels: &str,
) -> Result<(Turn, Option<Remark>), DataError> {
    let file = shown(file);
    match frame(stated, size, turn) {
        Ok((frame, doubt)) => Ok((frame, doubt.map(|message| Remark::new(file, message)))),
        Err([w, h]) => {
            let [width, height] = size;
            let message = format!("{width}x{height} pixels, {labels} says {w}x{h}");
            match faulty {
                Faulty::Repair => {
                    let message = format!("{message}; the image's own size is taken");
                    Ok((Turn::NONE, Some(Remark::new(file, message))))
                }
                _ => Err(DataError::unreadable(file, message)),
            }
        }
    }
}

/// Several faults as one: the first, two more, and how many there are.
pub(super) fn together(faults: &[Remark]) -> Option<Remark> {
    let (first, more) = faults.split_first()?;
    let mut message = first.message.clone();
    for Remark {
        origin,
        message: other,
    } in more.iter().take(2)
    {
        message += &format!("; {origin}: {other}");
    }
    if more.len() > 2 {
        message += &format!("; {} faults in all", faults.len());
    }
    Some(Remark::new(first.origin.clone(), message))
}

/// What the labels of a picture say by themselves: `read` gives them for the stated size. Where none is stated, only the
/// picture tells.
///
/// # Errors
/// `fault`, and those of `read`.
pub(super) fn inspect_stated(
    source: &dyn Source,
    index: usize,
    stated: Option<[usize; 2]>,
    fault: Option<Remark>,
    read: impl FnOnce([usize; 2], &mut Vec<Remark>) -> Result<Target, DataError>,
) -> Result<(Target, Vec<Remark>), DataError> {
    let Some(size) = stated else {
        let (sample, remarks) = source.inspect(index)?;
        return Ok((sample.target, remarks));
    };
    if let Some(Remark { origin, message }) = fault {
        return Err(DataError::unreadable(origin, message));
    }
    let mut remarks = Vec::new();
    Ok((read(size, &mut remarks)?, remarks))
}

/// How messages name a file: without the `./` of a data root that is the working directory.
pub(super) fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// Yes or no as annotation tools spell it, with no statement for no; nothing for another word.
pub(super) fn yes_or_no(text: &str) -> Option<bool> {
    let text = text.trim();
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&[
        "", "0", "0.0", "false", "no", "n", "f", "off", "none", "null",
    ]) {
        Some(false)
    } else if is(&["1", "1.0", "true", "yes", "y", "t", "on"]) {
        Some(true)
    } else {
        None
    }
}

/// Whether two names are the same but for capitals, signs between words and a plural: `bndBox` and `bndbox`, `imageId`
/// and `image_id`, `objects` and `object`.
pub(super) fn alike(one: &str, other: &str) -> bool {
    let plain = |name: &str| {
        let letters = name.chars().filter(|letter| letter.is_alphanumeric());
        let name: String = letters.flat_map(char::to_lowercase).collect();
        name.strip_suffix('s').map(str::to_owned).unwrap_or(name)
    };
    plain(one) == plain(other)
}

/// Remarks of which each kind is told once, with its first place and how often it was met.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<String, (String, usize)>);

impl Tally {
    /// Counts one of a kind; its place is asked for only where it is the first.
    pub fn add(&mut self, kind: &str, place: impl FnOnce() -> String) {
        match self.0.get_mut(kind) {
            Some((_, count)) => *count += 1,
            None => {
                self.0.insert(kind.to_owned(), (place(), 1));
            }
        }
    }

    /// One remark for each kind.
    pub fn remarks(self) -> Vec<Remark> {
        let remark = |(kind, (place, count))| match count {
            1 => Remark::new(place, kind),
            _ => Remark::new(place, format!("{kind} ({count} times)")),
        };
        self.0.into_iter().map(remark).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_size_says_in_which_frame_labels_are() {
        let quarter = Turn::from_exif(6);
        let shown = [40, 60];
        assert_eq!(
            frame(Some([40, 60]), shown, Turn::NONE),
            Ok((Turn::NONE, None))
        );
        assert_eq!(frame(None, shown, Turn::NONE), Ok((Turn::NONE, None)));
        assert_eq!(frame(Some([60, 40]), shown, Turn::NONE), Err([60, 40]));
        assert_eq!(frame(Some([60, 40]), shown, quarter), Ok((quarter, None)));
        assert_eq!(
            frame(Some([40, 60]), shown, quarter),
            Ok((Turn::NONE, None))
        );
        assert_eq!(frame(Some([41, 60]), shown, quarter), Err([41, 60]));
        for (stated, shown, turn) in [
            (None, shown, quarter),
            (Some([40, 40]), [40, 40], quarter),
            (Some(shown), shown, Turn::from_exif(3)),
        ] {
            let (frame, remark) = frame(stated, shown, turn).unwrap();
            assert!(frame.is_none() && remark.unwrap().contains("EXIF"));
        }
    }

    #[test]
    fn yes_and_no_in_any_spelling() {
        for (text, value) in [
            ("0", Some(false)),
            (" FALSE\n", Some(false)),
            ("No", Some(false)),
            ("", Some(false)),
            ("1", Some(true)),
            ("True", Some(true)),
            ("yes", Some(true)),
            ("Unspecified", None),
            ("2", None),
            ("-1", None),
        ] {
            assert_eq!(yes_or_no(text), value, "{text}");
        }
    }

    #[test]
    fn names_that_differ_in_their_spelling_alone() {
        for (one, other) in [
            ("bndBox", "bndbox"),
            ("imageId", "image_id"),
            ("Objects", "object"),
            ("file-name", "file_name"),
        ] {
            assert!(alike(one, other), "{one}");
        }
        assert!(!alike("box", "bndbox") && !alike("id", "ids2"));
    }

    #[test]
    fn remarks_of_a_kind_are_told_once() {
        let mut tally = Tally::default();
        for line in [3, 5] {
            tally.add("odd", || format!("a.xml:{line}"));
        }
        tally.add("strange", || "b.xml:1".into());
        assert_eq!(
            tally.remarks(),
            [
                Remark::new("a.xml:3", "odd (2 times)"),
                Remark::new("b.xml:1", "strange")
            ]
        );
    }
}
