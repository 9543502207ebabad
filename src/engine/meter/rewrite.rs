//! The module with the payments put in.
//!
//! A function with loops keeps the fuel in a local, because a loop that touches memory for each turn is a third slower.
//! It takes the fuel from the global at its entry, gives it back before whatever may take fuel elsewhere, and before it
//! returns. Other functions work on the global.

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    BlockType, ConstExpr, EntityType, ExportKind, Function, GlobalType, InstructionSink, MemoryType, SectionId,
    TableType, ValType,
};
use wasmparser::Operator;

use super::plan::{Payments, Plan, works_on_range};
use super::{Bounds, START, YIELD};
use crate::error::{Error, ErrorKind, Result};

/// Puts the payments of a plan into its module.
pub(super) fn rewrite(module: &[u8], plan: &Plan, bounds: Bounds) -> Result<Vec<u8>> {
    let mut rewriter = Rewriter { plan, bounds, next_function: 0, types: false, imports: false, globals: false };
    let mut rewritten = wasm_encoder::Module::new();
    rewriter.parse_core_module(&mut rewritten, wasmparser::Parser::new(0), module).map_err(|error| match error {
        reencode::Error::UserError(refusal) => refusal,
        other => Error::new(ErrorKind::InvalidModule, "the module cannot be rewritten").caused_by(other.to_string()),
    })?;
    Ok(rewritten.finish())
}

struct Rewriter<'a> {
    plan: &'a Plan,
    bounds: Bounds,
    /// The number of the function whose body comes next.
    next_function: usize,
    /// Whether the sections that something is added to have been written.
    types: bool,
    imports: bool,
    globals: bool,
}

type Rewritten<T> = Result<T, reencode::Error<Error>>;

impl Rewriter<'_> {
    fn yield_type(&self) -> u32 {
        self.plan.types
    }

    /// The type `() -> ()`, of the function that stands in for the module's start.
    fn nothing_type(&self) -> u32 {
        self.plan.types + 1
    }

    /// `yield` is the last of the imported functions; those that are defined move up by one.
    fn yield_function(&self) -> u32 {
        self.plan.imported_functions
    }

    fn fuel_global(&self) -> u32 {
        self.plan.globals
    }

    /// A function that does nothing, the last one there is.
    fn nothing_function(&self) -> u32 {
        self.plan.imported_functions + 1 + self.plan.functions.len() as u32
    }

    fn add_types(&mut self, types: &mut wasm_encoder::TypeSection) {
        self.types = true;
        types.ty().function([], [ValType::I32]);
        types.ty().function([], []);
    }

    fn add_imports(&mut self, imports: &mut wasm_encoder::ImportSection) {
        self.imports = true;
        imports.import(YIELD.0, YIELD.1, EntityType::Function(self.yield_type()));
    }

    fn add_globals(&mut self, globals: &mut wasm_encoder::GlobalSection) {
        self.globals = true;
        let fuel = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(fuel, &ConstExpr::i32_const(self.bounds.quantum));
    }
}

