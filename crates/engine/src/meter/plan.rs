//! What each function and loop costs, and where it has to be paid.
//!
//! A *segment* is straight-line code: the body of a function outside of its loops, or the body of a loop outside of the
//! loops in it. A loop's segment is paid for at the loop's head, each time round. A function's own segment is paid for
//! at its entry where it is *charged*, and otherwise by its callers, as part of the segment that calls it.
//!
//! Charged are the functions of every cycle of calls, and those that would cost more than [`LONG`] with what they call.
//! So whatever executes has been paid for, whether as a loop, as a recursion, or as a tree of many small functions.

mod cost;
mod graph;
mod nesting;

use crate::meter::operators::works_on_range;
pub(super) use cost::cost;
use graph::{Graph, NodeCost};
use nesting::Nesting;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::{ElementItems, FunctionBody, Operator, Parser, Payload, TypeRef};

use super::measure::{self, Arity, Cost, Signatures};
use crate::interface;

/// A function that costs more than this, in units, pays at its own entry: the payment no longer matters beside it.
pub(super) const LONG: u32 = 200;

/// A range of memory of more bytes than this is worked on in portions of so many.
pub(super) const PORTION: u32 = 1 << 20;

/// The cost of a call to an imported function, which is native code. What it does beyond being called, it has paid by itself.
const IMPORT: u32 = 50;

/// No segment is taken to cost more, so that fuel stays far from the ends of 32 bits.
pub(super) const MOST: u32 = 1 << 24;

/// What a module's functions pay, in the order of their definition.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) functions: Vec<Payments>,
    /// How many functions are imported, and so come before those that are defined.
    pub(super) imported_functions: u32,
    pub(super) types: u32,
    pub(super) globals: u32,
    /// The module's start function, if it has one.
    pub(super) start: Option<u32>,
    /// The number of parameters of each type.
    parameters: Vec<u32>,
    /// The number of parameters and results of each type.
    passed: Vec<u32>,
    /// Whether the module begins with at least one page of memory, so that address 0 can be read.
    pub(super) has_memory: bool,
    /// The operations in the module that may work on a large range of memory, each once.
    pub(super) large_ranges: Vec<LargeRange>,
    /// For each imported function, whether it returns its price instead of nothing.
    priced: Vec<bool>,
    /// How many elements each table begins with.
    tables: Vec<u64>,
    /// What its functions take and leave.
    pub(super) signatures: Signatures,
}

/// An operation that may work on a large range of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LargeRange {
    Fill,
    Copy,
    /// From this data segment, which has so many bytes.
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

/// What one function pays.
#[derive(Debug, Default, Clone)]
pub(super) struct Payments {
    /// At its entry, if there.
    pub(super) entry: Option<u32>,
    /// At the head of each of its loops, in the order of their beginnings. One that nothing goes back to is no loop, and
    /// pays as part of what is around it.
    pub(super) loops: Vec<Option<u32>>,
    /// Whether it or anything it calls takes fuel.
    pub(super) takes_fuel: bool,
    /// How many parameters it has.
    pub(super) parameters: u32,
    /// What it would cost to compile as it is.
    pub(super) cost: Cost,
    /// How many branches lead back to its loops, each target of a table counted.
    pub(super) ways_back: u64,
}

impl Payments {
    pub(super) fn has_loops(&self) -> bool {
        self.loops.iter().any(Option::is_some)
    }
}

/// A piece of straight-line code.
#[derive(Debug, Default, Clone)]
struct Segment {
    cost: u32,
    calls: Vec<Callee>,
}

/// What a call leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Callee {
    Function(u32),
    /// Any function of this type that a table or reference may hold.
    Indirect(u32),
}

/// A function as it was read.
#[derive(Debug, Default)]
struct Body {
    entry: Segment,
    /// Empty for those that are no loops.
    loops: Vec<Segment>,
    /// For each of these, whether anything goes back to it.
    gone_back_to: Vec<bool>,
    /// How many branches lead back to them.
    ways_back: u64,
    /// What it would cost to compile as it is.
    cost: Cost,
    /// Whether it works on whole ranges of memory, which takes fuel by itself.
    ranges: bool,
}

