"""mitmproxy addon: puts credentials of the resolver in place of the agent's placeholders.

    mitmdump -s examples/mitmproxy/resolver.py --set resolver_socket=/run/secret-resolver/socket/resolver.sock

It replaces `openshell:resolve:env:KEY` (and the form with a handle) in header values, in Basic credentials and in the
query, if the server that is dialled is one of the credential's endpoints. A request with any other placeholder is
refused. Without a watch on the resolver there are no credentials. See README.md for how to run it.
"""

import base64
import binascii
import fnmatch
import logging
import queue
import re
import threading
import time
from urllib.parse import quote, unquote

import grpc
from mitmproxy import ctx, http

from secretresolver.v1 import resolver_pb2 as messages
from secretresolver.v1 import resolver_pb2_grpc as services

PLACEHOLDER = re.compile(r"openshell(?::|%3[Aa])resolve(?::|%3[Aa])env(?::|%3[Aa])([A-Za-z0-9_]*)")
# What is left once placeholders are replaced: one in a place or a form that this addon does not know.
LEFT = re.compile(r"openshell:resolve:env:|OPENSHELL-RESOLVE-ENV-")
NAME = re.compile(r"(?:s(?P<handle>[0-9a-f]{64})_|v(?P<revision>[0-9]+)_)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)")
# A path that every server reads alike. Only such a one is compared with the path of an endpoint.
PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?")
CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


class Refused(Exception):
    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


class Resolver:
    def __init__(self):
        self.snapshot = None
        self.ended = threading.Event()

    def load(self, loader):
        default = "/run/secret-resolver/socket/resolver.sock"
        loader.add_option("resolver_socket", str, default, "The resolver's Unix socket.")

    def running(self):
        # mitmdump prints each URL, and a query may hold a value by then.
        ctx.options.flow_detail = 0
        threading.Thread(target=self.watch, args=(ctx.options.resolver_socket,), daemon=True).start()

    def done(self):
        self.ended.set()
        self.snapshot = None

    def watch(self, socket: str):
        """Holds a watch until the end. What was served is withdrawn as soon as the watch is lost."""
        with grpc.insecure_channel(f"unix:{socket}", options=CHANNEL_OPTIONS) as channel:
            resolver = services.CredentialResolverStub(channel)
            while not self.ended.is_set():
                requests = queue.SimpleQueue()
                requests.put(messages.WatchProviderEnvironmentRequest(subscribe=messages.Subscribe()))
                try:
                    for snapshot in resolver.WatchProviderEnvironment(iter(requests.get, None)):
                        self.snapshot = snapshot
                        requests.put(applied(snapshot.provider_env_revision))
                except grpc.RpcError as error:
                    logging.warning("the watch on the resolver ended: %s", error.code().name)
                finally:
                    self.snapshot = None
                    requests.put(None)
                self.ended.wait(0.2)

    def request(self, flow: http.HTTPFlow):
        try:
            self.rewrite(flow)
        except Refused as refused:
            logging.warning("refused %s:%s: %s", flow.request.host, flow.request.port, refused)
            body = '{"error":"%s"}\n' % refused
            flow.response = http.Response.make(refused.status, body, {"content-type": "application/json"})

    def rewrite(self, flow: http.HTTPFlow):
        def value(found: re.Match) -> str:
            return self.look_up(found[1], flow)

        path, mark, query = flow.request.path.partition("?")
        target = path + mark + PLACEHOLDER.sub(lambda found: quote(value(found), safe=""), query)
        fields = tuple((name, swap_header(text, value)) for name, text in flow.request.headers.fields)
        if LEFT.search(unquote(unquote(target))) or any(LEFT.search(text.decode("latin-1")) for _, text in fields):
            raise Refused(500, "credential_unavailable")
        # Only now, and whole: the destination above is the one that the agent asked for.
        flow.request.path = target
        flow.request.headers.fields = fields

    def look_up(self, name: str, flow: http.HTTPFlow) -> str:
        snapshot = self.snapshot
        parts = NAME.fullmatch(name)
        if snapshot is None or parts is None or parts["key"] not in snapshot.environment:
            raise Refused(500, "credential_unavailable")
        key = parts["key"]
        binding = snapshot.static_credential_bindings[key]
        if parts["handle"] not in (None, binding.workload_credential_handle):
            raise Refused(500, "credential_unavailable")
        if parts["revision"] not in (None, str(snapshot.provider_env_revision)):
            raise Refused(500, "credential_unavailable")
        if not any(matches(endpoint, flow) for endpoint in binding.endpoints):
            raise Refused(403, "credential_endpoint_mismatch")
        value = snapshot.environment[key].decode()
        if snapshot.credential_expires_at_ms.get(key, float("inf")) <= time.time() * 1000:
            raise Refused(500, "credential_unavailable")
        if not value or any(character in value for character in "\r\n\0"):
            raise Refused(500, "credential_unavailable")
        return value


def applied(revision: int) -> messages.WatchProviderEnvironmentRequest:
    outcome = messages.ACKNOWLEDGE_OUTCOME_APPLIED
    return messages.WatchProviderEnvironmentRequest(
        acknowledge=messages.Acknowledge(revision=revision, outcome=outcome)
    )


def swap_header(field: bytes, value) -> bytes:
    text = field.decode("utf-8", "surrogateescape")
    scheme, _, encoded = text.partition(" ")
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            pair = ""
        if PLACEHOLDER.search(pair):
            return b"Basic " + base64.b64encode(PLACEHOLDER.sub(value, pair).encode())
    return PLACEHOLDER.sub(value, text).encode("utf-8", "surrogateescape")


def matches(endpoint, flow: http.HTTPFlow) -> bool:
    """Whether the server that mitmproxy dials, and verifies the certificate of, is the endpoint."""
    request = flow.request
    host = request.host.lower()
    if request.host_header is not None and request.pretty_host.lower() != host:
        return False
    if request.scheme == "https" and (flow.client_conn.sni or "").lower() != host:
        return False
    if request.scheme != "https" and not endpoint.plain_http:
        return False
    labels, wanted = host.split("."), endpoint.host.lower().split(".")
    return (
        request.port == endpoint.port
        and len(labels) == len(wanted)
        and all(map(fnmatch.fnmatchcase, labels, wanted))
        and matches_path(endpoint.path, request.path.partition("?")[0])
    )


def matches_path(wanted: str, path: str) -> bool:
    """Other globs than X/** match nothing here."""
    if wanted in ("", "/**"):
        return True
    if not PLAIN_PATH.fullmatch(path):
        return False
    if wanted.endswith("/**"):
        return path == wanted[:-3] or path.startswith(wanted[:-2])
    return path == wanted


addons = [Resolver()]
