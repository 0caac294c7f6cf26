//! From two recordings of a forward pass to a graph of ONNX operators.

mod module;
mod numeric;
mod shape;

use std::collections::{HashMap, HashSet};

use burn::tensor::{DType, Shape, TensorData, TensorId};
use burn_ir::{IrVisitorMut, OperationIr, ScalarIr, TensorIr, TensorStatus};

use crate::error::OnnxError;
use crate::graph::{Attributes, Data, Dim, Graph, Id, Kind, fixed};
use crate::record::Recording;

/// Lowers what both recordings say; sizes in which they differ follow from the number of samples.
pub(crate) fn lower([few, more]: &[Recording; 2]) -> Result<Graph, OnnxError> {
    let pairs = pairs(few, more)?;
    let mut lowering = Lowering {
        recording: few,
        shapes: shapes([few, more], &pairs)?,
        ids: HashMap::new(),
        graph: Graph::default(),
    };
    for (name, id) in few.inputs.iter().zip(&few.graph.graph.inputs) {
        let kind = match few.graph.values[id].dtype() {
            DType::F32 => Kind::Float,
            _ => Kind::Int,
        };
        let shape = lowering.shapes[id].clone();
        let value = lowering.graph.input(name, shape, kind);
        lowering.ids.insert(*id, value);
    }
    for (operation, _) in &pairs {
        lowering.operation(operation)?;
    }
    for (name, id) in few.outputs.iter().zip(&few.graph.graph.outputs) {
        let value = lowering.known(*id)?;
        lowering.graph.outputs.push((name.clone(), value));
    }
    lowering.check_constants(more, &pairs)?;
    Ok(lowering.graph)
}

type Pair<'a> = (&'a OperationIr, &'a OperationIr);

/// The operations on which the outputs depend, each beside its twin of the other recording.
fn pairs<'a>(few: &'a Recording, more: &'a Recording) -> Result<Vec<Pair<'a>>, OnnxError> {
    let (few_needed, more_needed) = (needed(few), needed(more));
    let same = few_needed.len() == more_needed.len();
    let pairs: Vec<Pair> = few_needed.into_iter().zip(more_needed).collect();
    let alike = |(a, b): &Pair| name(a) == name(b) && a.nodes().len() == b.nodes().len();
    (same && pairs.iter().all(alike))
        .then_some(pairs)
        .ok_or(OnnxError::Operations)
}

/// The operations that an output depends on, in order.
fn needed(recording: &Recording) -> Vec<&OperationIr> {
    let graph = &recording.graph.graph;
    let mut wanted: HashSet<TensorId> = graph.outputs.iter().copied().collect();
    let mut kept = Vec::new();
    for operation in graph.operations.iter().rev() {
        let is_wanted = operation.outputs().any(|out| wanted.contains(&out.id));
        if is_wanted && !matches!(operation, OperationIr::Init(_)) {
            wanted.extend(operation.inputs().map(|input| input.id));
            kept.push(operation);
        }
    }
    kept.reverse();
    kept
}

/// The shape of every tensor, from how it differs between the recordings.
fn shapes(
    [few, more]: [&Recording; 2],
    pairs: &[Pair],
) -> Result<HashMap<TensorId, Vec<Dim>>, OnnxError> {
    let samples = [few.samples, more.samples];
    let mut shapes = HashMap::new();
    let mut layer = String::new();
    for (a, b) in pairs {
        for (a, b) in a.nodes().into_iter().zip(b.nodes()) {
            if let Some(key) = few.names.get(&a.id) {
                layer = layer_of(key);
            }
            let sides = a.shape.iter().zip(b.shape.iter());
            let shape: Option<Vec<Dim>> = sides.map(|(a, b)| dim([*a, *b], samples)).collect();
            let shape = shape.ok_or_else(|| OnnxError::Batch {
                layer: layer.clone(),
                what: format!(
                    "the shape {:?} for {} samples, {:?} for {},",
                    &a.shape[..],
                    samples[0],
                    &b.shape[..],
                    samples[1]
                ),
            })?;
            shapes.insert(a.id, shape);
        }
    }
    Ok(shapes)
}

