//! What a supervisor in Rust needs in order to hold the resolver's credentials: dial, subscribe, check, install,
//! acknowledge. It prints names, handles and endpoints, and never a value; where the environment variable
//! INTEROP_NONCE is set, a digest of each value under that nonce, so that a test can tell which value arrived.
//!
//!   interop-client --socket PATH [--authority NAME] [--rotations N] [--hold SECONDS]
//!
//! It ends with 0 once it has seen N rotations on one stream, at least SECONDS after the start, and a plain call
//! on the same connection has returned the revision in force.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use resolver_environment::stubs::GetProviderEnvironmentRequest;
use resolver_environment::{dial, Credential, CredentialResolverClient, Snapshot, Watch};
use sha2::{Digest, Sha256};
use tokio::time::{sleep_until, Instant};

type Failure = Box<dyn std::error::Error>;

struct Options {
    socket: PathBuf,
    authority: String,
    rotations: u32,
    hold: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = parse(std::env::args().skip(1))?;
    let channel = dial(options.socket.clone(), &options.authority).await?;
    let installed = watch(Watch::open(channel.clone()).await?, &options).await?;
    let current = CredentialResolverClient::new(channel)
        .get_provider_environment(GetProviderEnvironmentRequest::default())
        .await?
        .into_inner();
    if current.provider_env_revision != installed.revision {
        return Err("the call and the watch disagree about the current revision".into());
    }
    println!("done {}", options.rotations);
    Ok(())
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, Failure> {
    let mut options = Options {
        socket: PathBuf::new(),
        // What OpenShell's supervisor sends over its sockets.
        authority: "[::]:50051".into(),
        rotations: 0,
        hold: Duration::ZERO,
    };
    let mut arguments = arguments;
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or(format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--socket" => options.socket = value.into(),
            "--authority" => options.authority = value,
            "--rotations" => options.rotations = value.parse()?,
            "--hold" => options.hold = Duration::from_secs(value.parse()?),
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    if options.socket.as_os_str().is_empty() {
        return Err("--socket is needed".into());
    }
    Ok(options)
}

/// Follows the watch until all rotations were seen and the time is over; returns what is then installed.
async fn watch(mut watch: Watch, options: &Options) -> Result<Snapshot, Failure> {
    let end = Instant::now() + options.hold;
    let mut installed = Snapshot::default();
    let mut rotations = 0;
    loop {
        let over = rotations >= options.rotations && installed.revision != 0;
        let (revision, checked) = tokio::select! {
            next = watch.next() => next?,
            () = sleep_until(end), if over => return Ok(installed),
        };
        let applied = checked.is_ok();
        // A snapshot that violates a rule withdraws the previous one: an old value is not better than none.
        let snapshot = checked.unwrap_or_else(|rule| {
            println!("rejected {revision} {rule}");
            Snapshot::default()
        });
        let old = std::mem::replace(&mut installed, snapshot);
        if applied {
            let changed = changed(&old, &installed).join(",");
            if old.revision == 0 {
                println!("snapshot {revision} {changed}");
            } else {
                rotations += 1;
                println!("rotation {rotations} {revision} {changed}");
            }
        }
        print(&installed);
        watch.acknowledge(revision, applied).await;
    }
}

/// Names that were added, removed or changed.
fn changed(old: &Snapshot, new: &Snapshot) -> Vec<String> {
    let value_of = |from: &BTreeMap<String, Credential>, name: &str| {
        from.get(name).map(|each| each.value.clone())
    };
    let names = old.credentials.keys().chain(new.credentials.keys());
    let differs =
        |name: &&String| value_of(&old.credentials, name) != value_of(&new.credentials, name);
    let mut names: Vec<String> = names.filter(differs).cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// One line per credential: name, provider, handle, endpoints and digest, but no value.
fn print(snapshot: &Snapshot) {
    let nonce = std::env::var("INTEROP_NONCE").ok();
    for (
        name,
        Credential {
            provider,
            value,
            binding,
            ..
        },
    ) in &snapshot.credentials
    {
        let endpoints = binding.endpoints.iter();
        let endpoints: Vec<_> = endpoints
            .map(|end| format!("{}:{}{}", end.host, end.port, end.path))
            .collect();
        println!(
            "credential {name} {provider} {} {} {}",
            binding.workload_credential_handle,
            endpoints.join(","),
            nonce
                .as_deref()
                .map_or("-".into(), |nonce| digest(nonce, value)),
        );
    }
    for refusal in &snapshot.refusals {
        println!(
            "refusal {} {} {}",
            refusal.provider, refusal.key, refusal.reason
        );
    }
}

fn digest(nonce: &str, value: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(nonce)
        .chain_update([0])
        .chain_update(value)
        .finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
