//! The call graph, and the cost of calls that follows from it.

use super::{Callee, CodeSegment, MAX_SEGMENT_COST, PlanBuilder};

/// The cost of a function, or of all functions of one type.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct NodeCost {
    pub(super) own: u32,
    pub(super) charged: bool,
    pub(super) takes_fuel: bool,
}

impl NodeCost {
    /// Returns the cost that callers are charged for it.
    pub(super) fn cost_to_callers(self) -> u32 {
        if self.charged { 0 } else { self.own }
    }
}

/// The call graph. Its nodes are all functions, then all types: an indirect call leads to its type, and a type leads to
/// its functions whose reference is taken. So the graph is no larger than the module.
pub(super) struct Graph {
    pub(super) edges: Vec<Vec<usize>>,
    functions: usize,
}

impl Graph {
    pub(super) fn new(builder: &PlanBuilder) -> Graph {
        let functions = builder.plan.signatures.functions.len();
        let mut graph = Graph { edges: vec![Vec::new(); functions + builder.representatives.len()], functions };
        let imported = builder.plan.imported_functions as usize;
        for (number, body) in builder.bodies.iter().enumerate() {
            let calls = std::iter::once(&body.entry).chain(&body.loops).flat_map(|segment| &segment.calls);
            let mut callees: Vec<usize> = calls.map(|&callee| graph.node(callee)).collect();
            callees.sort_unstable();
            callees.dedup();
            graph.edges[imported + number] = callees;
        }
        for &function in &builder.referenced {
            let ty = builder.plan.signatures.functions[function as usize];
            let node = graph.node(Callee::Indirect(builder.representatives[ty as usize]));
            graph.edges[node].push(function as usize);
        }
        graph
    }

    pub(super) fn is_function(&self, node: usize) -> bool {
        node < self.functions
    }

    fn node(&self, callee: Callee) -> usize {
        match callee {
            Callee::Function(index) => index as usize,
            Callee::Indirect(ty) => self.functions + ty as usize,
        }
    }

    pub(super) fn segment_cost(&self, segment: &CodeSegment, costs: &[NodeCost]) -> u32 {
        let called = segment.calls.iter().map(|&callee| costs[self.node(callee)].cost_to_callers());
        called.fold(segment.cost, u32::saturating_add).min(MAX_SEGMENT_COST)
    }

    /// Returns the strongly connected components, callees before callers. This is Tarjan's algorithm with its recursion
    /// on the heap, because the module determines the depth.
    pub(super) fn components(&self) -> Vec<Vec<usize>> {
        const NEW: usize = usize::MAX;
        let (mut order, mut low) = (vec![NEW; self.edges.len()], vec![0; self.edges.len()]);
        let (mut on_stack, mut stack, mut components) = (vec![false; self.edges.len()], Vec::new(), Vec::new());
        let mut next = 0;
        for root in 0..self.edges.len() {
            if order[root] != NEW {
                continue;
            }
            let mut visits = vec![(root, 0)];
            while let Some((node, edge)) = visits.pop() {
                if edge == 0 {
                    (order[node], low[node]) = (next, next);
                    next += 1;
                    stack.push(node);
                    on_stack[node] = true;
                } else {
                    // Returns from a callee.
                    low[node] = low[node].min(low[self.edges[node][edge - 1]]);
                }
                let mut descend = None;
                for (number, &callee) in self.edges[node].iter().enumerate().skip(edge) {
                    if order[callee] == NEW {
                        descend = Some((number, callee));
                        break;
                    }
                    if on_stack[callee] {
                        low[node] = low[node].min(order[callee]);
                    }
                }
                if let Some((number, callee)) = descend {
                    visits.push((node, number + 1));
                    visits.push((callee, 0));
                } else if low[node] == order[node] {
                    let start = stack.iter().rposition(|&member| member == node).unwrap_or(0);
                    let component = stack.split_off(start);
                    component.iter().for_each(|&member| on_stack[member] = false);
                    components.push(component);
                }
            }
        }
        components
    }
}
