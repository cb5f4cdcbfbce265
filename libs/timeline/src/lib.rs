//! The rules of the log as plain functions and state machines, no I/O.
