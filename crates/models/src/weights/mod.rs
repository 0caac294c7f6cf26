//! Weights in and out in PyTorch's names and layouts.
//!
//! [`state_dict`] and [`load_state_dict`] move a module's whole state (parameters and running
//! statistics) to plain data and back, to the bit. [`load`] takes `.pth`, `.pt` and `.safetensors`
//! files with torchvision's keys; [`save_safetensors`] writes one that PyTorch loads with
//! `strict=True`. Reading a file executes nothing, whatever is in it.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::InputSpec;
//! use firesight_models::classification::{ClassifierConfig};
//! use firesight_models::weights::{LoadOptions, load, save_safetensors};
//!
//! let file = tempfile::NamedTempFile::with_suffix(".safetensors")?;
//! let build = |classes| {
//!     ClassifierConfig::named("lenet")?.init(InputSpec::gray(28), classes, &Device::default())
//! };
//! save_safetensors(&build(10)?, file.path(), &Default::default())?;
//! // Another number of classes: everything but the last layer is taken.
//! let (_, report) = load(build(4)?, file.path(), &LoadOptions::default())?;
//! assert_eq!(report.replaced.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod file;
mod fit;
mod freeze;
mod names;
mod pickle;
mod pth;
mod zip;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};

pub use error::{Fault, WeightsError};
use file::Content;
pub use file::{digest, write_safetensors};
pub use freeze::freeze;
pub use names::{
    ParameterInfo, TensorVisitor, TorchNames, parameter_count, parameters, visit_tensors,
};
use names::{Place, raw_parameters};

/// Tensors by PyTorch key, in PyTorch's layouts.
pub type StateDict = BTreeMap<String, TensorData>;

/// How tolerant [`load`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Leaves tensors of the head as they are when the file's number of classes differs.
    pub replace_head: bool,
    /// Leaves tensors that the file lacks as they are, instead of refusing the file.
    pub allow_missing: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            replace_head: true,
            allow_missing: false,
        }
    }
}

/// What became of each tensor, by PyTorch key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Taken from the weights.
    pub taken: Vec<String>,
    /// Tensors of the head, left at their fresh values since the number of classes differs.
    pub replaced: Vec<String>,
    /// In the model and not in the weights: left at their fresh values.
    pub missing: Vec<String>,
    /// In the weights and not in the model. PyTorch's `num_batches_tracked` counters, which no
    /// result depends on, are not listed.
    pub unused: Vec<String>,
    /// Where in the weights the model was found, where that is not a matter of course: a prefix of all names that was
    /// taken off, the entry of a checkpoint and what else could have been taken.
    pub notes: Vec<String>,
}

/// All parameters and running statistics of a module under PyTorch's names and in its layouts.
///
/// Burn synchronises running statistics lazily; they are brought up to date here.
pub fn state_dict<M: TorchNames>(module: &M) -> StateDict {
    struct Collector {
        at: Place,
        found: HashMap<String, TensorData>,
    }
    impl ModuleVisitor for Collector {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.at.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.at.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = param.val().into_data();
            let data = if self.at.transposed() {
                transpose(data)
            } else {
                data
            };
            self.found.insert(self.at.path(), data);
        }
    }
    let mut collector = Collector {
        at: Place::default(),
        found: HashMap::new(),
    };
    module.valid().visit(&mut collector);
    let found = collector.found.into_iter();
    found
        .map(|(path, data)| (module.torch_name(&path), data))
        .collect()
}

/// Puts a whole state into a module of the same architecture: the inverse of [`state_dict`], to the
/// bit. Clones that share running statistics with `module` see them change (Burn shares them).
///
/// # Errors
/// [`WeightsError::Missing`], [`WeightsError::Unused`], [`WeightsError::Shape`] or
/// [`WeightsError::Type`] when it is another architecture's, [`WeightsError::NotFinite`]; the module is not changed
/// then.
pub fn load_state_dict<M: TorchNames>(module: M, weights: &StateDict) -> Result<M, WeightsError> {
    let options = LoadOptions {
        replace_head: false,
        allow_missing: false,
    };
    let (plan, report) = plan(&module, weights, "", &options)?;
    if !report.unused.is_empty() {
        return Err(WeightsError::Unused {
            names: report.unused,
        });
    }
    Ok(carry_out(module, plan))
}

