//! A graph of ONNX operators, as it is built up and made simpler before it is written.

use std::collections::HashMap;
use std::sync::Arc;

use crate::fold;

/// A side of a tensor's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dim {
    /// The same for any number of samples.
    Fixed(usize),
    /// So many times the number of samples.
    Samples(usize),
    /// Known when the file runs.
    #[expect(dead_code, reason = "outputs of a size that shows when the file runs")]
    Unknown,
}

impl Dim {
    pub fn fixed(self) -> Option<usize> {
        match self {
            Self::Fixed(size) => Some(size),
            Self::Samples(_) | Self::Unknown => None,
        }
    }
}

/// The sides where none follows from the number of samples.
pub(crate) fn fixed(shape: &[Dim]) -> Option<Vec<usize>> {
    shape.iter().map(|dim| dim.fixed()).collect()
}

pub(crate) fn dims(shape: &[usize]) -> Vec<Dim> {
    shape.iter().copied().map(Dim::Fixed).collect()
}

/// What the elements of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Int,
    Bool,
    Byte,
}

/// The numbers of a constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

/// A tensor of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(usize);

#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub name: Option<String>,
    pub shape: Vec<Dim>,
    pub kind: Kind,
    /// Its numbers, of a constant.
    pub data: Option<Arc<Data>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Text(&'static str),
}

pub(crate) fn ints(values: impl IntoIterator<Item = usize>) -> Attribute {
    Attribute::Ints(values.into_iter().map(|v| v as i64).collect())
}

pub(crate) type Attributes = Vec<(&'static str, Attribute)>;

/// An operator with its inputs and outputs.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub op: &'static str,
    /// The layer that it belongs to, in PyTorch's names.
    pub layer: String,
    /// `None` is an optional input that is not given.
    pub inputs: Vec<Option<Id>>,
    pub outputs: Vec<Id>,
    pub attributes: Attributes,
}

impl Node {
    pub fn input(&self, index: usize) -> Option<Id> {
        self.inputs.get(index).copied().flatten()
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        let mut all = self.attributes.iter();
        all.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    pub fn ints(&self, name: &str) -> &[i64] {
        match self.attribute(name) {
            Some(Attribute::Ints(values)) => values,
            _ => &[],
        }
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attribute(name) {
            Some(Attribute::Int(value)) => Some(*value),
            _ => None,
        }
    }
}

/// Operators in the order in which they run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    values: Vec<Value>,
    pub nodes: Vec<Node>,
    pub inputs: Vec<Id>,
    /// The outputs with their names.
    pub outputs: Vec<(String, Id)>,
    /// The layer of the nodes that are added.
    pub layer: String,
}

impl std::ops::Index<Id> for Graph {
    type Output = Value;

    fn index(&self, id: Id) -> &Value {
        &self.values[id.0]
    }
}

impl std::ops::IndexMut<Id> for Graph {
    fn index_mut(&mut self, id: Id) -> &mut Value {
        &mut self.values[id.0]
    }
}

impl Graph {
    pub fn value(&mut self, name: Option<String>, shape: Vec<Dim>, kind: Kind) -> Id {
        self.values.push(Value {
            name,
            shape,
            kind,
            data: None,
        });
        Id(self.values.len() - 1)
    }

    pub fn input(&mut self, name: &str, shape: Vec<Dim>, kind: Kind) -> Id {
        let id = self.value(Some(name.to_owned()), shape, kind);
        self.inputs.push(id);
        id
    }

    pub fn constant(&mut self, name: Option<String>, shape: &[usize], data: Data) -> Id {
        let kind = match &data {
            Data::Float(_) => Kind::Float,
            Data::Int(_) => Kind::Int,
        };
        let id = self.value(name, dims(shape), kind);
        self[id].data = Some(Arc::new(data));
        id
    }

    pub fn floats(&mut self, shape: &[usize], values: Vec<f32>) -> Id {
        self.constant(None, shape, Data::Float(values))
    }

    pub fn int_list(&mut self, values: impl IntoIterator<Item = i64>) -> Id {
        let values: Vec<i64> = values.into_iter().collect();
        self.constant(None, &[values.len()], Data::Int(values))
    }

