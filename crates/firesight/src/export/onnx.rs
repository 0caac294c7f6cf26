//! Trained models as ONNX files.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::activation::softmax;
use firesight_onnx::{Precision, Recorder, network};
use firesight_predict::Model;

use crate::error::bail;
use crate::predictor::Predictor;

/// What an ONNX file holds beside the network.
#[derive(Clone, Debug, Default)]
pub struct OnnxOptions {
    /// How weights are stored.
    pub precision: Precision,
    /// Whether the file gives answers instead of scores: probabilities of a classifier, the class of each pixel of a
    /// segmenter.
    pub postprocessing: bool,
}

/// Writes a model as ONNX, for any number of images at once, of the size that it was trained at. A file that is there is
/// written over.
///
/// | Task | Inputs | Outputs | with postprocessing |
/// |---|---|---|---|
/// | classification | `input` `[N, C, H, W]` | `logits` `[N, classes]` | `probabilities` `[N, classes]` |
/// | segmentation | `input` `[N, C, H, W]` | `logits` `[N, classes, H, W]` | `classes` `[N, 1, H, W]`, whole numbers |
/// | detection | `input` `[N, C, H, W]` | `cls_logits` `[N, rows, classes]`, `bbox_regression` `[N, rows, 4]`, `bbox_ctrness` `[N, rows, 1]` (FCOS), `objectness` `[N, rows, 1]` (YOLOX) | not yet |
/// | generation | `latent` `[N, latent]`, `classes` `[N]` (conditional) | `images` `[N, C, H, W]`, from -1 to 1 | not yet |
///
/// `input` holds normalized values. The file's metadata say what else a program must know, under the keys of [`Sidecar`](crate::predictor::Sidecar):
/// `task`, `model`, `classes`, `mean`, `std`, `preprocess` and the whole `recipe`.
///
/// # Errors
/// A task of another program, an operation that ONNX cannot say, a file that cannot be written.
pub fn onnx(
    predictor: &Predictor,
    file: impl AsRef<Path>,
    options: &OnnxOptions,
) -> crate::Result<()> {
    let weights = predictor.model().weights();
    let network = network(|recorder| {
        let model = predictor.recorded(&weights, recorder)?;
        forward(predictor, &model, options, recorder)
    })?;
    let metadata = metadata(predictor)?;
    Ok(network.write(file.as_ref(), options.precision, &metadata)?)
}

/// Calls the model on the recorder's device.
fn forward(
    predictor: &Predictor,
    model: &Model,
    options: &OnnxOptions,
    recorder: &mut Recorder,
) -> crate::Result<()> {
    let card = predictor.card();
    let shape = [card.channels, card.height, card.width];
    let answers = options.postprocessing;
    match model {
        Model::Classifier(model) => {
            let logits = model.logits(recorder.input::<4>("input", &shape));
            match answers {
                true => recorder.output("probabilities", &softmax(logits, 1)),
                false => recorder.output("logits", &logits),
            }
        }
        Model::Segmenter { network, .. } => {
            let logits = network.logits(recorder.input::<4>("input", &shape));
            match answers {
                true => recorder.output_int("classes", &logits.argmax(1)),
                false => recorder.output("logits", &logits),
            }
        }
        Model::Detector(model) if !answers => {
            let output = model.forward(recorder.input::<4>("input", &shape));
            recorder.output("cls_logits", &output.cls_logits);
            recorder.output("bbox_regression", &output.bbox_regression);
            if let Some(centerness) = &output.bbox_ctrness {
                recorder.output("bbox_ctrness", centerness);
            }
            if let Some(objectness) = &output.objectness {
                recorder.output("objectness", objectness);
            }
        }
        Model::Generator(model) if !answers => {
            let latent = recorder.input::<2>("latent", &[model.latent()]);
            let told = model.classes() > 0;
            let classes = told.then(|| recorder.input_int::<1>("classes", &[]));
            recorder.output("images", &model.forward(latent, classes));
        }
        Model::Detector(_) | Model::Generator(_) => bail!(
            "a model that {} is written without postprocessing",
            model.does()
        ),
        Model::Other(_) => bail!(
            "the task `{}` is another program's, which knows the inputs and outputs of its network and writes it with \
             `firesight_onnx::network`",
            card.task
        ),
    }
    Ok(())
}

/// What another program must know to feed the model: the sidecar's entries, texts as they are and the rest as JSON.
fn metadata(predictor: &Predictor) -> crate::Result<BTreeMap<String, String>> {
    let about = serde_json::to_value(predictor.sidecar()?)?;
    let entries = about.as_object().into_iter().flatten();
    let entry = |(key, value): (&String, &serde_json::Value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (key.clone(), text)
    };
    let mut metadata: BTreeMap<String, String> = entries.map(entry).collect();
    metadata.insert("firesight".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    Ok(metadata)
}
