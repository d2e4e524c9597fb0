"""Reads credentials from the resolver as a supervisor in Python would: dial, subscribe, install, acknowledge.

It prints names, handles and endpoints, and never a value; where INTEROP_NONCE is set, a digest of each value under
that nonce, so that a test can tell which value arrived.

    client.py --socket PATH [--authority NAME] [--rotations N] [--hold SECONDS]

It ends with 0 once it has seen N rotations on one stream, at least SECONDS after the start, and a plain call on the
same connection has returned the revision in force. The stubs come from
`python -m grpc_tools.protoc -I proto --python_out=<folder> --grpc_python_out=<folder> secretresolver/v1/resolver.proto`,
with that folder in PYTHONPATH.
"""

import argparse
import hashlib
import os
import queue
import sys
import threading
import time

import grpc

from secretresolver.v1 import resolver_pb2 as messages
from secretresolver.v1 import resolver_pb2_grpc as services

# How often a connection is pinged, in milliseconds, also while no data flows.
CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--authority", default="resolver.sandbox.internal:443")
    parser.add_argument("--rotations", type=int, default=0)
    parser.add_argument("--hold", type=float, default=0)
    options = parser.parse_args()
    channel_options = [*CHANNEL_OPTIONS, ("grpc.default_authority", options.authority)]
    with grpc.insecure_channel(f"unix:{options.socket}", options=channel_options) as channel:
        resolver = services.CredentialResolverStub(channel)
        in_force = watch(resolver, options.rotations, options.hold)
        current = resolver.GetProviderEnvironment(messages.GetProviderEnvironmentRequest())
        if current.provider_env_revision != in_force.provider_env_revision:
            print("client.py: the call and the watch disagree about the current revision", file=sys.stderr)
            return 1
    print("done", options.rotations, flush=True)
    return 0


def watch(resolver, rotations: int, hold: float) -> messages.ProviderEnvironment:
    """Follows one stream until all rotations were seen and the time is over."""
    end = time.monotonic() + hold
    requests = queue.SimpleQueue()
    requests.put(messages.WatchProviderEnvironmentRequest(subscribe=messages.Subscribe()))
    stream = resolver.WatchProviderEnvironment(iter(requests.get, None))
    arrived = queue.SimpleQueue()
    threading.Thread(target=receive, args=(stream, arrived), daemon=True).start()
    in_force = None
    seen = -1
    while seen < rotations or time.monotonic() < end:
        left = max(0.05, end - time.monotonic()) if seen >= rotations else None
        try:
            snapshot = arrived.get(timeout=left)
        except queue.Empty:
            continue
        if isinstance(snapshot, Exception):
            raise snapshot
        seen += 1
        report(seen, in_force, snapshot)
        in_force = snapshot
        requests.put(applied(snapshot.provider_env_revision))
    stream.cancel()
    requests.put(None)
    return in_force


def receive(stream, arrived: queue.SimpleQueue) -> None:
    """Reads the stream aside, so that the clock can be watched too."""
    try:
        for snapshot in stream:
            arrived.put(snapshot)
        arrived.put(EOFError("the resolver ended the watch"))
    except grpc.RpcError as error:
        arrived.put(error)


def applied(revision: int) -> messages.WatchProviderEnvironmentRequest:
    return messages.WatchProviderEnvironmentRequest(
        acknowledge=messages.Acknowledge(revision=revision, outcome=messages.ACKNOWLEDGE_OUTCOME_APPLIED)
    )


def report(seen: int, old, current) -> None:
    """Prints which names changed and what is in force: one line a credential, without its value."""
    before = dict(old.environment) if old is not None else {}
    after = dict(current.environment)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    revision = current.provider_env_revision
    lines = [("snapshot", revision, ",".join(changed)) if seen == 0 else ("rotation", seen, revision, ",".join(changed))]
    for name, value in sorted(after.items()):
        binding = current.static_credential_bindings[name]
        endpoints = ",".join(f"{end.host}:{end.port}{end.path}" for end in binding.endpoints)
        provider = current.credential_providers[name]
        lines.append(("credential", name, provider, binding.workload_credential_handle, endpoints, digest(value)))
    for refusal in current.refusals:
        lines.append(("refusal", refusal.provider, refusal.key, refusal.reason))
    for line in lines:
        print(*line, flush=True)


def digest(value: bytes) -> str:
    nonce = os.environ.get("INTEROP_NONCE")
    return "-" if nonce is None else hashlib.sha256(nonce.encode() + b"\0" + value).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