impl Body {
    /// Has code in loops that nothing goes back to pay with what is around them.
    fn merge(&mut self, nesting: &Nesting) {
        // For each loop, the loop that its code pays with: those around it come before it.
        let mut payers: Vec<Option<usize>> = Vec::new();
        for (number, around) in nesting.around.iter().enumerate() {
            let gone_back_to = nesting.gone_back_to[number];
            let payer = if gone_back_to { Some(number) } else { around.and_then(|around| payers[around]) };
            payers.push(payer);
            if gone_back_to {
                continue;
            }
            let Segment { cost, calls } = std::mem::take(&mut self.loops[number]);
            let segment = match payer {
                Some(payer) => &mut self.loops[payer],
                None => &mut self.entry,
            };
            segment.cost = segment.cost.saturating_add(cost);
            segment.calls.extend(calls);
        }
    }

    /// For each loop, what it executes at each turn, if anything goes back to it.
    fn turns(&self) -> impl Iterator<Item = Option<&Segment>> {
        self.loops.iter().zip(&self.gone_back_to).map(|(segment, gone_back_to)| gone_back_to.then_some(segment))
    }
}

impl Plan {
    /// Reads a valid module.
    pub(super) fn of(module: &[u8]) -> Result<Plan> {
        let mut reading = Reading::default();
        for payload in Parser::new(0).parse_all(module) {
            reading.take(payload.map_err(unreadable)?).map_err(unreadable)?;
        }
        Ok(reading.plan())
    }

    /// What an operation on a table costs beside what it is asked to do: the engine keeps tables that do not grow in another form
    /// as well, and makes that anew as a whole.
    pub(super) fn cost_of_table(&self, operator: &Operator<'_>) -> Option<u32> {
        let table = match *operator {
            Operator::TableInit { table, .. } | Operator::TableFill { table } => table,
            Operator::TableCopy { dst_table, .. } => dst_table,
            _ => return None,
        };
        let elements = self.tables.get(table as usize).copied().unwrap_or_default();
        (elements > 0).then(|| u32::try_from(elements / 4).map_or(MOST, |units| units.min(MOST)))
    }

    /// Where this operation stands among those that may work on a large range of memory, if it is one.
    pub(super) fn large_range(&self, operator: &Operator<'_>) -> Option<usize> {
        works_on_range(operator)?;
        self.large_ranges.iter().position(|range| match (range, operator) {
            (LargeRange::Fill, Operator::MemoryFill { .. }) | (LargeRange::Copy, Operator::MemoryCopy { .. }) => true,
            (LargeRange::Init { segment, .. }, Operator::MemoryInit { data_index, .. }) => segment == data_index,
            _ => false,
        })
    }

    /// How many parameters and results a type has.
    pub(super) fn passed(&self, ty: u32) -> usize {
        self.passed.get(ty as usize).map_or(0, |&passed| passed as usize)
    }

    /// The functions that are imported.
    pub(super) fn imported(&self) -> impl Iterator<Item = ImportedFunction> {
        self.signatures.functions.iter().zip(&self.priced).map(|(&ty, &priced)| {
            let parameters = self.parameters[ty as usize];
            ImportedFunction { ty, parameters, priced }
        })
    }

    /// The type of a function that is defined in the module.
    pub(super) fn type_of(&self, defined: usize) -> u32 {
        self.signatures.functions.get(self.imported_functions as usize + defined).copied().unwrap_or_default()
    }

    /// Whether a call to this function may take fuel.
    pub(super) fn takes_fuel(&self, function: u32) -> bool {
        match function.checked_sub(self.imported_functions) {
            Some(defined) => self.functions.get(defined as usize).is_none_or(|payments| payments.takes_fuel),
            None => self.priced[function as usize],
        }
    }
}

fn unreadable(error: wasmparser::Error) -> Error {
    Error::new(ErrorKind::InvalidModule, "the module cannot be read").caused_by(error)
}

#[derive(Default)]
struct Reading {
    plan: Plan,
    bodies: Vec<Body>,
    /// For each type, the first one that is equal.
    representatives: Vec<u32>,
    known_types: std::collections::HashMap<wasmparser::FuncType, u32>,
    /// What works on ranges of memory: filling, copying, and from which data segments.
    fills: bool,
    copies: bool,
    initial: std::collections::BTreeSet<u32>,
    /// The lengths of the data segments.
    segments: Vec<u32>,
    /// Functions whose reference is taken, so that indirect calls may lead to them.
    referenced: Vec<u32>,
}

