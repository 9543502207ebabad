//! Writes a module with its charges.
//!
//! # Layout
//! - `body`: rewrites one function
//! - `fuel_emitter`: writes the code that charges fuel
//! - `charge_functions`: the functions that charge fuel by a call
//! - `charge_forms`: chooses how each function charges
//! - `yield_points`: finds where code without loops has to yield
//! - `bulk_memory`: the functions that work on large ranges in chunks
//! - `stack_probe`: the functions that check for room on the stack before host code runs
//! - `frame_check`: refuses functions whose frames could skip the guard page of the stack
//! - `labels`: remaps the targets of branches

mod body;
mod bulk_memory;
mod charge_forms;
mod charge_functions;
mod frame_check;
mod fuel_emitter;
mod labels;
mod stack_probe;
mod yield_points;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    ConstExpr, EntityType, ExportKind, Function, GlobalType, MemoryType, SectionId, TableType, ValType,
};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::TypeRef;

use self::charge_forms::{Budget, FORMS};
use self::fuel_emitter::FuelGlobals;
use super::compile_cost::{self, ModuleCost, Signatures};
use super::data_segments::SegmentIndexMap;
use super::plan::{ImportedFunction, LargeRange, Plan};
use super::{MeterConfig, NAMESPACE, START, TICK, YIELD};
pub(super) use charge_forms::Form;
pub(crate) use stack_probe::FrameModel;

/// A metered module, and the cost of compiling it.
#[derive(Debug)]
pub(crate) struct MeteredModule {
    pub(crate) module: Vec<u8>,
    pub(crate) cost: ModuleCost,
}

/// Writes the charges of a plan into its module, in the given form, or else for each function in the fastest form that
/// the module can afford.
///
/// # Errors
/// `InvalidModule` if the module exceeds a limit or would take too long to compile.
pub(super) fn rewrite(
    module: &[u8],
    plan: &Plan,
    segment_indices: Option<SegmentIndexMap>,
    config: MeterConfig,
    form: Option<Form>,
) -> Result<MeteredModule> {
    let mut cost = ModuleCost::default();
    plan.signatures.types.iter().for_each(|&ty| cost.add_type(ty));
    if cost.all.is_excessive() {
        let reason = "the module would take too long to compile: its types pass too many values";
        return Err(Error::new(ErrorKind::InvalidModule, reason));
    }
    let budget = Budget::new(plan.functions.iter().map(|charges| charges.cost));
    let signatures = charge_forms::signatures(plan, config.frame_model);
    let mut rewriter = Rewriter {
        plan,
        segment_indices,
        config,
        form,
        signatures,
        budget,
        next_function: 0,
        tables: 0,
        copies: 0,
        written: Vec::new(),
        cost,
    };
    let mut rewritten = wasm_encoder::Module::new();
    rewriter.parse_core_module(&mut rewritten, wasmparser::Parser::new(0), module).map_err(|error| match error {
        reencode::Error::UserError(refusal) => refusal,
        other => Error::new(ErrorKind::InvalidModule, "the module cannot be rewritten").caused_by(other.to_string()),
    })?;
    Ok(MeteredModule { module: rewritten.finish(), cost: rewriter.cost })
}

/// The largest number of tables of a module. Each may have the largest size.
pub(super) const MAX_TABLES: usize = 4;

/// The largest number of operators that are written repeatedly, which limits the growth of a module.
const MAX_COPIES: usize = 2_000_000;

/// The compile cost of a back edge that passes the fuel to its loop.
const BACK_EDGE: u64 = 40;

struct Rewriter<'a> {
    plan: &'a Plan,
    /// The new indices of data segments, if the host writes the active ones.
    segment_indices: Option<SegmentIndexMap>,
    config: MeterConfig,
    /// The form of all functions, if it is given.
    form: Option<Form>,
    /// The arities of the rewritten module's functions.
    signatures: Signatures,
    /// The compile cost that inline charges may add.
    budget: Budget,
    /// The compile cost of the rewritten functions.
    cost: ModuleCost,
    /// The number of the next function body.
    next_function: usize,
    /// The number of tables so far.
    tables: usize,
    /// The number of operators that have been written repeatedly.
    copies: usize,
    /// The extended sections that have been written.
    written: Vec<SectionId>,
}

type ReencodeResult<T> = Result<T, reencode::Error<Error>>;

