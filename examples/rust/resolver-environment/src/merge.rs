//! The local snapshot into the gateway's environment. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};

use prost::{DecodeError, Message};

use crate::stubs::StaticCredentialBinding;
use crate::Snapshot;

/// The fields of the gateway's answer that are merged into. `B` is its `StaticCredentialBinding`: the messages are equal
/// on the wire, so that no type of OpenShell is needed here.
pub struct Environment<'a, B> {
    pub environment: &'a mut HashMap<String, String>,
    pub bindings: &'a mut HashMap<String, B>,
    pub expires_at_ms: &'a mut HashMap<String, i64>,
    /// `non_secret_environment_keys`.
    pub plain: &'a mut Vec<String>,
}

/// Merges, and returns the keys whose value OpenShell would refuse. `claimed` are the keys that are local even while there
/// is no snapshot.
pub fn merge<B: Message + Default>(
    into: &mut Environment<'_, B>,
    local: Option<&Snapshot>,
    claimed: &BTreeSet<String>,
) -> Result<Vec<String>, DecodeError> {
    let mut owners = HashMap::new();
    for (key, binding) in into.bindings.iter() {
        owners.insert(key.clone(), owner(key, binding)?);
    }
    let replaced: HashSet<&String> = claimed.iter().filter_map(|key| owners.get(key)).collect();
    let mut leave_out = claimed.clone();
    leave_out.extend(
        owners
            .iter()
            .filter(|(_, by)| replaced.contains(by))
            .map(|(key, _)| key.clone()),
    );
    for key in &leave_out {
        into.environment.remove(key);
        into.bindings.remove(key);
        into.expires_at_ms.remove(key);
    }
    into.plain.retain(|key| !leave_out.contains(key));
    let mut left_out = Vec::new();
    for (key, credential) in local.iter().flat_map(|snapshot| &snapshot.credentials) {
        let Some(value) = sendable(&credential.value) else {
            left_out.push(key.clone());
            continue;
        };
        let binding = B::decode(credential.binding.encode_to_vec().as_slice())?;
        into.environment.insert(key.clone(), value.to_owned());
        into.bindings.insert(key.clone(), binding);
        if let Some(end) = credential.expires_at_ms {
            into.expires_at_ms.insert(key.clone(), end);
        }
    }
    Ok(left_out)
}

/// The provider in `<provider>:<key>`. A credential that the gateway mints names no provider: it stands for itself.
fn owner<B: Message>(key: &str, binding: &B) -> Result<String, DecodeError> {
    let identity =
        StaticCredentialBinding::decode(binding.encode_to_vec().as_slice())?.credential_identity;
    let provider = identity
        .strip_suffix(key)
        .and_then(|rest| rest.strip_suffix(':'));
    Ok(provider.map_or_else(|| identity.clone(), str::to_owned))
}

