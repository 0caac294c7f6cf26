//! Augmentations against torchvision's v2 functions on photographs.
//!
//! The photographs (CC BY 2.0, named in the file's metadata) and torchvision's results stand in
//! `fixtures/augment.safetensors.gz`, written by `scripts/export_augment_fixtures.py`; the parameters stand there and
//! here under the same names. Where the definitions agree, the mean difference is at most 0.3 and the largest 2 of 255.
//!
//! `cargo test -p firesight-data --test torchvision -- --nocapture` prints the table.

use std::io::Read;

use firesight_data::augment::{Blur, Erase, EraseValue, Plan, Values};
use firesight_data::geometry::{Geometry, Map};
use firesight_data::sample::{Image, Picture, Sample};
use firesight_data::target::Target;
use flate2::read::GzDecoder;
use safetensors::SafeTensors;

const MEAN: f64 = 0.3;
const LARGEST: u8 = 2;
/// Of pictures of numbers, where 1 is white: half a step of 16 bits, and what 32 bits round.
const FLOATS: f32 = 2e-5;

fn image(tensors: &SafeTensors, name: &str) -> Image {
    let tensor = tensors
        .tensor(name)
        .unwrap_or_else(|_| panic!("the fixture file has no {name}"));
    let [height, width, channels] = tensor.shape().try_into().unwrap();
    Image {
        width,
        height,
        channels,
        pixels: tensor.data().to_vec(),
    }
}

/// The plan of each operation, for an image of `[width, height]`.
fn plan(operation: &str, size: [usize; 2]) -> Plan {
    let mut plan = Plan::new(size);
    let [w, h] = size.map(|v| v as f64);
    let fill = [0; 3];
    let crop = |y, x, height, width| Geometry::Crop {
        x,
        y,
        width,
        height,
        fill,
    };
    let center = |map: Map| map.about(w / 2.0, h / 2.0);
    let warp = |map| Geometry::Warp { map, fill };
    match operation {
        "resize-down" => plan.geometry(Geometry::Resize {
            width: 37,
            height: 29,
        }),
        "resize-up" => plan.geometry(Geometry::Resize {
            width: 83,
            height: 101,
        }),
        "resize-mixed" => plan.geometry(Geometry::Resize {
            width: 31,
            height: 110,
        }),
        "crop" => plan.geometry(crop(7, 11, 40, 33)),
        "crop-outside" => plan.geometry(crop(-5, -3, 50, 60)),
        "resized-crop" => {
            plan.geometry(crop(6, 5, 44, 41));
            plan.geometry(Geometry::Resize {
                width: 32,
                height: 24,
            });
        }
        "center-crop" => {
            use firesight_data::augment::{Augmentation, CenterCrop};
            let mut rng =
                firesight_data::random::stream(0, 0, 0, firesight_data::random::Domain::Sample);
            CenterCrop {
                width: 33,
                height: 41,
                fill,
            }
            .draw(&mut rng, &mut plan);
        }
        "horizontal-flip" => plan.geometry(Geometry::FlipHorizontal),
        "vertical-flip" => plan.geometry(Geometry::FlipVertical),
        "rotate-30" => plan.geometry(warp(center(Map::rotation(30.0)))),
        "rotate-7" => plan.geometry(warp(center(Map::rotation(-7.0)))),
        // The angle of torchvision's `affine` is clockwise, that of its `rotate` is not.
        "affine" => {
            plan.geometry(warp(center(Map::rotation(-12.0))));
            plan.geometry(warp(center(Map::scaling(1.15, 1.15))));
            plan.geometry(warp(Map::translation(4.0, -3.0)));
        }
        "scale-down" => plan.geometry(warp(center(Map::scaling(0.9, 0.9)))),
        "perspective" => {
            let from = [[0., 0.], [50., 0.], [50., 55.], [0., 55.]];
            // Mild enough that nothing shrinks by more than the antialias filter's threshold, which torchvision lacks.
            let to = [[3., 2.], [48., 4.], [46., 53.], [1., 51.]];
            plan.geometry(warp(Map::quad(from, to).unwrap()));
        }
        "brightness-low" => plan.pixels(Values::Brightness(0.6)),
        "brightness-high" => plan.pixels(Values::Brightness(1.45)),
        "contrast-low" => plan.pixels(Values::Contrast(0.5)),
        "contrast-high" => plan.pixels(Values::Contrast(1.7)),
        "saturation-low" => plan.pixels(Values::Saturation(0.3)),
        "saturation-high" => plan.pixels(Values::Saturation(1.8)),
        "hue-up" => plan.pixels(Values::Hue(0.13)),
        "hue-down" => plan.pixels(Values::Hue(-0.37)),
        "grayscale" => plan.pixels(Values::Grayscale),
        "solarize" => plan.pixels(Values::Solarize(128.0)),
        "posterize" => plan.pixels(Values::Posterize(3)),
        "equalize" => plan.pixels(Values::Equalize),
        "auto-contrast" => plan.pixels(Values::AutoContrast),
        "invert" => plan.pixels(Values::Invert),
        "smooth" => plan.pixels(Values::Sharpness(0.3)),
        "sharpen" => plan.pixels(Values::Sharpness(2.0)),
        "blur" => plan.pixels(Blur {
            radius: 3,
            sigma: 1.3,
        }),
        "erase" => {
            let value = EraseValue::Color([3, 200, 90]);
            plan.pixels(Erase {
                x: 20,
                y: 12,
                width: 17,
                height: 25,
                value,
                seed: 0,
            });
        }
        other => panic!("the fixture file has an operation {other} that this test does not know"),
    }
    plan
}