impl Rewriter<'_> {
    fn yield_type(&self) -> u32 {
        self.plan.types
    }

    /// Returns whether `operations` may be written `times` more, and if so, counts them.
    fn reserve_copies(&mut self, operations: usize, times: u32) -> bool {
        let copies = self.copies + operations * times as usize;
        let may = copies <= MAX_COPIES;
        if may {
            self.copies = copies;
        }
        may
    }

    /// Rewrites a function in the fastest form that the module can afford.
    fn rewrite_function(&mut self, number: usize, body: &wasmparser::FunctionBody<'_>) -> ReencodeResult<Vec<u8>> {
        let charges = &self.plan.functions[number];
        let copies = self.copies;
        let ty = self.plan.type_of(number);
        for form in self.form.map_or(FORMS.to_vec(), |form| vec![form]) {
            self.copies = copies;
            let rewritten = body::rewrite(self, form, charges, body)?.into_raw_body();
            let reader = wasmparser::BinaryReader::new(&rewritten, 0);
            let mut cost =
                compile_cost::estimate(&self.signatures, ty, &wasmparser::FunctionBody::new(reader), |_| true)?;
            if form != Form::Calls && charges.has_loops() {
                // The fuel is a parameter of each loop, which every back edge passes.
                cost.work += charges.back_edges * BACK_EDGE;
            }
            if form == Form::Calls || self.budget.affords(cost, charges.cost) || self.form.is_some() {
                self.check_cost(number, cost)?;
                self.cost.add_function(self.plan.imported_functions as usize + number, cost, rewritten.len());
                return Ok(rewritten);
            }
        }
        Ok(Vec::new())
    }

    /// Checks that a function does not take too long to compile.
    fn check_cost(&self, number: usize, cost: compile_cost::Cost) -> ReencodeResult<()> {
        if !cost.is_excessive() {
            return Ok(());
        }
        let number = self.plan.imported_functions as usize + number;
        Err(refused(format!(
            "function {number} would take too long to compile: its loops are nested too deeply, or too many values live \
             across too many blocks; split it into smaller functions"
        )))
    }

    /// The type `() -> ()`, of the empty start function.
    fn empty_type(&self) -> u32 {
        self.plan.types + 1
    }

    /// The type of operations on ranges of memory, and of the functions that replace them.
    fn range_type(&self) -> u32 {
        self.plan.types + 2
    }

    /// The type of the stack probe.
    fn probe_type(&self) -> u32 {
        self.plan.types + 3
    }

    /// The type of the function that the stack probe calls.
    fn filler_type(&self) -> u32 {
        self.plan.types + 4
    }

    fn fuel_global(&self) -> u32 {
        self.plan.globals
    }

    /// Returns the new index of a defined function: `yield` and `tick` are imported before it.
    fn defined_function(&self, function: u32) -> u32 {
        function.saturating_add(2)
    }

    fn yield_function(&self) -> u32 {
        self.plan.imported_functions
    }

    fn tick_function(&self) -> u32 {
        self.plan.imported_functions + 1
    }

    /// The index of a function that works on a large range. These follow the module's own functions.
    fn range_function(&self, number: usize) -> u32 {
        self.defined_function(self.plan.imported_functions + (self.plan.functions.len() + number) as u32)
    }

    fn probe_function(&self) -> u32 {
        self.range_function(self.plan.large_ranges.len())
    }

    fn filler_function(&self) -> u32 {
        self.probe_function() + 1
    }

    /// The type of the function that charges for a range.
    fn charge_range_type(&self) -> u32 {
        self.plan.types + 6
    }

    /// The type of waPC functions with two parameters that return their price.
    fn price_type(&self) -> u32 {
        self.plan.types + 5
    }

    /// Returns the type of an imported function that returns its price.
    fn priced_type(&self, parameters: u32) -> u32 {
        if parameters == 1 { self.yield_type() } else { self.price_type() }
    }

    /// The index of the function that wraps an imported function.
    fn wrapper_function(&self, imported: u32) -> u32 {
        self.filler_function() + 1 + imported
    }

    /// The index of the empty start function, the last function of the module.
    fn empty_function(&self) -> u32 {
        self.globals().charge_range_function + 1
    }

    fn globals(&self) -> FuelGlobals {
        let yield_function = self.wrapper_function(self.yield_function());
        FuelGlobals {
            global: self.fuel_global(),
            yield_function,
            charge_function: yield_function + 1,
            charge_range_function: yield_function + 2,
            quantum: self.config.quantum,
        }
    }

    fn add_types(&mut self, types: &mut wasm_encoder::TypeSection) {
        self.written.push(SectionId::Type);
        types.ty().function([ValType::I32], [ValType::I32]);
        types.ty().function([], []);
        types.ty().function([ValType::I32; 3], []);
        types.ty().function([ValType::I32], []);
        types.ty().function(self.config.frame_model.filler_parameters(), []);
        types.ty().function([ValType::I32; 2], [ValType::I32]);
        types.ty().function([ValType::I32; 3], [ValType::I32]);
    }

    fn add_imports(&mut self, imports: &mut wasm_encoder::ImportSection) {
        self.written.push(SectionId::Import);
        for (namespace, name) in [YIELD, TICK] {
            imports.import(namespace, name, EntityType::Function(self.yield_type()));
        }
    }

    fn add_functions(&mut self, functions: &mut wasm_encoder::FunctionSection) {
        self.written.push(SectionId::Function);
        for _ in &self.plan.large_ranges {
            functions.function(self.range_type());
        }
        functions.function(self.probe_type()).function(self.filler_type());
        for imported in self.plan.imported() {
            functions.function(imported.ty);
        }
        functions.function(self.yield_type()).function(self.probe_type()).function(self.charge_range_type());
        if self.plan.start.is_some() {
            functions.function(self.empty_type());
        }
    }

    fn add_globals(&mut self, globals: &mut wasm_encoder::GlobalSection) {
        self.written.push(SectionId::Global);
        let fuel = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(fuel, &ConstExpr::i32_const(self.config.quantum));
    }

    fn add_exports(&mut self, exports: &mut wasm_encoder::ExportSection) -> ReencodeResult<()> {
        self.written.push(SectionId::Export);
        if let Some(start) = self.plan.start {
            exports.export(START, ExportKind::Func, self.function_index(start)?);
        }
        Ok(())
    }

    fn add_code(&mut self, code: &mut wasm_encoder::CodeSection) {
        self.written.push(SectionId::Code);
        for &range in &self.plan.large_ranges {
            let range = match range {
                LargeRange::Init { segment, bytes } => LargeRange::Init { segment: self.data_segment(segment), bytes },
                other => other,
            };
            code.function(&bulk_memory::chunked_operation(range, &self.globals(), self.probe_function()));
        }
        let frame_model = self.config.frame_model;
        code.function(&frame_model.probe(self.filler_function())).function(&frame_model.filler());
        for (number, ImportedFunction { parameters, priced, .. }) in (0..).zip(self.plan.imported()) {
            let mut wrapper = stack_probe::import_wrapper(number, parameters, priced, self.probe_function());
            if priced {
                self.globals().charge_price(&mut wrapper.instructions(), parameters);
            }
            wrapper.instructions().end();
            code.function(&wrapper);
        }
        code.function(&fuel_emitter::yield_if_due(self.tick_function(), self.yield_function(), self.probe_function()));
        let globals = self.globals();
        code.function(&charge_functions::charge_function(&globals))
            .function(&charge_functions::charge_range_function(&globals, self.probe_function()));
        if self.plan.start.is_some() {
            let mut empty = Function::new([]);
            empty.instructions().end();
            code.function(&empty);
        }
    }

    /// Returns the new index of a data segment.
    fn data_segment(&self, segment: u32) -> u32 {
        self.segment_indices.as_ref().map_or(segment, |indices| indices.index(segment))
    }

    /// Returns whether an extended section has to be inserted before the section with the order `next`.
    fn lacks(&self, section: SectionId, next: u8) -> bool {
        next > section_order(section) && !self.written.contains(&section)
    }
}

