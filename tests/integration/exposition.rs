//! A strict reader of OpenMetrics text: it panics at whatever a scraper could stumble over.
//!
//! ```text
//! page   = family* "# EOF" LF
//! family = "# HELP" name text LF "# TYPE" name type LF [ "# UNIT" name unit LF ] sample*
//! sample = name [ "{" label *("," label) "}" ] " " number LF
//! label  = name "=" quoted
//! ```

use std::collections::BTreeMap;

/// A metric with its samples.
pub struct Family {
    pub kind: String,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    pub fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.labels.get(*name).is_some_and(|found| found == value))
    }

    /// The labels that tell the histograms of a family apart.
    fn key(&self) -> Vec<(String, String)> {
        let others = self.labels.iter().filter(|(name, _)| *name != "le");
        others.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// Families by their names, which are those of the TYPE lines.
pub fn parse(text: &str) -> BTreeMap<String, Family> {
    let body = text.strip_suffix("# EOF\n").expect("the page ends with its mark");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut helped = None;
    let mut current = String::new();
    for line in body.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, help] => {
                assert!(!help.is_empty() && !help.contains('\\'), "{line}");
                helped = Some(*name);
            }
            ["#", "TYPE", name, kind] => {
                assert_eq!(helped.take(), Some(*name), "HELP comes before TYPE: {line}");
                assert!(["gauge", "counter", "histogram", "info"].contains(kind), "{line}");
                check_name(name);
                current = (*name).to_owned();
                let family = Family { kind: (*kind).to_owned(), samples: Vec::new() };
                assert!(families.insert(current.clone(), family).is_none(), "twice: {line}");
            }
            ["#", "UNIT", name, unit] => {
                assert!(*name == current && name.ends_with(&format!("_{unit}")), "{line}");
            }
            _ => {
                let sample = parse_sample(line);
                let family = families.get_mut(&current).unwrap_or_else(|| panic!("no TYPE before {line}"));
                check_suffix(&current, family, &sample);
                let twice = |other: &Sample| other.name == sample.name && other.labels == sample.labels;
                assert!(!family.samples.iter().any(twice), "twice: {line}");
                family.samples.push(sample);
            }
        }
    }
    assert_eq!(helped, None);
    for (name, family) in families.iter().filter(|(_, family)| family.kind == "histogram") {
        check_histograms(name, family);
    }
    families
}

fn check_name(name: &str) {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    assert!(name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(allowed), "{name}");
}

fn parse_sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let (name, mut rest) = line.split_at(end);
    check_name(name);
    let mut labels = BTreeMap::new();
    while let Some(after) = rest.strip_prefix(['{', ',']) {
        let (label, after) = after.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        check_name(label);
        let close = after.find('"').unwrap_or_else(|| panic!("no end of the value: {line}"));
        assert!(!after[..close].contains('\\'), "nothing here needs escaping: {line}");
        assert!(labels.insert(label.to_owned(), after[..close].to_owned()).is_none(), "{line}");
        rest = &after[close + 1..];
        rest = rest.strip_prefix('}').map_or(rest, |rest| rest);
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value: f64 = value.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(value.is_finite(), "{line}");
    Sample { name: name.to_owned(), labels, value }
}

fn check_suffix(name: &str, family: &Family, sample: &Sample) {
    let suffix = sample.name.strip_prefix(name).unwrap_or_else(|| panic!("{} in {name}", sample.name));
    let allowed: &[&str] = match family.kind.as_str() {
        "counter" => &["_total"],
        "info" => &["_info"],
        "histogram" => &["_sum", "_count", "_bucket"],
        _ => &[""],
    };
    assert!(allowed.contains(&suffix), "{} in {name}", sample.name);
    assert_eq!(suffix == "_bucket", sample.labels.contains_key("le"), "{sample:?}");
    assert!(sample.value >= 0.0, "{sample:?}");
}

/// Buckets rise in bound and count, and the last one is the count.
fn check_histograms(name: &str, family: &Family) {
    let mut buckets: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in family.samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
        let bound = sample.labels["le"].replace("+Inf", "inf").parse().unwrap();
        buckets.entry(sample.key()).or_default().push((bound, sample.value));
    }
    let counts = family.samples.iter().filter(|sample| sample.name.ends_with("_count"));
    for count in counts.clone() {
        let buckets = &buckets[&count.key()];
        assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{name}: {buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count.value)), "{name}");
    }
    assert_eq!(buckets.len(), counts.count(), "{name}");
}

#[test]
fn the_reader_refuses_what_is_not_well_formed() {
    let good = "# HELP a_seconds A.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\na_seconds_sum 1.5\n\
        a_seconds_count 2\na_seconds_bucket{le=\"0.1\"} 1\na_seconds_bucket{le=\"+Inf\"} 2\n# EOF\n";
    assert_eq!(parse(good)["a_seconds"].samples.len(), 4);
    for (old, new) in [
        ("# EOF\n", ""),
        ("# HELP a_seconds A.\n", ""),
        ("\"0.1\"} 1", "\"0.1\"} 3"),
        ("\"+Inf\"} 2", "\"+Inf\"} 3"),
        ("a_seconds_sum 1.5", "b_seconds_sum 1.5"),
        ("a_seconds_sum 1.5", "a_seconds_sum x"),
        ("a_seconds_count 2\n", "a_seconds_count 2\na_seconds_count 2\n"),
        ("{le=\"0.1\"}", "{le=0.1}"),
    ] {
        let bad = good.replacen(old, new, 1);
        assert!(std::panic::catch_unwind(|| parse(&bad)).is_err(), "{bad}");
    }
}
