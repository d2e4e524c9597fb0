package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	podregistry "k8s.io/kubernetes/pkg/registry/core/pod"
)

// A request creates a pod, or changes one where Old is set; Subresource is "" or "ephemeralcontainers".
type request struct {
	Object      json.RawMessage `json:"object"`
	Old         json.RawMessage `json:"old,omitempty"`
	Subresource string          `json:"subresource,omitempty"`
}

type answer struct {
	// The pod as it would be stored, had nobody refused it; absent where the mutating plugins did.
	Object runtime.Object `json:"object,omitempty"`
	// What the validation of the pod itself finds, which comes before the validating policies.
	Invalid string `json:"invalid,omitempty"`
	// Why a plugin refused the pod: the words that kubectl shows.
	Denied string `json:"denied,omitempty"`
	// Every reason that a policy has against the pod.
	Warnings []string `json:"warnings"`
}

func (c *cluster) serve(ctx context.Context, r request) (*answer, error) {
	pod, err := decodePod(r.Object)
	if err != nil {
		return &answer{Invalid: err.Error(), Warnings: []string{}}, nil
	}
	ctx = apirequest.WithNamespace(ctx, pod.Namespace)
	ctx = apirequest.WithRequestInfo(ctx, &apirequest.RequestInfo{APIVersion: "v1", Resource: "pods"})
	warnings := &recorder{texts: []string{}}
	ctx = warning.WithWarningRecorder(ctx, warnings)
	if r.Old == nil {
		rest.FillObjectMetaSystemFields(pod)
		if pod.Name == "" {
			pod.Name = pod.GenerateName + "x"
		}
	}
	var old *api.Pod
	operation, options := admission.Create, runtime.Object(&metav1.CreateOptions{})
	var previous runtime.Object
	if r.Old != nil {
		if old, err = decodePod(r.Old); err != nil {
			return nil, fmt.Errorf("old pod: %w", err)
		}
		operation, options, previous = admission.Update, &metav1.UpdateOptions{}, old
		// What storage would have given them.
		old.ResourceVersion, pod.ResourceVersion, pod.UID = "1", "1", old.UID
	}
	attributes := admission.NewAttributesRecord(
		pod, previous,
		corev1.SchemeGroupVersion.WithKind("Pod"), pod.Namespace, pod.Name,
		corev1.SchemeGroupVersion.WithResource("pods"), r.Subresource,
		operation, options, false, &user.DefaultInfo{Name: "test"},
	)
	interfaces := admission.NewObjectInterfacesFromScheme(legacyscheme.Scheme)
	result := &answer{}
	if err := c.chain.(admission.MutationInterface).Admit(ctx, attributes, interfaces); err != nil {
		result.Denied = message(err)
	} else {
		if err := prepare(ctx, pod, old, r.Subresource); err != nil {
			result.Invalid = message(err)
		}
		if err := c.chain.(admission.ValidationInterface).Validate(ctx, attributes, interfaces); err != nil {
			result.Denied = message(err)
		}
		if result.Object, err = legacyscheme.Scheme.ConvertToVersion(pod, corev1.SchemeGroupVersion); err != nil {
			return nil, err
		}
	}
	result.Warnings = warnings.texts
	return result, nil
}

func prepare(ctx context.Context, pod, old *api.Pod, subresource string) error {
	switch {
	case old == nil:
		return rest.BeforeCreate(podregistry.Strategy, ctx, pod)
	case subresource == "ephemeralcontainers":
		return rest.BeforeUpdate(podregistry.EphemeralContainersStrategy, ctx, pod, old)
	default:
		return rest.BeforeUpdate(podregistry.Strategy, ctx, pod, old)
	}
}

// decodePod sets the defaults, as the API server does when it reads a request, and refuses unknown fields.
func decodePod(data []byte) (*api.Pod, error) {
	codecs := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	object, _, err := codecs.UniversalDecoder().Decode(data, nil, nil)
	if err != nil {
		return nil, err
	}
	pod, ok := object.(*api.Pod)
	if !ok {
		return nil, fmt.Errorf("%T is not a pod", object)
	}
	return pod, nil
}

func message(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Message
	}
	return err.Error()
}

type recorder struct{ texts []string }

func (r *recorder) AddWarning(_, text string) { r.texts = append(r.texts, text) }
