//! Operators that Burn, or Firesight's models, write as several.

use crate::fold;
use crate::graph::{Attribute, Dim, Graph, Id, Links, Node, fixed};
use crate::resize::{self, Mode};

/// The operator that makes a tensor, if it is of this kind.
pub(super) fn made_by<'a>(graph: &'a Graph, links: &Links, id: Id, op: &str) -> Option<&'a Node> {
    let node = &graph.nodes[*links.makers.get(&id)?];
    (node.op == op).then_some(node)
}

/// The other input of an operator of two whose one input is a constant of this number.
fn beside(graph: &Graph, node: &Node, value: f32) -> Option<Id> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    let is = |id: Id| graph.single(id) == Some(value);
    match (is(a), is(b)) {
        (false, true) => Some(a),
        (true, false) if matches!(node.op, "Add" | "Mul") => Some(b),
        _ => None,
    }
}

/// `clip(x + 3, 0, 6) / 6`
pub(super) fn hard_sigmoid(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = &graph.nodes[at];
    if node.op != "Div" {
        return None;
    }
    let clipped = made_by(graph, links, beside(graph, node, 6.0)?, "Clip")?;
    let bound = |index: usize| graph.single(clipped.input(index)?);
    if (bound(1), bound(2)) != (Some(0.0), Some(6.0)) {
        return None;
    }
    let sum = made_by(graph, links, clipped.input(0)?, "Add")?;
    let x = beside(graph, sum, 3.0)?;
    let output = node.outputs[0];
    let (shape, kind) = (graph[output].shape.clone(), graph[output].kind);
    let attributes = vec![
        ("alpha", Attribute::Float(1.0 / 6.0)),
        ("beta", Attribute::Float(0.5)),
    ];
    Some(graph.add("HardSigmoid", [x], attributes, shape, kind))
}

/// `x * hard_sigmoid(x)`
pub(super) fn hard_swish(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = &graph.nodes[at];
    if node.op != "Mul" {
        return None;
    }
    let (a, b) = (node.input(0)?, node.input(1)?);
    let of = |gate: Id| made_by(graph, links, gate, "HardSigmoid")?.input(0);
    let x = match (of(a), of(b)) {
        (_, Some(x)) if x == a => x,
        (Some(x), _) if x == b => x,
        _ => return None,
    };
    let output = node.outputs[0];
    let (shape, kind) = (graph[output].shape.clone(), graph[output].kind);
    Some(graph.add("HardSwish", [x], Vec::new(), shape, kind))
}

/// `(x - mean) / sqrt(mean((x - mean)^2) + epsilon)` over the last of three axes: the middle one are groups, which
/// `InstanceNormalization` takes for channels.
pub(super) fn group_norm(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = &graph.nodes[at];
    if node.op != "Div" {
        return None;
    }
    let centered = node.input(0)?;
    let root = made_by(graph, links, node.input(1)?, "Sqrt")?;
    let sum = made_by(graph, links, root.input(0)?, "Add")?;
    let epsilon = graph.single(sum.input(1)?)?;
    let variance = made_by(graph, links, sum.input(0)?, "ReduceMean")?;
    let square = made_by(graph, links, variance.input(0)?, "Mul")?;
    let difference = made_by(graph, links, centered, "Sub")?;
    let x = difference.input(0)?;
    let mean = made_by(graph, links, difference.input(1)?, "ReduceMean")?;
    let [Dim::Samples(_), Dim::Fixed(groups), _] = graph[x].shape[..] else {
        return None;
    };
    let last = |node: &Node| graph.int_data(node.input(1)?).map(|axes| axes == [2]);
    let fits = square.inputs == [Some(centered); 2]
        && mean.input(0) == Some(x)
        && last(mean) == Some(true)
        && last(variance) == Some(true);
    if !fits {
        return None;
    }
    let output = node.outputs[0];
    let (shape, kind) = (graph[output].shape.clone(), graph[output].kind);
    let [ones, zeros] = [1.0, 0.0].map(|value| graph.floats(&[groups], vec![value; groups]));
    let epsilon = vec![("epsilon", Attribute::Float(epsilon))];
    Some(graph.add(
        "InstanceNormalization",
        [x, ones, zeros],
        epsilon,
        shape,
        kind,
    ))
}

/// Two products with matrices that mix neighbouring columns, then rows.
pub(super) fn linear_resize(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = &graph.nodes[at];
    if node.op != "Reshape" {
        return None;
    }
    let down = made_by(graph, links, node.input(0)?, "MatMul")?;
    let lines = made_by(graph, links, down.input(1)?, "Reshape")?;
    let across = made_by(graph, links, lines.input(0)?, "MatMul")?;
    let rows_in = made_by(graph, links, across.input(0)?, "Reshape")?;
    let x = rows_in.input(0)?;
    let left = down.input(0)?;
    let rows = match made_by(graph, links, left, "Expand") {
        Some(expand) => expand.input(0)?,
        None => left,
    };
    let columns = across.input(1)?;
    let [samples, channels, Dim::Fixed(height), Dim::Fixed(width)] = graph[x].shape[..] else {
        return None;
    };
    let [
        samples_too,
        channels_too,
        Dim::Fixed(high),
        Dim::Fixed(wide),
    ] = graph[node.outputs[0]].shape[..]
    else {
        return None;
    };
    let fits = (samples, channels) == (samples_too, channels_too)
        && fixed(&graph[rows].shape)? == [1, high, height]
        && fixed(&graph[columns].shape)? == [width, wide];
    if !fits {
        return None;
    }
    let rows = graph.float_data(rows)?;
    let columns = fold::transpose(graph.float_data(columns)?, &[width, wide], &[1, 0]);
    let mode = Mode::of((rows, [high, height]), (&columns, [wide, width]))?;
    Some(resize::node(graph, x, [height, width], [high, wide], mode))
}

/// Rows, then columns, each copied so often.
pub(super) fn nearest_resize(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = &graph.nodes[at];
    let before = made_by(graph, links, node.input(0)?, "Gather")?;
    if node.op != "Gather" || (before.int("axis"), node.int("axis")) != (Some(2), Some(3)) {
        return None;
    }
    let x = before.input(0)?;
    let [_, _, Dim::Fixed(height), Dim::Fixed(width)] = graph[x].shape[..] else {
        return None;
    };
    let copied = |places: Id, from: usize| {
        let places = graph.int_data(places)?;
        let times = places.len() / from;
        let each = places.iter().enumerate();
        let whole = places.len() == times * from && times > 0;
        let copied = whole
            && each
                .clone()
                .all(|(at, place)| *place as usize == at / times);
        copied.then_some(places.len())
    };
    let high = copied(before.input(1)?, height)?;
    let wide = copied(node.input(1)?, width)?;
    Some(resize::node(
        graph,
        x,
        [height, width],
        [high, wide],
        Mode::Nearest,
    ))
}