impl Reencode for Rewriter<'_> {
    type Error = Error;

    fn function_index(&mut self, function: u32) -> Rewritten<u32> {
        Ok(if function < self.plan.imported_functions { function } else { function + 1 })
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
        for import in section.clone().into_imports() {
            let import = import?;
            if import.module == YIELD.0 {
                return Err(refused(format!("the module imports {}.{}", import.module, import.name)));
            }
        }
        utils::parse_import_section(self, imports, section)?;
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
        if self.plan.start.is_some() {
            functions.function(self.nothing_type());
        }
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
        if let Some(start) = self.plan.start {
            let start = self.function_index(start)?;
            exports.export(START, ExportKind::Func, start);
        }
        Ok(())
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
        if !self.types && next > place(SectionId::Type) {
            let mut types = wasm_encoder::TypeSection::new();
            self.add_types(&mut types);
            module.section(&types);
        }
        if !self.imports && next > place(SectionId::Import) {
            let mut imports = wasm_encoder::ImportSection::new();
            self.add_imports(&mut imports);
            module.section(&imports);
        }
        if !self.globals && next > place(SectionId::Global) {
            let mut globals = wasm_encoder::GlobalSection::new();
            self.add_globals(&mut globals);
            module.section(&globals);
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
        let maximum = Some(table.maximum.map_or(most, |maximum| maximum.min(most)));
        Ok(TableType { maximum, ..utils::table_type(self, table)? })
    }

    fn parse_code_section(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Rewritten<()> {
        utils::parse_code_section(self, code, section)?;
        if self.plan.start.is_some() {
            let mut nothing = Function::new([]);
            nothing.instructions().end();
            code.function(&nothing);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        body: wasmparser::FunctionBody<'_>,
    ) -> Rewritten<()> {
        let number = self.next_function;
        self.next_function += 1;
        let payments = &self.plan.functions[number];
        code.function(&rewrite_body(self, payments, &body)?);
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

/// Writes the payments of one function.
struct Cashier<'a> {
    payments: &'a Payments,
    /// The local that holds the fuel, or lends itself to reckoning.
    fuel: u32,
    /// The local that holds the length of a range.
    length: u32,
    global: u32,
    yields: u32,
}

impl Cashier<'_> {
    /// Whether the function keeps the fuel in its local.
    fn keeps_fuel(&self) -> bool {
        !self.payments.loops.is_empty()
    }

    /// Takes the fuel into the local.
    fn take(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.global).local_set(self.fuel);
    }

    /// Gives the fuel back to the global.
    fn give_back(&self, sink: &mut InstructionSink<'_>) {
        if self.keeps_fuel() {
            sink.local_get(self.fuel).global_set(self.global);
        }
    }

    /// Pays `units` from the local.
    fn pay(&self, sink: &mut InstructionSink<'_>, units: u32) {
        sink.local_get(self.fuel).i32_const(units.cast_signed());
        self.settle(sink);
    }

    /// Subtracts what is on the stack from the fuel beneath it, and yields if that is not enough.
    fn settle(&self, sink: &mut InstructionSink<'_>) {
        sink.i32_sub().local_tee(self.fuel);
        self.yield_if_negative(sink);
    }

    /// Yields if the fuel on the stack is below zero.
    fn yield_if_negative(&self, sink: &mut InstructionSink<'_>) {
        sink.i32_const(0).i32_lt_s().if_(BlockType::Empty).call(self.yields).local_set(self.fuel).end();
    }

    /// Begins the two loops of one that pays: the outer one yields, the inner one is the loop itself.
    fn begin_turns(&self, sink: &mut InstructionSink<'_>, ty: BlockType, units: u32) {
        sink.loop_(ty);
        sink.local_get(self.fuel);
        self.yield_if_negative(sink);
        sink.loop_(ty);
        // Looked at before it is paid from: a turn may cost more than a whole quantum.
        sink.local_get(self.fuel).i32_const(0).i32_lt_s().br_if(1);
        sink.local_get(self.fuel).i32_const(units.cast_signed()).i32_sub().local_set(self.fuel);
    }

    fn enter(&self, sink: &mut InstructionSink<'_>) {
        if self.keeps_fuel() {
            self.take(sink);
        }
        let Some(units) = self.payments.entry else { return };
        if self.keeps_fuel() {
            self.pay(sink, units);
        } else {
            self.take(sink);
            self.pay(sink, units);
            sink.local_get(self.fuel).global_set(self.global);
        }
    }

    /// Pays for an operation on a range whose length is on the stack.
    fn pay_for_range(&self, sink: &mut InstructionSink<'_>, bits: u32) {
        sink.local_set(self.length);
        if !self.keeps_fuel() {
            self.take(sink);
        }
        sink.local_get(self.fuel).local_get(self.length).i32_const(bits.cast_signed()).i32_shr_u();
        self.settle(sink);
        if !self.keeps_fuel() {
            sink.local_get(self.fuel).global_set(self.global);
        }
        sink.local_get(self.length);
    }
}

fn rewrite_body(
    rewriter: &mut Rewriter<'_>,
    payments: &Payments,
    body: &wasmparser::FunctionBody<'_>,
) -> Rewritten<Function> {
    let mut locals = Vec::new();
    let mut count = payments.parameters;
    for declared in body.get_locals_reader()? {
        let (number, ty) = declared?;
        count += number;
        locals.push((number, rewriter.val_type(ty)?));
    }
    let cashier = Cashier {
        payments,
        fuel: count,
        length: count + 1,
        global: rewriter.fuel_global(),
        yields: rewriter.yield_function(),
    };
    locals.push((2, ValType::I32));
    let operators: Vec<Operator<'_>> = body.get_operators_reader()?.into_iter().collect::<wasmparser::Result<_>>()?;
    let mut writer = BodyWriter {
        cashier,
        loops: payments.loops.iter(),
        labels: Labels::default(),
        function: Function::new(locals),
    };
    writer.cashier.enter(&mut writer.function.instructions());
    writer.write(rewriter, &operators)?;
    Ok(writer.function)
}

/// Writes the body of one function.
struct BodyWriter<'a> {
    cashier: Cashier<'a>,
    /// What the loops that have not begun yet pay.
    loops: std::slice::Iter<'a, u32>,
    labels: Labels,
    function: Function,
}

