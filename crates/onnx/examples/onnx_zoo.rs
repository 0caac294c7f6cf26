//! Writes every model of the zoo as ONNX, each with inputs and this program's outputs for them, at two numbers of samples,
//! in a file beside it; `scripts/check_onnx.py` runs them in ONNX Runtime and compares.
//!
//! ```sh
//! cargo run --release -p firesight-onnx --example onnx_zoo -- OUT_FOLDER [NAME ...]
//! ```
//!
//! Without names, all are written. Weights are freshly drawn and have seen one batch in training mode, so that running
//! statistics are not at their defaults.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use firesight_models::generation::GanConfig;
use firesight_models::weights::{StateDict, load_state_dict, state_dict, write_safetensors};
use firesight_models::{InputSpec, classification, detection, formula, segmentation};
use firesight_onnx::{Precision, Recorder, network};

type Outcome<T> = Result<T, Box<dyn Error>>;
/// Inputs or outputs by name.
type Named = Vec<(&'static str, TensorData)>;

const CLASSES: usize = 7;
/// The numbers of samples that are compared.
const SAMPLES: [usize; 2] = [1, 3];

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments
        .next()
        .ok_or("usage: onnx_zoo OUT_FOLDER [NAME ...]")?;
    let out = Path::new(&out);
    let names: Vec<String> = arguments.collect();
    std::fs::create_dir_all(out)?;
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    classifiers(out, &wanted)?;
    segmenters(out, &wanted)?;
    detectors(out, &wanted)?;
    generators(out, &wanted)
}

/// What is written of one model.
struct Case<'a> {
    name: &'a str,
    task: &'a str,
    /// Input of so many samples, by name.
    inputs: &'a dyn Fn(usize) -> Named,
    /// This program's outputs for them.
    outputs: &'a dyn Fn(&Named) -> Named,
}

impl Case<'_> {
    fn write(
        self,
        out: &Path,
        mut forward: impl FnMut(&mut Recorder) -> Outcome<()>,
    ) -> Outcome<()> {
        let network = network(&mut forward)?;
        let about = BTreeMap::from([
            ("model".to_owned(), self.name.to_owned()),
            ("task".to_owned(), self.task.to_owned()),
        ]);
        let file = out.join(format!("{}.onnx", self.name));
        network.write(&file, Precision::F32, &about)?;
        let mut reference = StateDict::new();
        for samples in SAMPLES {
            let inputs = (self.inputs)(samples);
            for (name, data) in (self.outputs)(&inputs) {
                reference.insert(format!("output.{samples}.{name}"), data);
            }
            for (name, data) in inputs {
                reference.insert(format!("input.{samples}.{name}"), data);
            }
        }
        let path = out.join(format!("{}.reference.safetensors", self.name));
        write_safetensors(&reference, &path, &about)?;
        let operators = network.operators().into_iter();
        let operators: Vec<String> = operators
            .map(|(op, count)| format!("{count} {op}"))
            .collect();
        println!("{}: {}", self.name, operators.join(", "));
        Ok(())
    }
}

fn images(input: InputSpec) -> impl Fn(usize) -> Named {
    move |samples| {
        let shape = [samples, input.channels, input.height, input.width];
        vec![("input", formula::images(shape))]
    }
}

fn first(inputs: &Named) -> Tensor<4> {
    Tensor::from_data(inputs[0].1.clone(), &Device::flex())
}

fn shape(input: InputSpec) -> [usize; 3] {
    [input.channels, input.height, input.width]
}

/// A batch on the device of training, with which running statistics move.
fn batch(input: InputSpec, device: &Device) -> Tensor<4> {
    let shape = [4, input.channels, input.height, input.width];
    Tensor::from_data(formula::images(shape), device)
}

fn training() -> Device {
    let device = Device::flex().autodiff();
    device.seed(42);
    device
}

