//! W3C trace context in Kafka headers, so that the spans of one segment in all services
//! make one trace. Without an exporter there is no context, and nothing is written.
//!
//! <https://www.w3.org/TR/trace-context/>

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Name of the Kafka header.
pub const TRACEPARENT: &str = "traceparent";

/// The value of the `traceparent` header that makes readers continue `span`; none where
/// no traces are exported.
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes `span` a child of the span that wrote `traceparent`; says whether it could.
///
/// A value that is not valid is ignored: a trace is never worth a segment. Call it before
/// the span is entered.
pub fn follow(span: &Span, traceparent: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(traceparent) else {
        return false;
    };
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), text.to_owned())]);
    let context = TraceContextPropagator::new().extract(&carrier);
    context.span().span_context().is_valid() && span.set_parent(context).is_ok()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn traced(run: impl FnOnce()) {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), run);
    }

    #[test]
    fn a_span_follows_the_one_that_wrote_the_header() {
        traced(|| {
            let writer = tracing::info_span!("segment");
            let header = traceparent(&writer).unwrap();
            let reader = tracing::info_span!("segment");
            assert!(follow(&reader, header.as_bytes()));
            let followed = traceparent(&reader).unwrap();
            assert_eq!(
                header.split('-').nth(1),
                followed.split('-').nth(1),
                "one trace"
            );
            assert_ne!(
                header.split('-').nth(2),
                followed.split('-').nth(2),
                "two spans"
            );
        });
    }

    #[test]
    fn nothing_is_written_without_an_exporter_and_nonsense_is_ignored() {
        assert_eq!(traceparent(&tracing::info_span!("segment")), None);
        traced(|| {
            let span = tracing::info_span!("segment");
            for bad in [
                &b""[..],
                b"00-zz-zz-01",
                b"\xff\xfe",
                b"00-00000000000000000000000000000000-0000000000000000-01",
            ] {
                assert!(!follow(&span, bad));
            }
        });
    }
}
