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
        operator if accesses_memory(operator) => ACCESS,
        _ => 1,
    }
}

/// The cost of an access to memory. Hardly one takes longer than another operation, but any may be the first one to its page,
/// which the operating system then has to give: a quantum of such accesses takes some milliseconds.
const ACCESS: u32 = 4;

/// Whether an operation loads from memory or stores to it.
pub(in crate::engine::meter) fn accesses_memory(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::I32Load { .. }
            | Operator::I64Load { .. }
            | Operator::F32Load { .. }
            | Operator::F64Load { .. }
            | Operator::I32Load8S { .. }
            | Operator::I32Load8U { .. }
            | Operator::I32Load16S { .. }
            | Operator::I32Load16U { .. }
            | Operator::I64Load8S { .. }
            | Operator::I64Load8U { .. }
            | Operator::I64Load16S { .. }
            | Operator::I64Load16U { .. }
            | Operator::I64Load32S { .. }
            | Operator::I64Load32U { .. }
            | Operator::I32Store { .. }
            | Operator::I64Store { .. }
            | Operator::F32Store { .. }
            | Operator::F64Store { .. }
            | Operator::I32Store8 { .. }
            | Operator::I32Store16 { .. }
            | Operator::I64Store8 { .. }
            | Operator::I64Store16 { .. }
            | Operator::I64Store32 { .. }
            | Operator::V128Load { .. }
            | Operator::V128Load8x8S { .. }
            | Operator::V128Load8x8U { .. }
            | Operator::V128Load16x4S { .. }
            | Operator::V128Load16x4U { .. }
            | Operator::V128Load32x2S { .. }
            | Operator::V128Load32x2U { .. }
            | Operator::V128Load8Splat { .. }
            | Operator::V128Load16Splat { .. }
            | Operator::V128Load32Splat { .. }
            | Operator::V128Load64Splat { .. }
            | Operator::V128Load32Zero { .. }
            | Operator::V128Load64Zero { .. }
            | Operator::V128Load8Lane { .. }
            | Operator::V128Load16Lane { .. }
            | Operator::V128Load32Lane { .. }
            | Operator::V128Load64Lane { .. }
            | Operator::V128Store { .. }
            | Operator::V128Store8Lane { .. }
            | Operator::V128Store16Lane { .. }
            | Operator::V128Store32Lane { .. }
            | Operator::V128Store64Lane { .. }
    )
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
