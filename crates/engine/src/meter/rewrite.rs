//! The module with the payments put in: its sections here, its functions in `body`, the payments in `emitter`.
//! `forms` tells which of the ways of paying a module can afford,
//! `yield_points` tells where code without a loop has to yield, `portions` makes the functions that work on large ranges,
//! `stack_probe` those that see to it that the host's code has room on the stack; `frame_check` refuses what the end of the stack
//! cannot be guarded against.

mod body;
mod bulk_memory;
mod forms;
mod frame_check;
mod fuel_emitter;
mod labels;
mod paying_functions;
mod stack_probe;
mod yield_points;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    ConstExpr, EntityType, ExportKind, Function, GlobalType, MemoryType, SectionId, TableType, ValType,
};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::TypeRef;

use self::forms::{Budget, FORMS};
use self::fuel_emitter::FuelGlobals;
use super::measure::{self, ModuleCost, Signatures};
use super::plan::{ImportedFunction, LargeRange, Plan};
use super::segments::Moved;
use super::{Bounds, NAMESPACE, START, TICK, YIELD};
pub(super) use forms::Form;
pub(crate) use stack_probe::Frames;

/// A module with the meter in it, and what it costs to compile.
#[derive(Debug)]
pub(crate) struct Metered {
    pub(crate) module: Vec<u8>,
    pub(crate) cost: ModuleCost,
}

/// Puts the payments of a plan into its module, in the form that is given, or for each function in the fastest one that the
/// module can afford.
pub(super) fn rewrite(
    module: &[u8],
    plan: &Plan,
    data: Option<Moved>,
    bounds: Bounds,
    form: Option<Form>,
) -> Result<Metered> {
    let (next_function, tables, copies, written) = Default::default();
    let mut cost = ModuleCost::default();
    plan.signatures.types.iter().for_each(|&ty| cost.add_type(ty));
    if cost.all.is_too_steep() {
        let reason = "the module would take too long to compile: its types pass too many values";
        return Err(Error::new(ErrorKind::InvalidModule, reason));
    }
    let budget = Budget::new(plan.functions.iter().map(|payments| payments.cost));
    let signatures = forms::signatures(plan, bounds.frames);
    let mut rewriter =
        Rewriter { plan, data, bounds, form, signatures, budget, next_function, tables, copies, written, cost };
    let mut rewritten = wasm_encoder::Module::new();
    rewriter.parse_core_module(&mut rewritten, wasmparser::Parser::new(0), module).map_err(|error| match error {
        reencode::Error::UserError(refusal) => refusal,
        other => Error::new(ErrorKind::InvalidModule, "the module cannot be rewritten").caused_by(other.to_string()),
    })?;
    Ok(Metered { module: rewritten.finish(), cost: rewriter.cost })
}

/// How many tables a module may have: each may be as large as a table may be.
const MOST_TABLES: usize = 4;

/// How many operations of a module may be written more than once, so that no module grows beyond measure.
const MOST_COPIES: usize = 2_000_000;

/// What it costs to pass the fuel back to a loop.
const WAY_BACK: u64 = 40;

struct Rewriter<'a> {
    plan: &'a Plan,
    /// Where data segments have moved to, if the host writes the active ones.
    data: Option<Moved>,
    bounds: Bounds,
    /// How all functions pay, if that is given.
    form: Option<Form>,
    /// What the functions of the rewritten module take and leave.
    signatures: Signatures,
    /// What payments in place may make the module cost more.
    budget: Budget,
    /// What it costs to compile what has been rewritten.
    cost: ModuleCost,
    /// The number of the function whose body comes next.
    next_function: usize,
    /// How many tables there have been.
    tables: usize,
    /// How many operations have been written more than once.
    copies: usize,
    /// The sections that something is added to and that have been written.
    written: Vec<SectionId>,
}

type Rewritten<T> = Result<T, reencode::Error<Error>>;

