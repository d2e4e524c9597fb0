//! One connection to the resolver, and one watch on it.

use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::stubs::credential_resolver_client::CredentialResolverClient;
use crate::stubs::watch_provider_environment_request::Message;
use crate::stubs::{Acknowledge, AcknowledgeOutcome, Subscribe};
use crate::stubs::{ProviderEnvironment, WatchProviderEnvironmentRequest};
use crate::Snapshot;

/// How often an idle connection is pinged: a supervisor finds a dead resolver in this time and the next.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long an answer to a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects over the Unix socket. The authority is only a header of each request.
pub async fn dial(socket: PathBuf, authority: &str) -> Result<Channel, Status> {
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    Endpoint::from_shared(format!("http://{authority}"))
        .map_err(|_| Status::invalid_argument("not an authority"))?
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
        .map_err(|error| Status::unavailable(format!("no connection: {error}")))
}

pub struct Watch {
    requests: mpsc::Sender<WatchProviderEnvironmentRequest>,
    snapshots: Streaming<ProviderEnvironment>,
}

impl Watch {
    pub async fn open(channel: Channel) -> Result<Self, Status> {
        let (requests, outgoing) = mpsc::channel(4);
        let subscribe = Message::Subscribe(Subscribe::default());
        // There is room for four.
        let _ = requests.try_send(WatchProviderEnvironmentRequest {
            message: Some(subscribe),
        });
        let snapshots = CredentialResolverClient::new(channel)
            .watch_provider_environment(ReceiverStream::new(outgoing))
            .await?
            .into_inner();
        Ok(Self {
            requests,
            snapshots,
        })
    }

    /// The next revision, and the snapshot or the rule that it breaks.
    pub async fn next(&mut self) -> Result<(u64, Result<Snapshot, &'static str>), Status> {
        let message = self.snapshots.message().await?;
        let message = message.ok_or_else(|| Status::unavailable("the resolver ended the watch"))?;
        Ok((message.provider_env_revision, Snapshot::check(message)))
    }

    /// Says whether a revision is in force. A watch that has ended is noticed by `next`.
    pub async fn acknowledge(&self, revision: u64, applied: bool) {
        let outcome = if applied {
            AcknowledgeOutcome::Applied
        } else {
            AcknowledgeOutcome::Rejected
        };
        let message = Message::Acknowledge(Acknowledge {
            revision,
            outcome: outcome.into(),
        });
        let _ = self
            .requests
            .send(WatchProviderEnvironmentRequest {
                message: Some(message),
            })
            .await;
    }
}
