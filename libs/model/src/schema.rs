//! The JSON Schemas of what is written as JSON, as checked in under `docs/schemas`.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};

use crate::{QoeReport, RawStreamSpec, SpecRecord, StreamStatus};

/// File name and schema of every published document.
pub fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("stream-spec.json", of::<RawStreamSpec>()),
        ("spec-record.json", of::<SpecRecord>()),
        ("stream-status.json", of::<StreamStatus>()),
        ("qoe-report.json", of::<QoeReport>()),
    ]
}

fn of<T: JsonSchema>() -> Schema {
    SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<T>()
}
