//! What becomes of recorded networks, and what is refused. Whether the files compute what the networks do, another runtime
//! says: `scripts/check_onnx.py`.

use burn::tensor::{Tensor, TensorData};
use firesight_models::classification::ClassifierConfig;
use firesight_models::weights::load_state_dict;
use firesight_models::{InputSpec, formula};
use firesight_onnx::{Network, OnnxError, Precision, Recorder, network};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn classifier(name: &str) -> Outcome<Network> {
    let (config, input) = (ClassifierConfig::named(name)?, InputSpec::rgb(64));
    network(|recorder: &mut Recorder| -> Outcome {
        let model = config.init(input, 5, recorder.device())?;
        let weights = formula::state(&model, 1.2);
        let model = load_state_dict(model, &weights)?;
        recorder.name_tensors(&model);
        let x = recorder.input::<4>("input", &[3, 64, 64]);
        recorder.output("logits", &model.forward(x));
        Ok(())
    })
}

/// One operator each: what Burn records in parts, and normalizations in the convolutions before them.
#[test]
fn patterns_become_operators() -> Outcome {
    let resnet = classifier("resnet18")?.operators();
    let expected = [
        ("Add", 8),
        ("Conv", 20),
        ("Flatten", 1),
        ("Gemm", 1),
        ("GlobalAveragePool", 1),
        ("MaxPool", 1),
        ("Relu", 17),
    ];
    assert_eq!(resnet, expected.into());
    let mobile = classifier("mobilenet_v3_small")?.operators();
    let gates = ["HardSwish", "HardSigmoid", "Clip"].map(|op| mobile.get(op));
    assert_eq!(gates, [Some(&19), Some(&9), None]);
    let convnext = classifier("convnext_tiny")?.operators();
    let layers = ["Gelu", "LayerNormalization", "Reshape"].map(|op| convnext.get(op));
    assert_eq!(layers, [Some(&18), Some(&23), None]);
    Ok(())
}

#[test]
fn files_hold_weights_under_pytorchs_names_and_little_else() -> Outcome {
    let network = classifier("resnet20")?;
    let about = [("classes".to_owned(), "[\"a\"]".to_owned())].into();
    let sizes = [Precision::F32, Precision::F16].map(|precision| {
        let file = network.to_bytes(precision, &about).unwrap();
        for text in [
            "layer2.0.conv1.weight",
            "layer2.0.conv1.bias",
            "fc.weight",
            "classes",
        ] {
            assert!(contains(&file, text), "{text}");
        }
        assert!(!contains(&file, "running_mean"));
        file.len()
    });
    // What is left of 272,149 parameters when normalizations are folded.
    let weights = 4 * 270_000;
    assert!(
        sizes[0] > weights && sizes[0] < weights * 103 / 100,
        "{sizes:?}"
    );
    assert!(sizes[1] < sizes[0] * 11 / 20, "{sizes:?}");
    Ok(())
}

fn contains(file: &[u8], text: &str) -> bool {
    file.windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn a_file_appears_whole_or_not_at_all() -> Outcome {
    let folder = tempfile::tempdir()?;
    let network = classifier("resnet20")?;
    let file = folder.path().join("m.onnx");
    network.write(&file, Precision::F32, &Default::default())?;
    let bytes = network.to_bytes(Precision::F32, &Default::default())?;
    assert!(std::fs::read(&file)? == bytes);
    let nowhere = folder.path().join("none").join("m.onnx");
    let error = network
        .write(&nowhere, Precision::F32, &Default::default())
        .unwrap_err();
    assert!(
        matches!(&error, OnnxError::Write { path, .. } if *path == nowhere),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
    Ok(())
}

/// The error of a network of one input `[N, 4]`.
fn refused(forward: impl Fn(Tensor<2>) -> Tensor<2>) -> String {
    let error = network(|recorder: &mut Recorder| -> Result<(), OnnxError> {
        let x = recorder.input::<2>("input", &[4]);
        recorder.output("output", &forward(x));
        Ok(())
    });
    error.unwrap_err().to_string()
}

#[test]
fn what_cannot_be_written_is_named_with_its_layer() {
    let error = refused(|x| x.cumsum(1));
    assert_eq!(
        error,
        "the input: the operation CumSum of [2, 4] cannot be written as ONNX"
    );
    let error = refused(|x| {
        let noise = Tensor::random([1, 4], burn::tensor::Distribution::Default, &x.device());
        x + noise
    });
    assert!(error.contains("the operation Random"), "{error}");
}

#[test]
fn a_number_that_follows_from_the_samples_is_never_a_constant() {
    let scaled = refused(|x| {
        let samples = x.dims()[0] as f64;
        x.mul_scalar(samples)
    });
    assert!(
        scaled.contains("a setting of the operation MulScalar"),
        "{scaled}"
    );
    let shifted = refused(|x| {
        let values = vec![x.dims()[0] as f32; 4];
        let constant = Tensor::<2>::from_data(TensorData::new(values, [1, 4]), &x.device());
        x + constant
    });
    assert!(shifted.contains("a constant of shape [1, 4]"), "{shifted}");
    let first = refused(|x| {
        let first = x.clone().narrow(0, 0, 1);
        x - first
    });
    assert!(first.contains("the operation Slice"), "{first}");
    let grown = refused(|x| Tensor::cat(vec![x.clone(), Tensor::ones([1, 4], &x.device())], 0));
    assert!(
        grown.contains("the shape [3, 4] for 2 samples, [4, 4] for 3,"),
        "{grown}"
    );
    let branched = refused(|x| match x.dims()[0] % 2 {
        0 => x.exp(),
        _ => x.tanh(),
    });
    assert!(
        branched.contains("which operations the forward pass runs"),
        "{branched}"
    );
}
