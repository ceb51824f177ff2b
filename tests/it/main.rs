//! The integration tests: one binary, one module per thing that is tested.

mod standin;
