//! The sections of a report, and the suites that they make up. A section is a kind of measurement and the flags that
//! say on which data, so that any of them can be repeated by hand.

use crate::options::Tables;
use std::io;

/// How a section is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The generator against its own fixed-answer server.
    Ceiling,
    /// A table of workloads.
    Table,
    /// A hot set of fixed size in a table that grows to each of the given numbers of items.
    Growth,
    /// A reader's latency without and with something else going on, in turns.
    Beside,
    /// The same while an index is filled.
    BackFill,
    /// Other servers in turns with this one.
    Peers,
    /// Mixed load, sampled over time.
    Soak,
}

#[derive(Debug)]
pub struct Section {
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    pub flags: &'static str,
}

const fn table(name: &'static str, title: &'static str, flags: &'static str) -> Section {
    Section { name, title, kind: Kind::Table, flags }
}

const fn other(kind: Kind, name: &'static str, title: &'static str, flags: &'static str) -> Section {
    Section { name, title, kind, flags }
}

/// What the flags stand for when there is no section.
pub const FLAGS: Section = table("flags", "As the flags say", "");

/// The name of the section that all others are compared with.
pub const CEILING: &str = "ceiling";

pub const SECTIONS: &[Section] = &[
    other(Kind::Ceiling, CEILING, "The generator's ceiling: a fixed answer from an epoll loop of one thread", ""),
    table("operations", "Operations, durability os", "--durability os"),
    table("operations-sync", "Operations, durability sync", "--durability sync"),
    table("durability", "Durability", "-w get,put,update,transact-2 --durability sync,interval=100,os"),
    table("open-loop", "Open loop at half of the maximum rate", "-w get,put --durability os,sync --rate 50%"),
    table("connections", "Connections", "-w get,put --durability os -c 1,16,64,256"),
    table(
        "item-size",
        "Item size",
        "-w get,put --durability os --item-bytes 100,400,4096,65536,409600 --data-max 100000000",
    ),
    table(
        "indexes",
        "Global indexes",
        "-w put,update,query-index-1,query-index-10,query-index-100 --durability os --indexes 0,1,5",
    ),
    table(
        "beyond-cache",
        "More data than block cache: 430 MB of items, 64 MB of cache",
        "-w get,get-zipfian,get-miss,put --durability os --items 1000000 --server-arg=--block-cache=64MB",
    ),
    other(
        Kind::Growth,
        "growth",
        "A hot set of 10,000 items in a growing table",
        "--durability os --items 10000,1000000",
    ),
    other(
        Kind::Growth,
        "growth-10m",
        "A hot set of 10,000 items in a table that grows to 10 million",
        "--durability os --items 10000,1000000,10000000",
    ),
    other(
        Kind::Beside,
        "beside",
        "GetItem at a quarter of its maximum rate, alone and beside other work",
        "-w scan,batch-write,batch-get --durability os -c 16",
    ),
    other(
        Kind::BackFill,
        "back-fill",
        "GetItem and PutItem at a quarter of the maximum rate while an index is filled",
        "-w get,put --durability os --items 500000 --indexes 0",
    ),
    other(Kind::Peers, "peers", "Beside other servers, in turns", "--items 5000"),
    other(Kind::Soak, "soak", "Mixed load over time", "--durability sync --indexes 1"),
];

/// A named sequence of sections.
#[derive(Debug)]
pub struct Suite {
    pub name: &'static str,
    pub sections: &'static [&'static str],
}

pub const SUITES: &[Suite] = &[
    Suite {
        name: "standard",
        sections: &[
            "ceiling",
            "operations",
            "durability",
            "open-loop",
            "connections",
            "item-size",
            "indexes",
            "beyond-cache",
            "growth",
            "beside",
            "back-fill",
        ],
    },
    // What the targets in PERFORMANCE.md need, in the order in which a run that is cut short hurts least.
    Suite {
        name: "report",
        sections: &[
            "ceiling",
            "peers",
            "operations",
            "open-loop",
            "beside",
            "back-fill",
            "growth-10m",
            "durability",
            "indexes",
            "connections",
            "item-size",
            "beyond-cache",
            "soak",
        ],
    },
    Suite {
        name: "all",
        sections: &[
            "ceiling",
            "operations",
            "operations-sync",
            "durability",
            "open-loop",
            "connections",
            "item-size",
            "indexes",
            "beyond-cache",
            "growth-10m",
            "beside",
            "back-fill",
            "peers",
            "soak",
        ],
    },
];

impl Section {
    pub fn find(name: &str) -> Option<&'static Section> {
        SECTIONS.iter().find(|section| section.name == name)
    }

    pub fn tables(&self) -> io::Result<Tables> {
        Tables::parse(self.flags).map_err(io::Error::other)
    }
}

impl Suite {
    pub fn sections(&self) -> Vec<&'static Section> {
        self.sections.iter().filter_map(|name| Section::find(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_every_section_are_valid() {
        for section in SECTIONS {
            assert!(section.tables().is_ok(), "{}: {}", section.name, section.flags);
        }
    }

    #[test]
    fn suites_name_sections() {
        for suite in SUITES {
            assert_eq!(suite.sections().len(), suite.sections.len(), "{}", suite.name);
        }
    }
}