    /// Adds an operator of one output, or the constant that it gives where all of its inputs are constants.
    pub fn add(
        &mut self,
        op: &'static str,
        inputs: impl IntoIterator<Item = Id>,
        attributes: Attributes,
        shape: Vec<Dim>,
        kind: Kind,
    ) -> Id {
        let inputs = inputs.into_iter().map(Some).collect();
        self.add_with(op, inputs, attributes, shape, kind)
    }

    /// The same with optional inputs.
    pub fn add_with(
        &mut self,
        op: &'static str,
        inputs: Vec<Option<Id>>,
        attributes: Attributes,
        shape: Vec<Dim>,
        kind: Kind,
    ) -> Id {
        let output = self.value(None, shape, kind);
        let node = Node {
            op,
            layer: self.layer.clone(),
            inputs,
            outputs: vec![output],
            attributes,
        };
        if let Some((data, name)) = fold::evaluate(self, &node) {
            self[output].data = Some(Arc::new(data));
            self[output].name = name;
        } else {
            self.nodes.push(node);
        }
        output
    }

    pub fn float_data(&self, id: Id) -> Option<&[f32]> {
        match self[id].data.as_deref()? {
            Data::Float(values) => Some(values),
            Data::Int(_) => None,
        }
    }

    pub fn int_data(&self, id: Id) -> Option<&[i64]> {
        match self[id].data.as_deref()? {
            Data::Int(values) => Some(values),
            Data::Float(_) => None,
        }
    }

    /// The only number of a constant that has one.
    pub fn single(&self, id: Id) -> Option<f32> {
        match self.float_data(id)? {
            [value] => Some(*value),
            _ => None,
        }
    }

    /// Removes operators whose outputs nobody reads.
    pub fn sweep(&mut self) {
        let mut wanted: Vec<bool> = vec![false; self.values.len()];
        self.outputs.iter().for_each(|(_, id)| wanted[id.0] = true);
        let mut kept = Vec::with_capacity(self.nodes.len());
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().any(|id| wanted[id.0]) {
                node.inputs
                    .iter()
                    .flatten()
                    .for_each(|id| wanted[id.0] = true);
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
    }

    /// Who makes each tensor, and how many read it.
    pub fn links(&self) -> Links {
        let mut links = Links::default();
        for (at, node) in self.nodes.iter().enumerate() {
            for output in &node.outputs {
                links.makers.insert(*output, at);
            }
            for input in node.inputs.iter().flatten() {
                *links.readers.entry(*input).or_default() += 1;
            }
        }
        for (_, output) in &self.outputs {
            *links.readers.entry(*output).or_default() += 1;
        }
        links
    }

    /// The operator that makes a tensor which nobody else reads.
    pub fn sole_maker(&self, links: &Links, id: Id) -> Option<usize> {
        let alone = links.readers.get(&id) == Some(&1);
        links.makers.get(&id).copied().filter(|_| alone)
    }
}

#[derive(Default)]
pub(crate) struct Links {
    pub makers: HashMap<Id, usize>,
    pub readers: HashMap<Id, usize>,
}

impl Graph {
    /// Lets every reader of a tensor read another one.
    pub fn replace(&mut self, old: Id, new: Id) {
        let inputs = self.nodes.iter_mut().flat_map(|node| &mut node.inputs);
        inputs
            .flatten()
            .filter(|id| **id == old)
            .for_each(|id| *id = new);
        let outputs = self.outputs.iter_mut().map(|(_, id)| id);
        outputs.filter(|id| **id == old).for_each(|id| *id = new);
    }

    /// Lets readers of equal constants read one of them.
    pub fn merge_constants(&mut self) {
        let mut seen = HashMap::<_, Vec<Id>>::new();
        let mut nodes = std::mem::take(&mut self.nodes);
        for id in nodes.iter_mut().flat_map(|node| &mut node.inputs).flatten() {
            let value = &self[*id];
            if value.data.is_none() {
                continue;
            }
            let shape: Vec<Option<usize>> = value.shape.iter().map(|dim| dim.fixed()).collect();
            let alike = seen.entry((value.name.clone(), shape)).or_default();
            let mut same = alike
                .iter()
                .filter(|other| self[**other].data == value.data);
            match same.next() {
                Some(other) => *id = *other,
                None => alike.push(*id),
            }
        }
        self.nodes = nodes;
    }
}
