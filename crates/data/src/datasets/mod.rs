//! One file for each dataset or format; [`crate::SourceConfig`] names them in recipes.
//!
//! ```
//! use firesight_data::{SourceConfig, SplitConfig};
//!
//! let config = SourceConfig::Digits(Default::default());
//! let splits = config.open(".".as_ref(), &SplitConfig::default(), 42)?;
//! let sizes: Vec<_> = splits.named().into_iter().map(|(name, part)| (name, part.len())).collect();
//! assert_eq!(sizes, [("train", 1293), ("validation", 144), ("test", 360)]);
//! # Ok::<(), firesight_data::DataError>(())
//! ```

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

use std::path::Path;

/// The fault of a setting `path` that is empty.
fn path_problems(path: &Path, what: &str) -> Vec<(String, String)> {
    match path.as_os_str().is_empty() {
        true => vec![("path".into(), format!("give the folder that {what} lie in"))],
        false => Vec::new(),
    }
}
