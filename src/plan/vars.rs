//! Variables of a plan: what they may be, and what they are on each host.

/// What a variable may be.
#[derive(Debug, Clone, Default)]
pub struct VarSpec {}

/// How a value is checked.
#[derive(Debug, Clone)]
pub enum VarCheck {}

/// Values of variables on one host.
#[derive(Debug, Clone, Default)]
pub struct Vars {}
