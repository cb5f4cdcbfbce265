//! Where packets come from.

use std::{io::Write, sync::atomic::AtomicBool};

use crate::{
    SourceJob,
    worker::{Gone, Output},
};

/// Runs a job to its end.
pub(crate) fn run<W: Write>(
    job: &SourceJob,
    stop: &AtomicBool,
    output: &mut Output<W>,
) -> Result<(), Gone> {
    let _ = (job, stop, output);
    Ok(())
}