/// A side that has these sizes for the two numbers of samples.
fn dim(sizes: [usize; 2], samples: [usize; 2]) -> Option<Dim> {
    if sizes[0] == sizes[1] {
        return Some(Dim::Fixed(sizes[0]));
    }
    let times = sizes[0] / samples[0];
    (sizes == samples.map(|count| times * count)).then_some(Dim::Samples(times))
}

/// The layer of a tensor's key: `layer1.0.conv1` of `layer1.0.conv1.weight`.
fn layer_of(key: &str) -> String {
    key.rsplit_once('.')
        .map_or(key, |(layer, _)| layer)
        .to_owned()
}

/// Burn's name of an operation.
fn name(operation: &OperationIr) -> String {
    let text = format!("{operation:?}");
    let head = text.split(" {").next().unwrap_or_default();
    let words: Vec<&str> = head
        .split(['(', ',', ' '])
        .filter(|w| !w.is_empty())
        .collect();
    let last = words.iter().rev().find(|word| !word.ends_with("Ir"));
    last.unwrap_or(&"?").to_string()
}

pub(crate) struct Lowering<'a> {
    recording: &'a Recording,
    shapes: HashMap<TensorId, Vec<Dim>>,
    ids: HashMap<TensorId, Id>,
    graph: Graph,
}

impl Lowering<'_> {
    fn operation(&mut self, operation: &OperationIr) -> Result<(), OnnxError> {
        let named = operation
            .inputs()
            .find_map(|input| self.recording.names.get(&input.id));
        if let Some(key) = named {
            self.graph.layer = layer_of(key);
        }
        match operation {
            OperationIr::Module(it) => self.module(it),
            OperationIr::Activation(it) => self.activation(it),
            OperationIr::NumericFloat(_, it) | OperationIr::NumericInt(_, it) => self.numeric(it),
            OperationIr::Float(_, it) => self.float(it),
            OperationIr::BaseFloat(it) | OperationIr::BaseInt(it) | OperationIr::BaseBool(it) => {
                self.base(it)
            }
            OperationIr::Int(burn_ir::IntOperationIr::IntoFloat(it))
            | OperationIr::Bool(
                burn_ir::BoolOperationIr::IntoFloat(it) | burn_ir::BoolOperationIr::IntoInt(it),
            ) => self.cast(&it.input, &it.out),
            _ => None,
        }
        .ok_or_else(|| self.refused(operation, ""))?;
        // An operation that lowers to nothing must still name what stands for its output.
        let missing = operation
            .outputs()
            .find(|out| !self.ids.contains_key(&out.id));
        match missing {
            None => Ok(()),
            Some(_) => Err(self.refused(operation, ", since another of its outputs is read")),
        }
    }

    fn refused(&self, operation: &OperationIr, why: &str) -> OnnxError {
        let inputs: Vec<String> = operation
            .inputs()
            .map(|i| format!("{:?}", &i.shape[..]))
            .collect();
        let operation = format!("{} of {}", name(operation), inputs.join(", "));
        let layer = match self.graph.layer.as_str() {
            "" => "the input",
            layer => layer,
        };
        OnnxError::Operation {
            operation,
            layer: layer.to_owned(),
            why: why.to_owned(),
        }
    }

    /// The tensor of the graph that stands for a recorded one.
    fn read(&mut self, tensor: &TensorIr) -> Id {
        match self.ids.get(&tensor.id) {
            Some(id) => *id,
            None => self.constant(tensor.id),
        }
    }

    fn known(&mut self, id: TensorId) -> Result<Id, OnnxError> {
        match self.ids.get(&id) {
            Some(id) => Ok(*id),
            None if self.recording.graph.values.contains_key(&id) => Ok(self.constant(id)),
            None => Err(OnnxError::Record(
                "an output is computed by nothing".to_owned(),
            )),
        }
    }

    /// A tensor that was made of numbers.
    fn constant(&mut self, id: TensorId) -> Id {
        let value = &self.recording.graph.values[&id];
        let name = self.recording.names.get(&id).cloned();
        let made = self.graph.constant(name, &value.shape()[..], data(value));
        self.ids.insert(id, made);
        made
    }

    fn shape(&self, tensor: &TensorIr) -> Vec<Dim> {
        self.shapes[&tensor.id].clone()
    }

    /// Adds the operator that makes a recorded tensor.
    fn make(
        &mut self,
        out: &TensorIr,
        op: &'static str,
        inputs: impl IntoIterator<Item = Id>,
        attributes: Attributes,
    ) -> Option<()> {
        let made = self
            .graph
            .add(op, inputs, attributes, self.shape(out), kind(out.dtype)?);
        self.stands_for(out, made)
    }

    fn stands_for(&mut self, out: &TensorIr, made: Id) -> Option<()> {
        self.ids.insert(out.id, made);
        Some(())
    }

    /// Refuses numbers and settings that differ between the recordings.
    fn check_constants(&self, more: &Recording, pairs: &[Pair]) -> Result<(), OnnxError> {
        let mut layer = String::new();
        for (a, b) in pairs {
            for (a, b) in a.nodes().into_iter().zip(b.nodes()) {
                if let Some(key) = self.recording.names.get(&a.id) {
                    layer = layer_of(key);
                }
                let values = (
                    self.recording.graph.values.get(&a.id),
                    more.graph.values.get(&b.id),
                );
                let is_input = self.recording.graph.graph.inputs.contains(&a.id);
                if let (Some(a), Some(b)) = values
                    && !is_input
                    && a != b
                {
                    let what = format!("a constant of shape {:?}", &a.shape()[..]);
                    return Err(OnnxError::Batch { layer, what });
                }
            }
            if settings(a) != settings(b) {
                let what = format!("a setting of the operation {}", name(a));
                return Err(OnnxError::Batch { layer, what });
            }
        }
        Ok(())
    }
}