/// Loads a weights file (`.pth`, `.pt`, `.safetensors`, told by content) into a module and says
/// what became of each tensor. The head is left as it is when the number of classes differs.
///
/// The model is looked for by its names: in every dictionary of a checkpoint (`state_dict`, `model`, ...), and under any
/// one prefix that wrappers put before all names (`module.`, `_orig_mod.`, `model.`, ...). Where a checkpoint holds the
/// weights and their moving average, the weights themselves are taken.
///
/// # Errors
/// [`WeightsError`] naming the file, or the tensor that does not fit; the module is not changed.
pub fn load<M: TorchNames>(
    module: M,
    path: &Path,
    options: &LoadOptions,
) -> Result<(M, LoadReport), WeightsError> {
    let bytes = bytes(path)?;
    let in_file = |fault| WeightsError::File {
        path: path.to_path_buf(),
        fault,
    };
    let content = Content::open(&bytes).map_err(in_file)?;
    let expected = expected(&module);
    let published = |key: &str| module.published_key(key);
    let dicts = content.dicts();
    let mut fits = Vec::new();
    for (index, (place, keys)) in dicts.iter().enumerate() {
        let fit = fit::fit(keys.iter(), &expected, &published)?;
        fits.push((index, *place, fit));
    }
    let most = fits.iter().map(|(_, _, fit)| fit.found).max().unwrap_or(0);
    let equal: Vec<(usize, &str)> = (fits.iter())
        .filter(|(_, _, fit)| fit.found == most)
        .map(|(index, place, _)| (*index, *place))
        .collect();
    let index = match most {
        // Another model's, to be refused with the names of the largest dictionary.
        0 => (0..dicts.len())
            .rev()
            .max_by_key(|i| dicts[*i].1.len())
            .unwrap_or(0),
        _ => fit::choose(&equal)?,
    };
    let prefix = fits[index].2.prefix.clone();
    let mut notes = Vec::new();
    let place = dicts[index].0;
    if !place.is_empty() {
        let average = match fit::is_average(place) {
            true => ", averaged weights",
            false => "",
        };
        notes.push(format!("taken from `{place}` of the file{average}"));
    }
    let others = fits
        .iter()
        .filter(|(other, _, fit)| *other != index && 2 * fit.found > most);
    for (_, other, _) in others.filter(|_| most > 0) {
        let average = match fit::is_average(other) {
            true => "averaged weights",
            false => "weights",
        };
        notes.push(format!("the {average} in `{other}` were not taken"));
    }
    let weights = content.take(index).map_err(in_file)?;
    let (module, mut report) = apply_under(module, &weights, &prefix, options)?;
    notes.append(&mut report.notes);
    report.notes = notes;
    Ok((module, report))
}

/// [`load`] for weights that have been read already.
///
/// # Errors
/// [`WeightsError`] naming the tensor that does not fit; the module is not changed.
pub fn apply<M: TorchNames>(
    module: M,
    weights: &StateDict,
    options: &LoadOptions,
) -> Result<(M, LoadReport), WeightsError> {
    let published = |key: &str| module.published_key(key);
    let fit = fit::fit(weights.keys(), &expected(&module), &published)?;
    apply_under(module, weights, &fit.prefix, options)
}

fn apply_under<M: TorchNames>(
    module: M,
    weights: &StateDict,
    prefix: &str,
    options: &LoadOptions,
) -> Result<(M, LoadReport), WeightsError> {
    let (plan, mut report) = plan(&module, weights, prefix, options)?;
    if !prefix.is_empty() {
        let note = format!("`{prefix}` before the names was taken off");
        report.notes.push(note);
    }
    let inside = |key: &&String| fit::is_wrapped_inside(&key[prefix.len().min(key.len())..]);
    if let Some(key) = weights
        .keys()
        .filter(|k| k.starts_with(prefix))
        .find(inside)
    {
        let note = format!("words of wrappers inside of names were taken out, as in `{key}`");
        report.notes.push(note);
    }
    Ok((carry_out(module, plan), report))
}

/// The names of a module's tensors.
fn expected<M: TorchNames>(module: &M) -> HashSet<String> {
    let all = raw_parameters(module).into_iter();
    all.map(|(_, info)| info.name).collect()
}

