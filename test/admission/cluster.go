package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi/openapitest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	internal "k8s.io/kubernetes/pkg/apis/admissionregistration"
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	"k8s.io/kubernetes/pkg/apis/admissionregistration/validation"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/plugin/pkg/admission/serviceaccount"
)

// In the order in which an API server has them.
var pluginNames = []string{serviceaccount.PluginName, mutating.PluginName, validating.PluginName}

type cluster struct {
	chain admission.Interface
}

// newCluster starts the admission plugins on a cluster that holds the manifests' objects, and returns what the API
// server would object to in them.
func newCluster(ctx context.Context, manifests []string) (*cluster, []string, error) {
	objects, problems, err := decode(manifests)
	if err != nil {
		return nil, nil, err
	}
	for _, object := range slices.Clone(objects) {
		if namespace, ok := object.(*corev1.Namespace); ok {
			objects = append(objects, &corev1.ServiceAccount{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"},
			})
		}
	}
	client := clientWithSchemas{fake.NewClientset(objects...)}
	factory := informers.NewSharedInformerFactory(client, 0)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)

	plugins := admission.NewPlugins()
	serviceaccount.Register(plugins)
	mutating.Register(plugins)
	validating.Register(plugins)
	chain, err := plugins.NewFromPlugins(pluginNames, withoutConfig{}, initializer.New(
		client,
		dynamicfake.NewSimpleDynamicClient(scheme.Scheme, objects...),
		factory,
		authorizerfactory.NewAlwaysDenyAuthorizer(),
		utilfeature.DefaultFeatureGate,
		compatibility.DefaultBuildEffectiveVersion(),
		ctx.Done(),
		mapper,
	), nil)
	if err != nil {
		return nil, nil, err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	checker := validating.TypeChecker{
		SchemaResolver: &resolver.ClientDiscoveryResolver{Discovery: client.Discovery()},
		RestMapper:     mapper,
	}
	for _, object := range objects {
		if policy, ok := object.(*admissionregistration.ValidatingAdmissionPolicy); ok {
			for _, warning := range checker.Check(policy) {
				problems = append(problems, fmt.Sprintf("%s: %s: %s", policy.Name, warning.FieldRef, warning.Warning))
			}
		}
	}
	return &cluster{chain: chain}, problems, nil
}

// decode reads manifests as strictly as kubectl has them read, sets the defaults and validates policies and bindings.
func decode(manifests []string) ([]runtime.Object, []string, error) {
	codecs := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	var objects []runtime.Object
	var problems []string
	for _, manifest := range manifests {
		documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifest)))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, nil, err
			}
			object, _, err := codecs.UniversalDeserializer().Decode(document, nil, nil)
			if err != nil {
				return nil, nil, fmt.Errorf("manifest: %w", err)
			}
			legacyscheme.Scheme.Default(object)
			found, err := validate(object)
			if err != nil {
				return nil, nil, err
			}
			older, err := compileForOldest(object)
			if err != nil {
				return nil, nil, err
			}
			problems = append(problems, append(found, older...)...)
			objects = append(objects, everyReason(object))
		}
	}
	return objects, problems, nil
}

func validate(object runtime.Object) ([]string, error) {
	versionless, err := legacyscheme.Scheme.UnsafeConvertToVersion(object.DeepCopyObject(), runtime.InternalGroupVersioner)
	if err != nil {
		return nil, err
	}
	var problems []string
	add := func(name string, err error) {
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", name, err))
		}
	}
	switch typed := versionless.(type) {
	case *internal.ValidatingAdmissionPolicy:
		add(typed.Name, validation.ValidateValidatingAdmissionPolicy(typed).ToAggregate())
	case *internal.ValidatingAdmissionPolicyBinding:
		add(typed.Name, validation.ValidateValidatingAdmissionPolicyBinding(typed).ToAggregate())
	case *internal.MutatingAdmissionPolicy:
		add(typed.Name, validation.ValidateMutatingAdmissionPolicy(typed).ToAggregate())
	case *internal.MutatingAdmissionPolicyBinding:
		add(typed.Name, validation.ValidateMutatingAdmissionPolicyBinding(typed).ToAggregate())
	}
	return problems, nil
}

// everyReason lets a binding that denies warn as well: a denial tells the first reason only, warnings tell them all.
func everyReason(object runtime.Object) runtime.Object {
	if binding, ok := object.(*admissionregistration.ValidatingAdmissionPolicyBinding); ok &&
		slices.Contains(binding.Spec.ValidationActions, admissionregistration.Deny) {
		binding.Spec.ValidationActions = []admissionregistration.ValidationAction{
			admissionregistration.Deny, admissionregistration.Warn,
		}
	}
	return object
}

// clientWithSchemas serves the OpenAPI documents of the Kubernetes release that client-go belongs to.
type clientWithSchemas struct{ *fake.Clientset }

func (c clientWithSchemas) Discovery() discovery.DiscoveryInterfaces {
	return discoveryWithSchemas{c.Clientset.Discovery()}
}

type discoveryWithSchemas struct{ discovery.DiscoveryInterfaces }

func (discoveryWithSchemas) OpenAPIV3() openapi.Client { return openapitest.NewEmbeddedFileClient() }

type withoutConfig struct{}

func (withoutConfig) ConfigFor(string) (io.Reader, error) { return nil, nil }