/// Tensors that are drawn as zeros, which would hide whatever comes before them, with other numbers.
fn without_zeros(mut state: StateDict) -> StateDict {
    for (key, data) in &mut state {
        if data.iter::<f32>().all(|value| value == 0.0) {
            let shape = data.shape().to_vec();
            *data = TensorData::new(formula::values(key, &shape, 1.0), shape);
        }
    }
    state
}

fn classifiers(out: &Path, wanted: &dyn Fn(&str) -> bool) -> Outcome<()> {
    for entry in classification::registry() {
        if !wanted(entry.name) {
            continue;
        }
        let (input, device) = (entry.input, training());
        let model = entry.config.init(input, CLASSES, &device)?;
        let small = InputSpec {
            height: input.height.min(64.max(entry.minimum)),
            width: input.width.min(64.max(entry.minimum)),
            ..input
        };
        let _ = model.forward_train(batch(small, &device));
        let model = model.valid();
        let state = without_zeros(state_dict(&model));
        let model = load_state_dict(model, &state)?;
        let case = Case {
            name: entry.name,
            task: "classification",
            inputs: &images(input),
            outputs: &|inputs| vec![("logits", model.forward(first(inputs)).into_data())],
        };
        case.write(out, |recorder| {
            let model = entry.config.init(input, CLASSES, recorder.device())?;
            let model = load_state_dict(model, &state)?;
            recorder.name_tensors(&model);
            let x = recorder.input::<4>("input", &shape(input));
            recorder.output("logits", &model.forward(x));
            Ok(())
        })?;
    }
    Ok(())
}

fn segmenters(out: &Path, wanted: &dyn Fn(&str) -> bool) -> Outcome<()> {
    for entry in segmentation::registry() {
        if !wanted(entry.name) {
            continue;
        }
        // A size that strides do not divide.
        let side = 104.max(entry.minimum);
        let input = InputSpec {
            channels: 3,
            height: side,
            width: side + 20,
        };
        let device = training();
        let model = entry.config.init(input, CLASSES, &device)?;
        let _ = model.forward_train(batch(input, &device));
        let model = model.valid();
        let state = without_zeros(state_dict(&model));
        let model = load_state_dict(model, &state)?;
        let case = Case {
            name: entry.name,
            task: "segmentation",
            inputs: &images(input),
            outputs: &|inputs| vec![("logits", model.forward(first(inputs)).into_data())],
        };
        case.write(out, |recorder| {
            let model = entry.config.init(input, CLASSES, recorder.device())?;
            let model = load_state_dict(model, &state)?;
            recorder.name_tensors(&model);
            let x = recorder.input::<4>("input", &shape(input));
            recorder.output("logits", &model.forward(x));
            Ok(())
        })?;
    }
    Ok(())
}

