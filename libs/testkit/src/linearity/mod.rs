//! The media-linearity checker: proves, from the log and through gateways, what
//! docs/design promises under "What the checker proves".
//!
//! It is the judge of the services, so it shares no rule with them: of this workspace
//! it uses the record format alone (`reelay-wire`, `reelay-model`), and a Kafka client
//! to read with.

mod address;
pub mod boxes;
mod finding;
mod log;
pub mod playlist;
mod record;
mod served;
mod watch;

pub use address::MediaAddress;
pub use finding::{Counts, Finding, Place, Report, Rule};
pub use log::{Ended, LogJudge, PartSeen, SegmentSeen};
pub use record::LogRecord;
pub use served::ServedJudge;
pub use watch::{Watch, WatchError, check_log, read_log};
