//! A measured figure and what it means.

/// One figure of one run of a unit.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) measure: Measure,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, measure: Measure) -> Self {
        Self { name: name.into(), value, measure }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Messages, calls or queues a second.
    PerSecond,
    Milliseconds,
    BytesAMessage,
    Mebibytes,
}

impl Measure {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "per second",
            Self::Milliseconds => "ms",
            Self::BytesAMessage => "bytes a message",
            Self::Mebibytes => "MiB",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::PerSecond, Self::Milliseconds, Self::BytesAMessage, Self::Mebibytes]
            .into_iter()
            .find(|measure| measure.name() == name)
    }

    /// How many times better the first is.
    pub(crate) fn ratio(self, of: f64, to: f64) -> f64 {
        if self == Self::PerSecond { of / to } else { to / of }
    }

    pub(crate) fn is_better(self, value: f64, than: f64) -> bool {
        self.ratio(value, than) > 1.0
    }

    /// In up to nine characters.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => thousands(value),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::BytesAMessage => format!("{value:.0} B"),
            Self::Mebibytes => format!("{value:.0} MiB"),
        }
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |at: usize| sorted.get(at).copied().unwrap_or(f64::NAN);
    match sorted.len() {
        length if length % 2 == 0 => f64::midpoint(middle((length / 2).wrapping_sub(1)), middle(length / 2)),
        length => middle(length / 2),
    }
}

/// The nearest `f64` to a count.
#[expect(clippy::cast_precision_loss, reason = "figures have three digits")]
pub(crate) fn to_f64(count: u64) -> f64 {
    count as f64
}

fn thousands(value: f64) -> String {
    match value {
        ..100.0 => format!("{value:.1}"),
        ..1e3 => format!("{value:.0}"),
        ..1e4 => format!("{:.1}k", value / 1e3),
        ..1e6 => format!("{:.0}k", value / 1e3),
        _ => format!("{:.2}M", value / 1e6),
    }
}
