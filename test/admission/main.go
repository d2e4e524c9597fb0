// Command admission runs requests through the admission chain and the validation of a Kubernetes API server: its own
// code, without a network, etcd or kubelet.
//
// Each line of stdin is a JSON object. The first one holds what is applied before: {"manifests": ["YAML", ...]}.
// Its answer is {"problems": [...]}, what the API server finds wrong with the policies. Every other line is a request,
// answered by a line of its own.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"k8s.io/kubernetes/pkg/capabilities"
)

// A pod with its manifest's worth of text is far below this.
const maxLine = 8 << 20

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "admission:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// As with --allow-privileged, which clusters are started with.
	capabilities.Setup(true, 0)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	answers := json.NewEncoder(out)
	answers.SetEscapeHTML(false)

	var setup struct {
		Manifests []string `json:"manifests"`
	}
	if !lines.Scan() {
		return fmt.Errorf("no first line: %w", io.ErrUnexpectedEOF)
	}
	if err := json.Unmarshal(lines.Bytes(), &setup); err != nil {
		return fmt.Errorf("first line: %w", err)
	}
	cluster, problems, err := newCluster(ctx, setup.Manifests)
	if err != nil {
		return err
	}
	if err := answers.Encode(map[string][]string{"problems": problems}); err != nil {
		return err
	}
	for lines.Scan() {
		var request request
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return fmt.Errorf("request: %w", err)
		}
		answer, err := cluster.serve(ctx, request)
		if err != nil {
			return err
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}
