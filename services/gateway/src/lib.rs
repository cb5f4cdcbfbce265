//! Serves LL-HLS, the REST API and the web app from the Kafka log.
//!
//! Requests go [`serve`] (connections, TLS) → [`guard`] (who may ask) → [`api`], [`web`]
//! or the media routes; [`streams`] knows which streams there are and how they fare.

pub mod api;
pub mod app;
pub mod config;
pub mod dash;
pub mod guard;
pub mod hls;
pub mod live;
pub mod serve;
pub mod streams;
pub mod web;
