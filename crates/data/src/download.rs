//! Published datasets by name: fetched when asked for, verified against a pinned SHA-256, and only then put in
//! place.
//!
//! A file arrives under a temporary name in the folder it is meant for, is compared with the pinned size and
//! hash while it arrives, and is renamed when both agree; an archive is unpacked beside its target in the same
//! way. Whatever fails (a wrong hash, a cut or overlong transfer, a redirect to another host, an archive entry
//! that leaves its folder, is a link or a device) is an error that names it, and nothing stays behind. The hash
//! is what makes a source trustworthy; some of the publishers offer plain HTTP only.
//!
//! Fetching needs the cargo feature `download`; without it the names are known and [`fetch`] says what is missing.
//!
//! ```
//! use firesight_data::download::Published;
//!
//! let mnist = Published::from_name("mnist").unwrap();
//! assert_eq!(mnist.remotes().len(), 4);
//! assert!(!mnist.is_in("/nowhere".as_ref()));
//! ```

use std::path::Path;

use crate::error::DataError;

pub use crate::remote::{Kind, Progress, Remote};

/// A published dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// MNIST: four IDX files.
    Mnist,
    /// Fashion-MNIST: four IDX files.
    FashionMnist,
    /// CIFAR-10, binary version: a folder `cifar-10-batches-bin`.
    Cifar10,
    /// CIFAR-100, binary version: a folder `cifar-100-binary`.
    Cifar100,
    /// Pascal VOC 2007, training, validation and test: a folder `VOCdevkit/VOC2007`.
    Voc2007,
    /// Pascal VOC 2012, training and validation: a folder `VOCdevkit/VOC2012`.
    Voc2012,
}

const MNIST: &str = "https://ossci-datasets.s3.amazonaws.com/mnist/";
const FASHION_MNIST: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/";
const CIFAR: &str = "https://www.cs.toronto.edu/~kriz/";
const VOC: &str = "https://thor.robots.ox.ac.uk/pascal/VOC/";

impl Published {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Mnist,
        Self::FashionMnist,
        Self::Cifar10,
        Self::Cifar100,
        Self::Voc2007,
        Self::Voc2012,
    ];

    /// The name by which it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Voc2007 => "voc2007",
            Self::Voc2012 => "voc2012",
        }
    }

    /// The dataset of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dataset| dataset.name() == name)
    }

    /// The files it consists of. MNIST's hashes are those of the original files (whose published MD5 they also
    /// have); the others are those of TensorFlow Datasets' and torchvision's tables.
    pub fn remotes(self) -> Vec<Remote> {
        use Kind::{File, Tar, TarGz};
        let files: &[(&str, &str, &str, u64, Kind)] = match self {
            Self::Mnist => &[
                (
                    MNIST,
                    "train-images-idx3-ubyte.gz",
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    9_912_422,
                    File,
                ),
                (
                    MNIST,
                    "train-labels-idx1-ubyte.gz",
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    28_881,
                    File,
                ),
                (
                    MNIST,
                    "t10k-images-idx3-ubyte.gz",
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    1_648_877,
                    File,
                ),
                (
                    MNIST,
                    "t10k-labels-idx1-ubyte.gz",
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                    4_542,
                    File,
                ),
            ],
            Self::FashionMnist => &[
                (
                    FASHION_MNIST,
                    "train-images-idx3-ubyte.gz",
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    26_421_880,
                    File,
                ),
                (
                    FASHION_MNIST,
                    "train-labels-idx1-ubyte.gz",
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    29_515,
                    File,
                ),
                (
                    FASHION_MNIST,
                    "t10k-images-idx3-ubyte.gz",
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    4_422_102,
                    File,
                ),
                (
                    FASHION_MNIST,
                    "t10k-labels-idx1-ubyte.gz",
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                    5_148,
                    File,
                ),
            ],
            Self::Cifar10 => &[(
                CIFAR,
                "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                170_052_171,
                TarGz,
            )],
            Self::Cifar100 => &[(
                CIFAR,
                "cifar-100-binary.tar.gz",
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                168_513_733,
                TarGz,
            )],
            Self::Voc2007 => &[
                (
                    VOC,
                    "voc2007/VOCtrainval_06-Nov-2007.tar",
                    "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
                    460_032_000,
                    Tar,
                ),
                (
                    VOC,
                    "voc2007/VOCtest_06-Nov-2007.tar",
                    "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892",
                    451_020_800,
                    Tar,
                ),
            ],
            Self::Voc2012 => &[(
                VOC,
                "voc2012/VOCtrainval_11-May-2012.tar",
                "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
                1_999_639_040,
                Tar,
            )],
        };
        files
            .iter()
            .map(|&(base, name, sha256, bytes, kind)| Remote {
                url: format!("{base}{name}"),
                sha256: sha256.into(),
                bytes: Some(bytes),
                kind,
            })
            .collect()
    }

    /// A file that is there once the dataset is.
    fn landmarks(self) -> &'static [&'static str] {
        match self {
            Self::Mnist | Self::FashionMnist => &[
                "train-images-idx3-ubyte.gz",
                "train-labels-idx1-ubyte.gz",
                "t10k-images-idx3-ubyte.gz",
                "t10k-labels-idx1-ubyte.gz",
            ],
            Self::Cifar10 => &["cifar-10-batches-bin/test_batch.bin"],
            Self::Cifar100 => &["cifar-100-binary/test.bin"],
            // The second one occurs only in the test archive.
            Self::Voc2007 => &[
                "VOCdevkit/VOC2007/ImageSets/Main/trainval.txt",
                "VOCdevkit/VOC2007/ImageSets/Main/test.txt",
            ],
            Self::Voc2012 => &["VOCdevkit/VOC2012/ImageSets/Main/trainval.txt"],
        }
    }

    /// Whether it has been fetched into a folder.
    pub fn is_in(self, folder: &Path) -> bool {
        self.landmarks()
            .iter()
            .all(|file| folder.join(file).is_file())
    }

    /// Fetches what is not in the folder yet.
    ///
    /// # Errors
    /// Those of [`fetch`].
    pub fn fetch_into(
        self,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DataError> {
        let remotes = self.remotes();
        let landmarks = self.landmarks();
        for (number, remote) in remotes.iter().enumerate() {
            let there = landmarks
                .get(number)
                .is_some_and(|file| folder.join(file).is_file());
            if !there {
                fetch(remote, folder, progress)?;
            }
        }
        Ok(())
    }
}

