//! A snapshot of the resolver that breaks no rule of OpenShell's supervisor.

use std::collections::BTreeMap;

use crate::stubs::{CredentialRefusal, ProviderEnvironment, StaticCredentialBinding};

/// A credential as a proxy needs it. No Debug: nothing may print a value by accident.
pub struct Credential {
    pub provider: String,
    pub value: Vec<u8>,
    pub binding: StaticCredentialBinding,
    /// Unix milliseconds; `None` where no end is known.
    pub expires_at_ms: Option<i64>,
}

#[derive(Default)]
pub struct Snapshot {
    /// Never 0, unless nothing was sent yet.
    pub revision: u64,
    pub credentials: BTreeMap<String, Credential>,
    pub refusals: Vec<CredentialRefusal>,
}

impl Snapshot {
    /// Checks a message as a whole: one binding that breaks a rule makes the supervisor drop every credential.
    pub fn check(message: ProviderEnvironment) -> Result<Self, &'static str> {
        if message.provider_env_revision == 0 {
            return Err("the revision is 0");
        }
        let mut bindings = message.static_credential_bindings;
        let mut credentials = BTreeMap::new();
        for (name, value) in message.environment {
            let binding = bindings.remove(&name).ok_or("a value has no binding")?;
            check(&binding)?;
            let provider = message
                .credential_providers
                .get(&name)
                .cloned()
                .unwrap_or_default();
            let expires_at_ms = message.credential_expires_at_ms.get(&name).copied();
            credentials.insert(
                name,
                Credential {
                    provider,
                    value,
                    binding,
                    expires_at_ms,
                },
            );
        }
        let refusals = message.refusals;
        Ok(Self {
            revision: message.provider_env_revision,
            credentials,
            refusals,
        })
    }
}

fn check(binding: &StaticCredentialBinding) -> Result<(), &'static str> {
    let handle = binding.workload_credential_handle.as_bytes();
    if binding.credential_identity.is_empty() {
        return Err("a binding has no identity");
    }
    if !handle.is_empty()
        && (handle.len() != 64
            || !handle
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
    {
        return Err("a handle is not 64 lowercase hexadecimal digits");
    }
    if binding.endpoints.is_empty() {
        return Err("a binding has no endpoint");
    }
    if binding
        .endpoints
        .iter()
        .any(|endpoint| !(1..=65535).contains(&endpoint.port))
    {
        return Err("an endpoint has no valid port");
    }
    Ok(())
}
