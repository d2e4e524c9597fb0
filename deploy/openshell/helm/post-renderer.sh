#!/bin/sh
# Helm post-renderer: adds the resolver, as the gateway's credential driver, to the rendered OpenShell chart. README.md
# lists the names that it relies on. It needs awk and kubectl, or another kustomize in KUSTOMIZE ("kustomize build").
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/kustomization.yaml" "$here/config.yaml" "$work"

# A TOML table ends where the next one begins, so the driver's own stands before the one that it is named in.
awk '
  function fail(why) { print "post-renderer: " why > "/dev/stderr"; failed = 1; exit 1 }
  /^ *credential_drivers *=/ { fail("the chart names a credential driver already; a gateway takes one: unset server.credentialDrivers") }
  /^ *\[openshell\.gateway\] *$/ {
    indent = $0
    sub(/\[.*/, "", indent)
    print indent "[openshell.credential_drivers.secret-resolver]"
    print indent "transport = \"uds\""
    print indent "socket_path = \"/run/secret-resolver/driver/driver.sock\""
    print ""
    print
    print indent "credential_drivers = [\"secret-resolver\"]"
    gateways++
    next
  }
  /^ *(- )?name: openshell-gateway$/ { containers++ }
  { print }
  END {
    if (failed) exit 1
    if (gateways != 1) fail("the chart has " gateways + 0 " tables [openshell.gateway]; expected one, in the ConfigMap of gateway.toml")
    if (containers != 1) fail("the chart has " containers + 0 " containers openshell-gateway; expected one")
  }
' > "$work/rendered.yaml"

${KUSTOMIZE:-kubectl kustomize} "$work" > "$work/out.yaml"
# A patch whose target is not found changes nothing, and kustomize says nothing.
if ! grep -q 'name: secret-resolver-socket$' "$work/out.yaml"; then
  echo 'post-renderer: no StatefulSet or Deployment has the label app.kubernetes.io/name: openshell' >&2
  exit 1
fi
cat "$work/out.yaml"
