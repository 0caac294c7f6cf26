//! Burn networks as ONNX files.
//!
//! The forward pass of a network is recorded (Burn's capture device), with two numbers of samples, so that it tells
//! which sizes follow from them. What was recorded becomes operators of ONNX; patterns
//! become one operator again, normalizations go into the convolutions before them, and constants are computed. Weights
//! keep PyTorch's names.
//!
//! ```
//! use firesight_models::InputSpec;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_onnx::{OnnxError, Precision, network};
//!
//! let input = InputSpec::gray(28);
//! let lenet = network(|recorder| {
//!     let model = ClassifierConfig::named("lenet")?.init(input, 10, recorder.device())?;
//!     let weights = firesight_models::formula::state(&model, 1.0);
//!     let model = firesight_models::weights::load_state_dict(model, &weights)?;
//!     recorder.name_tensors(&model);
//!     let images = recorder.input::<4>("input", &[1, 28, 28]);
//!     recorder.output("logits", &model.forward(images));
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! let file = lenet.to_bytes(Precision::F32, &Default::default())?;
//! assert!(file.len() > 4 * 61_706);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

mod error;
mod fold;
mod fuse;
mod graph;
mod lower;
mod proto;
mod record;
mod resize;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;

pub use error::OnnxError;
pub use record::{Recorder, TensorKeys};
pub use write::{IR_VERSION, OPSET, Precision};

/// A network as a graph of ONNX operators.
#[derive(Clone, Debug)]
pub struct Network {
    graph: graph::Graph,
}

/// Records a network and lowers it. `forward` is called twice or more: it makes the network on the recorder's device,
/// freshly each time, names its tensors, asks for inputs, calls it and says what the outputs are.
///
/// # Errors
/// Those of `forward`; an operation that ONNX cannot say, a constant or a size that follows from the number of samples.
pub fn network<E: From<OnnxError>>(
    mut forward: impl FnMut(&mut Recorder) -> Result<(), E>,
) -> Result<Network, E> {
    let mut different = OnnxError::Operations;
    for [few, more] in record::SAMPLES {
        let recordings = [
            record::record(few, &mut forward)?,
            record::record(more, &mut forward)?,
        ];
        match lower::lower(&recordings) {
            Ok(mut graph) => {
                fuse::fuse(&mut graph);
                return Ok(Network { graph });
            }
            Err(error @ OnnxError::Operations) => different = error,
            Err(error) => return Err(error.into()),
        }
    }
    Err(different.into())
}

impl Network {
    /// The file. `metadata` is free text by key, which every runtime hands out.
    ///
    /// # Errors
    /// [`OnnxError::TooLarge`]
    pub fn to_bytes(
        &self,
        precision: Precision,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, OnnxError> {
        let message = write::model(&self.graph, precision, metadata);
        match message.encoded_len() {
            bytes if bytes > i32::MAX as usize => Err(OnnxError::TooLarge {
                bytes,
                mend: match precision {
                    Precision::F32 => "; in half precision it would have half as many",
                    Precision::F16 => "",
                },
            }),
            _ => Ok(message.encode_to_vec()),
        }
    }

    /// Writes the file, which appears whole or not at all; one that is there is written over.
    ///
    /// # Errors
    /// [`OnnxError::TooLarge`] and [`OnnxError::Write`].
    pub fn write(
        &self,
        path: &Path,
        precision: Precision,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), OnnxError> {
        let bytes = self.to_bytes(precision, metadata)?;
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let written =
            std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
        written.map_err(|source| {
            // What was left of it helps nobody; the reason is what counts.
            let _ = std::fs::remove_file(&partial);
            OnnxError::Write {
                path: path.to_path_buf(),
                source,
            }
        })
    }

    /// How often each operator occurs.
    pub fn operators(&self) -> BTreeMap<&'static str, usize> {
        let mut operators = BTreeMap::new();
        for node in &self.graph.nodes {
            *operators.entry(node.op).or_default() += 1;
        }
        operators
    }
}
