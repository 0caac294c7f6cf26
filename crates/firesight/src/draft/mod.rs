//! A recipe drafted for a folder: what its files are, how they are held apart, and settings for as many pictures of that size.
//! Every line says why it is there; where another choice is as good, it stands beside it as a comment.
//!
//! ```
//! use firesight::draft::{Wanted, draft};
//! use firesight_data::Image;
//! use firesight_data::draw::write_png;
//!
//! let folder = tempfile::tempdir()?;
//! for (class, gray) in [("day", 220), ("night", 20)] {
//!     std::fs::create_dir(folder.path().join(class))?;
//!     for number in 0..8 {
//!         let image = Image { width: 8, height: 8, channels: 1, pixels: (0..64).map(|at| gray + (at + number) % 30).collect() };
//!         write_png(&image, &folder.path().join(format!("{class}/{number}.png")))?;
//!     }
//! }
//! let draft = draft(folder.path(), &Wanted::default())?;
//! assert!(draft.text.contains("source = { folder = {"), "{}", draft.text);
//! let recipe = firesight::recipe::read_str(&draft.text, "draft.toml")?.value; // it can be read as it is
//! assert_eq!(recipe.task.table().name(), "classification");
//! # anyhow::Ok(())
//! ```

mod facts;
mod recognize;
mod settings;
mod text;

use std::path::Path;

use firesight_data::scan::Lesson;

use self::facts::Facts;
use self::recognize::Candidate;
use crate::error::bail;
use crate::{Error, recipe};

/// What a person asks for beside the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The task; the one that the labels are mostly for unless given: `classification`, `segmentation` or `detection`.
    pub task: Option<String>,
    /// The model by its name in the zoo; one for as many pictures of that size unless given.
    pub model: Option<String>,
}

/// A recipe and what it was drafted from.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The recipe as TOML.
    pub text: String,
    /// What was recognised, and why; one line each.
    pub said: Vec<String>,
}

/// Drafts a recipe for a folder of a dataset, or for a file of annotations. The paths in the recipe start from where that of
/// the folder starts.
///
/// # Errors
/// A folder in which nothing is recognised, with what would be; files that are recognised and cannot be read; labels that the
/// task cannot learn from.
pub fn draft(folder: &Path, wanted: &Wanted) -> crate::Result<Draft> {
    let lesson = match wanted.task.as_deref() {
        None => None,
        Some("classification") => Some(Lesson::Classes),
        Some("detection") => Some(Lesson::Boxes),
        Some("segmentation") => Some(Lesson::Masks),
        Some(other) => bail!(
            "--task {other}: a recipe can be drafted for classification, segmentation and detection"
        ),
    };
    let found = recognize::candidates(folder)?;
    let (mut said, mut first_error) = (Vec::new(), None);
    let mut usable: Option<(Candidate, Facts)> = None;
    let mut others: Vec<Candidate> = Vec::new();
    for candidate in found {
        if lesson.is_some_and(|lesson| !candidate.lessons.contains(&lesson)) {
            continue;
        }
        if usable.is_some() {
            others.push(candidate);
            continue;
        }
        let lesson = lesson.unwrap_or(candidate.lessons[0]);
        match Facts::of(&candidate, lesson) {
            Ok(facts) => usable = Some((candidate, facts)),
            Err(error) => {
                let message = format!("{}, but it cannot be used: {error:#}", candidate.why);
                said.push(message.clone());
                first_error.get_or_insert(Error::new(message));
            }
        }
    }
    let Some((candidate, facts)) = usable else {
        return Err(first_error.unwrap_or_else(|| nothing(folder, wanted)));
    };
    said.push(candidate.why.clone());
    said.extend(facts.said());
    let text = text::write(folder, wanted, &candidate, &facts, &others);
    if let Err(problems) = recipe::read_str(&text, "the draft") {
        return Err(Error::new(problems));
    }
    Ok(Draft { text, said })
}

/// That nothing is recognised.
fn nothing(folder: &Path, wanted: &Wanted) -> Error {
    let shown = folder.display();
    let task = wanted
        .task
        .as_ref()
        .map_or_else(String::new, |task| format!(" for {task}"));
    Error::new(format!(
        "{shown}: nothing that is known{task}. Known are: `data.yaml` (YOLO), COCO's JSON, Pascal VOC's XML, labelme's JSON, CSV tables \
         of classes or boxes, folders `images` and `masks`, one folder a class"
    ))
}
