//! The README's program in Rust compiles and runs: it stands below as it stands there, but for the address.

use std::error::Error;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};

use crate::harness::Server;

const README: &str = include_str!("../../README.md");
const ADDRESS: &str = "\"http://127.0.0.1:8002\"";

#[rustfmt::skip]
async fn program(address: String) -> Result<(), Box<dyn Error>> {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "static"))
        .endpoint_url(address)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let client = Client::from_conf(config);
    let tables = client.list_tables().send().await?;
    println!("{:?}", tables.table_names());
    Ok(())
}

#[tokio::test]
async fn the_program_of_the_readme_runs() {
    let block = README.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let compiled: Vec<_> = include_str!("readme.rs").lines().map(str::trim).collect();
    for line in block.lines().map(|line| line.trim().replace(ADDRESS, "address")) {
        assert!(compiled.contains(&line.as_str()), "{line:?} is not what was compiled");
    }
    let (server, _directory) = Server::start();
    program(format!("http://{}", server.address)).await.unwrap();
}
