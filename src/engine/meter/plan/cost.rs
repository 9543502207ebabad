//! What single operations cost.

use wasmparser::Operator;

/// What an operation costs, in units of about one simple instruction.
pub(in crate::engine::meter) fn cost(operator: &Operator<'_>) -> u32 {
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
        _ => 1,
    }
}

/// For operations on a range whose length they take from the stack: by how many bits its length exceeds its cost. It is
/// two at least: then no length costs more than 2^30, which can be taken from fuel that is below zero already without
/// going round to the other end of 32 bits.
pub(in crate::engine::meter) fn works_on_range(operator: &Operator<'_>) -> Option<u32> {
    match operator {
        Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } | Operator::MemoryInit { .. } => Some(4),
        Operator::TableCopy { .. }
        | Operator::TableFill { .. }
        | Operator::TableInit { .. }
        | Operator::TableGrow { .. } => Some(2),
        _ => None,
    }
}