impl Rewriter<'_> {
    fn yield_type(&self) -> u32 {
        self.plan.types
    }

    /// Whether so many operations may be written so many times more. If so, they are counted.
    fn may_copy(&mut self, operations: usize, times: u32) -> bool {
        let copies = self.copies + operations * times as usize;
        let may = copies <= MOST_COPIES;
        if may {
            self.copies = copies;
        }
        may
    }

    /// Rewrites a function in the fastest form that the module can afford.
    fn rewrite_function(&mut self, number: usize, body: &wasmparser::FunctionBody<'_>) -> Rewritten<Vec<u8>> {
        let payments = &self.plan.functions[number];
        let (copies, ty) = (self.copies, self.plan.type_of(number));
        for form in self.form.map_or(FORMS.to_vec(), |form| vec![form]) {
            self.copies = copies;
            let rewritten = body::rewrite(self, form, payments, body)?.into_raw_body();
            let reader = wasmparser::BinaryReader::new(&rewritten, 0);
            let mut cost = measure::measure(&self.signatures, ty, &wasmparser::FunctionBody::new(reader), |_| true)?;
            if form != Form::Calls && payments.has_loops() {
                // The fuel is a parameter of each loop: every way back passes it.
                cost.work += payments.ways_back * WAY_BACK;
            }
            if form == Form::Calls || self.budget.affords(cost, payments.cost) || self.form.is_some() {
                self.check_cost(number, cost)?;
                self.cost.add_function(self.plan.imported_functions as usize + number, cost, rewritten.len());
                return Ok(rewritten);
            }
        }
        Ok(Vec::new())
    }

    /// Refuses a function that would take too long to compile.
    fn check_cost(&self, number: usize, cost: measure::Cost) -> Rewritten<()> {
        if !cost.is_too_steep() {
            return Ok(());
        }
        let number = self.plan.imported_functions as usize + number;
        Err(refused(format!(
            "function {number} would take too long to compile: its loops are nested too deeply, or too many values live \
             across too many blocks; split it into smaller functions"
        )))
    }

    /// The type `() -> ()`, of the function that stands in for the module's start.
    fn nothing_type(&self) -> u32 {
        self.plan.types + 1
    }

    /// The type of operations on ranges of memory, and of the functions that stand in for them.
    fn range_type(&self) -> u32 {
        self.plan.types + 2
    }

    /// The type of the function that makes sure of room on the stack.
    fn probe_type(&self) -> u32 {
        self.plan.types + 3
    }

    /// The type of the function that this one calls.
    fn filled_type(&self) -> u32 {
        self.plan.types + 4
    }

    fn fuel_global(&self) -> u32 {
        self.plan.globals
    }

    /// The index of a function of the module's own: `yield` and `tick` are imported before it.
    fn moved_up(&self, function: u32) -> u32 {
        function.saturating_add(2)
    }

    fn yield_function(&self) -> u32 {
        self.plan.imported_functions
    }

    fn tick_function(&self) -> u32 {
        self.plan.imported_functions + 1
    }

    /// The function that works on a large range in portions: these come after the module's own.
    fn range_function(&self, number: usize) -> u32 {
        self.moved_up(self.plan.imported_functions + (self.plan.functions.len() + number) as u32)
    }

    fn probe_function(&self) -> u32 {
        self.range_function(self.plan.large_ranges.len())
    }

    fn filled_function(&self) -> u32 {
        self.probe_function() + 1
    }

    /// The type of the function that pays for a length.
    fn pays_length_type(&self) -> u32 {
        self.plan.types + 6
    }

    /// The type of functions of the interface with two parameters that return their price.
    fn price_type(&self) -> u32 {
        self.plan.types + 5
    }

    /// The type that an imported function with so many parameters has here, so that it returns its price.
    fn priced_type(&self, parameters: u32) -> u32 {
        if parameters == 1 { self.yield_type() } else { self.price_type() }
    }

    /// The function that takes the place of an imported one, `yield` included.
    fn function_in_front_of(&self, imported: u32) -> u32 {
        self.filled_function() + 1 + imported
    }

    /// A function that does nothing, the last one there is.
    fn nothing_function(&self) -> u32 {
        self.globals().pays_length + 1
    }

    fn globals(&self) -> FuelGlobals {
        let yields = self.function_in_front_of(self.yield_function());
        let (pays, pays_length) = (yields + 1, yields + 2);
        FuelGlobals { global: self.fuel_global(), yields, pays, pays_length, quantum: self.bounds.quantum }
    }

    fn add_types(&mut self, types: &mut wasm_encoder::TypeSection) {
        self.written.push(SectionId::Type);
        types.ty().function([ValType::I32], [ValType::I32]);
        types.ty().function([], []);
        types.ty().function([ValType::I32; 3], []);
        types.ty().function([ValType::I32], []);
        types.ty().function(self.bounds.frames.passed(), []);
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
        functions.function(self.probe_type()).function(self.filled_type());
        for imported in self.plan.imported() {
            functions.function(imported.ty);
        }
        functions.function(self.yield_type()).function(self.probe_type()).function(self.pays_length_type());
        if self.plan.start.is_some() {
            functions.function(self.nothing_type());
        }
    }

    fn add_globals(&mut self, globals: &mut wasm_encoder::GlobalSection) {
        self.written.push(SectionId::Global);
        let fuel = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(fuel, &ConstExpr::i32_const(self.bounds.quantum));
    }

    fn add_exports(&mut self, exports: &mut wasm_encoder::ExportSection) -> Rewritten<()> {
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
                LargeRange::Init { segment, bytes } => LargeRange::Init { segment: self.moved(segment), bytes },
                other => other,
            };
            code.function(&bulk_memory::in_portions(range, &self.globals(), self.probe_function()));
        }
        let frames = self.bounds.frames;
        code.function(&frames.probe(self.filled_function())).function(&frames.filled());
        for (number, ImportedFunction { parameters, priced, .. }) in (0..).zip(self.plan.imported()) {
            let mut front = stack_probe::in_front_of(number, parameters, priced, self.probe_function());
            if priced {
                self.globals().pay_price(&mut front.instructions(), parameters);
            }
            front.instructions().end();
            code.function(&front);
        }
        code.function(&fuel_emitter::yield_if_due(self.tick_function(), self.yield_function(), self.probe_function()));
        let globals = self.globals();
        code.function(&paying_functions::pays(&globals))
            .function(&paying_functions::pays_length(&globals, self.probe_function()));
        if self.plan.start.is_some() {
            let mut nothing = Function::new([]);
            nothing.instructions().end();
            code.function(&nothing);
        }
    }

    /// Where a data segment has moved to.
    fn moved(&self, segment: u32) -> u32 {
        self.data.as_ref().map_or(segment, |data| data.index(segment))
    }

    /// Whether a section that something is added to is missing from the module, where the section `next` comes next.
    fn misses(&self, section: SectionId, next: u8) -> bool {
        next > place(section) && !self.written.contains(&section)
    }
}

