//! Fully connected layers.

use super::parts::made_by;
use crate::fold;
use crate::graph::{Attribute, Data, Graph, Id, Links, Node, fixed};

/// A layer over the last axis of several, which Burn computes as a matrix of all rows: ONNX takes the axes as they are.
pub(super) fn lines(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = &graph.nodes[at];
    if node.op != "Reshape" {
        return None;
    }
    let sum = made_by(graph, links, node.input(0)?, "Add");
    let bias = sum
        .and_then(|sum| sum.input(1))
        .filter(|bias| graph[*bias].data.is_some());
    let product = match (sum, bias) {
        (Some(sum), Some(_)) => sum.input(0)?,
        _ => node.input(0)?,
    };
    let product = made_by(graph, links, product, "MatMul")?;
    let rows = &graph.nodes[*links.makers.get(&product.input(0)?)?];
    let (x, weight) = (rows.input(0)?, product.input(1)?);
    let from = graph[x].shape.clone();
    let to = graph[node.outputs[0]].shape.clone();
    let ([inner, outer], last) = (
        *fixed(&graph[weight].shape)?.as_array()?,
        from.len().checked_sub(1)?,
    );
    let fits = matches!(rows.op, "Reshape" | "Flatten")
        && from.len() == to.len()
        && from[..last] == to[..last]
        && [from[last].fixed(), to[last].fixed()] == [Some(inner), Some(outer)];
    if !fits {
        return None;
    }
    graph.layer = product.layer.clone();
    let kind = graph[x].kind;
    let made = graph.add("MatMul", [x, weight], Vec::new(), to.clone(), kind);
    Some(match bias {
        Some(bias) => graph.add("Add", [made, bias], Vec::new(), to, kind),
        None => made,
    })
}

/// A constant without the sides of one element before the others, which readers add themselves: the shape that it has in
/// PyTorch's state dict.
pub(super) fn without_leading_ones(graph: &mut Graph, _: &Links, at: usize) -> Option<Id> {
    let node = graph.nodes[at].clone();
    let least = match node.op {
        "Add" | "Sub" | "Mul" | "Div" => 1,
        "MatMul" => 2,
        _ => return None,
    };
    let mut inputs = node.inputs.clone();
    for input in inputs.iter_mut().flatten() {
        let Some(data) = graph[*input].data.clone() else {
            continue;
        };
        let sides = fixed(&graph[*input].shape)?;
        let ones = sides.iter().take_while(|side| **side == 1).count();
        let drop = ones.min(sides.len().saturating_sub(least));
        if drop > 0 {
            let name = graph[*input].name.clone();
            *input = graph.constant(name, &sides[drop..], (*data).clone());
        }
    }
    if inputs == node.inputs {
        return None;
    }
    let output = node.outputs[0];
    let (shape, kind) = (graph[output].shape.clone(), graph[output].kind);
    Some(graph.add_with(node.op, inputs, node.attributes, shape, kind))
}

/// A product with a matrix of weights and the sum with a bias; the weight lies as PyTorch has it, `[out, in]`.
pub(super) fn gemm(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = &graph.nodes[at];
    let (product, bias) = match node.op {
        "Add" => {
            let product = &graph.nodes[graph.sole_maker(links, node.input(0)?)?];
            (product, Some(node.input(1)?))
        }
        _ => (node, None),
    };
    if product.op != "MatMul" {
        return None;
    }
    let (x, weight) = (product.input(0)?, product.input(1)?);
    let sides = fixed(&graph[weight].shape)?;
    let ([inner, outer], 2) = (sides[..].as_array()?, graph[x].shape.len()) else {
        return None;
    };
    // A product whose sum comes next is left to that.
    let waits = |reader: &Node| reader.op == "Add" && reader.input(0) == Some(node.outputs[0]);
    if bias.is_none()
        && graph
            .nodes
            .iter()
            .any(|reader| waits(reader) && is_bias(graph, reader, *outer))
    {
        return None;
    }
    let turned = fold::transpose(graph.float_data(weight)?, &sides, &[1, 0]);
    let bias = match bias {
        Some(bias) => {
            let values = graph
                .float_data(bias)
                .filter(|values| values.len() == *outer)?
                .to_vec();
            Some((graph[bias].name.clone(), values))
        }
        None => None,
    };
    let (shape_of, name, sides) = (
        node.outputs[0],
        graph[weight].name.clone(),
        [*outer, *inner],
    );
    graph.layer = product.layer.clone();
    let weight = graph.constant(name, &sides, Data::Float(turned));
    let mut inputs = vec![Some(x), Some(weight)];
    if let Some((name, values)) = bias {
        inputs.push(Some(graph.constant(name, &[sides[0]], Data::Float(values))));
    }
    let (shape, kind) = (graph[shape_of].shape.clone(), graph[shape_of].kind);
    Some(graph.add_with(
        "Gemm",
        inputs,
        vec![("transB", Attribute::Int(1))],
        shape,
        kind,
    ))
}

/// Whether an operator adds a constant of so many numbers.
fn is_bias(graph: &Graph, sum: &Node, count: usize) -> bool {
    let values = sum.input(1).and_then(|id| graph.float_data(id));
    values.is_some_and(|values| values.len() == count)
}
