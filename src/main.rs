//! Arguments, runtime, exit code.

fn main() {}
