//! A graph as the bytes of an ONNX file.

use std::collections::{BTreeMap, HashMap, HashSet};

use burn::tensor::f16;

use crate::graph::{Attribute, Data, Dim, Graph, Id, Kind};
use crate::proto;

/// The operator set that files ask for. Runtimes from 2024 on have it.
pub const OPSET: i64 = 20;
/// The version of the file format that belongs to it.
pub const IR_VERSION: i64 = 9;

/// How weights are stored; what a file computes is `f32` in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// Rounded to half precision, at half the size: the file brings them back to `f32` when it is loaded.
    F16,
}

/// ONNX's code of an element type.
pub(crate) fn code(kind: Kind) -> i32 {
    match kind {
        Kind::Float => 1,
        Kind::Byte => 2,
        Kind::Int => 7,
        Kind::Bool => 9,
    }
}

const FLOAT16: i32 = 10;

/// The least numbers of a tensor that is stored in half precision: of small ones the cast costs more than it saves.
const WORTH_HALVING: usize = 256;

/// The file's message.
pub(crate) fn model(
    graph: &Graph,
    precision: Precision,
    metadata: &BTreeMap<String, String>,
) -> proto::Model {
    let names = names(graph);
    let mut message = proto::Graph {
        name: "firesight".to_owned(),
        ..Default::default()
    };
    let mut stored = HashSet::new();
    let read = graph
        .nodes
        .iter()
        .flat_map(|node| node.inputs.iter().flatten());
    for id in read {
        let Some(data) = &graph[*id].data else {
            continue;
        };
        if stored.insert(*id) {
            store(&mut message, graph, *id, &names[id], data, precision);
        }
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        let name = |id: &Id| names[id].clone();
        message.node.push(proto::Node {
            input: (node.inputs.iter())
                .map(|id| id.as_ref().map(name).unwrap_or_default())
                .collect(),
            output: node.outputs.iter().map(name).collect(),
            name: format!("{}/{}_{at}", node.layer, node.op),
            op_type: node.op.to_owned(),
            attribute: node
                .attributes
                .iter()
                .map(|(key, value)| attribute(key, value))
                .collect(),
        });
    }
    message.input = graph
        .inputs
        .iter()
        .map(|id| info(graph, *id, &names))
        .collect();
    message.output = graph
        .outputs
        .iter()
        .map(|(_, id)| info(graph, *id, &names))
        .collect();
    let entry = |(key, value): (&String, &String)| proto::Entry {
        key: key.clone(),
        value: value.clone(),
    };
    proto::Model {
        ir_version: IR_VERSION,
        producer_name: "firesight".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(message),
        opset_import: vec![proto::OperatorSet {
            domain: String::new(),
            version: OPSET,
        }],
        metadata_props: metadata.iter().map(entry).collect(),
    }
}

/// A name for every tensor, no two the same: those of inputs and outputs, keys of the state dict, then the layer's.
fn names(graph: &Graph) -> HashMap<Id, String> {
    let mut names = HashMap::new();
    let mut taken = HashSet::new();
    let mut give = |names: &mut HashMap<Id, String>, id: Id, wish: String| {
        if names.contains_key(&id) {
            return;
        }
        let mut name = wish.clone();
        let mut again = 1;
        while !taken.insert(name.clone()) {
            again += 1;
            name = format!("{wish}_{again}");
        }
        names.insert(id, name);
    };
    let named = graph
        .inputs
        .iter()
        .map(|id| (graph[*id].name.clone().unwrap_or_default(), *id));
    for (name, id) in named.chain(graph.outputs.iter().cloned()) {
        give(&mut names, id, name);
    }
    for node in &graph.nodes {
        for id in node.inputs.iter().flatten() {
            if let Some(name) = &graph[*id].name {
                give(&mut names, *id, name.clone());
            }
        }
    }
    for node in &graph.nodes {
        for id in node
            .inputs
            .iter()
            .flatten()
            .filter(|id| graph[**id].data.is_some())
        {
            give(&mut names, *id, format!("{}/constant", node.layer));
        }
        for id in &node.outputs {
            give(&mut names, *id, format!("{}/{}", node.layer, node.op));
        }
    }
    names
}

fn store(
    message: &mut proto::Graph,
    graph: &Graph,
    id: Id,
    name: &str,
    data: &Data,
    precision: Precision,
) {
    let dims = graph[id].shape.iter().filter_map(|dim| dim.fixed());
    let mut tensor = proto::Tensor {
        dims: dims.map(|side| side as i64).collect(),
        data_type: code(graph[id].kind),
        name: name.to_owned(),
        ..Default::default()
    };
    let bytes = match data {
        Data::Float(values) if precision == Precision::F16 && values.len() >= WORTH_HALVING => {
            let to = ("to", Attribute::Int(i64::from(code(Kind::Float))));
            tensor.data_type = FLOAT16;
            tensor.name = format!("{name}.f16");
            message.node.push(proto::Node {
                input: vec![tensor.name.clone()],
                output: vec![name.to_owned()],
                name: format!("{name}/Cast"),
                op_type: "Cast".to_owned(),
                attribute: vec![attribute(to.0, &to.1)],
            });
            values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect()
        }
        Data::Float(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Data::Int(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    tensor.raw_data = Some(bytes);
    message.initializer.push(tensor);
}

fn attribute(name: &str, value: &Attribute) -> proto::Attribute {
    let mut message = proto::Attribute {
        name: name.to_owned(),
        ..Default::default()
    };
    match value {
        Attribute::Float(value) => (message.f, message.r#type) = (Some(*value), 1),
        Attribute::Int(value) => (message.i, message.r#type) = (Some(*value), 2),
        Attribute::Text(text) => (message.s, message.r#type) = (Some(text.as_bytes().to_vec()), 3),
        Attribute::Ints(values) => (message.ints, message.r#type) = (values.clone(), 7),
    }
    message
}

fn info(graph: &Graph, id: Id, names: &HashMap<Id, String>) -> proto::ValueInfo {
    let value = &graph[id];
    let side = |dim: &Dim| match dim {
        Dim::Fixed(size) => proto::Dimension {
            dim_value: Some(*size as i64),
            dim_param: None,
        },
        Dim::Samples(times) => proto::Dimension {
            dim_value: None,
            dim_param: Some(match times {
                1 => "N".to_owned(),
                times => format!("{times}*N"),
            }),
        },
        Dim::Unknown => proto::Dimension::default(),
    };
    proto::ValueInfo {
        name: names[&id].clone(),
        r#type: Some(proto::Type {
            tensor_type: Some(proto::TensorType {
                elem_type: code(value.kind),
                shape: Some(proto::Shape {
                    dim: value.shape.iter().map(side).collect(),
                }),
            }),
        }),
    }
}
