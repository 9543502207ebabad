//! Modules of many shapes, each of any size: what is repeated, nested, wide or many in the code of a hostile module.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection, InstructionSink, MemArg,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

/// A shape of code, of a size of one's choice.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) module: fn(usize) -> Vec<u8>,
}

/// The parts of a module that differ between the shapes.
struct Parts {
    types: Vec<(usize, usize)>,
    imports: Vec<(&'static str, u32)>,
    exports: Vec<(&'static str, u32)>,
    functions: Vec<(u32, Function)>,
}

const VOID: u32 = 0;
const ONE: u32 = 1;
const TO_ONE: u32 = 2;
const ACCESS: MemArg = MemArg { offset: 16, align: 2, memory_index: 0 };
const EMPTY: BlockType = BlockType::Empty;

impl Parts {
    fn new() -> Parts {
        Parts { types: vec![(0, 0), (1, 0), (1, 1)], imports: Vec::new(), exports: Vec::new(), functions: Vec::new() }
    }

    /// A type of so many parameters and results.
    fn ty(&mut self, parameters: usize, results: usize) -> u32 {
        self.types.push((parameters, results));
        self.types.len() as u32 - 1
    }

    /// The index of the function that comes next.
    fn next(&self) -> u32 {
        (self.imports.len() + self.functions.len()) as u32
    }

    fn function(&mut self, ty: u32, locals: usize, write: impl FnOnce(&mut InstructionSink<'_>)) -> u32 {
        let index = self.next();
        let mut function = Function::new([(locals as u32, ValType::I32)]);
        let mut sink = function.instructions();
        write(&mut sink);
        sink.end();
        self.functions.push((ty, function));
        index
    }

    fn finish(self) -> Vec<u8> {
        let (mut types, mut imports, mut functions) =
            (TypeSection::new(), ImportSection::new(), FunctionSection::new());
        let (mut tables, mut memories, mut globals) = (TableSection::new(), MemorySection::new(), GlobalSection::new());
        let (mut exports, mut elements, mut code) = (ExportSection::new(), ElementSection::new(), CodeSection::new());
        for (parameters, results) in &self.types {
            types.ty().function(vec![ValType::I32; *parameters], vec![ValType::I32; *results]);
        }
        for (name, ty) in &self.imports {
            imports.import("wapc", name, EntityType::Function(*ty));
        }
        let first = self.imports.len() as u32;
        for (ty, function) in &self.functions {
            functions.function(*ty);
            code.function(function);
        }
        let table =
            TableType { element_type: RefType::FUNCREF, table64: false, minimum: 10, maximum: None, shared: false };
        tables.table(table);
        memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
        globals.global(GlobalType { val_type: ValType::I32, mutable: true, shared: false }, &ConstExpr::i32_const(0));
        exports.export("memory", ExportKind::Memory, 0);
        for (name, function) in &self.exports {
            exports.export(name, ExportKind::Func, *function);
        }
        elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(vec![first].into()));
        let mut data = DataSection::new();
        data.passive([7; 100]);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&tables).section(&memories);
        module.section(&globals).section(&exports).section(&elements).section(&DataCountSection { count: 1 });
        module.section(&code).section(&data);
        module.finish()
    }
}

/// A module of a function with so many calls in a row.
pub(super) fn calls(n: usize) -> Vec<u8> {
    let mut parts = Parts::new();
    let nothing = parts.function(VOID, 0, |_| ());
    parts.function(VOID, 0, |s| {
        for _ in 0..n {
            s.call(nothing);
        }
    });
    parts.finish()
}

/// A guest that speaks waPC, with a function that nothing calls, of so many calls that pass many values: few bytes that take
/// the compiler long.
pub(super) fn guest_with_a_long_function(n: usize) -> Vec<u8> {
    let mut parts = Parts::new();
    let (ty, wide) = (parts.ty(2, 1), parts.ty(30, 30));
    let guest_call = parts.function(ty, 0, |s| {
        s.i32_const(1);
    });
    let passing = parts.function(wide, 0, |s| {
        for local in 0..30 {
            s.local_get(local);
        }
    });
    parts.function(wide, 0, |s| {
        for local in 0..30 {
            s.local_get(local);
        }
        for _ in 0..n {
            s.call(passing);
        }
    });
    parts.exports.push(("__guest_call", guest_call));
    parts.finish()
}

/// A module of one function of a type.
fn of_one(ty: u32, locals: usize, write: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    let mut parts = Parts::new();
    parts.function(ty, locals, write);
    parts.finish()
}

/// A module of one function with one parameter, the first local, whose loop goes round around what is written.
fn in_a_loop(locals: usize, write: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    of_one(ONE, locals, |sink| {
        sink.loop_(EMPTY);
        write(sink);
        sink.local_get(0).br_if(0).end();
    })
}

fn count_down(sink: &mut InstructionSink<'_>, local: u32) {
    sink.local_get(local).i32_const(1).i32_sub().local_tee(local);
}

macro_rules! shapes {
    ($($name:literal: |$n:ident| $module:expr;)*) => {
        pub(super) const SHAPES: &[Shape] = &[$(Shape { name: $name, module: |$n| $module }),*];
    };
}

shapes! {
    "loops in loops": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.loop_(EMPTY); }
        for _ in 0..n { s.local_get(0).i32_eqz().br_if(0).end(); }
    });
    "loops in loops that count": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.loop_(EMPTY); }
        for _ in 0..n { count_down(s, 0); s.br_if(0).end(); }
    });
    "loops in loops, each with a local of its own": |n| of_one(ONE, n, |s| {
        for _ in 0..n { s.loop_(EMPTY); }
        for local in 0..n { count_down(s, local as u32 + 1); s.br_if(0).end(); }
    });
    "loops in loops that nothing goes back to": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.loop_(EMPTY); }
        for _ in 0..n { s.end(); }
    });
    "loops in loops, left from the innermost": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.loop_(EMPTY); }
        for depth in 0..n { s.local_get(0).br_if(depth as u32); }
        for _ in 0..n { s.end(); }
    });
    "loops in loops with parameters": |n| of_one(TO_ONE, 0, |s| {
        s.local_get(0);
        for _ in 0..n { s.loop_(BlockType::FunctionType(TO_ONE)); }
        for _ in 0..n { s.local_tee(0).local_get(0).br_if(0).end(); }
    });
    "loops in loops with code inside": |n| of_one(ONE, 1, |s| {
        for _ in 0..n { s.loop_(EMPTY); }
        for number in 0..20 * n { s.local_get(1).i32_const(number as i32).i32_add().local_get(0).i32_xor().local_set(1); }
        for _ in 0..n { s.local_get(1).br_if(0).end(); }
    });
    "six deep loops side by side": |n| of_one(ONE, 6, |s| {
        for _ in 0..n / 6 {
            for _ in 0..6 { s.loop_(EMPTY); }
            for local in 1..7 { count_down(s, local); s.br_if(0).end(); }
        }
    });
    "twenty deep loops side by side": |n| of_one(ONE, 20, |s| {
        for _ in 0..n / 20 {
            for _ in 0..20 { s.loop_(EMPTY); }
            for local in 1..21 { count_down(s, local); s.br_if(0).end(); }
        }
    });
    "loops side by side": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.loop_(EMPTY); count_down(s, 0); s.br_if(0).end(); }
    });
    "loops side by side that look at one local": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.loop_(EMPTY).local_get(0).br_if(0).end(); }
    });
    "loops side by side that nothing goes back to": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.loop_(EMPTY).local_get(0).local_set(0).end(); }
    });
    "loops side by side that access memory": |n| of_one(ONE, 0, |s| {
        for _ in 0..n {
            s.loop_(EMPTY);
            for _ in 0..4 { s.local_get(0).local_get(0).i32_load(ACCESS).i32_store(ACCESS); }
            count_down(s, 0);
            s.br_if(0).end();
        }
    });
    "loops side by side that call": |n| {
        let mut parts = Parts::new();
        let looping = parts.function(VOID, 0, |s| { s.loop_(EMPTY).end(); });
        parts.function(ONE, 0, |s| for _ in 0..n { s.loop_(EMPTY).call(looping).local_get(0).br_if(0).end(); });
        parts.finish()
    };
    "loops side by side of many blocks": |n| of_one(ONE, 0, |s| {
        for _ in 0..n {
            s.loop_(EMPTY);
            for _ in 0..10 { s.block(EMPTY).local_get(0).br_if(0).end(); }
            s.local_get(0).br_if(0).end();
        }
    });
    "loops in blocks": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.block(EMPTY).loop_(EMPTY); }
        for _ in 0..n { s.local_get(0).br_if(1).local_get(0).br_if(0).end().end(); }
    });
    "functions of one loop": |n| {
        let mut parts = Parts::new();
        for _ in 0..n { parts.function(ONE, 0, |s| { s.loop_(EMPTY); count_down(s, 0); s.br_if(0).end(); }); }
        parts.finish()
    };
    "functions that call themselves": |n| {
        let mut parts = Parts::new();
        for _ in 0..n { let own = parts.next(); parts.function(VOID, 0, |s| { s.call(own); }); }
        parts.finish()
    };
    "functions that do nothing": |n| {
        let mut parts = Parts::new();
        for _ in 0..n { parts.function(VOID, 0, |_| ()); }
        parts.finish()
    };
    "functions with locals": |n| {
        let mut parts = Parts::new();
        for _ in 0..n { parts.function(VOID, 480, |_| ()); }
        parts.finish()
    };
    "functions of many parameters": |n| {
        let mut parts = Parts::new();
        let ty = parts.ty(100, 0);
        for _ in 0..n { parts.function(ty, 0, |_| ()); }
        parts.finish()
    };
    "types of many parameters": |n| {
        let mut parts = Parts::new();
        for _ in 0..n { parts.ty(100, 0); }
        parts.function(VOID, 0, |_| ());
        parts.finish()
    };
    "types of one thousand parameters": |n| {
        let mut parts = Parts::new();
        for _ in 0..n { parts.ty(1000, 1000); }
        parts.function(VOID, 0, |_| ());
        parts.finish()
    };
    "imports": |n| {
        let mut parts = Parts::new();
        let ty = parts.ty(2, 0);
        for _ in 0..n { parts.imports.push(("__guest_response", ty)); }
        parts.function(VOID, 0, |_| ());
        parts.finish()
    };
    "straight arithmetic": |n| of_one(ONE, 1, |s| {
        for number in 0..n { s.local_get(0).i32_const(number as i32).i32_add().local_get(1).i32_mul().local_set(1); }
        s.i32_const(0).local_get(1).i32_store(ACCESS);
    });
    "straight loads and stores": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.local_get(0).local_get(0).i32_load(ACCESS).i32_store(ACCESS); }
    });
    "straight calls": |n| {
        let mut parts = Parts::new();
        let nothing = parts.function(VOID, 0, |_| ());
        parts.function(VOID, 0, |s| for _ in 0..n { s.call(nothing); });
        parts.finish()
    };
    "calls in a loop": |n| {
        let mut parts = Parts::new();
        let looping = parts.function(VOID, 0, |s| { s.loop_(EMPTY).br(0).end(); });
        parts.function(ONE, 0, |s| {
            s.loop_(EMPTY);
            for _ in 0..n { s.call(looping); }
            s.local_get(0).br_if(0).end();
        });
        parts.finish()
    };
    "calls of many parameters": |n| {
        let mut parts = Parts::new();
        let ty = parts.ty(30, 30);
        let passing = parts.function(ty, 0, |s| for local in 0..30 { s.local_get(local); });
        parts.function(VOID, 0, |s| {
            for _ in 0..30 { s.i32_const(1); }
            for _ in 0..n { s.call(passing); }
            for _ in 0..30 { s.drop(); }
        });
        parts.finish()
    };
    "calls through the table in a loop": |n| in_a_loop(0, |s| {
        for _ in 0..n { s.i32_const(0).call_indirect(0, VOID); }
    });
    "host calls": |n| {
        let mut parts = Parts::new();
        let ty = parts.ty(2, 0);
        parts.imports.push(("__guest_response", ty));
        parts.function(VOID, 0, |s| for _ in 0..n { s.i32_const(0).i32_const(8).call(0); });
        parts.finish()
    };
    "branches out of a loop's function": |n| in_a_loop(0, |s| for _ in 0..n { s.local_get(0).br_if(1); });
    "returns in a loop": |n| in_a_loop(0, |s| for _ in 0..n { s.local_get(0).if_(EMPTY).return_().end(); });
    "branches back to a loop": |n| in_a_loop(0, |s| for _ in 0..n { s.local_get(0).br_if(0); });
    "branches back to a loop, counting": |n| in_a_loop(0, |s| for _ in 0..n { count_down(s, 0); s.br_if(0); });
    "blocks in blocks": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.block(EMPTY); }
        for _ in 0..n { s.local_get(0).br_if(0).end(); }
    });
    "blocks in blocks, left from the innermost": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.block(EMPTY); }
        for depth in 0..n { s.local_get(0).br_if(depth as u32); }
        for _ in 0..n { s.end(); }
    });
    "blocks in a loop": |n| in_a_loop(0, |s| for _ in 0..n { s.block(EMPTY).local_get(0).br_if(0).end(); });
    "ifs in ifs": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.local_get(0).if_(EMPTY); }
        for _ in 0..n { s.end(); }
    });
    "ifs side by side": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.local_get(0).if_(EMPTY); count_down(s, 0); s.drop().else_().i32_const(9).local_set(0).end(); }
    });
    "ifs that trap": |n| of_one(ONE, 0, |s| for _ in 0..n { s.local_get(0).if_(EMPTY).unreachable().end(); });
    "a branch table": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.block(EMPTY); }
        s.local_get(0).br_table((0..n as u32).collect::<Vec<_>>(), 0);
        for _ in 0..n { s.end(); }
    });
    "branch tables of one hundred": |n| of_one(ONE, 0, |s| {
        for _ in 0..100 { s.block(EMPTY); }
        for _ in 0..n { s.block(EMPTY).local_get(0).br_table((0..100).collect::<Vec<_>>(), 0).end(); }
        for _ in 0..100 { s.end(); }
    });
    "branch tables back to loops": |n| of_one(ONE, 0, |s| {
        for _ in 0..20 { s.loop_(EMPTY); }
        for _ in 0..n { s.block(EMPTY).local_get(0).br_table((0..20).collect::<Vec<_>>(), 0).end(); }
        for _ in 0..20 { s.end(); }
    });
    "branches that pass many values": |n| {
        let mut parts = Parts::new();
        let ty = parts.ty(0, 30);
        parts.function(ONE, 0, |s| {
            s.block(BlockType::FunctionType(ty));
            for _ in 0..30 { s.local_get(0).i32_load(ACCESS); }
            for _ in 0..n { s.local_get(0).br_if(0); }
            s.end();
            for _ in 0..30 { s.drop(); }
        });
        parts.finish()
    };
    "blocks of many values": |n| {
        let mut parts = Parts::new();
        let ty = parts.ty(30, 30);
        parts.function(ONE, 0, |s| {
            for _ in 0..30 { s.local_get(0).i32_load(ACCESS); }
            for _ in 0..n { s.block(BlockType::FunctionType(ty)).local_get(0).br_if(0).end(); }
            for _ in 0..30 { s.drop(); }
        });
        parts.finish()
    };
    "many locals over many blocks": |n| {
        let locals = n.isqrt() as u32 * 4;
        of_one(ONE, locals as usize, |s| {
            for local in 1..=locals { s.local_get(0).i32_load(ACCESS).local_set(local); }
            for _ in 0..n { s.local_get(0).if_(EMPTY).i32_const(1).local_set(0).end(); }
            for local in 1..=locals { s.i32_const(0).local_get(local).i32_store(ACCESS); }
        })
    };
    "many locals over many loops": |n| {
        let locals = n.isqrt() as u32 * 4;
        of_one(ONE, locals as usize, |s| {
            for local in 1..=locals { s.local_get(0).i32_load(ACCESS).local_set(local); }
            for _ in 0..n { s.loop_(EMPTY); count_down(s, 0); s.br_if(0).end(); }
            for local in 1..=locals { s.i32_const(0).local_get(local).i32_store(ACCESS); }
        })
    };
    "many locals changed in loops in loops": |n| {
        let (depth, locals) = (n.isqrt().min(200), n.isqrt() as u32);
        of_one(ONE, locals as usize, |s| {
            for _ in 0..depth { s.loop_(EMPTY); }
            for local in 1..=locals { count_down(s, local); s.drop(); }
            for _ in 0..depth { s.local_get(1).br_if(0).end(); }
        })
    };
    "many values on the stack over many blocks": |n| {
        let values = n.isqrt() * 4;
        of_one(ONE, 0, |s| {
            for _ in 0..values { s.local_get(0).i32_load(ACCESS); }
            for _ in 0..n { s.local_get(0).if_(EMPTY).i32_const(1).local_set(0).end(); }
            for _ in 0..values { s.local_set(0); }
        })
    };
    "many values on the stack over many calls": |n| {
        let mut parts = Parts::new();
        let nothing = parts.function(VOID, 0, |_| ());
        parts.function(ONE, 0, |s| {
            for _ in 0..n / 4 { s.local_get(0).i32_load(ACCESS); }
            for _ in 0..n { s.call(nothing); }
            for _ in 0..n / 4 { s.local_set(0); }
        });
        parts.finish()
    };
    "ranges of memory": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.i32_const(0).local_get(0).local_get(0).memory_fill(0); }
    });
    "ranges of memory in a loop": |n| in_a_loop(0, |s| {
        for _ in 0..n { s.i32_const(0).local_get(0).local_get(0).memory_copy(0, 0); }
    });
    "ranges of a table": |n| of_one(ONE, 0, |s| {
        for _ in 0..n { s.i32_const(0).local_get(0).local_get(0).table_copy(0, 0); }
    });
    "sizes of memory": |n| of_one(ONE, 0, |s| for _ in 0..n { s.memory_size(0).local_set(0); });
    "elements of a table": |n| of_one(ONE, 0, |s| for _ in 0..n { s.i32_const(0).i32_const(0).table_get(0).table_set(0); });
    "references to functions": |n| of_one(ONE, 0, |s| for _ in 0..n { s.ref_func(0).drop(); });
    "dropped data": |n| of_one(ONE, 0, |s| for _ in 0..n { s.data_drop(0); });
    "globals": |n| of_one(ONE, 0, |s| for _ in 0..n { s.global_get(0).i32_const(1).i32_add().global_set(0); });
    "divisions": |n| of_one(ONE, 0, |s| for _ in 0..n { s.local_get(0).local_get(0).i32_div_s().local_set(0); });
}
