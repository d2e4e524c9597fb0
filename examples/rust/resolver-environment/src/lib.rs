//! The resolver's part of a sandbox's provider environment, for a supervisor that asks its gateway for the rest.
//!
//! [`LocalEnvironment::start`] dials the socket and waits for the first snapshot. After each answer of the gateway, and
//! each time that [`LocalEnvironment::changed`] returns, the supervisor merges the two, installs the result, and
//! acknowledges it. `examples/supervisor.rs` does that.
//!
//! What is merged:
//!   - A provider of the gateway that has a key of a local one is left out as a whole: the keys of one provider are never
//!     mixed. Other providers, dynamic credentials and plain settings of the gateway stay.
//!   - What identifies the gateway's environment (revision, attachment epoch, policy hash) is not touched: the gateway
//!     goes on deciding when the supervisor must ask again.
//!   - A value that OpenShell would refuse (not UTF-8, empty, or with CR, LF or NUL) is left out alone.
//!
//! What happens when the resolver is gone, on purpose:
//!   - At the start: an error. A supervisor that is configured for a resolver does not run without it.
//!   - It does not answer (a restart, an update): what was sent last stays for [`Options::keep_for`], then it is withdrawn.
//!   - It refuses (the boundary is broken, or this UID is no caller any more): withdrawn at once.
//!   - It sends a snapshot that breaks a rule: rejected, and withdrawn at once.
//!
//! Withdrawn credentials do not fall back to the gateway's: a key goes on meaning the local credential, or none.

mod local;
mod merge;
mod snapshot;
mod watch;

pub use local::{LocalEnvironment, Merged, Options};
pub use merge::Environment;
pub use snapshot::{Credential, Snapshot};
pub use watch::{dial, Watch};

pub mod stubs {
    tonic::include_proto!("secretresolver.v1");
}

pub use stubs::credential_resolver_client::CredentialResolverClient;
