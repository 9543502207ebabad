//! The captured messages of 2021 in both directions, and properties of the format.

mod captured;
mod properties;