impl Reencode for Rewriter<'_> {
    type Error = Error;

    fn function_index(&mut self, function: u32) -> Rewritten<u32> {
        let imported = function < self.plan.imported_functions;
        Ok(if imported { self.function_in_front_of(function) } else { self.moved_up(function) })
    }

    fn data_index(&mut self, segment: u32) -> Rewritten<u32> {
        Ok(self.moved(segment))
    }

    fn data_count(&mut self, count: u32) -> Rewritten<u32> {
        Ok(self.data.as_ref().map_or(count, Moved::count))
    }

    fn parse_data_section(
        &mut self,
        data: &mut wasm_encoder::DataSection,
        section: wasmparser::DataSectionReader<'_>,
    ) -> Rewritten<()> {
        match &self.data {
            Some(moved) => Ok(moved.write(data, section.into_iter())?),
            None => utils::parse_data_section(self, data, section),
        }
    }

    fn func_type(&mut self, ty: wasmparser::FuncType) -> Rewritten<wasm_encoder::FuncType> {
        self.check_type(&ty)?;
        utils::func_type(self, ty)
    }

    fn parse_custom_section(
        &mut self,
        module: &mut wasm_encoder::Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Rewritten<()> {
        // Nobody has validated it, and what is wrong with a custom section is to be ignored.
        utils::parse_custom_section(self, module, section).or(Ok(()))
    }

    fn parse_type_section(
        &mut self,
        types: &mut wasm_encoder::TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Rewritten<()> {
        utils::parse_type_section(self, types, section)?;
        self.add_types(types);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut wasm_encoder::ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Rewritten<()> {
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
    ) -> Rewritten<()> {
        utils::parse_global_section(self, globals, section)?;
        self.add_globals(globals);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut wasm_encoder::FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Rewritten<()> {
        utils::parse_function_section(self, functions, section)?;
        self.add_functions(functions);
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut wasm_encoder::ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Rewritten<()> {
        for export in section.clone() {
            if export?.name == START {
                return Err(refused(format!("the module exports {START}")));
            }
        }
        utils::parse_export_section(self, exports, section)?;
        self.add_exports(exports)
    }

    fn start_section(&mut self, _: u32) -> Rewritten<u32> {
        Ok(self.nothing_function())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut wasm_encoder::Module,
        _: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Rewritten<()> {
        let next = before.map_or(u8::MAX, place);
        if self.misses(SectionId::Type, next) {
            let mut types = wasm_encoder::TypeSection::new();
            self.add_types(&mut types);
            module.section(&types);
        }
        if self.misses(SectionId::Import, next) {
            let mut imports = wasm_encoder::ImportSection::new();
            self.add_imports(&mut imports);
            module.section(&imports);
        }
        if self.misses(SectionId::Function, next) {
            let mut functions = wasm_encoder::FunctionSection::new();
            self.add_functions(&mut functions);
            module.section(&functions);
        }
        if self.misses(SectionId::Global, next) {
            let mut globals = wasm_encoder::GlobalSection::new();
            self.add_globals(&mut globals);
            module.section(&globals);
        }
        if self.misses(SectionId::Export, next) {
            let mut exports = wasm_encoder::ExportSection::new();
            self.add_exports(&mut exports)?;
            module.section(&exports);
        }
        if self.misses(SectionId::Code, next) {
            let mut code = wasm_encoder::CodeSection::new();
            self.add_code(&mut code);
            module.section(&code);
        }
        Ok(())
    }

    fn memory_type(&mut self, memory: wasmparser::MemoryType) -> Rewritten<MemoryType> {
        let (asked, most) = (memory.initial, self.bounds.memory_pages);
        if asked > most {
            return Err(refused(format!("the module begins with {asked} pages of memory, {most} are allowed")));
        }
        let maximum = Some(memory.maximum.map_or(most, |maximum| maximum.min(most)));
        Ok(MemoryType { maximum, ..utils::memory_type(self, memory) })
    }

    fn table_type(&mut self, table: wasmparser::TableType) -> Rewritten<TableType> {
        let (asked, most) = (table.initial, self.bounds.table_elements);
        if asked > most {
            return Err(refused(format!("the module begins with a table of {asked} elements, {most} are allowed")));
        }
        self.tables += 1;
        if self.tables > MOST_TABLES {
            return Err(refused(format!("the module has more than {MOST_TABLES} tables")));
        }
        let maximum = Some(table.maximum.map_or(most, |maximum| maximum.min(most)));
        Ok(TableType { maximum, ..utils::table_type(self, table)? })
    }

    fn parse_code_section(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Rewritten<()> {
        utils::parse_code_section(self, code, section)?;
        self.add_code(code);
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        body: wasmparser::FunctionBody<'_>,
    ) -> Rewritten<()> {
        let number = self.next_function;
        self.next_function += 1;
        code.raw(&self.rewrite_function(number, &body)?);
        Ok(())
    }
}

/// The place of a section in a module.
fn place(section: SectionId) -> u8 {
    match section {
        SectionId::Tag => 11,
        SectionId::DataCount => 19,
        other => other as u8 * 2,
    }
}

fn refused(reason: String) -> reencode::Error<Error> {
    reencode::Error::UserError(Error::new(ErrorKind::InvalidModule, reason))
}
