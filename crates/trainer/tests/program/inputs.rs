//! Small datasets as other people's tools write them, for tests: dark noise with a bright rectangle, and the files
//! of COCO and Pascal VOC about it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Width and height of the pictures.
pub const SIZE: [u32; 2] = [96, 64];
/// The bright rectangle as `x1 y1 x2 y2`, in pixels from 0.
pub const RECTANGLE: [u32; 4] = [20, 16, 60, 44];

/// Writes a file and the folders that it lies in.
pub fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A gray level that looks like noise, 40 to 89, from a place and a seed.
fn noise(x: u32, y: u32, seed: u32) -> u8 {
    let mut z = x ^ y.wrapping_mul(0x9E37_79B9) ^ seed.wrapping_mul(0x85EB_CA6B);
    z = (z ^ (z >> 16)).wrapping_mul(0x7FEB_352D);
    z = (z ^ (z >> 15)).wrapping_mul(0x846C_A68B);
    40 + ((z ^ (z >> 16)) % 50) as u8
}

/// Dark noise of `size`, with a bright rectangle if there is one.
pub fn pixels(size: [u32; 2], rectangle: Option<[u32; 4]>, seed: u32) -> image::RgbImage {
    image::RgbImage::from_fn(size[0], size[1], |x, y| match rectangle {
        Some([x1, y1, x2, y2]) if (x1..x2).contains(&x) && (y1..y2).contains(&y) => {
            image::Rgb([230, 200, 40])
        }
        _ => image::Rgb([0, 1, 2].map(|channel| noise(x, y, 3 * seed + channel))),
    })
}

/// Writes a picture with the rectangle; its format is that of the file's ending.
pub fn picture(path: impl AsRef<Path>, seed: u32) {
    picture_of(path, SIZE, Some(RECTANGLE), seed);
}

/// Writes a picture of another size, or with another rectangle.
pub fn picture_of(path: impl AsRef<Path>, size: [u32; 2], rectangle: Option<[u32; 4]>, seed: u32) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    pixels(size, rectangle, seed).save(path).unwrap();
}

/// Writes a gray mask: one value inside the rectangle, one outside.
pub fn mask(path: impl AsRef<Path>, inside: u8, outside: u8) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let [x1, y1, x2, y2] = RECTANGLE;
    let mask = image::GrayImage::from_fn(SIZE[0], SIZE[1], |x, y| {
        let covered = (x1..x2).contains(&x) && (y1..y2).contains(&y);
        image::Luma([if covered { inside } else { outside }])
    });
    mask.save(path).unwrap();
}

/// Writes `count` pictures into a folder; their entries for COCO, with ids from 1.
pub fn pictures(folder: impl AsRef<Path>, count: u32) -> Vec<Value> {
    let entry = |index: u32| {
        let name = format!("{index}.png");
        picture(folder.as_ref().join(&name), index);
        json!({"id": index + 1, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
    };
    (0..count).map(entry).collect()
}

/// Annotation `id` of image `id` about the rectangle, of category 1.
pub fn annotation(id: u32) -> Value {
    let [x1, y1, x2, y2] = RECTANGLE;
    json!({
        "id": id, "image_id": id, "category_id": 1, "iscrowd": 0, "area": (x2 - x1) * (y2 - y1),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
    })
}

/// Writes COCO's JSON with the one category `thing`.
pub fn coco(path: impl AsRef<Path>, images: &[Value], annotations: &[Value]) {
    coco_of(
        path,
        images,
        annotations,
        json!([{"id": 1, "name": "thing"}]),
    );
}

/// Writes COCO's JSON with categories of its own.
pub fn coco_of(path: impl AsRef<Path>, images: &[Value], annotations: &[Value], categories: Value) {
    let all = json!({"images": images, "annotations": annotations, "categories": categories});
    write(path, all.to_string());
}

/// The one-based box of the rectangle in VOC's XML.
pub const BNDBOX: &str =
    "<bndbox><xmin>21</xmin><ymin>17</ymin><xmax>60</xmax><ymax>44</ymax></bndbox>";

/// A VOC object `thing` with what stands before and in its box.
pub fn object(extra: &str, bndbox: &str) -> String {
    format!("<object><name>thing</name>{extra}{bndbox}</object>")
}

/// Writes a dataset in VOC's layout: 12 pictures, the last four for validation. `name` names a picture, `line` makes
/// its line in the lists, `objects` the XML of its objects.
pub fn voc(
    root: impl AsRef<Path>,
    name: impl Fn(u32) -> String,
    line: impl Fn(&str) -> String,
    objects: impl Fn(u32) -> String,
) {
    let root = root.as_ref();
    let [width, height] = SIZE;
    for index in 0..12 {
        let (name, objects) = (name(index), objects(index));
        picture(root.join(format!("JPEGImages/{name}.png")), index);
        let xml = format!(
            "<annotation><filename>{name}.png</filename><size><width>{width}</width><height>{height}</height>\
             <depth>3</depth></size>{objects}</annotation>"
        );
        write(root.join(format!("Annotations/{name}.xml")), xml);
    }
    for (part, indices) in [("train", 0..8), ("val", 8..12)] {
        let lines: String = indices.map(|i| line(&name(i)) + "\n").collect();
        write(root.join(format!("ImageSets/Main/{part}.txt")), lines);
    }
}

/// The smallest model of each task, as a recipe's tables.
pub const CLASSIFIER: &str =
    "[task.classification]\nmodel = { cnn = { channels = [8], hidden = [16] } }";
/// A detector for the rectangle.
pub const DETECTOR: &str = "[task.detection.model.retinanet]\nbackbone = \"resnet18\"\nchannels = 16\nlevels = 3\n\
                            head-depth = 1\nanchor-size = 12";
/// A segmenter.
pub const SEGMENTER: &str = "[task.segmentation]\nmodel = { unet = { channels = [8, 16] } }";
/// A generator of 16x16 pictures.
pub const GENERATOR: &str = "[task.generation]\nmodel = { dcgan = { latent = 8, generator-width = 4, \
                             discriminator-width = 4 } }\nsamples = 50";

/// A recipe's text: the task's table, the source, top-level keys (`epochs = 2`), keys of `data`, further tables.
pub fn recipe(task: &str, source: &str, top: &str, data: &str, more: &str) -> String {
    format!(
        "seed = 1\n{top}\n\n[data]\nsource = {source}\nbatch-size = 4\nworkers = 0\n{data}\n\n{task}\n\n\
         [optimizer.adamw]\nlearning-rate = 0.003\n\n{more}\n"
    )
}
