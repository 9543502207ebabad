//! What single operations cost.

use wasmparser::Operator;

use crate::meter::operators::{accesses_memory, works_on_range};

/// What an operation costs, in units of about one simple instruction.
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
        // These are functions of the engine.
        Operator::TableGet { .. }
        | Operator::TableSet { .. }
        | Operator::TableSize { .. }
        | Operator::RefFunc { .. }
        | Operator::ElemDrop { .. }
        | Operator::DataDrop { .. } => 10,
        Operator::MemoryGrow { .. } => 1000,
        operator if works_on_range(operator).is_some() => 10,
        operator if accesses_memory(operator) => ACCESS,
        _ => 1,
    }
}

/// The cost of an access to memory. Hardly one takes longer than another operation, but any may be the first one to its page,
/// which the operating system then has to give: a quantum of such accesses takes some milliseconds.
const ACCESS: u32 = 4;
