//! The dashboard for Grafana and the README show metrics that exist.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::monitor::{CREATE, GET, PUT, scrape, start};

const DASHBOARD: &str = include_str!("../../tools/grafana/jormundb.json");
const README: &str = include_str!("../../README.md");

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric = |word: &&str| word.starts_with("jormundb_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

/// The names that a server tells.
fn told() -> BTreeSet<String> {
    let (server, _directory) = start(&[]);
    let mut connection = server.connect();
    connection.call("CreateTable", CREATE);
    connection.call("PutItem", PUT);
    connection.call("GetItem", GET);
    let families = scrape(&server);
    let empty = families.iter().filter(|(_, family)| family.samples.is_empty()).map(|(name, family)| {
        // A family without a sample has the name of its samples, but for the suffix of a counter.
        format!("{name}{}", if family.kind == "counter" { "_total" } else { "" })
    });
    let samples = families.values().flat_map(|family| &family.samples).map(|sample| sample.name.clone());
    samples.chain(empty).collect()
}

#[test]
fn every_expression_of_the_dashboard_uses_metrics_that_exist() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let told = told();
    let mut used = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            let names = names(expression);
            assert!(!names.is_empty(), "{expression}");
            for name in &names {
                assert!(told.contains(name), "{name} of {expression} is not told");
            }
            let balance = |open, close| expression.matches(open).count() == expression.matches(close).count();
            assert!(balance('(', ')') && balance('{', '}') && balance('[', ']'), "{expression}");
            used.extend(names);
        }
    }
    assert!(used.len() > 40, "{used:?}");
}

#[test]
fn every_metric_that_the_readme_names_exists() {
    let section = README.split("\n## Seeing what it does\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let told = told();
    let named = names(section);
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        // The README names a histogram as a whole.
        assert!(told.contains(&name) || told.contains(&format!("{name}_bucket")), "{name} is not told");
    }
}