fn bytes(path: &Path) -> Result<Vec<u8>, WeightsError> {
    std::fs::read(path).map_err(|source| WeightsError::Read {
        path: path.to_path_buf(),
        source,
    })
}

/// Reads the tensors of a weights file under the keys that it has: safetensors, or PyTorch's (zip or the older kind
/// without). Of a checkpoint with several dictionaries the largest is taken, of equal ones the weights themselves
/// before their average.
///
/// # Errors
/// [`WeightsError::Read`] or [`WeightsError::File`]; a pickle that would call anything but
/// PyTorch's tensor constructors is [`Fault::Refused`].
pub fn read(path: &Path) -> Result<StateDict, WeightsError> {
    let bytes = bytes(path)?;
    let in_file = |fault| WeightsError::File {
        path: path.to_path_buf(),
        fault,
    };
    let content = Content::open(&bytes).map_err(in_file)?;
    let index = {
        let dicts = content.dicts();
        let order = |i: &usize| (std::cmp::Reverse(dicts[*i].1.len()), fit::rank(dicts[*i].0));
        (0..dicts.len()).min_by_key(order).unwrap_or(0)
    };
    content.take(index).map_err(in_file)
}

/// Weights without the words that data parallelism and `torch.compile` put before all names, for a model that is yet to
/// be told by its names; [`load`] and [`apply`] know the names and need no help.
pub fn unwrapped(mut weights: StateDict) -> StateDict {
    for _ in 0..4 {
        let mut words = ["module.", "_orig_mod."].into_iter();
        let word = words.find(|word| weights.keys().all(|key| key.starts_with(word)));
        let Some(word) = word.filter(|_| !weights.is_empty()) else {
            break;
        };
        let tensors = weights.into_iter();
        weights = tensors
            .map(|(key, data)| (key[word.len()..].to_string(), data))
            .collect();
    }
    weights
}

/// Writes a module's state as safetensors that PyTorch's model of the same name loads with
/// `strict=True`. The file appears whole or not at all; `metadata` is free text by key.
///
/// # Errors
/// [`WeightsError::Write`] naming the file.
pub fn save_safetensors<M: TorchNames>(
    module: &M,
    path: &Path,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    write_safetensors(&state_dict(module), path, metadata)
}

/// Tensors to be put in by Burn path, in PyTorch's layout.
type Plan = HashMap<String, TensorData>;

fn plan<M: TorchNames>(
    module: &M,
    weights: &StateDict,
    prefix: &str,
    options: &LoadOptions,
) -> Result<(Plan, LoadReport), WeightsError> {
    let (mut plan, mut report) = (Plan::new(), LoadReport::default());
    let published = |key: &str| module.published_key(key);
    let mut offered: BTreeMap<String, (&String, &TensorData)> = BTreeMap::new();
    for (key, data) in weights {
        let Some(name) = fit::name_under(key, prefix, &published) else {
            report.unused.push(key.clone());
            continue;
        };
        if let Some((first, _)) = offered.insert(name.clone(), (key, data)) {
            let (first, second) = (first.clone(), key.clone());
            return Err(WeightsError::Twice {
                name,
                first,
                second,
            });
        }
    }
    for (path, info) in raw_parameters(module) {
        let name = info.name;
        let Some((_, data)) = offered.remove(&name) else {
            report.missing.push(name);
            continue;
        };
        if data.shape().as_slice() != info.shape {
            let head = module.head().iter().any(|prefix| name.starts_with(prefix));
            if head && options.replace_head {
                report.replaced.push(name);
                continue;
            }
            let found = data.shape().to_vec();
            return Err(WeightsError::Shape {
                name,
                expected: info.shape,
                found,
            });
        }
        if !data.dtype().is_float() {
            return Err(WeightsError::Type {
                name,
                found: format!("{:?}", data.dtype()),
            });
        }
        check_values(&name, data)?;
        plan.insert(path, data.clone());
        report.taken.push(name);
    }
    let unused = offered.into_values().map(|(key, _)| key.clone());
    report.unused.extend(unused);
    report
        .unused
        .retain(|key| !key.ends_with("num_batches_tracked"));
    if !report.missing.is_empty() && !options.allow_missing {
        return Err(WeightsError::Missing {
            names: report.missing,
            keys: weights.keys().cloned().collect(),
        });
    }
    Ok((plan, report))
}

