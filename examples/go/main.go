// Reads credentials from the resolver as a supervisor in Go would: dial, subscribe, install, acknowledge. It
// prints names, handles and endpoints, and never a value; where INTEROP_NONCE is set, a digest of each value
// under that nonce, so that a test can tell which value arrived.
//
//	interop-client --socket PATH [--authority NAME] [--rotations N] [--hold SECONDS]
//
//	interop-client --socket PATH [--authority NAME] --driver k8s-secret://NAMESPACE/NAME
//
// The first form ends with 0 once it has seen N rotations on one stream, at least SECONDS after the start, and a plain
// call on the same connection has returned the revision in force. The second plays an OpenShell gateway: see driver.go.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"interop-client/stubs"
)

// How often an idle connection is pinged; ten seconds is the least that grpc-go allows.
const pingEvery = 10 * time.Second

func main() {
	socket := flag.String("socket", "", "path of the resolver's socket")
	authority := flag.String("authority", "localhost", "the :authority of each request")
	rotations := flag.Int("rotations", 0, "rotations to wait for")
	hold := flag.Int("hold", 0, "least time to stay connected, in seconds")
	secret := flag.String("driver", "", "play a gateway instead: k8s-secret://NAMESPACE/NAME of a Secret to refer to")
	flag.Parse()
	if err := run(*socket, *authority, *secret, *rotations, time.Duration(*hold)*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, "interop-client:", err)
		os.Exit(1)
	}
}

func run(socket, authority, secret string, rotations int, hold time.Duration) error {
	connection, err := grpc.NewClient("unix:"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority(authority),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: pingEvery, Timeout: pingEvery / 2, PermitWithoutStream: true,
		}))
	if err != nil {
		return err
	}
	defer connection.Close()
	if secret != "" {
		return drive(connection, secret)
	}
	client := stubs.NewCredentialResolverClient(connection)
	inForce, err := watch(client, rotations, hold)
	if err != nil {
		return err
	}
	current, err := client.GetProviderEnvironment(context.Background(), &stubs.GetProviderEnvironmentRequest{})
	if err != nil {
		return err
	}
	if current.GetProviderEnvRevision() != inForce.GetProviderEnvRevision() {
		return errors.New("the call and the watch disagree about the current revision")
	}
	fmt.Println("done", rotations)
	return nil
}

// watch follows one stream until all rotations were seen and the time is over.
func watch(client stubs.CredentialResolverClient, rotations int, hold time.Duration) (*stubs.ProviderEnvironment, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := client.WatchProviderEnvironment(ctx)
	if err != nil {
		return nil, err
	}
	subscribe := &stubs.WatchProviderEnvironmentRequest{
		Message: &stubs.WatchProviderEnvironmentRequest_Subscribe{Subscribe: &stubs.Subscribe{}},
	}
	if err := stream.Send(subscribe); err != nil {
		return nil, err
	}
	over := time.After(hold)
	held := false
	snapshots, failures := receive(stream)
	var inForce *stubs.ProviderEnvironment
	for seen := -1; !held || seen < rotations; {
		select {
		case <-over:
			held = true
		case err := <-failures:
			return nil, err
		case snapshot := <-snapshots:
			seen++
			report(seen, inForce, snapshot)
			inForce = snapshot
			if err := stream.Send(applied(snapshot.GetProviderEnvRevision())); err != nil {
				return nil, err
			}
		}
	}
	return inForce, nil
}

// receive reads the stream aside, so that the clock can be watched too.
func receive(stream grpc.BidiStreamingClient[stubs.WatchProviderEnvironmentRequest, stubs.ProviderEnvironment]) (<-chan *stubs.ProviderEnvironment, <-chan error) {
	snapshots := make(chan *stubs.ProviderEnvironment)
	failures := make(chan error, 1)
	go func() {
		for {
			snapshot, err := stream.Recv()
			if err != nil {
				failures <- err
				return
			}
			select {
			case snapshots <- snapshot:
			case <-stream.Context().Done():
				return
			}
		}
	}()
	return snapshots, failures
}

func applied(revision uint64) *stubs.WatchProviderEnvironmentRequest {
	return &stubs.WatchProviderEnvironmentRequest{
		Message: &stubs.WatchProviderEnvironmentRequest_Acknowledge{Acknowledge: &stubs.Acknowledge{
			Revision: revision,
			Outcome:  stubs.AcknowledgeOutcome_ACKNOWLEDGE_OUTCOME_APPLIED,
		}},
	}
}

// report prints which names changed and what is in force: one line a credential, without its value.
func report(seen int, old, current *stubs.ProviderEnvironment) {
	var changed []string
	for name := range current.GetEnvironment() {
		if string(old.GetEnvironment()[name]) != string(current.GetEnvironment()[name]) {
			changed = append(changed, name)
		}
	}
	for name := range old.GetEnvironment() {
		if _, there := current.GetEnvironment()[name]; !there {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	if seen == 0 {
		fmt.Println("snapshot", current.GetProviderEnvRevision(), strings.Join(changed, ","))
	} else {
		fmt.Println("rotation", seen, current.GetProviderEnvRevision(), strings.Join(changed, ","))
	}
	for _, name := range slices.Sorted(maps.Keys(current.GetEnvironment())) {
		binding := current.GetStaticCredentialBindings()[name]
		var endpoints []string
		for _, endpoint := range binding.GetEndpoints() {
			endpoints = append(endpoints, fmt.Sprintf("%s:%d%s", endpoint.GetHost(), endpoint.GetPort(), endpoint.GetPath()))
		}
		fmt.Println("credential", name, current.GetCredentialProviders()[name], binding.GetWorkloadCredentialHandle(),
			strings.Join(endpoints, ","), digest(current.GetEnvironment()[name]))
	}
	for _, refusal := range current.GetRefusals() {
		fmt.Println("refusal", refusal.GetProvider(), refusal.GetKey(), refusal.GetReason())
	}
}

func digest(value []byte) string {
	nonce, there := os.LookupEnv("INTEROP_NONCE")
	if !there {
		return "-"
	}
	return fmt.Sprintf("%x", sha256.Sum256(append([]byte(nonce+"\x00"), value...)))
}
