//! A host in a program without an actix `System`. The host runs on a thread of its own; its handle is the same as anywhere.
//!
//! ```text
//! cargo run --release --example tokio_main
//! ```

use std::error::Error;

use wasmcloud_host::signing::{ActorClaims, KeyPair, sign_module};
use wasmcloud_host::{Actor, HostBuilder, samples};

// The runtime may have any number of threads: with tokio's feature `rt-multi-thread`, plain `#[tokio::main]` works as well.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let host = HostBuilder::new().build();
    host.start_on_own_thread().await?;

    let claims = ActorClaims::new("Echo").call_alias("echo").revision(1);
    let signed = sign_module(samples::ECHO, &claims, &KeyPair::new_account(), &KeyPair::new_module())?;
    host.start_actor(Actor::from_slice(&signed)?).await?;

    // The handle may be used from any task and any thread.
    let calls = (1..=3).map(|number| {
        let host = host.clone();
        tokio::spawn(async move { host.call_actor("echo", "Echo", format!("call {number}").as_bytes()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        println!("{}", String::from_utf8(call.await??)?);
    }

    // This waits for the thread as well.
    host.stop().await;
    Ok(())
}