/// Refuses a tensor with a number that cannot be true: one that is not finite, or a variance below 0.
fn check_values(name: &str, data: &TensorData) -> Result<(), WeightsError> {
    let of = data.shape().iter().product();
    // What 32 bits cannot hold is infinite once it is loaded.
    if let Some((count, value)) = those(data, |value| !value.is_finite()) {
        let name = name.to_string();
        return Err(WeightsError::NotFinite {
            name,
            count,
            of,
            value,
        });
    }
    let is_variance = name.rsplit('.').next() == Some("running_var");
    match those(data, |value| is_variance && value < 0.0) {
        None => Ok(()),
        Some((count, value)) => Err(WeightsError::Negative {
            name: name.to_string(),
            count,
            of,
            value,
        }),
    }
}

/// How many numbers of a tensor, as 32 bits hold them, are wrong, and the first of them; nothing where none is.
fn those(data: &TensorData, is_wrong: impl Fn(f32) -> bool) -> Option<(usize, f64)> {
    // Most tensors are fine and of this type: no copy for them.
    if let Ok(values) = data.as_slice::<f32>()
        && !values.iter().any(|value| is_wrong(*value))
    {
        return None;
    }
    let mut wrong = (data.iter::<f64>()).filter(|value| is_wrong(*value as f32));
    let first = wrong.next()?;
    Some((1 + wrong.count(), first))
}

fn carry_out<M: TorchNames>(module: M, plan: Plan) -> M {
    struct Placer {
        at: Place,
        plan: Plan,
    }
    impl ModuleMapper for Placer {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.at.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.at.exit();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(data) = self.plan.remove(&self.at.path()) else {
                return param;
            };
            let data = if self.at.transposed() {
                transpose(data)
            } else {
                data
            };
            let dtype = match param.is_initialized() {
                true => param.val().dtype(),
                false => DType::F32,
            };
            let tensor = Tensor::from_data(data.convert_dtype(dtype), &param.lazy_device());
            let id = param.id;
            param.transform_for_load(tensor, id)
        }
    }
    if all_initialised(&module) {
        // A forward pass in training leaves updates of the running statistics pending, which would
        // later overwrite what is loaded. Looking at the inference copy applies them now.
        let _ = module.valid();
    }
    module.map(&mut Placer {
        at: Place::default(),
        plan,
    })
}

/// False for a fresh module, which cannot have seen a batch; asking initialises nothing.
fn all_initialised<M: Module>(module: &M) -> bool {
    struct Look(bool);
    impl ModuleVisitor for Look {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 &= param.is_initialized();
        }
    }
    let mut look = Look(true);
    module.visit(&mut look);
    look.0
}

