{{/* Objects come from the files that kustomize applies. A template changes what values say and prints the object. */}}

{{- define "secret-resolver.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* An object as YAML. Takes a list: the root context, the object, and labels to add. */}}
{{- define "secret-resolver.object" -}}
{{- $root := index . 0 -}}
{{- $object := index . 1 -}}
{{- $release := dict
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/managed-by" $root.Release.Service
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version) -}}
{{- $metadata := $object.metadata -}}
{{- $more := dict -}}
{{- if gt (len .) 2 }}{{ $more = index . 2 }}{{ end -}}
{{- $_ := set $metadata "labels" (merge $release ($metadata.labels | default dict) $more) -}}
{{- if $metadata.namespace }}{{ $_ := set $metadata "namespace" $root.Release.Namespace }}{{ end -}}
---
{{ toYaml $object }}
{{ end -}}

{{/* The text of config.yaml: the file of deploy/component as it is, unless values change something. */}}
{{- define "secret-resolver.config" -}}
{{- $text := .Files.Get "files/config.yaml" -}}
{{- $own := dict -}}
{{- if .Values.component.profiles }}{{ $own = dict "profilesDir" "/etc/secret-resolver/profiles" }}{{ end -}}
{{- $own = merge (deepCopy .Values.component.config) $own -}}
{{- if $own -}}
{{- toYaml (mergeOverwrite (fromYaml $text) $own) -}}
{{- else -}}
{{- $text -}}
{{- end -}}
{{- end -}}

{{/* Provider files as JSON: name to text. */}}
{{- define "secret-resolver.providers" -}}
{{- $files := dict -}}
{{- range $name, $content := .Values.component.providers -}}
{{- $_ := set $files $name (include "secret-resolver.text" $content) -}}
{{- else -}}
{{- range $path, $_ := .Files.Glob "files/providers/*.yaml" -}}
{{- $_ := set $files (base $path) ($.Files.Get $path) -}}
{{- end -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{- define "secret-resolver.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* Name of the volume of a Secret, as `secret-resolver inject` gives it. */}}
{{- define "secret-resolver.secretVolume" -}}
{{- $plain := printf "secret-resolver-secret-%s" . -}}
{{- if and (le (len $plain) 63) (not (contains "." .)) -}}
{{- $plain -}}
{{- else -}}
{{- $cut := . | replace "." "-" | trunc 31 | regexFind "^.*[^-]" -}}
{{- printf "secret-resolver-secret-%s-%s" $cut (. | sha256sum | trunc 8) -}}
{{- end -}}
{{- end -}}