/// Fetches a file into a folder, which is made if it is not there.
///
/// # Errors
/// [`DataError::Download`] or [`DataError::Io`]; nothing is left behind.
#[cfg(feature = "download")]
pub fn fetch(
    remote: &Remote,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), DataError> {
    crate::transfer::fetch(
        remote,
        folder,
        crate::transfer::Proxy::FromEnvironment,
        progress,
    )
}

/// Says that this build cannot fetch anything.
///
/// # Errors
/// Always [`DataError::Download`].
#[cfg(not(feature = "download"))]
pub fn fetch(
    remote: &Remote,
    _folder: &Path,
    _progress: &mut dyn FnMut(Progress),
) -> Result<(), DataError> {
    Err(DataError::Download {
        url: remote.url.clone(),
        reason: "this build cannot fetch it; build with the cargo feature `download`".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_hashes_are_well_formed() {
        for dataset in Published::ALL {
            assert_eq!(Published::from_name(dataset.name()), Some(dataset));
            let remotes = dataset.remotes();
            assert!(remotes.len() <= dataset.landmarks().len());
            for remote in remotes {
                assert_eq!(remote.sha256.len(), 64);
                assert!(
                    remote
                        .sha256
                        .bytes()
                        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
                );
            }
        }
        assert_eq!(Published::from_name("imagenet"), None);
    }

    #[test]
    fn the_pinned_hashes_of_mnist_are_those_of_the_files() {
        use sha2::{Digest, Sha256};
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mnist");
        if !folder.is_dir() {
            println!("skipped: {} is not there", folder.display());
            return;
        }
        assert!(Published::Mnist.is_in(&folder));
        for (remote, file) in Published::Mnist
            .remotes()
            .iter()
            .zip(Published::Mnist.landmarks())
        {
            let bytes = std::fs::read(folder.join(file)).unwrap();
            assert_eq!(Some(bytes.len() as u64), remote.bytes);
            assert_eq!(format!("{:x}", Sha256::digest(&bytes)), remote.sha256);
        }
    }
}
