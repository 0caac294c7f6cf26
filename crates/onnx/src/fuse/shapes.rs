//! Operators that only move numbers, where they can be left out.

use crate::graph::{Dim, Graph, Id, Links, ints};

/// Repeats that the reader would make itself.
pub(super) fn without_expand(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = graph.nodes[at].clone();
    let elementwise = matches!(node.op, "Add" | "Sub" | "Mul" | "Div");
    if !elementwise && node.op != "MatMul" {
        return None;
    }
    let whole = graph[node.outputs[0]].shape.clone();
    let mut inputs = node.inputs.clone();
    for index in 0..inputs.len() {
        let maker = *links.makers.get(&inputs[index]?)?;
        if graph.nodes[maker].op != "Expand" {
            continue;
        }
        let mut tried = inputs.clone();
        tried[index] = graph.nodes[maker].input(0);
        // The last two sides of a product are its matrices.
        let batch = whole.len() - if elementwise { 0 } else { 2 };
        let shapes: Vec<&[Dim]> = tried
            .iter()
            .flatten()
            .map(|id| &graph[*id].shape[..])
            .collect();
        let covered = (0..batch).all(|axis| {
            let from_end = whole.len() - axis;
            let side = |shape: &&[Dim]| shape.len().checked_sub(from_end).map(|own| shape[own]);
            shapes
                .iter()
                .filter_map(side)
                .any(|side| side == whole[axis])
        });
        if covered {
            inputs = tried;
        }
    }
    if inputs == node.inputs {
        return None;
    }
    let kind = graph[node.outputs[0]].kind;
    Some(graph.add_with(node.op, inputs, node.attributes, whole, kind))
}

/// Two orders of the axes after each other are one, or none.
pub(super) fn merged_transpose(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = &graph.nodes[at];
    let before = &graph.nodes[*links.makers.get(&node.input(0)?)?];
    if (node.op, before.op) != ("Transpose", "Transpose") {
        return None;
    }
    let (first, second) = (before.ints("perm"), node.ints("perm"));
    let order: Vec<usize> = second
        .iter()
        .map(|axis| first[*axis as usize] as usize)
        .collect();
    let x = before.input(0)?;
    if order.iter().copied().eq(0..order.len()) {
        return Some(x);
    }
    let output = node.outputs[0];
    let (shape, kind) = (graph[output].shape.clone(), graph[output].kind);
    Some(graph.add("Transpose", [x], vec![("perm", ints(order))], shape, kind))
}