/// The transpose of a matrix, as bytes, whatever its type.
fn transpose(data: TensorData) -> TensorData {
    let (rows, columns, dtype) = (data.shape()[0], data.shape()[1], data.dtype());
    let size = dtype.size();
    let from = data.as_bytes();
    let mut to = vec![0; from.len()];
    for row in 0..rows {
        for column in 0..columns {
            let (source, target) = (
                (row * columns + column) * size,
                (column * rows + row) * size,
            );
            to[target..target + size].copy_from_slice(&from[source..source + size]);
        }
    }
    TensorData::from_bytes_vec(to, vec![columns, rows], dtype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InputSpec;
    use crate::classification::{Classifier, ClassifierConfig};
    use burn::tensor::Device;

    fn model(name: &str, classes: usize, device: &Device) -> Classifier {
        let side = if name == "cnn" {
            InputSpec::gray(8)
        } else {
            InputSpec::rgb(32)
        };
        ClassifierConfig::named(name)
            .unwrap()
            .init(side, classes, device)
            .unwrap()
    }

    fn same(left: &StateDict, right: &StateDict) -> bool {
        left.keys().eq(right.keys())
            && left.iter().all(|(key, data)| {
                data.shape() == right[key].shape() && data.as_bytes() == right[key].as_bytes()
            })
    }

    #[test]
    fn names_and_shapes_are_pytorchs() {
        let model = model("resnet18", 10, &Device::flex());
        let infos = parameters(&model);
        let find = |name: &str| infos.iter().find(|info| info.name == name).unwrap();
        assert_eq!(find("layer2.0.downsample.0.weight").shape, [128, 64, 1, 1]);
        assert_eq!(find("fc.weight").shape, [10, 512]);
        assert!(find("layer1.0.bn1.running_var").buffer && !find("layer1.0.bn1.weight").buffer);
        assert_eq!(find("bn1.bias").rank(), 1);
        assert_eq!(infos.len(), 102); // 122 entries in torchvision's state dict, 20 of them counters
    }

    #[test]
    fn a_state_goes_around_to_the_bit_after_training_in_files_too() {
        let device = Device::flex().autodiff();
        let trained = model("resnet20", 10, &device);
        for _ in 0..3 {
            let x = Tensor::random([4, 3, 32, 32], burn::tensor::Distribution::Default, &device);
            let _ = trained.forward(x);
        }
        let state = state_dict(&trained);
        let mean = state["bn1.running_mean"]
            .iter::<f32>()
            .fold(0.0, |m: f32, v| m.max(v.abs()));
        assert!(mean > 0.01, "the running statistics have not moved");
        // Into a module that has a pending update of its own, which must not come back.
        let other = model("resnet20", 10, &device);
        let _ = other.forward(Tensor::ones([2, 3, 32, 32], &device));
        let other = load_state_dict(other, &state).unwrap();
        assert!(same(&state, &state_dict(&other)));
        let x = Tensor::<4>::ones([1, 3, 32, 32], &Device::flex());
        let outputs = [trained.valid(), other.valid()].map(|m| m.forward(x.clone()).into_data());
        assert_eq!(outputs[0], outputs[1]);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        save_safetensors(
            &trained,
            &path,
            &BTreeMap::from([("note".into(), "text".into())]),
        )
        .unwrap();
        assert!(same(&state, &read(&path).unwrap()));
        let fresh = model("resnet20", 10, &Device::flex());
        let (loaded, report) = load(fresh, &path, &LoadOptions::default()).unwrap();
        assert!(same(&state, &state_dict(&loaded)));
        assert_eq!(report.taken.len(), state.len());
        assert_eq!(
            LoadReport {
                taken: vec![],
                ..report
            },
            LoadReport::default()
        );
    }

    #[test]
    fn ids_and_gradients_survive_loading() {
        let device = Device::flex().autodiff();
        let before = model("resnet20", 10, &device);
        let infos = parameters(&before);
        let state = crate::formula::state(&before, 1.0);
        let after = load_state_dict(before, &state).unwrap();
        assert_eq!(parameters(&after), infos);
        let loss = after.forward(Tensor::ones([2, 3, 32, 32], &device)).sum();
        let gradients = burn::optim::GradientsParams::from_grads(loss.backward(), &after);
        assert_eq!(
            gradients.len(),
            infos.iter().filter(|info| !info.buffer).count()
        );
    }

    #[test]
    fn a_head_of_other_classes_is_left_and_said() {
        let device = Device::flex();
        let state = state_dict(&model("resnet20", 10, &device));
        let (_, report) = apply(
            model("resnet20", 3, &device),
            &state,
            &LoadOptions::default(),
        )
        .unwrap();
        assert_eq!(report.replaced, ["fc.weight", "fc.bias"]);
        let strict = LoadOptions {
            replace_head: false,
            ..Default::default()
        };
        let error = apply(model("resnet20", 3, &device), &state, &strict).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`fc.weight`: the model has shape [3, 64]"),
            "{error}"
        );
    }

    #[test]
    fn weights_that_do_not_belong_are_refused_by_name() {
        let device = Device::flex();
        let options = LoadOptions::default();
        let foreign = state_dict(&model("cnn", 10, &device));
        let error = apply(model("resnet20", 10, &device), &foreign, &options).unwrap_err();
        assert!(
            error.to_string().contains("such as `conv1.weight`"),
            "{error}"
        );
        let mut state = state_dict(&model("resnet20", 10, &device));
        state.insert("extra".into(), TensorData::new(vec![1.0f32], [1]));
        state.insert(
            "bn1.num_batches_tracked".into(),
            TensorData::new(vec![1i64], [1]),
        );
        let (_, report) = apply(model("resnet20", 10, &device), &state, &options).unwrap();
        assert_eq!(report.unused, ["extra"]);
        let error = load_state_dict(model("resnet20", 10, &device), &state).unwrap_err();
        assert!(matches!(error, WeightsError::Unused { names } if names == ["extra"]));
        let whole = TensorData::new(vec![1i64; 16], [16]);
        state.insert("bn1.bias".into(), whole);
        let error = apply(model("resnet20", 10, &device), &state, &options).unwrap_err();
        assert!(matches!(error, WeightsError::Type { .. }), "{error}");
    }

    #[test]
    fn wrapped_names_are_unwrapped() {
        let device = Device::flex();
        let plain = state_dict(&model("cnn", 10, &device));
        let wrapped = |word: &str| -> StateDict {
            let tensors = plain.iter();
            tensors
                .map(|(key, data)| (format!("{word}{key}"), data.clone()))
                .collect()
        };
        for word in ["", "module.", "_orig_mod.module.", "module._orig_mod."] {
            assert!(same(&plain, &unwrapped(wrapped(word))), "{word}");
            let (loaded, report) = apply(
                model("cnn", 10, &device),
                &wrapped(word),
                &LoadOptions::default(),
            )
            .unwrap();
            assert!(same(&plain, &state_dict(&loaded)), "{word}");
            assert_eq!(report.notes.len(), usize::from(!word.is_empty()));
        }
        assert!(unwrapped(StateDict::new()).is_empty());
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_by_name() {
        let device = Device::flex();
        let mut state = state_dict(&model("resnet20", 10, &device));
        let mut values = vec![1.0f32; 10];
        values[3] = f32::NEG_INFINITY;
        state.insert("fc.bias".into(), TensorData::new(values, [10]));
        let error = load_state_dict(model("resnet20", 10, &device), &state).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`fc.bias`: 1 of its 10 numbers are not finite, such as -inf"),
            "{text}"
        );
        let half = state["fc.bias"].clone().convert_dtype(DType::F16);
        state.insert("fc.bias".into(), half);
        assert!(load_state_dict(model("resnet20", 10, &device), &state).is_err());
    }

    #[test]
    fn a_variance_below_zero_is_refused_by_name() {
        let device = Device::flex();
        let mut state = state_dict(&model("resnet20", 10, &device));
        let mut values = vec![0.0f32; 16];
        let mut load = |values: &[f32], key: &str| {
            let old = state.insert(key.into(), TensorData::new(values.to_vec(), [16]));
            let loaded = load_state_dict(model("resnet20", 10, &device), &state);
            state.insert(key.into(), old.unwrap());
            loaded.map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(load(&values, "bn1.running_var"), Ok(()));
        values[2] = -0.5;
        assert_eq!(load(&values, "bn1.running_mean"), Ok(()));
        assert_eq!(
            load(&values, "bn1.running_var").unwrap_err(),
            "tensor `bn1.running_var`: 1 of its 16 numbers are below 0, such as -0.5; a variance is 0 or more"
        );
    }

    #[test]
    fn two_keys_of_one_tensor_are_refused() {
        let device = Device::flex();
        let mut state = state_dict(&model("resnet20", 10, &device));
        let again = state["fc.bias"].clone();
        state.insert("fc._orig_mod.bias".into(), again);
        let options = LoadOptions::default();
        let error = apply(model("resnet20", 10, &device), &state, &options).unwrap_err();
        assert!(matches!(error, WeightsError::Twice { name, .. } if name == "fc.bias"));
    }

    #[test]
    fn files_that_are_nothing_are_refused_by_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("noise.pth");
        for bytes in [
            &b""[..],
            b"PK",
            b"\x80\x02N.",
            b"hello",
            &[0xff; 64],
            b"\x08\0\0\0\0\0\0\0{\"a\":9}}",
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("noise.pth: "), "{error}");
        }
        assert!(matches!(
            read(&folder.path().join("none")),
            Err(WeightsError::Read { .. })
        ));
    }

    #[test]
    fn half_precision_is_widened() {
        let device = Device::flex();
        let fresh = model("resnet20", 10, &device);
        let half: StateDict = state_dict(&fresh)
            .into_iter()
            .map(|(key, data)| (key, data.convert_dtype(DType::F16)))
            .collect();
        let loaded = state_dict(&load_state_dict(fresh, &half).unwrap());
        assert!(loaded.values().all(|data| data.dtype() == DType::F32));
        assert_eq!(
            loaded["fc.weight"].iter::<f32>().next(),
            half["fc.weight"].iter::<f32>().next()
        );
    }
}
