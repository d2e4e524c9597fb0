//! A supervisor that asks its gateway, here a fixed answer, and has the resolver's credentials merged into it.
//! It prints keys, identities and digests under INTEROP_NONCE, and never a value.
//!
//!   supervisor SOCKET KEEP_FOR_MS

use std::collections::HashMap;
use std::time::Duration;

use resolver_environment::stubs::{StaticCredentialBinding, StaticCredentialEndpointBinding};
use resolver_environment::{Environment, LocalEnvironment, Options};
use sha2::{Digest, Sha256};

/// In a supervisor: what `fetch_provider_environment` returns.
#[derive(Clone)]
struct Answer {
    provider_env_revision: u64,
    environment: HashMap<String, String>,
    static_credential_bindings: HashMap<String, StaticCredentialBinding>,
    credential_expires_at_ms: HashMap<String, i64>,
    non_secret_environment_keys: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let socket = arguments.next().ok_or("SOCKET is missing")?.into();
    let keep_for =
        Duration::from_millis(arguments.next().ok_or("KEEP_FOR_MS is missing")?.parse()?);
    let mut resolver = LocalEnvironment::start(Options {
        socket,
        authority: "[::]:50051".into(),
        keep_for,
    })
    .await?;
    let gateway = ask_gateway();
    loop {
        let mut answer = gateway.clone();
        let merged = resolver.merge(Environment {
            environment: &mut answer.environment,
            bindings: &mut answer.static_credential_bindings,
            expires_at_ms: &mut answer.credential_expires_at_ms,
            plain: &mut answer.non_secret_environment_keys,
        })?;
        if let Some(why) = &merged.withdrawn {
            println!("withdrawn: {why}");
        }
        let installed = install(&answer);
        resolver.acknowledge(&merged, installed);
        resolver.changed().await;
    }
}

fn ask_gateway() -> Answer {
    let bound = [
        ("GITLAB_TOKEN", "uuid-1"),
        ("GITLAB_USER", "uuid-1"),
        ("NPM_TOKEN", "uuid-2"),
    ];
    let binding = |key: &str, provider: &str| StaticCredentialBinding {
        endpoints: vec![StaticCredentialEndpointBinding {
            host: "example.com".into(),
            port: 443,
            ..Default::default()
        }],
        credential_identity: format!("{provider}:{key}"),
        ..Default::default()
    };
    Answer {
        provider_env_revision: 7,
        environment: bound
            .map(|(key, _)| (key.into(), "from-the-gateway".into()))
            .into(),
        static_credential_bindings: bound.map(|(key, by)| (key.into(), binding(key, by))).into(),
        credential_expires_at_ms: HashMap::new(),
        non_secret_environment_keys: Vec::new(),
    }
}

/// In a supervisor: `install_bound_environment`, which refuses all of it where a key has no binding.
fn install(answer: &Answer) -> bool {
    let nonce = std::env::var("INTEROP_NONCE").unwrap_or_default();
    let mut lines = Vec::new();
    for (key, value) in &answer.environment {
        let Some(binding) = answer.static_credential_bindings.get(key) else {
            return false;
        };
        let hash = Sha256::new()
            .chain_update(&nonce)
            .chain_update([0])
            .chain_update(value)
            .finalize();
        let digest: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(format!("{}={digest}", binding.credential_identity));
    }
    lines.sort();
    println!(
        "installed {} {}",
        answer.provider_env_revision,
        lines.join(" ")
    );
    answer.static_credential_bindings.len() == answer.environment.len()
}