impl Reencode for Rewriter<'_> {
    type Error = Error;

    fn function_index(&mut self, function: u32) -> ReencodeResult<u32> {
        let imported = function < self.plan.imported_functions;
        Ok(if imported { self.wrapper_function(function) } else { self.defined_function(function) })
    }

    fn data_index(&mut self, segment: u32) -> ReencodeResult<u32> {
        Ok(self.data_segment(segment))
    }

    fn data_count(&mut self, count: u32) -> ReencodeResult<u32> {
        Ok(self.segment_indices.as_ref().map_or(count, SegmentIndexMap::count))
    }

    fn parse_data_section(
        &mut self,
        data: &mut wasm_encoder::DataSection,
        section: wasmparser::DataSectionReader<'_>,
    ) -> ReencodeResult<()> {
        match &self.segment_indices {
            Some(indices) => Ok(indices.write(data, section.into_iter())?),
            None => utils::parse_data_section(self, data, section),
        }
    }

    fn func_type(&mut self, ty: wasmparser::FuncType) -> ReencodeResult<wasm_encoder::FuncType> {
        self.check_type(&ty)?;
        utils::func_type(self, ty)
    }

    fn parse_custom_section(
        &mut self,
        module: &mut wasm_encoder::Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> ReencodeResult<()> {
        // Custom sections are not validated, and malformed ones are to be ignored.
        utils::parse_custom_section(self, module, section).or(Ok(()))
    }

    fn parse_type_section(
        &mut self,
        types: &mut wasm_encoder::TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> ReencodeResult<()> {
        utils::parse_type_section(self, types, section)?;
        self.add_types(types);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut wasm_encoder::ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> ReencodeResult<()> {
        let plan = self.plan;
        let mut functions = plan.imported();
        for import in section.into_imports() {
            let import = import?;
            if import.module == NAMESPACE {
                return Err(refused(format!("the module imports {}.{}", import.module, import.name)));
            }
            let is_function = matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
            let priced = is_function.then(|| functions.next()).flatten().filter(|function| function.priced);
            match priced {
                Some(function) => {
                    let ty = EntityType::Function(self.priced_type(function.parameters));
                    imports.import(NAMESPACE, import.name, ty);
                }
                None => utils::parse_import(self, imports, import)?,
            }
        }
        self.add_imports(imports);
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut wasm_encoder::GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> ReencodeResult<()> {
        utils::parse_global_section(self, globals, section)?;
        self.add_globals(globals);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut wasm_encoder::FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> ReencodeResult<()> {
        utils::parse_function_section(self, functions, section)?;
        self.add_functions(functions);
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut wasm_encoder::ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> ReencodeResult<()> {
        for export in section.clone() {
            if export?.name == START {
                return Err(refused(format!("the module exports {START}")));
            }
        }
        utils::parse_export_section(self, exports, section)?;
        self.add_exports(exports)
    }

    fn start_section(&mut self, _: u32) -> ReencodeResult<u32> {
        Ok(self.empty_function())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut wasm_encoder::Module,
        _: Option<SectionId>,
        before: Option<SectionId>,
    ) -> ReencodeResult<()> {
        let next = before.map_or(u8::MAX, section_order);
        if self.lacks(SectionId::Type, next) {
            let mut types = wasm_encoder::TypeSection::new();
            self.add_types(&mut types);
            module.section(&types);
        }
        if self.lacks(SectionId::Import, next) {
            let mut imports = wasm_encoder::ImportSection::new();
            self.add_imports(&mut imports);
            module.section(&imports);
        }
        if self.lacks(SectionId::Function, next) {
            let mut functions = wasm_encoder::FunctionSection::new();
            self.add_functions(&mut functions);
            module.section(&functions);
        }
        if self.lacks(SectionId::Global, next) {
            let mut globals = wasm_encoder::GlobalSection::new();
            self.add_globals(&mut globals);
            module.section(&globals);
        }
        if self.lacks(SectionId::Export, next) {
            let mut exports = wasm_encoder::ExportSection::new();
            self.add_exports(&mut exports)?;
            module.section(&exports);
        }
        if self.lacks(SectionId::Code, next) {
            let mut code = wasm_encoder::CodeSection::new();
            self.add_code(&mut code);
            module.section(&code);
        }
        Ok(())
    }

    fn memory_type(&mut self, memory: wasmparser::MemoryType) -> ReencodeResult<MemoryType> {
        let requested = memory.initial;
        let max = self.config.memory_pages;
        if requested > max {
            return Err(refused(format!("the module begins with {requested} pages of memory, {max} are allowed")));
        }
        let maximum = Some(memory.maximum.map_or(max, |maximum| maximum.min(max)));
        Ok(MemoryType { maximum, ..utils::memory_type(self, memory) })
    }

    fn table_type(&mut self, table: wasmparser::TableType) -> ReencodeResult<TableType> {
        let requested = table.initial;
        let max = self.config.table_elements;
        if requested > max {
            return Err(refused(format!("the module begins with a table of {requested} elements, {max} are allowed")));
        }
        self.tables += 1;
        if self.tables > MAX_TABLES {
            return Err(refused(format!("the module has more than {MAX_TABLES} tables")));
        }
        let maximum = Some(table.maximum.map_or(max, |maximum| maximum.min(max)));
        Ok(TableType { maximum, ..utils::table_type(self, table)? })
    }

    fn parse_code_section(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> ReencodeResult<()> {
        utils::parse_code_section(self, code, section)?;
        self.add_code(code);
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        body: wasmparser::FunctionBody<'_>,
    ) -> ReencodeResult<()> {
        let number = self.next_function;
        self.next_function += 1;
        code.raw(&self.rewrite_function(number, &body)?);
        Ok(())
    }
}

/// Returns the order of a section in a module.
fn section_order(section: SectionId) -> u8 {
    match section {
        SectionId::Tag => 11,
        SectionId::DataCount => 19,
        other => other as u8 * 2,
    }
}

fn refused(reason: String) -> reencode::Error<Error> {
    reencode::Error::UserError(Error::new(ErrorKind::InvalidModule, reason))
}
