//! One file for each dataset or format; [`crate::SourceConfig`] names them in recipes.

pub mod camvid;
pub mod cifar;
pub mod coco;
pub mod digits;
pub mod folder;
pub mod idx;
pub mod mnist;
pub mod objects;
pub(crate) mod packed;
pub mod pairs;
pub mod scenes;
pub mod voc;
pub mod voc_masks;

use std::path::Path;

/// The fault of a setting `path` that is empty.
fn path_problems(path: &Path, what: &str) -> Vec<(String, String)> {
    match path.as_os_str().is_empty() {
        true => vec![("path".into(), format!("give the folder that {what} lie in"))],
        false => Vec::new(),
    }
}
