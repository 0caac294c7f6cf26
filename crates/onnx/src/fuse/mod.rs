//! Makes a graph simpler without changing what it computes: operators that Burn records in parts become one again, what
//! follows a convolution and is linear goes into its weights.

mod convolution;
mod linear;
mod parts;
mod shapes;

use crate::graph::{Graph, Id, Links};

/// A rule looks at the operator at a place; where it fits, it gives a tensor that stands for the operator's output, made
/// by operators that it has added at the end.
type Rule = fn(&mut Graph, &Links, usize) -> Option<Id>;

/// In this order, since the later ones see what the earlier ones have made.
const RULES: &[Rule] = &[
    parts::hard_sigmoid,
    parts::hard_swish,
    parts::group_norm,
    parts::linear_resize,
    parts::nearest_resize,
    shapes::without_expand,
    shapes::merged_transpose,
    convolution::fold_factor,
    convolution::fold_summand,
    convolution::fold_norm,
    linear::lines,
    linear::gemm,
    linear::without_leading_ones,
];

/// Applies every rule as often as it fits.
pub(crate) fn fuse(graph: &mut Graph) {
    for rule in RULES {
        let mut at = 0;
        graph.sweep();
        let mut links = graph.links();
        while at < graph.nodes.len() {
            let end = graph.nodes.len();
            graph.layer = graph.nodes[at].layer.clone();
            match rule(graph, &links, at) {
                Some(made) => {
                    let old = graph.nodes[at].outputs[0];
                    let added = graph.nodes.split_off(end);
                    let count = added.len();
                    graph.nodes.splice(at..=at, added);
                    graph.replace(old, made);
                    links = graph.links();
                    at += count;
                }
                None => {
                    graph.nodes.truncate(end);
                    at += 1;
                }
            }
        }
    }
    graph.sweep();
    graph.merge_constants();
}
