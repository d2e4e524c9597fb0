//! The watch that a supervisor holds for its life, and what is in force of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prost::{DecodeError, Message};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, Instant};
use tonic::{Code, Status};

use crate::merge::{merge, Environment};
use crate::{dial, Snapshot, Watch};

/// A resolver restarts in about a second, and a connection attempt to a local socket costs microseconds.
const RETRY_EVERY: Duration = Duration::from_millis(250);

pub struct Options {
    pub socket: PathBuf,
    /// The `:authority` of each request; any will do.
    pub authority: String,
    /// How long what was sent last stays in force while the resolver does not answer.
    pub keep_for: Duration,
}

/// What is in force. Without a snapshot it was withdrawn. A key that was local once stays so, also while it is refused.
#[derive(Clone, Default)]
struct State {
    snapshot: Option<Arc<Snapshot>>,
    claimed: Arc<BTreeSet<String>>,
    why: Option<String>,
}

/// What was merged into an environment; acknowledge it once that is installed, or was refused.
pub struct Merged {
    revision: Option<u64>,
    /// Keys whose value OpenShell would refuse.
    pub left_out: Vec<String>,
    /// Why nothing local is in force, if so.
    pub withdrawn: Option<String>,
}

pub struct LocalEnvironment {
    states: watch::Receiver<State>,
    outcomes: mpsc::UnboundedSender<(u64, bool)>,
    task: JoinHandle<()>,
}

impl LocalEnvironment {
    /// Waits for the first snapshot; needs a runtime of tokio. An error means that there is none, and that the supervisor must not start.
    pub async fn start(options: Options) -> Result<Self, Status> {
        let mut watch = connect(&options).await?;
        let (revision, first) = watch.next().await?;
        let first = match first {
            Ok(snapshot) => snapshot,
            Err(rule) => {
                watch.acknowledge(revision, false).await;
                return Err(Status::data_loss(rule));
            }
        };
        let (sender, states) = watch::channel(serving(first, &BTreeSet::new()));
        let (outcomes, reported) = mpsc::unbounded_channel();
        let task = tokio::spawn(follow(options, watch, sender, reported));
        Ok(Self {
            states,
            outcomes,
            task,
        })
    }

    /// Merges what is in force now into an answer of the gateway.
    pub fn merge<B: Message + Default>(
        &mut self,
        mut into: Environment<'_, B>,
    ) -> Result<Merged, DecodeError> {
        let State {
            snapshot,
            claimed,
            why,
        } = self.states.borrow_and_update().clone();
        let left_out = merge(&mut into, snapshot.as_deref(), &claimed)?;
        Ok(Merged {
            revision: snapshot.map(|each| each.revision),
            left_out,
            withdrawn: why,
        })
    }

    /// Says whether the environment that was merged is in force.
    pub fn acknowledge(&self, merged: &Merged, installed: bool) {
        if let Some(revision) = merged.revision {
            let _ = self.outcomes.send((revision, installed));
        }
    }

    /// Returns once there is something newer than what was merged last.
    pub async fn changed(&mut self) {
        // The task ends with this value only.
        let _ = self.states.changed().await;
    }
}

impl Drop for LocalEnvironment {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(options: &Options) -> Result<Watch, Status> {
    Watch::open(dial(options.socket.clone(), &options.authority).await?).await
}

fn serving(snapshot: Snapshot, before: &BTreeSet<String>) -> State {
    let refused = snapshot.refusals.iter().map(|refusal| &refusal.key);
    let claimed = before
        .iter()
        .chain(snapshot.credentials.keys())
        .chain(refused)
        .cloned()
        .collect();
    State {
        snapshot: Some(Arc::new(snapshot)),
        claimed: Arc::new(claimed),
        why: None,
    }
}

fn withdraw(states: &watch::Sender<State>, why: &str) {
    states.send_if_modified(|state| {
        state.why = Some(why.to_owned());
        state.snapshot.take().is_some()
    });
}

type Outcomes = mpsc::UnboundedReceiver<(u64, bool)>;

async fn follow(
    options: Options,
    first: Watch,
    states: watch::Sender<State>,
    mut outcomes: Outcomes,
) {
    let mut next = Ok(first);
    let mut silent_since = None;
    loop {
        let ended = match next {
            Ok(watch) => {
                let (ended, answered) = hold(watch, &states, &mut outcomes).await;
                if answered {
                    silent_since = None;
                }
                ended
            }
            Err(status) => status,
        };
        let since = *silent_since.get_or_insert_with(Instant::now);
        if matches!(
            ended.code(),
            Code::FailedPrecondition | Code::PermissionDenied
        ) || since.elapsed() >= options.keep_for
        {
            withdraw(&states, ended.message());
        }
        sleep(RETRY_EVERY).await;
        next = connect(&options).await;
    }
}

/// Takes snapshots and passes outcomes on until the watch ends; returns why it did, and whether it had any snapshot.
async fn hold(
    mut watch: Watch,
    states: &watch::Sender<State>,
    outcomes: &mut Outcomes,
) -> (Status, bool) {
    // The first watch had one before.
    let mut current = states
        .borrow()
        .snapshot
        .as_ref()
        .map_or(0, |snapshot| snapshot.revision);
    let mut answered = false;
    loop {
        tokio::select! {
            next = watch.next() => match next {
                Ok((revision, checked)) => {
                    (current, answered) = (revision, true);
                    match checked {
                        Ok(snapshot) => states.send_modify(|state| *state = serving(snapshot, &state.claimed)),
                        Err(rule) => {
                            withdraw(states, rule);
                            watch.acknowledge(revision, false).await;
                        }
                    }
                }
                Err(status) => return (status, answered),
            },
            // One of an earlier connection says nothing about this one.
            Some((revision, applied)) = outcomes.recv() => if revision == current {
                watch.acknowledge(revision, applied).await;
            },
        }
    }
}