fn detectors(out: &Path, wanted: &dyn Fn(&str) -> bool) -> Outcome<()> {
    for entry in detection::registry() {
        if !wanted(entry.name) {
            continue;
        }
        let least = entry.config.minimum();
        let input = InputSpec {
            channels: 3,
            height: least.max(96),
            width: least.max(160),
        };
        let device = training();
        let model = entry.config.init(input, CLASSES, &device)?;
        let _ = model.forward(batch(input, &device));
        let model = model.valid();
        let state = without_zeros(state_dict(&model));
        let model = load_state_dict(model, &state)?;
        let case = Case {
            name: entry.name,
            task: "detection",
            inputs: &images(input),
            outputs: &|inputs| {
                let output = model.forward(first(inputs));
                let centerness = output.bbox_ctrness.map(|c| ("bbox_ctrness", c.into_data()));
                let objectness = output.objectness.map(|o| ("objectness", o.into_data()));
                let named = [
                    ("cls_logits", output.cls_logits.into_data()),
                    ("bbox_regression", output.bbox_regression.into_data()),
                ];
                named
                    .into_iter()
                    .chain(centerness)
                    .chain(objectness)
                    .collect()
            },
        };
        case.write(out, |recorder| {
            let model = entry.config.init(input, CLASSES, recorder.device())?;
            let model = load_state_dict(model, &state)?;
            recorder.name_tensors(&model);
            let x = recorder.input::<4>("input", &shape(input));
            let output = model.forward(x);
            recorder.output("cls_logits", &output.cls_logits);
            recorder.output("bbox_regression", &output.bbox_regression);
            if let Some(centerness) = &output.bbox_ctrness {
                recorder.output("bbox_ctrness", centerness);
            }
            if let Some(objectness) = &output.objectness {
                recorder.output("objectness", objectness);
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn generators(out: &Path, wanted: &dyn Fn(&str) -> bool) -> Outcome<()> {
    let plain = GanConfig::named("dcgan")?;
    let told: GanConfig =
        serde_json::from_str(r#"{"dcgan": {"conditional": true, "spectral-norm": true}}"#)?;
    for (suffix, config, classes) in [("", plain, 0), ("_conditional", told, CLASSES)] {
        let [maker, judge] =
            ["generator", "discriminator"].map(|network| format!("dcgan{suffix}_{network}"));
        if !wanted(&maker) && !wanted(&judge) {
            continue;
        }
        let (input, device) = (InputSpec::rgb(64), training());
        let (generator, discriminator) = config.init(input, classes, &device)?;
        let labels = |samples: usize, device: &Device| {
            let labels: Vec<i64> = (0..samples).map(|i| (i * 3 % CLASSES) as i64).collect();
            (classes > 0)
                .then(|| Tensor::<1, Int>::from_data(TensorData::new(labels, [samples]), device))
        };
        let latent = |samples: usize| {
            let numbers = formula::images([samples, 1, 1, config.latent()]);
            let numbers = numbers.iter::<f32>().collect::<Vec<_>>();
            TensorData::new(numbers, [samples, config.latent()])
        };
        let z = Tensor::<2>::from_data(latent(4), &device);
        let _ = generator.forward(z, labels(4, &device));
        let _ = discriminator.forward(batch(input, &device), labels(4, &device));
        let (generator, discriminator) = (generator.valid(), discriminator.valid());
        let states = (state_dict(&generator), state_dict(&discriminator));
        let flex = Device::flex();
        let with_labels = |mut inputs: Named, samples| {
            let wide = |labels: Tensor<1, Int>| labels.into_data().convert_dtype(DType::I64);
            inputs.extend(labels(samples, &flex).map(|labels| ("classes", wide(labels))));
            inputs
        };
        let case = Case {
            name: &maker,
            task: "generation",
            inputs: &|samples| with_labels(vec![("latent", latent(samples))], samples),
            outputs: &|inputs| {
                let z = Tensor::<2>::from_data(inputs[0].1.clone(), &flex);
                let samples = z.dims()[0];
                vec![(
                    "images",
                    generator.forward(z, labels(samples, &flex)).into_data(),
                )]
            },
        };
        case.write(out, |recorder| {
            let (generator, _) = config.init(input, classes, recorder.device())?;
            let generator = load_state_dict(generator, &states.0)?;
            recorder.name_tensors(&generator);
            let z = recorder.input::<2>("latent", &[config.latent()]);
            let labels = (classes > 0).then(|| recorder.input_int::<1>("classes", &[]));
            recorder.output("images", &generator.forward(z, labels));
            Ok(())
        })?;
        let case = Case {
            name: &judge,
            task: "generation",
            inputs: &|samples| with_labels(images(input)(samples), samples),
            outputs: &|inputs| {
                let x = first(inputs);
                let samples = x.dims()[0];
                vec![(
                    "scores",
                    discriminator.forward(x, labels(samples, &flex)).into_data(),
                )]
            },
        };
        case.write(out, |recorder| {
            let (_, discriminator) = config.init(input, classes, recorder.device())?;
            let discriminator = load_state_dict(discriminator, &states.1)?;
            recorder.name_tensors(&discriminator);
            let x = recorder.input::<4>("input", &shape(input));
            let labels = (classes > 0).then(|| recorder.input_int::<1>("classes", &[]));
            recorder.output("scores", &discriminator.forward(x, labels));
            Ok(())
        })?;
    }
    Ok(())
}
