//! Decides what each function and loop costs, and where that is charged.
//!
//! A *segment* is straight-line code: the body of a function outside of its loops, or the body of a loop outside of its
//! inner loops. A loop's segment is charged at the loop's head for each iteration. A function's own segment is charged
//! at its entry if the function is *charged*, and otherwise by its callers, as part of the segment that calls it.
//!
//! Functions in a cycle of calls are charged, and so are those that would cost more than [`ENTRY_CHARGE_THRESHOLD`]
//! together with their callees. So all executed code is charged, be it in a loop, in a recursion, or in a tree of many
//! small functions.

mod cost;
mod graph;
mod nesting;

use crate::meter::operators::bulk_cost_shift;
pub(super) use cost::cost;
use graph::{Graph, NodeCost};
use nesting::Nesting;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::{ElementItems, FunctionBody, Operator, Parser, Payload, TypeRef};

use super::compile_cost::{self, Arity, Cost, Signatures};
use crate::interface;

/// A function that costs more than this is charged at its own entry, because the charge is small in comparison.
pub(super) const ENTRY_CHARGE_THRESHOLD: u32 = 200;

/// The size above which operations on a range of memory are made in chunks, and the size of the chunks. Unit: bytes.
pub(super) const BULK_CHUNK: u32 = 1 << 20;

/// The cost of a call to an imported function, which is native code. The price that it returns is charged separately.
const IMPORT_CALL: u32 = 50;

/// The largest cost of a segment. It keeps fuel far from overflowing 32 bits.
pub(super) const MAX_SEGMENT_COST: u32 = 1 << 24;

/// The charges of a module's functions, in the order of their definition.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) functions: Vec<Charges>,
    /// The number of imported functions, whose indices precede those of defined functions.
    pub(super) imported_functions: u32,
    pub(super) types: u32,
    pub(super) globals: u32,
    /// The module's start function, if it has one.
    pub(super) start: Option<u32>,
    /// The number of parameters of each type.
    parameters: Vec<u32>,
    /// The number of parameters and results of each type.
    passed: Vec<u32>,
    /// Whether the module's memory has at least one page, so that address 0 can be read.
    pub(super) has_memory: bool,
    /// The distinct operations of the module on ranges of memory that may be large.
    pub(super) large_ranges: Vec<LargeRange>,
    /// For each imported function, whether it returns its price instead of nothing.
    priced: Vec<bool>,
    /// The initial number of elements of each table.
    tables: Vec<u64>,
    /// The arities of the module's functions.
    pub(super) signatures: Signatures,
}

/// An operation on a range of memory that may be large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LargeRange {
    Fill,
    Copy,
    /// Initializes from a data segment of this size.
    Init {
        segment: u32,
        bytes: u32,
    },
}

/// A function that the module imports.
#[derive(Debug, Clone, Copy)]
pub(super) struct ImportedFunction {
    pub(super) ty: u32,
    pub(super) parameters: u32,
    /// Whether it returns its price instead of nothing.
    pub(super) priced: bool,
}

/// The charges of one function.
#[derive(Debug, Default, Clone)]
pub(super) struct Charges {
    /// The charge at its entry, if it is charged there.
    pub(super) entry: Option<u32>,
    /// The charge at the head of each of its loops, in the order of their beginnings. `None` for a loop without a back
    /// edge, which is charged as part of the enclosing segment.
    pub(super) loops: Vec<Option<u32>>,
    /// Whether it or one of its callees takes fuel.
    pub(super) takes_fuel: bool,
    /// The number of its parameters.
    pub(super) parameters: u32,
    /// The cost of compiling it without metering.
    pub(super) cost: Cost,
    /// The number of its back edges. Each target of a branch table counts.
    pub(super) back_edges: u64,
}

impl Charges {
    pub(super) fn has_loops(&self) -> bool {
        self.loops.iter().any(Option::is_some)
    }
}

/// A piece of straight-line code.
#[derive(Debug, Default, Clone)]
struct CodeSegment {
    cost: u32,
    calls: Vec<Callee>,
}

/// The callee of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Callee {
    Function(u32),
    /// Any function of this type whose reference is taken.
    Indirect(u32),
}

/// The segments of a function, and what else the plan needs from it.
#[derive(Debug, Default)]
struct FunctionSummary {
    entry: CodeSegment,
    /// The segments of its loops. Empty for loops without a back edge.
    loops: Vec<CodeSegment>,
    /// For each loop, whether it has a back edge.
    has_back_edge: Vec<bool>,
    /// The number of back edges.
    back_edges: u64,
    /// The cost of compiling it without metering.
    cost: Cost,
    /// Whether it works on ranges of memory, which takes fuel.
    ranges: bool,
}

