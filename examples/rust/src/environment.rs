//! The installed environment of a supervisor: the last good snapshot as a whole, or nothing.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::stubs::{ProviderEnvironment, StaticCredentialBinding};

/// A credential as a proxy needs it. No Debug: nothing may print a value by accident.
struct Credential {
    provider: String,
    handle: String,
    endpoints: Vec<String>,
    value: Vec<u8>,
}

#[derive(Default)]
pub struct Installed {
    /// 0 means that nothing was installed yet, or that the last snapshot was rejected.
    pub revision: u64,
    credentials: BTreeMap<String, Credential>,
    refusals: Vec<String>,
}

impl Installed {
    /// Installs a snapshot and returns the names that were added, removed or changed. A snapshot that violates a rule
    /// withdraws the previous one: an old value is not better than none.
    pub fn replace(&mut self, snapshot: ProviderEnvironment) -> Result<Vec<String>, &'static str> {
        let old = std::mem::take(self);
        if snapshot.provider_env_revision == 0 {
            return Err("the revision is 0");
        }
        let mut credentials = BTreeMap::new();
        for (name, value) in snapshot.environment {
            let binding = snapshot
                .static_credential_bindings
                .get(&name)
                .ok_or("a value has no binding")?;
            let endpoints = check(binding)?;
            let provider = snapshot.credential_providers.get(&name).cloned().unwrap_or_default();
            let handle = binding.workload_credential_handle.clone();
            credentials.insert(name, Credential { provider, handle, endpoints, value });
        }
        let names = old.credentials.keys().chain(credentials.keys());
        let value_of = |from: &BTreeMap<String, Credential>, name: &str| {
            from.get(name).map(|credential| credential.value.clone())
        };
        let mut changed: Vec<String> = names
            .filter(|name| value_of(&old.credentials, name) != value_of(&credentials, name))
            .cloned()
            .collect();
        changed.sort();
        changed.dedup();
        self.revision = snapshot.provider_env_revision;
        self.refusals = snapshot
            .refusals
            .into_iter()
            .map(|refusal| format!("{} {} {}", refusal.provider, refusal.key, refusal.reason))
            .collect();
        self.credentials = credentials;
        Ok(changed)
    }

    /// One line per credential: name, provider, handle, endpoints and digest, but no value.
    pub fn print(&self) {
        let nonce = std::env::var("INTEROP_NONCE").ok();
        for (name, credential) in &self.credentials {
            println!(
                "credential {name} {} {} {} {}",
                credential.provider,
                credential.handle,
                credential.endpoints.join(","),
                nonce.as_deref().map_or("-".into(), |nonce| digest(nonce, &credential.value)),
            );
        }
        for refusal in &self.refusals {
            println!("refusal {refusal}");
        }
    }
}

/// The rules whose violation makes OpenShell's supervisor drop a whole set.
fn check(binding: &StaticCredentialBinding) -> Result<Vec<String>, &'static str> {
    let handle = binding.workload_credential_handle.as_bytes();
    if binding.credential_identity.is_empty() {
        return Err("a binding has no identity");
    }
    if !handle.is_empty()
        && (handle.len() != 64 || !handle.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
    {
        return Err("a handle is not 64 lowercase hexadecimal digits");
    }
    if binding.endpoints.is_empty() {
        return Err("a binding has no endpoint");
    }
    if binding.endpoints.iter().any(|endpoint| !(1..=65535).contains(&endpoint.port)) {
        return Err("an endpoint has no valid port");
    }
    let text = |host: &str, port: u32, path: &str| format!("{host}:{port}{path}");
    Ok(binding.endpoints.iter().map(|end| text(&end.host, end.port, &end.path)).collect())
}

fn digest(nonce: &str, value: &[u8]) -> String {
    let hash = Sha256::new().chain_update(nonce).chain_update([0]).chain_update(value).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
