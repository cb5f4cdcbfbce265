//! Topics: which there are, how they must be set, making them, checking them.

mod check;
mod ensure;
mod plan;

pub use check::{Finding, check};
pub use ensure::ensure;
pub use plan::{PlanOptions, TopicPlan, TopicSettings, plan};
