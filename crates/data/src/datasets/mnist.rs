//! MNIST and Fashion-MNIST by name: their IDX files in a folder of their own, fetched if that is asked for.
//!
//! MNIST: Y. LeCun, C. Cortes, C. Burges. Fashion-MNIST: H. Xiao, K. Rasul, R. Vollgraf, *Fashion-MNIST: a Novel
//! Image Dataset for Benchmarking Machine Learning Algorithms* (2017), MIT licence. Both: 60,000 training and
//! 10,000 test images of 28x28 pixels, gray, 10 classes.
//!
//! ```
//! use firesight_data::datasets::mnist::MnistConfig;
//!
//! let missing = MnistConfig::default().open("/nowhere".as_ref()).err().unwrap();
//! assert!(missing.to_string().contains("train-images-idx3-ubyte"));
//! ```

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::idx::IdxConfig;
use crate::download::Published;
use crate::error::DataError;
use crate::source::Splits;

const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// MNIST in its four published files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct MnistConfig {
    /// The folder, relative to the data root.
    pub path: PathBuf,
    /// Whether the files are fetched (11 MB) if they are not there.
    pub download: bool,
}

impl Default for MnistConfig {
    fn default() -> Self {
        Self {
            path: "mnist".into(),
            download: false,
        }
    }
}

/// Fashion-MNIST in its four published files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct FashionMnistConfig {
    /// The folder, relative to the data root.
    pub path: PathBuf,
    /// Whether the files are fetched (30 MB) if they are not there.
    pub download: bool,
}

impl Default for FashionMnistConfig {
    fn default() -> Self {
        Self {
            path: "fashion-mnist".into(),
            download: false,
        }
    }
}

impl MnistConfig {
    /// The published dataset that this is, the folder it belongs in, and whether it may be fetched.
    pub(super) fn published(&self) -> Option<(Published, &Path, bool)> {
        Some((Published::Mnist, &self.path, self.download))
    }

    /// The 60,000 training and the 10,000 test images.
    ///
    /// # Errors
    /// Those of [`IdxConfig::open`].
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        open(
            &self.path,
            (0..10).map(|digit| digit.to_string()).collect(),
            data_root,
        )
    }
}

impl FashionMnistConfig {
    /// The published dataset that this is, the folder it belongs in, and whether it may be fetched.
    pub(super) fn published(&self) -> Option<(Published, &Path, bool)> {
        Some((Published::FashionMnist, &self.path, self.download))
    }

    /// The 60,000 training and the 10,000 test images.
    ///
    /// # Errors
    /// Those of [`IdxConfig::open`].
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        open(
            &self.path,
            FASHION_CLASSES.map(String::from).to_vec(),
            data_root,
        )
    }
}

fn open(path: &Path, classes: Vec<String>, data_root: &Path) -> Result<Splits, DataError> {
    let config = IdxConfig {
        path: path.into(),
        classes,
    };
    config.open(data_root)
}
