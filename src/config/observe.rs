//! Flags of what one can see of a running server.

use clap::Args;
use std::net::{SocketAddr, ToSocketAddrs};

#[derive(Clone, Debug, Args)]
pub struct ObserveOptions {
    /// Address for /metrics (Prometheus), /healthz and /readyz; port 0 takes a free one and prints it [default: none]
    #[arg(long, env = "JORMUN_METRICS_ADDRESS", value_name = "HOST:PORT", value_parser = parse_address)]
    pub metrics_address: Option<SocketAddr>,
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("HOST:PORT is wanted: {error}"))?;
    addresses.next().ok_or_else(|| "the host has no address".into())
}
