//! Checks of the rules together, beyond what one module promises.

mod live;
mod ownership;
mod todo;
