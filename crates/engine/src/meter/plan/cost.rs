//! The fuel cost of single operators.

use wasmparser::Operator;

use crate::meter::operators::{accesses_memory, bulk_cost_shift};

/// Returns the fuel cost of an operator. Unit: about one simple instruction.
pub(in crate::meter) fn cost(operator: &Operator<'_>) -> u32 {
    match operator {
        Operator::Block { .. } | Operator::Loop { .. } | Operator::End | Operator::Nop | Operator::Drop => 0,
        Operator::LocalGet { .. } | Operator::I32Const { .. } | Operator::I64Const { .. } => 1,
        Operator::Call { .. } | Operator::ReturnCall { .. } => 4,
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => 8,
        Operator::I32DivS
        | Operator::I32DivU
        | Operator::I32RemS
        | Operator::I32RemU
        | Operator::I64DivS
        | Operator::I64DivU
        | Operator::I64RemS
        | Operator::I64RemU
        | Operator::F32Sqrt
        | Operator::F64Sqrt
        | Operator::F32Div
        | Operator::F64Div
        | Operator::F32x4Div
        | Operator::F32x4Sqrt
        | Operator::F64x2Div
        | Operator::F64x2Sqrt => 8,
        // These call functions of the engine.
        Operator::TableGet { .. }
        | Operator::TableSet { .. }
        | Operator::TableSize { .. }
        | Operator::RefFunc { .. }
        | Operator::ElemDrop { .. }
        | Operator::DataDrop { .. } => 10,
        Operator::MemoryGrow { .. } => 1000,
        operator if bulk_cost_shift(operator).is_some() => 10,
        operator if accesses_memory(operator) => ACCESS,
        _ => 1,
    }
}

/// The cost of a memory access. Most accesses cost no more than another operator, but any may be the first to its page,
/// which the operating system then has to provide: a quantum of such accesses takes some milliseconds.
const ACCESS: u32 = 4;
