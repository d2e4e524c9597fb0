package main

import (
	"fmt"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel/environment"
)

// The first release with each kind of policy in v1. A release accepts the expressions of the one before it.
var oldest = struct{ validating, mutating *version.Version }{version.MajorMinor(1, 30), version.MajorMinor(1, 36)}

// compileForOldest returns what the oldest release with policies of this kind would not compile.
func compileForOldest(object runtime.Object) ([]string, error) {
	var variables []admissionregistration.Variable
	var expressions []cel.ExpressionAccessor
	var conditions []admissionregistration.MatchCondition
	var release *version.Version
	options := cel.OptionalVariableDeclarations{HasAuthorizer: true}
	switch policy := object.(type) {
	case *admissionregistration.ValidatingAdmissionPolicy:
		release, variables, conditions = oldest.validating, policy.Spec.Variables, policy.Spec.MatchConditions
		options.HasParams = policy.Spec.ParamKind != nil
		for _, rule := range policy.Spec.Validations {
			expressions = append(expressions, &validating.ValidationCondition{Expression: rule.Expression})
			if rule.MessageExpression != "" {
				expressions = append(expressions,
					&validating.MessageExpressionCondition{MessageExpression: rule.MessageExpression})
			}
		}
	case *admissionregistration.MutatingAdmissionPolicy:
		release, variables, conditions = oldest.mutating, policy.Spec.Variables, policy.Spec.MatchConditions
		options.HasParams, options.HasPatchTypes = policy.Spec.ParamKind != nil, true
		for _, mutation := range policy.Spec.Mutations {
			if mutation.JSONPatch != nil {
				expressions = append(expressions, &patch.JSONPatchCondition{Expression: mutation.JSONPatch.Expression})
			}
		}
	default:
		return nil, nil
	}
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(release.SubtractMinor(1)))
	if err != nil {
		return nil, err
	}
	var problems []string
	note := func(expression string, result cel.CompilationResult) {
		if result.Error != nil {
			problems = append(problems, fmt.Sprintf("Kubernetes %v: %v in %s", release, result.Error, expression))
		}
	}
	for _, variable := range variables {
		accessor := &validating.Variable{Name: variable.Name, Expression: variable.Expression}
		note(variable.Name, compiler.CompileAndStoreVariable(accessor, options, environment.NewExpressions))
	}
	for i := range conditions {
		expressions = append(expressions, (*matchconditions.MatchCondition)(&conditions[i]))
	}
	for _, expression := range expressions {
		result := compiler.Compiler.CompileCELExpression(expression, options, environment.NewExpressions)
		note(expression.GetExpression(), result)
	}
	return problems, nil
}