impl FunctionSummary {
    /// Merges loops without a back edge into their enclosing segments.
    fn merge(&mut self, nesting: &Nesting) {
        // For each loop, the loop that its code is charged with. Enclosing loops come first.
        let mut payers: Vec<Option<usize>> = Vec::new();
        for (number, enclosing) in nesting.enclosing.iter().enumerate() {
            let has_back_edge = nesting.has_back_edge[number];
            let payer = if has_back_edge { Some(number) } else { enclosing.and_then(|enclosing| payers[enclosing]) };
            payers.push(payer);
            if has_back_edge {
                continue;
            }
            let CodeSegment { cost, calls } = std::mem::take(&mut self.loops[number]);
            let segment = match payer {
                Some(payer) => &mut self.loops[payer],
                None => &mut self.entry,
            };
            segment.cost = segment.cost.saturating_add(cost);
            segment.calls.extend(calls);
        }
    }

    /// Returns the segment of each iteration for each loop, or `None` for loops without a back edge.
    fn iterations(&self) -> impl Iterator<Item = Option<&CodeSegment>> {
        self.loops.iter().zip(&self.has_back_edge).map(|(segment, has_back_edge)| has_back_edge.then_some(segment))
    }
}

impl Plan {
    /// Plans the charges of a valid module.
    ///
    /// # Errors
    /// `InvalidModule` if the module cannot be read.
    pub(super) fn of(module: &[u8]) -> Result<Plan> {
        let mut builder = PlanBuilder::default();
        for payload in Parser::new(0).parse_all(module) {
            builder.add_payload(payload.map_err(unreadable)?).map_err(unreadable)?;
        }
        Ok(builder.build())
    }

    /// Returns the fixed cost of an operation on a table. The engine keeps a second form of tables that cannot grow,
    /// and rebuilds it as a whole.
    pub(super) fn cost_of_table(&self, operator: &Operator<'_>) -> Option<u32> {
        let table = match *operator {
            Operator::TableInit { table, .. } | Operator::TableFill { table } => table,
            Operator::TableCopy { dst_table, .. } => dst_table,
            _ => return None,
        };
        let elements = self.tables.get(table as usize).copied().unwrap_or_default();
        (elements > 0)
            .then(|| u32::try_from(elements / 4).map_or(MAX_SEGMENT_COST, |units| units.min(MAX_SEGMENT_COST)))
    }

    /// Returns the index in `large_ranges` of an operation on a range of memory that may be large.
    pub(super) fn large_range(&self, operator: &Operator<'_>) -> Option<usize> {
        bulk_cost_shift(operator)?;
        self.large_ranges.iter().position(|range| match (range, operator) {
            (LargeRange::Fill, Operator::MemoryFill { .. }) | (LargeRange::Copy, Operator::MemoryCopy { .. }) => true,
            (LargeRange::Init { segment, .. }, Operator::MemoryInit { data_index, .. }) => segment == data_index,
            _ => false,
        })
    }

    /// Returns the number of parameters and results of a type.
    pub(super) fn passed(&self, ty: u32) -> usize {
        self.passed.get(ty as usize).map_or(0, |&passed| passed as usize)
    }

    /// Returns the imported functions.
    pub(super) fn imported(&self) -> impl Iterator<Item = ImportedFunction> {
        self.signatures.functions.iter().zip(&self.priced).map(|(&ty, &priced)| {
            let parameters = self.parameters[ty as usize];
            ImportedFunction { ty, parameters, priced }
        })
    }

    /// Returns the type of a defined function.
    pub(super) fn type_of(&self, defined: usize) -> u32 {
        self.signatures.functions.get(self.imported_functions as usize + defined).copied().unwrap_or_default()
    }

    /// Returns whether a call to this function may take fuel.
    pub(super) fn takes_fuel(&self, function: u32) -> bool {
        match function.checked_sub(self.imported_functions) {
            Some(defined) => self.functions.get(defined as usize).is_none_or(|charges| charges.takes_fuel),
            None => self.priced[function as usize],
        }
    }
}

fn unreadable(error: wasmparser::Error) -> Error {
    Error::new(ErrorKind::InvalidModule, "the module cannot be read").caused_by(error)
}

