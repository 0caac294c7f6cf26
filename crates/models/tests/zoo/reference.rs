//! What the families' suites share: reference files, double precision, and draws that no other test disturbs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use firesight_models::formula::FormulaScale;
use firesight_models::verify::{NamedOutputs, Verdict, verify};
use firesight_models::weights::{
    self, StateDict, TorchNames, load_state_dict, parameter_count, parameters,
};
use firesight_models::{formula, zoo};

/// A reference file: tensors, and how they were made.
pub struct Reference {
    pub tensors: StateDict,
    about: HashMap<String, String>,
}

impl Reference {
    pub fn open(folder: &str, name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/fixtures/{folder}/{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; see the scripts `export_*reference.py`",
                path.display()
            )
        });
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        Self {
            tensors: weights::read(&path).unwrap(),
            about: header.metadata().clone().unwrap(),
        }
    }

    pub fn find(&self, key: &str) -> Option<f64> {
        self.about.get(key).map(|text| text.parse().unwrap())
    }

    pub fn number(&self, key: &str) -> f64 {
        self.find(key).unwrap_or_else(|| panic!("no `{key}`"))
    }

    pub fn classes(&self) -> usize {
        self.number("classes") as usize
    }

    /// What scales the formula's weights.
    pub fn scale(&self) -> FormulaScale {
        FormulaScale {
            gain: self.number("gain"),
            bias: self.find("bias").unwrap_or(FormulaScale::BIAS),
        }
    }

    /// The network with the formula's weights.
    pub fn filled<M: TorchNames>(&self, model: M) -> M {
        let state = formula::state(&model, self.scale());
        load_state_dict(model, &state).unwrap()
    }

    /// The weights of a network by the formula, loaded into the model of that name and compared as `trainer verify`
    /// does.
    pub fn verify(&self, name: &str, model: &impl TorchNames, device: &Device) -> Verdict {
        let state = formula::state(model, self.scale());
        let classes = self.find("classes").map(|classes| classes as usize);
        let outcome = zoo::compare(name, &state, None, classes, &self.tensors, device);
        outcome.unwrap().0
    }
}

/// The published number of parameters, each under a key of its own.
pub fn check_parameters(model: &impl TorchNames, published: usize) {
    assert_eq!(parameter_count(model), published);
    let mut names: Vec<String> = parameters(model).into_iter().map(|i| i.name).collect();
    let total = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), total, "keys are not unique");
}

/// A network drawn from a seed: tests run side by side and share the device's random numbers, so that all of a network
/// is drawn while no other is.
pub fn seeded<M: TorchNames>(seed: u64, device: &Device, make: impl FnOnce() -> M) -> M {
    static DRAWS: Mutex<()> = Mutex::new(());
    let _alone = DRAWS.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    let model = make();
    // A parameter is drawn when it is first read.
    weights::state_dict(&model);
    model
}

/// Takes parameters and running statistics to double precision: in single precision rounding decides on which side of
/// their kink some rectifiers are, and batch statistics of few pixels round by more than the tolerance, in PyTorch as
/// well.
pub struct Double;

impl ModuleMapper for Double {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trains = param.is_require_grad();
        param.map(|tensor| {
            let device = tensor.device();
            let data = tensor.into_data().convert_dtype(DType::F64);
            Tensor::from_data(data, (&device, DType::F64)).set_require_grad(trains)
        })
    }
}

/// A change of any tensor of the network by a tenth must show in its outputs, apart from those that act in training
/// alone.
pub fn check_mutations<M: TorchNames + NamedOutputs>(
    mut model: M,
    reference: &Reference,
    device: &Device,
    in_training_alone: impl Fn(&str) -> bool,
) {
    let some = weights::LoadOptions {
        allow_missing: true,
        ..Default::default()
    };
    let passed = |model: &M| verify(model, &reference.tensors, device).unwrap().passed;
    for (name, original) in weights::state_dict(&model) {
        if in_training_alone(&name) {
            continue;
        }
        let values = original.try_to_vec::<f32>().unwrap();
        let changed: Vec<f32> = values.iter().map(|v| v * 1.1).collect();
        let changed = burn::tensor::TensorData::new(changed, original.shape().clone());
        let put = |model, data| {
            let only = StateDict::from([(name.clone(), data)]);
            weights::apply(model, &only, &some).unwrap().0
        };
        model = put(model, changed);
        assert!(!passed(&model), "a change of `{name}` is not seen");
        model = put(model, original);
    }
    assert!(passed(&model), "the network did not come back");
}

/// Switches dropout and stochastic depth off for good, and leaves normalisation in training mode.
pub fn without_dropout<M: Module>(module: M) -> M {
    #[derive(Default)]
    struct Quiet {
        containers: Vec<String>,
    }
    impl ModuleMapper for Quiet {
        fn enter_module(&mut self, _: &str, container: &str) {
            self.containers.push(container.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.containers.pop();
        }
        fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
            match self.containers.last().map(String::as_str) {
                Some("Struct:Dropout" | "Struct:StochasticDepth") => flag.with_value(false),
                _ => flag,
            }
        }
    }
    module.map(&mut Quiet::default())
}