impl Reading {
    fn take(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    for ty in group?.into_types() {
                        self.take_type(&ty);
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
                    self.take_references(global?.init_expr.get_operators_reader())?;
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
                                self.take_references(expression?.get_operators_reader())?;
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
                        self.take_references(init.get_operators_reader())?;
                    }
                }
            }
            Payload::StartSection { func, .. } => self.plan.start = Some(func),
            Payload::CodeSectionEntry(body) => {
                let read = self.read_body(&body)?;
                self.bodies.push(read);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_type(&mut self, ty: &wasmparser::SubType) {
        let index = self.plan.types;
        self.plan.types += 1;
        let (parameters, results, representative) = match &ty.composite_type.inner {
            wasmparser::CompositeInnerType::Func(function) => {
                let known = *self.known_types.entry(function.clone()).or_insert(index);
                (function.params().len() as u32, function.results().len() as u32, known)
            }
            _ => (0, 0, index),
        };
        self.plan.signatures.types.push(Arity { takes: parameters, leaves: results });
        self.plan.parameters.push(parameters);
        self.plan.passed.push(parameters + results);
        self.representatives.push(representative);
    }

    fn take_references(&mut self, operators: wasmparser::OperatorsReader<'_>) -> wasmparser::Result<()> {
        for operator in operators {
            if let Operator::RefFunc { function_index } = operator? {
                self.referenced.push(function_index);
            }
        }
        Ok(())
    }

    fn read_body(&mut self, body: &FunctionBody<'_>) -> wasmparser::Result<Body> {
        let mut read = Body::default();
        let mut nesting = Nesting::default();
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            match operator {
                Operator::Loop { .. } => {
                    nesting.open_loop();
                    read.loops.push(Segment::default());
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
            read.ranges |= works_on_range(&operator).is_some();
            let segment = match nesting.current {
                Some(number) => &mut read.loops[number],
                None => &mut read.entry,
            };
            segment.cost = segment.cost.saturating_add(cost(&operator)).saturating_add(self.passed_values(&operator));
            segment.calls.extend(self.callee(&operator));
        }
        read.merge(&nesting);
        (read.gone_back_to, read.ways_back) = (nesting.gone_back_to, nesting.ways_back);
        let number = self.plan.imported_functions as usize + self.bodies.len();
        let ty = self.plan.signatures.functions[number];
        read.cost = measure::measure(&self.plan.signatures, ty, body, |number| read.gone_back_to[number])?;
        Ok(read)
    }

    /// Whether an import of this type is a function of the waPC interface that returns nothing to the guest.
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

    /// How many values a call passes there and back.
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
    fn plan(mut self) -> Plan {
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
                Payments {
                    entry: node.charged.then_some(node.own),
                    loops: body.turns().map(|turn| turn.map(|segment| graph.segment_cost(segment, &costs))).collect(),
                    takes_fuel: node.takes_fuel,
                    parameters: self.plan.parameters[ty],
                    cost: body.cost,
                    ways_back: body.ways_back,
                }
            })
            .collect();
        self.plan.large_ranges = self.large_ranges();
        self.plan
    }

    /// The operations that may work on a large range. What initialises from a short segment does not: more than there is
    /// in it cannot be taken from it.
    fn large_ranges(&self) -> Vec<LargeRange> {
        let initial = self.initial.iter().filter_map(|&segment| {
            let bytes = self.segments.get(segment as usize).copied()?;
            (bytes > PORTION).then_some(LargeRange::Init { segment, bytes })
        });
        let others = [(self.fills, LargeRange::Fill), (self.copies, LargeRange::Copy)];
        others.into_iter().filter(|(used, _)| *used).map(|(_, range)| range).chain(initial).collect()
    }

    fn cost_of(&self, node: usize, cyclic: bool, graph: &Graph, costs: &[NodeCost]) -> NodeCost {
        if node < self.plan.imported_functions as usize {
            return NodeCost { own: IMPORT, charged: false, takes_fuel: self.plan.priced[node] };
        }
        let callee_takes_fuel = graph.edges[node].iter().any(|&callee| costs[callee].takes_fuel);
        let Some(body) = self.bodies.get(node - self.plan.imported_functions as usize) else {
            // Any of the functions of a type: the most expensive one.
            let most = graph.edges[node].iter().map(|&callee| costs[callee].passed_on()).max().unwrap_or(0);
            return NodeCost { own: most, charged: false, takes_fuel: callee_takes_fuel };
        };
        let own = graph.segment_cost(&body.entry, costs);
        let charged = cyclic || own > LONG;
        let takes_fuel = charged || callee_takes_fuel || body.ranges || body.gone_back_to.contains(&true);
        NodeCost { own, charged, takes_fuel }
    }
}