impl BodyWriter<'_> {
    fn write(&mut self, rewriter: &mut Rewriter<'_>, operators: &[Operator<'_>]) -> Rewritten<()> {
        let mut rest = operators;
        while let [operator, after @ ..] = rest {
            rest = after;
            let leaves = leaves_function(operator, self.labels.depth());
            let calls = calls_for_fuel(rewriter.plan, operator);
            if leaves || calls {
                self.cashier.give_back(&mut self.function.instructions());
            }
            if let Some(bits) = works_on_range(operator) {
                self.cashier.pay_for_range(&mut self.function.instructions(), bits);
            }
            match operator {
                Operator::Loop { blockty } => rest = self.begin_loop(rewriter, *blockty, after)?,
                other => self.write_one(rewriter, other)?,
            }
            if calls && !leaves && self.cashier.keeps_fuel() {
                self.cashier.take(&mut self.function.instructions());
            }
        }
        Ok(())
    }

    fn write_one(&mut self, rewriter: &mut Rewriter<'_>, operator: &Operator<'_>) -> Rewritten<()> {
        let mut sink = self.function.instructions();
        match operator {
            Operator::Block { .. } | Operator::If { .. } => {
                self.labels.open(1);
                self.function.instruction(&rewriter.instruction(operator.clone())?);
            }
            Operator::End => {
                for _ in 0..self.labels.close() {
                    sink.end();
                }
            }
            Operator::Br { relative_depth } => {
                sink.br(self.labels.moved(*relative_depth));
            }
            Operator::BrIf { relative_depth } => {
                sink.br_if(self.labels.moved(*relative_depth));
            }
            Operator::BrTable { targets } => {
                let others = targets.targets().map(|target| target.map(|target| self.labels.moved(target)));
                let others: Vec<u32> = others.collect::<wasmparser::Result<_>>()?;
                sink.br_table(others, self.labels.moved(targets.default()));
            }
            other => {
                self.function.instruction(&rewriter.instruction(other.clone())?);
            }
        }
        Ok(())
    }

    /// Begins a loop that pays at each turn, or, where its turns are short, at every few. Answers with what comes after
    /// the part that has been written.
    ///
    /// A call inside of a loop, even one that is hardly ever made, has the compiler keep the loop's values in memory. So
    /// the call stands in another loop around this one, which is gone round only when the fuel is used up. A loop with
    /// parameters stays as it is: the way back to its beginning would have to bring them.
    fn begin_loop<'o, 'b>(
        &mut self,
        rewriter: &mut Rewriter<'_>,
        block_type: wasmparser::BlockType,
        after: &'o [Operator<'b>],
    ) -> Rewritten<&'o [Operator<'b>]> {
        let ty = rewriter.block_type(block_type)?;
        let units = self.loops.next().copied().unwrap_or_default();
        let mut sink = self.function.instructions();
        if matches!(block_type, wasmparser::BlockType::FuncType(_)) {
            sink.loop_(ty);
            self.cashier.pay(&mut sink, units);
            self.labels.open(1);
            return Ok(after);
        }
        let Some(turn) = short_turn(after, units) else {
            self.cashier.begin_turns(&mut sink, ty, units);
            self.labels.open(2);
            return Ok(after);
        };
        // block $left { loop $yield { loop $turns { pay; block $next { turn; br $left } ... turn } } }
        sink.block(ty);
        self.cashier.begin_turns(&mut sink, ty, units * TURNS);
        for _ in 1..TURNS {
            self.function.instructions().block(BlockType::Empty);
            // To begin the next turn is to leave `$next`.
            self.labels.open(4);
            self.write(rewriter, turn)?;
            self.labels.close();
            self.function.instructions().br(3).end();
        }
        self.labels.open(3);
        self.write(rewriter, turn)?;
        Ok(&after[turn.len()..])
    }
}

/// How many turns of a short loop are paid for at once.
const TURNS: u32 = 4;

/// No turn that costs more than this is short.
const SHORT: u32 = 64;

/// The turn of a loop that begins here, up to its end, if it is short and leads nowhere else: paying would cost as much as
/// the turn itself.
fn short_turn<'o, 'b>(operators: &'o [Operator<'b>], units: u32) -> Option<&'o [Operator<'b>]> {
    if units > SHORT {
        return None;
    }
    let mut depth = 0_u32;
    for (number, operator) in operators.iter().enumerate() {
        match operator {
            Operator::Loop { .. } | Operator::Call { .. } | Operator::CallIndirect { .. } => return None,
            operator if works_on_range(operator).is_some() => return None,
            Operator::Block { .. } | Operator::If { .. } => depth += 1,
            Operator::End if depth == 0 => return Some(&operators[..number]),
            Operator::End => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The open blocks of a function, innermost last: how many labels each has after rewriting.
#[derive(Default)]
struct Labels(Vec<u32>);

impl Labels {
    /// How many blocks are open, the function's own not counted.
    fn depth(&self) -> u32 {
        self.0.len() as u32
    }

    fn open(&mut self, labels: u32) {
        self.0.push(labels);
    }

    /// Closes a block, and tells how many ends that takes. The function's own has one.
    fn close(&mut self) -> u32 {
        self.0.pop().unwrap_or(1)
    }

    /// Where the target of a branch has moved to. Of a loop's labels the inner one is the loop as it was.
    fn moved(&self, target: u32) -> u32 {
        self.0.iter().rev().take(target as usize).sum()
    }
}

/// Whether the function may be left by this operation, at this depth of blocks.
fn leaves_function(operator: &Operator<'_>, depth: u32) -> bool {
    match operator {
        Operator::End => depth == 0,
        Operator::Return | Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => true,
        Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => *relative_depth == depth,
        Operator::BrTable { targets } => {
            targets.default() == depth || targets.targets().flatten().any(|target| target == depth)
        }
        _ => false,
    }
}

/// Whether this operation calls what may take fuel.
fn calls_for_fuel(plan: &Plan, operator: &Operator<'_>) -> bool {
    match *operator {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => plan.takes_fuel(function_index),
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => true,
        _ => false,
    }
}
