//! The reelay command line.

fn main() {}
