//! Trained weights, from which a task takes what predicts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use firesight_engine::{NetworkState, Weights};
use firesight_models::weights::{StateDict, TorchNames, load_state_dict};
use firesight_onnx::TensorKeys;

/// The networks of a checkpoint, for a task to take what predicts.
pub struct TrainedWeights {
    pub(crate) checkpoint: PathBuf,
    pub(crate) networks: BTreeMap<String, NetworkState>,
    pub(crate) which: Weights,
    /// The one network of an exported file, whatever its name.
    pub(crate) exported: Option<StateDict>,
    /// The keys of the network's tensors, where it is loaded to be recorded.
    pub(crate) keys: Option<TensorKeys>,
}

impl TrainedWeights {
    /// Puts a network's weights into a freshly built module: the average where the run kept one.
    ///
    /// # Errors
    /// A network that is not there, weights that do not fit; each names the checkpoint.
    pub fn load<M: TorchNames>(&mut self, network: &str, module: M) -> crate::Result<M> {
        let path = self.checkpoint.display();
        if let Some(values) = self.exported.take() {
            let module = load_state_dict(module, &values)
                .map_err(|error| crate::Error::from(error).context(path))?;
            if let Some(keys) = &mut self.keys {
                *keys = TensorKeys::of(&module);
            }
            return Ok(module);
        }
        let state = self
            .networks
            .remove(network)
            .ok_or_else(|| crate::Error::new(format!("{path}: no network `{network}`")))?;
        let values = match state.ema {
            Some(average) => {
                self.which = Weights::Ema;
                average
            }
            None => state.weights,
        };
        load_state_dict(module, &values).map_err(|error| crate::Error::from(error).context(path))
    }
}