fn sendable(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    (!text.is_empty() && !text.contains(['\0', '\r', '\n'])).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stubs::StaticCredentialEndpointBinding;
    use crate::Credential;

    /// An environment as a gateway sends it: two providers, a minted credential and a plain setting.
    struct Gateway {
        environment: HashMap<String, String>,
        bindings: HashMap<String, StaticCredentialBinding>,
        expires_at_ms: HashMap<String, i64>,
        plain: Vec<String>,
    }

    fn binding(identity: &str) -> StaticCredentialBinding {
        StaticCredentialBinding {
            endpoints: vec![StaticCredentialEndpointBinding {
                host: "example.com".into(),
                port: 443,
                ..Default::default()
            }],
            credential_identity: identity.into(),
            ..Default::default()
        }
    }

    fn gateway() -> Gateway {
        let bound = [
            ("GITLAB_TOKEN", "uuid-1:GITLAB_TOKEN"),
            ("GITLAB_USER", "uuid-1:GITLAB_USER"),
            ("NPM_TOKEN", "uuid-2:NPM_TOKEN"),
            ("CLOUD_TOKEN", "refresh:0123"),
            ("OTHER_CLOUD", "refresh:4567"),
        ];
        let mut environment: HashMap<_, _> =
            bound.map(|(key, _)| (key.into(), "theirs".into())).into();
        environment.insert("REGION".into(), "eu".into());
        Gateway {
            environment,
            bindings: bound
                .map(|(key, identity)| (key.into(), binding(identity)))
                .into(),
            expires_at_ms: [("GITLAB_USER".into(), 5), ("NPM_TOKEN".into(), 6)].into(),
            plain: vec!["REGION".into()],
        }
    }

    fn local(credentials: &[(&str, &[u8])]) -> Snapshot {
        let entry = |(key, value): &(&str, &[u8])| {
            let binding = binding(&format!("local:{key}"));
            let provider = "local".into();
            (
                key.to_string(),
                Credential {
                    provider,
                    value: value.to_vec(),
                    binding,
                    expires_at_ms: Some(9),
                },
            )
        };
        Snapshot {
            revision: 1,
            credentials: credentials.iter().map(entry).collect(),
            ..Default::default()
        }
    }

    fn merged(into: &mut Gateway, snapshot: Option<&Snapshot>, claimed: &[&str]) -> Vec<String> {
        let claimed = claimed.iter().map(|key| key.to_string()).collect();
        let mut fields = Environment {
            environment: &mut into.environment,
            bindings: &mut into.bindings,
            expires_at_ms: &mut into.expires_at_ms,
            plain: &mut into.plain,
        };
        merge(&mut fields, snapshot, &claimed).expect("equal on the wire")
    }

    fn keys<V>(map: &HashMap<String, V>) -> Vec<&str> {
        let mut keys: Vec<&str> = map.keys().map(String::as_str).collect();
        keys.sort();
        keys
    }

    #[test]
    fn a_provider_of_the_gateway_is_replaced_as_a_whole_and_the_others_stay() {
        let mut into = gateway();
        assert!(merged(
            &mut into,
            Some(&local(&[("GITLAB_TOKEN", b"ours")])),
            &["GITLAB_TOKEN"]
        )
        .is_empty());
        let left = ["CLOUD_TOKEN", "GITLAB_TOKEN", "NPM_TOKEN", "OTHER_CLOUD"];
        assert_eq!(keys(&into.bindings), left);
        assert_eq!(keys(&into.environment), [&left[..], &["REGION"]].concat());
        assert_eq!(into.environment["GITLAB_TOKEN"], "ours");
        assert_eq!(into.bindings["GITLAB_TOKEN"], binding("local:GITLAB_TOKEN"));
        assert_eq!(
            into.expires_at_ms,
            [("GITLAB_TOKEN".into(), 9), ("NPM_TOKEN".into(), 6)].into()
        );
        assert_eq!(into.plain, ["REGION"]);
    }

    #[test]
    fn a_minted_credential_is_replaced_alone_and_so_is_a_plain_setting() {
        let mut into = gateway();
        let snapshot = local(&[("CLOUD_TOKEN", b"ours"), ("REGION", b"ours")]);
        merged(&mut into, Some(&snapshot), &["CLOUD_TOKEN", "REGION"]);
        assert_eq!(into.bindings["OTHER_CLOUD"], binding("refresh:4567"));
        assert_eq!(into.bindings["CLOUD_TOKEN"], binding("local:CLOUD_TOKEN"));
        assert!(into.plain.is_empty());
    }

    #[test]
    fn what_was_withdrawn_does_not_fall_back_to_the_gateway() {
        let mut into = gateway();
        merged(&mut into, None, &["GITLAB_TOKEN"]);
        assert_eq!(
            keys(&into.bindings),
            ["CLOUD_TOKEN", "NPM_TOKEN", "OTHER_CLOUD"]
        );
    }

    #[test]
    fn a_value_that_openshell_refuses_is_left_out_alone() {
        let mut into = gateway();
        let snapshot = local(&[
            ("A", b"ok"),
            ("B", b"a\nb"),
            ("C", b"\0"),
            ("D", b""),
            ("E", b"\xff"),
            ("F", b"a\r"),
        ]);
        assert_eq!(
            merged(&mut into, Some(&snapshot), &[]),
            ["B", "C", "D", "E", "F"]
        );
        assert_eq!(into.environment["A"], "ok");
        assert!(!into.bindings.contains_key("B"));
    }
}