/// An operation without its tensors, and without the ranges that take the whole of a side.
fn settings(operation: &OperationIr) -> OperationIr {
    struct Blank;
    impl IrVisitorMut for Blank {
        fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
            tensor.id = TensorId::new(0);
            tensor.shape = Shape::new([0]);
            tensor.status = TensorStatus::NotInit;
        }
    }
    let mut operation = operation.clone();
    if let OperationIr::BaseFloat(burn_ir::BaseOperationIr::Slice(it))
    | OperationIr::BaseInt(burn_ir::BaseOperationIr::Slice(it)) = &mut operation
    {
        let sides = it.tensor.shape.to_vec();
        for (range, side) in it.ranges.iter_mut().zip(sides) {
            if range.end == Some(side as isize) {
                range.end = None;
            }
        }
    }
    operation.visit_mut(&mut Blank);
    operation
}

fn kind(dtype: DType) -> Option<Kind> {
    match dtype {
        DType::F32 => Some(Kind::Float),
        DType::I64 | DType::I32 => Some(Kind::Int),
        DType::Bool(_) => Some(Kind::Bool),
        DType::U8 => Some(Kind::Byte),
        _ => None,
    }
}

fn data(value: &TensorData) -> Data {
    match value.dtype().is_float() {
        true => Data::Float(value.iter::<f32>().collect()),
        false => Data::Int(value.iter::<i64>().collect()),
    }
}

fn number(scalar: ScalarIr) -> f32 {
    scalar.elem()
}

/// The size of each of the sides from `from` on.
fn tail(shape: &[Dim], from: usize) -> Option<Vec<usize>> {
    fixed(&shape[from..])
}
