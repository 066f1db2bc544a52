//! Amazon resource names of tables, indexes and streams.
//!
//! ```text
//! table  = "arn:aws:dynamodb:" region ":" account ":table/" name
//! index  = table "/index/" name
//! stream = table "/stream/" label
//! ```

/// Where this server claims to be: what its ARNs carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Location {
    pub fn table(&self, name: &str) -> String {
        format!("arn:aws:dynamodb:{}:{}:table/{name}", self.region, self.account)
    }

    pub fn index(&self, table: &str, name: &str) -> String {
        format!("{}/index/{name}", self.table(table))
    }

    pub fn stream(&self, table: &str, label: &str) -> String {
        format!("{}/stream/{label}", self.table(table))
    }

    /// The table of `arn`, or `None` if the ARN is not one of a table of this account and region.
    pub fn table_name<'t>(&self, arn: &'t str) -> Option<&'t str> {
        let rest = arn.strip_prefix("arn:aws:dynamodb:")?;
        let rest = rest.strip_prefix(self.region.as_str())?.strip_prefix(':')?;
        let name = rest.strip_prefix(self.account.as_str())?.strip_prefix(":table/")?;
        (!name.is_empty() && !name.contains('/')).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_arns_round_trip_and_others_are_refused() {
        let here = Location { region: "us-east-1".into(), account: "000000000000".into() };
        assert_eq!(here.table_name(&here.table("t")), Some("t"));
        for arn in [
            "t",
            "arn:aws:dynamodb:us-east-1:000000000000:table/",
            "arn:aws:dynamodb:us-east-1:000000000000:table/t/index/i",
            "arn:aws:dynamodb:eu-west-1:000000000000:table/t",
            "arn:aws:dynamodb:us-east-1:111111111111:table/t",
        ] {
            assert_eq!(here.table_name(arn), None, "{arn}");
        }
    }
}
