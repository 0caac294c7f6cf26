//! Records a forward pass twice, with different numbers of samples, so that it shows which sizes follow from their number.

use std::collections::HashMap;

use burn::backend::Capture;
use burn::tensor::{CapturedGraph, Device, Float, Int, Tensor, TensorData, TensorId};
use firesight_models::weights::{TensorVisitor, TorchNames, visit_tensors};

use crate::error::OnnxError;

/// The numbers of samples of the two recordings, an even and an odd one. Burn folds the axes of a matrix product in one way
/// or another by their sizes: where that makes the first two differ, the next are tried.
pub(crate) const SAMPLES: [[usize; 2]; 3] = [[2, 3], [8, 11], [32, 37]];

/// The device of a recording, and what the network says of itself there.
pub struct Recorder {
    device: Device,
    samples: usize,
    names: HashMap<TensorId, String>,
    inputs: Vec<(String, TensorId)>,
    outputs: Vec<(String, TensorId)>,
}

impl Recorder {
    /// The device on which the network must be made and called.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// An input of numbers for each sample: the shape that is given, with the number of samples put before it.
    pub fn input<const D: usize>(&mut self, name: &str, shape: &[usize]) -> Tensor<D> {
        let shape = self.shape(shape);
        let tensor = Tensor::from_data(TensorData::zeros::<f32, _>(shape), &self.device);
        self.inputs.push((name.to_owned(), id(&tensor)));
        tensor
    }

    /// An input of whole numbers for each sample, such as a class.
    pub fn input_int<const D: usize>(&mut self, name: &str, shape: &[usize]) -> Tensor<D, Int> {
        let shape = self.shape(shape);
        let tensor = Tensor::from_data(TensorData::zeros::<i64, _>(shape), &self.device);
        self.inputs.push((name.to_owned(), id_int(&tensor)));
        tensor
    }

    /// Says that a tensor is an output of the file.
    pub fn output<const D: usize>(&mut self, name: &str, tensor: &Tensor<D>) {
        self.outputs.push((name.to_owned(), id(tensor)));
    }

    /// Says that a tensor of whole numbers is an output of the file.
    pub fn output_int<const D: usize>(&mut self, name: &str, tensor: &Tensor<D, Int>) {
        self.outputs.push((name.to_owned(), id_int(tensor)));
    }

    /// Gives the tensors of a network their keys in PyTorch's state dict, which become names of initializers.
    pub fn name_tensors<M: TorchNames>(&mut self, network: &M) {
        self.take_keys(TensorKeys::of(network));
    }

    /// The same with keys that were asked for when the network's type was known.
    pub fn take_keys(&mut self, keys: TensorKeys) {
        self.names.extend(keys.0);
    }

    fn shape(&self, of_a_sample: &[usize]) -> Vec<usize> {
        [&[self.samples], of_a_sample].concat()
    }
}

/// The keys in PyTorch's state dict of a network's tensors on a recorder's device.
#[derive(Clone, Debug, Default)]
pub struct TensorKeys(HashMap<TensorId, String>);

impl TensorKeys {
    /// The keys of a network that stands on a recorder's device.
    ///
    /// # Panics
    /// If it stands on another device.
    pub fn of<M: TorchNames>(network: &M) -> Self {
        let mut keys = Self::default();
        visit_tensors(network, &mut keys);
        keys
    }
}

impl TensorVisitor for TensorKeys {
    fn visit<const D: usize>(&mut self, key: &str, tensor: Tensor<D>) {
        self.0.insert(id(&tensor), key.to_owned());
    }
}

fn id<const D: usize>(tensor: &Tensor<D, Float>) -> TensorId {
    let recorded = tensor.clone().try_into_primitive::<Capture>();
    recorded.expect("a tensor of the recorder's device").id()
}

fn id_int<const D: usize>(tensor: &Tensor<D, Int>) -> TensorId {
    let recorded = tensor.clone().try_into_primitive::<Capture>();
    recorded.expect("a tensor of the recorder's device").id()
}

/// One recorded forward pass.
pub(crate) struct Recording {
    pub samples: usize,
    pub graph: CapturedGraph,
    pub names: HashMap<TensorId, String>,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
}

/// Records a forward pass of `samples` samples.
pub(crate) fn record<E: From<OnnxError>>(
    samples: usize,
    forward: &mut impl FnMut(&mut Recorder) -> Result<(), E>,
) -> Result<Recording, E> {
    let device = Device::capture();
    let mut recorder = Recorder {
        device: device.clone(),
        samples,
        names: HashMap::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    let mut outcome = Ok(());
    let graph = device.capture_scope(|scope| {
        outcome = forward(&mut recorder);
        let ids = |named: &[(String, TensorId)]| -> Vec<_> { named.iter().map(|n| n.1).collect() };
        scope.complete(ids(&recorder.inputs), ids(&recorder.outputs))
    });
    outcome?;
    let graph = graph.map_err(|error| OnnxError::Record(error.to_string()))?;
    let names = |named: Vec<(String, TensorId)>| named.into_iter().map(|n| n.0).collect();
    Ok(Recording {
        samples,
        graph,
        names: recorder.names,
        inputs: names(recorder.inputs),
        outputs: names(recorder.outputs),
    })
}
