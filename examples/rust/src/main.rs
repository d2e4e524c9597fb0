//! What a supervisor in Rust needs in order to hold the resolver's credentials: dial, subscribe, check, install,
//! acknowledge. It prints names, handles and endpoints, and never a value; where the environment variable
//! INTEROP_NONCE is set, a digest of each value under that nonce, so that a test can tell which value arrived.
//!
//!   interop-client --socket PATH [--authority NAME] [--rotations N] [--hold SECONDS]
//!
//! It ends with 0 once it has seen N rotations on one stream, at least SECONDS after the start, and a plain call
//! on the same connection has returned the revision in force.

mod environment;

use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

use environment::Installed;
use stubs::credential_resolver_client::CredentialResolverClient;
use stubs::watch_provider_environment_request::Message;
use stubs::{Acknowledge, AcknowledgeOutcome, GetProviderEnvironmentRequest, Subscribe};
use stubs::{ProviderEnvironment, WatchProviderEnvironmentRequest};

pub mod stubs {
    tonic::include_proto!("secretresolver.v1");
}

/// How often an idle connection is pinged: a supervisor finds a dead resolver in this time and the next.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long an answer to a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

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
    let channel = dial(&options).await?;
    let installed = watch(channel.clone(), &options).await?;
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

/// Connects over the Unix socket. The URI only gives the `:authority` of each request.
async fn dial(options: &Options) -> Result<Channel, Failure> {
    let socket = options.socket.clone();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_shared(format!("http://{}", options.authority))?
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await?;
    Ok(channel)
}

/// Follows the watch until all rotations were seen and the time is over; returns what is then installed.
async fn watch(channel: Channel, options: &Options) -> Result<Installed, Failure> {
    let (requests, outgoing) = mpsc::channel(4);
    requests.send(request(Message::Subscribe(Subscribe::default()))).await?;
    let mut snapshots = CredentialResolverClient::new(channel)
        .watch_provider_environment(ReceiverStream::new(outgoing))
        .await?
        .into_inner();
    let end = Instant::now() + options.hold;
    let mut installed = Installed::default();
    let mut rotations = 0;
    loop {
        let over = rotations >= options.rotations && installed.revision != 0;
        let snapshot = tokio::select! {
            snapshot = snapshots.message() => snapshot?.ok_or("the resolver ended the watch")?,
            () = sleep_until(end), if over => return Ok(installed),
        };
        let first = installed.revision == 0;
        let outcome = take(&mut installed, snapshot, &mut rotations, first);
        requests.send(request(Message::Acknowledge(outcome))).await?;
    }
}

/// Installs a snapshot, or withdraws everything where it breaks a rule, and says which of the two it was.
fn take(
    installed: &mut Installed,
    snapshot: ProviderEnvironment,
    rotations: &mut u32,
    first: bool,
) -> Acknowledge {
    let revision = snapshot.provider_env_revision;
    let outcome = match installed.replace(snapshot) {
        Ok(changed) if first => {
            println!("snapshot {revision} {}", changed.join(","));
            AcknowledgeOutcome::Applied
        }
        Ok(changed) => {
            *rotations += 1;
            println!("rotation {rotations} {revision} {}", changed.join(","));
            AcknowledgeOutcome::Applied
        }
        Err(rule) => {
            println!("rejected {revision} {rule}");
            AcknowledgeOutcome::Rejected
        }
    };
    installed.print();
    Acknowledge { revision, outcome: outcome.into() }
}

fn request(message: Message) -> WatchProviderEnvironmentRequest {
    WatchProviderEnvironmentRequest { message: Some(message) }
}