fn fixtures() -> Vec<u8> {
    let packed = include_bytes!("fixtures/augment.safetensors.gz");
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    bytes
}

fn names(tensors: &SafeTensors) -> Vec<String> {
    let mut names: Vec<String> = tensors.names().into_iter().map(String::from).collect();
    names.sort();
    names
}

#[test]
fn operations_give_what_torchvision_gives() {
    let bytes = fixtures();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let names = names(&tensors);
    let (mut compared, mut failures) = (0, Vec::new());
    for name in &names {
        let Some((photo @ ("one" | "two"), operation)) = name.split_once('/') else {
            continue;
        };
        let input = image(&tensors, photo);
        let plan = plan(operation, [input.width, input.height]);
        let result = plan
            .apply(Sample {
                image: input.into(),
                target: Target::default(),
            })
            .unwrap()
            .image
            .shown()
            .into_owned();
        let expected = image(&tensors, name);
        assert_eq!(
            [result.width, result.height],
            [expected.width, expected.height],
            "{name}"
        );
        let apart = || {
            result
                .pixels
                .iter()
                .zip(&expected.pixels)
                .map(|(a, b)| a.abs_diff(*b))
        };
        let mean = apart().map(f64::from).sum::<f64>() / expected.pixels.len() as f64;
        let largest = apart().max().unwrap();
        println!("{name:24} mean {mean:.4} largest {largest}");
        if mean > MEAN || largest > LARGEST {
            failures.push(format!("{name}: mean {mean:.4}, largest {largest}"));
        }
        compared += 1;
    }
    assert!(
        compared >= 60 && failures.is_empty(),
        "of {compared} comparisons: {failures:#?}"
    );
}

/// Numbers are rounded nowhere, so that they agree to what the fixtures' 16 bits hold. The means of bytes under a whole
/// affine map are taken by torchvision's own grid, whose places are rounded to 32 bits.
#[test]
fn operations_on_numbers_give_what_torchvision_gives() {
    let bytes = fixtures();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let photo = image(&tensors, "small");
    let input = Image {
        width: photo.width,
        height: photo.height,
        channels: 3,
        pixels: photo.pixels.iter().map(|v| f32::from(*v) / 255.0).collect(),
    };
    let (mut compared, mut failures) = (0, Vec::new());
    for name in names(&tensors) {
        let Some(("small", operation)) = name.split_once('/') else {
            continue;
        };
        let sample = Sample {
            image: input.clone().into(),
            target: Target::default(),
        };
        let result = plan(operation, [input.width, input.height]).apply(sample);
        let Picture::Floats(result) = result.unwrap().image else {
            panic!("{name}: floats stay floats");
        };
        let tensor = tensors.tensor(&name).unwrap();
        let shape = [result.height, result.width, result.channels];
        assert_eq!(tensor.shape(), shape, "{name}");
        let expected = tensor.data().as_chunks::<2>().0.iter();
        let expected = expected.map(|bytes| f32::from(u16::from_le_bytes(*bytes)) / 65535.0);
        let apart = result.pixels.iter().zip(expected);
        let largest = apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name:24} largest {largest:.6}");
        if largest > FLOATS {
            failures.push(format!("{name}: largest {largest:.6}"));
        }
        compared += 1;
    }
    assert!(
        compared >= 28 && failures.is_empty(),
        "of {compared} comparisons: {failures:#?}"
    );
}
