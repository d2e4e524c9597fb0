package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"interop-client/stubs/driver"
)

// How many credentials one batch has: as many as OpenShell lets one provider have.
const batchSize = 32

// gateway plays an OpenShell gateway: it keeps handles where it would keep values.
type gateway struct {
	client  driver.CredentialDriverClient
	secret  string // `k8s-secret://<namespace>/<name>`
	handles []*driver.CredentialHandle
}

// drive goes the whole way through the credential driver and tries each refusal on it. Where the test has a part in
// it (a rotation), it waits for a line on stdin.
func drive(connection grpc.ClientConnInterface, secret string) error {
	g := &gateway{client: driver.NewCredentialDriverClient(connection), secret: secret}
	stdin := bufio.NewReader(os.Stdin)
	for _, step := range []func() error{
		g.capabilities, g.storeAll, g.resolveAll,
		func() error { _, err := stdin.ReadString('\n'); return err },
		g.resolveAll, g.deleteAll, g.absent, g.refusals,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Println("done")
	return nil
}

func (g *gateway) capabilities() error {
	contract := []string{"openshell.credentials.contract"}
	answer, err := g.client.GetCapabilities(context.Background(), &driver.GetCapabilitiesRequest{
		Gateway: &driver.PeerMetadata{
			ProtocolVersion:       &driver.ProtocolVersion{Major: 1},
			ImplementationName:    "interop-client",
			SupportedCapabilities: contract,
			RequiredCapabilities:  contract,
		},
	})
	if err != nil {
		return err
	}
	fmt.Println("driver", answer.GetDriverName(), answer.GetBackendKind(), answer.GetSupportsList())
	return nil
}

func key(index int) string { return fmt.Sprintf("KEY_%c%c", 'A'+index/8, 'A'+index%8) }

func (g *gateway) store(credentialKey, workspace, value string) (*driver.CredentialHandle, error) {
	answer, err := g.client.StoreCredential(context.Background(), &driver.StoreCredentialRequest{
		ProviderName: "gitlab", ProviderId: "provider-one", Workspace: workspace,
		CredentialKey: credentialKey, Value: []byte(value),
	})
	return answer.GetHandle(), err
}

func (g *gateway) storeAll() error {
	for index := range batchSize {
		handle, err := g.store(key(index), "default", g.secret+"/"+key(index))
		if err != nil {
			return err
		}
		g.handles = append(g.handles, handle)
	}
	fmt.Println("stored", len(g.handles))
	return nil
}

// batch asks for everything that was stored.
func (g *gateway) batch() *driver.ResolveCredentialsRequest {
	request := &driver.ResolveCredentialsRequest{}
	for index, handle := range g.handles {
		request.Credentials = append(request.Credentials, &driver.ResolveCredentialRequest{
			RequestId: fmt.Sprint("request-", index), ProviderName: "gitlab", ProviderId: "provider-one",
			Workspace: "default", CredentialKey: key(index), Handle: handle,
		})
	}
	return request
}

// resolveAll prints a digest of each value, so that the test can tell which values came.
func (g *gateway) resolveAll() error {
	answer, err := g.client.ResolveCredentials(context.Background(), g.batch())
	if err != nil {
		return err
	}
	values := map[string][]byte{}
	for _, credential := range answer.GetCredentials() {
		if _, twice := values[credential.GetRequestId()]; twice {
			return errors.New("a request was answered twice")
		}
		values[credential.GetRequestId()] = credential.GetValue()
	}
	for index := range g.handles {
		value, there := values[fmt.Sprint("request-", index)]
		if !there {
			return errors.New("a request was not answered")
		}
		fmt.Println("value", key(index), digest(value))
	}
	fmt.Println("resolved", len(values))
	return nil
}

func (g *gateway) deleteAll() error {
	for index, handle := range g.handles {
		_, err := g.client.DeleteCredential(context.Background(), &driver.DeleteCredentialRequest{
			ProviderName: "gitlab", ProviderId: "provider-one", Workspace: "default",
			CredentialKey: key(index), Handle: handle,
		})
		if err != nil {
			return err
		}
	}
	fmt.Println("deleted", len(g.handles))
	return nil
}

// absent resolves a key that its Secret does not have, alone: it is answered as expired, so that other providers live.
func (g *gateway) absent() error {
	handle, err := g.store("KEY_AA", "default", g.secret+"/NOT_THERE")
	if err != nil {
		return err
	}
	request := g.batch()
	request.Credentials = request.Credentials[:1]
	request.Credentials[0].Handle = handle
	answer, err := g.client.ResolveCredentials(context.Background(), request)
	if err != nil {
		return err
	}
	for _, credential := range answer.GetCredentials() {
		fmt.Println("absent", len(credential.GetValue()), credential.GetExpiresAtMs())
	}
	return nil
}

// refusals tries everything that must not work, and prints the code of each.
func (g *gateway) refusals() error {
	raw := os.Getenv("INTEROP_RAW")
	store := func(workspace, value string) func() error {
		return func() error { _, err := g.store("KEY_AA", workspace, value); return err }
	}
	resolve := func(change func(*driver.ResolveCredentialsRequest)) func() error {
		return func() error {
			request := g.batch()
			change(request)
			_, err := g.client.ResolveCredentials(context.Background(), request)
			return err
		}
	}
	for _, attempt := range []struct {
		what string
		try  func() error
	}{
		{"raw-value", store("default", raw)},
		{"raw-value-behind-scheme", store("default", "k8s-secret://"+raw)},
		{"empty-value", store("default", "")},
		{"unlisted-secret", store("default", g.secret+"-other/KEY_AA")},
		{"unlisted-namespace", store("default", "k8s-secret://kube-system/credentials/KEY_AA")},
		{"unlisted-workspace", store("other", g.secret+"/KEY_AA")},
		{"no-workspace", store("", g.secret+"/KEY_AA")},
		{"altered-handle", resolve(func(r *driver.ResolveCredentialsRequest) {
			r.Credentials[31].Handle = &driver.CredentialHandle{Handle: r.Credentials[31].Handle.Handle + "A"}
		})},
		{"no-handle", resolve(func(r *driver.ResolveCredentialsRequest) { r.Credentials[0].Handle = nil })},
		{"other-workspace", resolve(func(r *driver.ResolveCredentialsRequest) { r.Credentials[0].Workspace = "second" })},
		{"other-provider", resolve(func(r *driver.ResolveCredentialsRequest) { r.Credentials[0].ProviderId = "provider-two" })},
		{"other-key", resolve(func(r *driver.ResolveCredentialsRequest) { r.Credentials[0].CredentialKey = "KEY_AB" })},
		{"request-twice", resolve(func(r *driver.ResolveCredentialsRequest) { r.Credentials[1].RequestId = "request-0" })},
		{"other-contract", func() error {
			_, err := g.client.GetCapabilities(context.Background(), &driver.GetCapabilitiesRequest{
				Gateway: &driver.PeerMetadata{ProtocolVersion: &driver.ProtocolVersion{Major: 2}},
			})
			return err
		}},
		{"list", func() error {
			_, err := g.client.ListCredentials(context.Background(), &driver.ListCredentialsRequest{})
			return err
		}},
	} {
		err := attempt.try()
		if code := status.Code(err); code == codes.OK {
			return fmt.Errorf("%s was not refused", attempt.what)
		} else if raw == "" || strings.Contains(err.Error(), raw) {
			return fmt.Errorf("the refusal of %s repeats what was submitted, or nothing was", attempt.what)
		} else {
			fmt.Println("refused", attempt.what, code)
		}
	}
	return nil
}