#[derive(Default)]
struct PlanBuilder {
    plan: Plan,
    bodies: Vec<FunctionSummary>,
    /// For each type, the first equal type.
    representatives: Vec<u32>,
    known_types: std::collections::HashMap<wasmparser::FuncType, u32>,
    /// Whether the module fills and copies memory, and the data segments that it initializes memory from.
    fills: bool,
    copies: bool,
    initial: std::collections::BTreeSet<u32>,
    /// The lengths of the data segments.
    segments: Vec<u32>,
    /// Functions whose reference is taken, so that indirect calls may lead to them.
    referenced: Vec<u32>,
}

impl PlanBuilder {
    fn add_payload(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    for ty in group?.into_types() {
                        self.add_type(&ty);
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            self.plan.imported_functions += 1;
                            let priced = self.returns_price(import.module, import.name, ty);
                            self.plan.priced.push(priced);
                            self.plan.signatures.functions.push(ty);
                        }
                        TypeRef::Global(_) => self.plan.globals += 1,
                        TypeRef::Memory(memory) => self.plan.has_memory = memory.initial > 0,
                        TypeRef::Table(table) => self.plan.tables.push(table.initial),
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.plan.signatures.functions.push(ty?);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.plan.has_memory = memory?.initial > 0;
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    self.segments.push(segment?.data.len() as u32);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    self.plan.globals += 1;
                    self.add_references(global?.init_expr.get_operators_reader())?;
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements {
                    match element?.items {
                        ElementItems::Functions(functions) => {
                            for function in functions {
                                self.referenced.push(function?);
                            }
                        }
                        ElementItems::Expressions(_, expressions) => {
                            for expression in expressions {
                                self.add_references(expression?.get_operators_reader())?;
                            }
                        }
                    }
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table?;
                    self.plan.tables.push(table.ty.initial);
                    if let wasmparser::TableInit::Expr(init) = table.init {
                        self.add_references(init.get_operators_reader())?;
                    }
                }
            }
            Payload::StartSection { func, .. } => self.plan.start = Some(func),
            Payload::CodeSectionEntry(body) => {
                let summary = self.summarize(&body)?;
                self.bodies.push(summary);
            }
            _ => {}
        }
        Ok(())
    }

    fn add_type(&mut self, ty: &wasmparser::SubType) {
        let index = self.plan.types;
        self.plan.types += 1;
        let (parameters, results, representative) = match &ty.composite_type.inner {
            wasmparser::CompositeInnerType::Func(function) => {
                let known = *self.known_types.entry(function.clone()).or_insert(index);
                (function.params().len() as u32, function.results().len() as u32, known)
            }
            _ => (0, 0, index),
        };
        self.plan.signatures.types.push(Arity { parameters, results });
        self.plan.parameters.push(parameters);
        self.plan.passed.push(parameters + results);
        self.representatives.push(representative);
    }

    fn add_references(&mut self, operators: wasmparser::OperatorsReader<'_>) -> wasmparser::Result<()> {
        for operator in operators {
            if let Operator::RefFunc { function_index } = operator? {
                self.referenced.push(function_index);
            }
        }
        Ok(())
    }

    fn summarize(&mut self, body: &FunctionBody<'_>) -> wasmparser::Result<FunctionSummary> {
        let mut summary = FunctionSummary::default();
        let mut nesting = Nesting::default();
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            match operator {
                Operator::Loop { .. } => {
                    nesting.open_loop();
                    summary.loops.push(CodeSegment::default());
                }
                Operator::Block { .. } | Operator::If { .. } => nesting.open(),
                Operator::End => nesting.close(),
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => nesting.branch(relative_depth),
                Operator::BrTable { ref targets } => {
                    targets.targets().flatten().chain([targets.default()]).for_each(|target| nesting.branch(target));
                }
                Operator::RefFunc { function_index } => self.referenced.push(function_index),
                Operator::MemoryFill { .. } => self.fills = true,
                Operator::MemoryCopy { .. } => self.copies = true,
                Operator::MemoryInit { data_index, .. } => drop(self.initial.insert(data_index)),
                _ => {}
            }
            summary.ranges |= bulk_cost_shift(&operator).is_some();
            let segment = match nesting.current {
                Some(number) => &mut summary.loops[number],
                None => &mut summary.entry,
            };
            segment.cost = segment.cost.saturating_add(cost(&operator)).saturating_add(self.passed_values(&operator));
            segment.calls.extend(self.callee(&operator));
        }
        summary.merge(&nesting);
        (summary.has_back_edge, summary.back_edges) = (nesting.has_back_edge, nesting.back_edges);
        let number = self.plan.imported_functions as usize + self.bodies.len();
        let ty = self.plan.signatures.functions[number];
        summary.cost = compile_cost::estimate(&self.plan.signatures, ty, body, |number| summary.has_back_edge[number])?;
        Ok(summary)
    }

    /// Returns whether an import of this type is a waPC function without a result for the guest.
    fn returns_price(&self, namespace: &str, name: &str, ty: u32) -> bool {
        interface::find(namespace, name).is_some_and(|function| {
            let own = &self.representatives[ty as usize];
            let takes = |ty: &wasmparser::FuncType| {
                ty.params().iter().all(|parameter| *parameter == wasmparser::ValType::I32)
                    && ty.params().len() == function.parameters as usize
                    && ty.results().is_empty()
            };
            !function.returns_value && self.known_types.iter().any(|(ty, known)| known == own && takes(ty))
        })
    }

    /// Returns the number of parameters and results of a call.
    fn passed_values(&self, operator: &Operator<'_>) -> u32 {
        let ty = match *operator {
            Operator::Call { function_index } => self.plan.signatures.functions[function_index as usize],
            Operator::CallIndirect { type_index, .. } => type_index,
            _ => return 0,
        };
        self.plan.passed[ty as usize]
    }

    fn callee(&self, operator: &Operator<'_>) -> Option<Callee> {
        match *operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                Some(Callee::Function(function_index))
            }
            Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => {
                Some(Callee::Indirect(self.representatives[type_index as usize]))
            }
            _ => None,
        }
    }

    /// Decides who pays what.
    fn build(mut self) -> Plan {
        let graph = Graph::new(&self);
        let mut costs = vec![NodeCost::default(); graph.edges.len()];
        // Callees come before their callers.
        for mut component in graph.components() {
            // Within a cycle, what functions of a type cost is known before what calls them: the functions in the cycle
            // pay themselves.
            component.sort_by_key(|&node| graph.is_function(node));
            let cyclic = component.len() > 1 || graph.edges[component[0]].contains(&component[0]);
            for &node in &component {
                costs[node] = self.cost_of(node, cyclic, &graph, &costs);
            }
            if cyclic && component.iter().any(|&node| costs[node].takes_fuel) {
                component.iter().for_each(|&node| costs[node].takes_fuel = true);
            }
        }
        let imported = self.plan.imported_functions as usize;
        self.plan.functions = self
            .bodies
            .iter()
            .enumerate()
            .map(|(number, body)| {
                let node = costs[imported + number];
                let ty = self.plan.signatures.functions[imported + number] as usize;
                Charges {
                    entry: node.charged.then_some(node.own),
                    loops: body
                        .iterations()
                        .map(|iteration| iteration.map(|segment| graph.segment_cost(segment, &costs)))
                        .collect(),
                    takes_fuel: node.takes_fuel,
                    parameters: self.plan.parameters[ty],
                    cost: body.cost,
                    back_edges: body.back_edges,
                }
            })
            .collect();
        self.plan.large_ranges = self.large_ranges();
        self.plan
    }

    /// Returns the operations that may work on a large range. Initializing from a short segment does not, since a
    /// longer range is out of bounds.
    fn large_ranges(&self) -> Vec<LargeRange> {
        let initial = self.initial.iter().filter_map(|&segment| {
            let bytes = self.segments.get(segment as usize).copied()?;
            (bytes > BULK_CHUNK).then_some(LargeRange::Init { segment, bytes })
        });
        let others = [(self.fills, LargeRange::Fill), (self.copies, LargeRange::Copy)];
        others.into_iter().filter(|(used, _)| *used).map(|(_, range)| range).chain(initial).collect()
    }

    fn cost_of(&self, node: usize, cyclic: bool, graph: &Graph, costs: &[NodeCost]) -> NodeCost {
        if node < self.plan.imported_functions as usize {
            return NodeCost { own: IMPORT_CALL, charged: false, takes_fuel: self.plan.priced[node] };
        }
        let callee_takes_fuel = graph.edges[node].iter().any(|&callee| costs[callee].takes_fuel);
        let Some(body) = self.bodies.get(node - self.plan.imported_functions as usize) else {
            // Any of the functions of a type: the most expensive one.
            let most = graph.edges[node].iter().map(|&callee| costs[callee].cost_to_callers()).max().unwrap_or(0);
            return NodeCost { own: most, charged: false, takes_fuel: callee_takes_fuel };
        };
        let own = graph.segment_cost(&body.entry, costs);
        let charged = cyclic || own > ENTRY_CHARGE_THRESHOLD;
        let takes_fuel = charged || callee_takes_fuel || body.ranges || body.has_back_edge.contains(&true);
        NodeCost { own, charged, takes_fuel }
    }
}
