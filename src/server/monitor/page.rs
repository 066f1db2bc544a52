//! The text of /metrics, by the library `prometheus-client`: names with their suffixes, escaped labels, cumulative
//! buckets. What is told is in `figures`.

use crate::metrics::Reading;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;

/// Label and value.
pub type Label<'l> = (&'static str, &'l str);

/// A page that is being written.
pub struct Page<'p>(DescriptorEncoder<'p>);

/// Has `write` write a page.
pub fn render(write: impl Fn(&mut Page<'_>) -> fmt::Result + Send + Sync + 'static) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Writer(Box::new(write))));
    let mut page = String::new();
    text::encode(&mut page, &registry)?;
    Ok(page)
}

type WritePage = dyn Fn(&mut Page<'_>) -> fmt::Result + Send + Sync;

struct Writer(Box<WritePage>);

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Collector for Writer {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Page(encoder))
    }
}

/// What a metric is measured in, which ends its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum In {
    /// A number of what the name says.
    Number,
    Bytes,
    /// Given in nanoseconds.
    Seconds,
}

impl In {
    fn unit(self) -> Option<Unit> {
        match self {
            In::Number => None,
            In::Bytes => Some(Unit::Bytes),
            In::Seconds => Some(Unit::Seconds),
        }
    }

    fn value(self, value: u64) -> f64 {
        match self {
            In::Number | In::Bytes => value as f64,
            In::Seconds => value as f64 / 1e9,
        }
    }
}

impl Page<'_> {
    pub fn gauge(&mut self, name: &str, unit: In, help: &str, value: u64) -> fmt::Result {
        self.gauges::<0>(name, unit, help, [([], value)])
    }

    pub fn gauges<'l, const N: usize>(
        &mut self,
        name: &str,
        unit: In,
        help: &str,
        rows: impl IntoIterator<Item = ([Label<'l>; N], u64)>,
    ) -> fmt::Result {
        let (name_unit, Page(encoder)) = (unit.unit(), self);
        let mut metric = encoder.encode_descriptor(name, help, name_unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in rows {
            let value = unit.value(value);
            match N {
                0 => metric.encode_gauge(&value)?,
                _ => metric.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    /// The name gets the suffix `_total`.
    pub fn counter(&mut self, name: &str, unit: In, help: &str, value: u64) -> fmt::Result {
        self.counters::<0>(name, unit, help, [([], value)])
    }

    pub fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        unit: In,
        help: &str,
        rows: impl IntoIterator<Item = ([Label<'l>; N], u64)>,
    ) -> fmt::Result {
        let (name_unit, Page(encoder)) = (unit.unit(), self);
        let mut metric = encoder.encode_descriptor(name, help, name_unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in rows {
            let value = unit.value(value);
            match N {
                0 => metric.encode_counter::<NoLabelSet, f64, f64>(&value, None)?,
                _ => metric.encode_family(&labels)?.encode_counter::<NoLabelSet, f64, f64>(&value, None)?,
            }
        }
        Ok(())
    }

    pub fn histogram(&mut self, name: &str, unit: In, help: &str, reading: &Reading) -> fmt::Result {
        self.histograms::<0>(name, unit, help, [([], reading)])
    }

    pub fn histograms<'l, const N: usize>(
        &mut self,
        name: &str,
        unit: In,
        help: &str,
        rows: impl IntoIterator<Item = ([Label<'l>; N], &'l Reading)>,
    ) -> fmt::Result {
        let (name_unit, Page(encoder)) = (unit.unit(), self);
        let mut metric = encoder.encode_descriptor(name, help, name_unit.as_ref(), MetricType::Histogram)?;
        for (labels, reading) in rows {
            let bounds = reading.bounds.iter().map(|&bound| unit.value(bound)).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(reading.counts.iter().copied()).collect();
            let (sum, count) = (unit.value(reading.sum), reading.count());
            match N {
                0 => metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?,
                _ => metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?,
            }
        }
        Ok(())
    }

    /// A metric whose labels are what it says; the name gets the suffix `_info`.
    pub fn info<const N: usize>(&mut self, name: &str, help: &str, labels: [Label<'_>; N]) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Histogram;

    #[test]
    fn names_units_and_buckets_are_as_prometheus_wants_them() {
        let page = render(|page| {
            page.info("build", "What runs.", [("version", "1")])?;
            page.gauge("depth", In::Number, "A depth.", 3)?;
            page.counters("sent", In::Bytes, "Bytes.", [([("to", "a")], 1), ([("to", "b")], 2)])?;
            let histogram = Histogram::of_times();
            [5_000, 2_000_000_000, 60_000_000_000].iter().for_each(|&time| histogram.observe(time));
            page.histogram("wait", In::Seconds, "A wait.", &histogram.reading())
        })
        .expect("a page");
        for expected in [
            "# HELP build What runs.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n",
            "# TYPE depth gauge\ndepth 3.0\n",
            "# UNIT sent_bytes bytes\nsent_bytes_total{to=\"a\"} 1.0\nsent_bytes_total{to=\"b\"} 2.0\n",
            "wait_seconds_sum 62.000005\nwait_seconds_count 3\nwait_seconds_bucket{le=\"0.00001\"} 1\n",
            "wait_seconds_bucket{le=\"2.5\"} 2\n",
            "wait_seconds_bucket{le=\"+Inf\"} 3\n# EOF\n",
        ] {
            assert!(page.contains(expected), "{expected}\n{page}");
        }
    }
}
